#include "kombo/error.h"
#include "kombo/time.h"

#include <gtest/gtest.h>

namespace kombo {
namespace {

using std::chrono::milliseconds;

std::string envelope(const std::string &code) {
    return R"({"status":"error","error":{"code":)" + (code.empty() ? "null" : "\"" + code + "\"") +
           R"(,"title":"T","message":"M","log_url":"https://app/log"}})";
}

TEST(Classify, by_code_first_then_by_status) {
    struct Case {
        const char *code;
        long status;
        ErrorClass expected;
        bool retried;
    };
    const Case cases[] = {
        {"PLATFORM.RATE_LIMIT_EXCEEDED", 400, ErrorClass::RateLimited, true},
        {"PLATFORM.CONCURRENCY_LIMIT_EXCEEDED", 429, ErrorClass::RateLimited, true},
        {"PLATFORM.INTEGRATION_NOT_FOUND", 400, ErrorClass::NotFound, false},
        {"PLATFORM.INPUT_INVALID", 500, ErrorClass::InvalidInput, false},
        {"PLATFORM.UNKNOWN_ERROR", 400, ErrorClass::Transient, true},
        {"PLATFORM.IP_NOT_WHITELISTED", 403, ErrorClass::Final, false},
        {"PLATFORM.AUTHENTICATION_INVALID", 403, ErrorClass::Unauthorized, false},
        {"PLATFORM.TASK_TIMED_OUT", 200, ErrorClass::Transient, true},
        {"INTEGRATION.PERMISSION_MISSING", 403, ErrorClass::Final, false},
        {"INTEGRATION.AUTHENTICATION_INVALID", 401, ErrorClass::Final, false},
        {"INTEGRATION.QA_FAILED", 409, ErrorClass::SetupPending, false},
        {"INTEGRATION.SETUP_SYNC_PENDING", 503, ErrorClass::SetupPending, false},
        {"INTEGRATION.SETUP_INCOMPLETE", 409, ErrorClass::SetupPending, false},
        {"INTEGRATION.INACTIVE", 500, ErrorClass::Final, false},
        {"INTEGRATION.MODEL_NOT_AVAILABLE", 404, ErrorClass::Unavailable, false},
        {"INTEGRATION.MODEL_DISABLED", 503, ErrorClass::Unavailable, false},
        {"REMOTE.SERVICE_UNAVAILABLE", 400, ErrorClass::Transient, true},
        {"REMOTE.RATE_LIMIT_EXCEEDED", 500, ErrorClass::RateLimited, true},
        {"REMOTE.UNKNOWN_HTTP_ERROR", 400, ErrorClass::Transient, true},
        {"REMOTE.INPUT_INVALID", 500, ErrorClass::Final, false},
        {"NEW.CODE", 500, ErrorClass::Transient, true},
        {"NEW.CODE", 409, ErrorClass::Final, false},
        {"NEW.CODE", 200, ErrorClass::Final, false},
        {"", 400, ErrorClass::InvalidInput, false},
        {"", 401, ErrorClass::Unauthorized, false},
        {"", 403, ErrorClass::Final, false},
        {"", 404, ErrorClass::NotFound, false},
        {"", 408, ErrorClass::Transient, true},
        {"", 421, ErrorClass::Transient, true},
        {"", 425, ErrorClass::Transient, true},
        {"", 499, ErrorClass::Transient, true},
        {"", 409, ErrorClass::Final, false},
        {"", 422, ErrorClass::InvalidInput, false},
        {"", 429, ErrorClass::RateLimited, true},
        {"", 503, ErrorClass::Transient, true},
        {"", 302, ErrorClass::Final, false},
    };
    for (const Case &c : cases) {
        const ApiError error = classify(c.status, envelope(c.code), {});
        EXPECT_EQ(error.error_class, c.expected)
            << c.code << " " << c.status << " is " << error_class_name(error.error_class);
        EXPECT_EQ(retryable(error), c.retried) << c.code << " " << c.status;
        EXPECT_EQ(error.code, c.code);
    }
}

TEST(Classify, without_kombos_envelope_only_what_passes_is_believed) {
    for (const char *body : {"", "<html>nginx</html>", "Just a moment...", R"({"error":"no"})", "[]"}) {
        for (const long status :
             {300, 302, 307, 400, 401, 403, 404, 405, 407, 409, 410, 413, 421, 422, 425, 451, 499}) {
            const ApiError error = classify(status, body, {});
            EXPECT_EQ(error.error_class, ErrorClass::MalformedBody) << status << " " << body;
            EXPECT_TRUE(retryable(error)) << status << " " << body;
        }
        for (const long status : {408, 500, 502, 503, 504, 524})
            EXPECT_EQ(classify(status, body, {}).error_class, ErrorClass::Transient) << status << " " << body;
        EXPECT_EQ(classify(429, body, {}).error_class, ErrorClass::RateLimited) << body;
    }
}

TEST(Classify, a_limit_of_the_customers_tool_is_not_one_of_the_key) {
    for (const char *code : {"REMOTE.RATE_LIMIT_EXCEEDED", "REMOTE.ANYTHING", "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED",
                             "INTEGRATION.ANYTHING"})
        EXPECT_FALSE(concerns_key(classify(429, envelope(code), {}))) << code;
    for (const char *code : {"PLATFORM.RATE_LIMIT_EXCEEDED", "", "NEW.CODE"})
        EXPECT_TRUE(concerns_key(classify(429, envelope(code), {}))) << code;
    EXPECT_TRUE(concerns_key(classify(429, "<html>", {})));
    EXPECT_TRUE(concerns_key(classify(400, envelope("PLATFORM.RATE_LIMIT_EXCEEDED"), {})));
    EXPECT_FALSE(concerns_key(classify(503, envelope("NEW.CODE"), {})));
}

TEST(Classify, what_takes_too_long_or_is_too_large_is_too_much) {
    for (const long status : {504, 524}) EXPECT_TRUE(classify(status, "<html>", {}).too_much) << status;
    EXPECT_TRUE(classify(200, envelope("PLATFORM.TASK_TIMED_OUT"), {}).too_much);
    for (const long status : {400, 429, 500, 502, 503}) EXPECT_FALSE(classify(status, "", {}).too_much) << status;
}

TEST(Outline, shows_texts_and_of_json_no_values) {
    const std::pair<const char *, const char *> cases[] = {
        {"", "an empty response"},
        {" \n", "an empty response"},
        {"<html>nginx</html>", "<html>nginx</html>"},
        {"<!DOCTYPE html><title>x", "<!DOCTYPE html><title>x"},
        {"upstream error", "upstream error"},
        {"<employee><ssn>078</ssn>", "XML"},
        {R"([{"ssn":"078-05-1120"}])", "a JSON array"},
        {R"("078-05-1120")", "a JSON string"},
        {R"({"ssn":"078-05-1120","iban":["DE44"]})", "a JSON object with ssn, iban"},
        {"\xEF\xBB\xBF {\"ssn\":1}", "a JSON object with ssn"},
        {R"({"ssn":"078-05-1120)", "what begins like a JSON object"},
        {"{}", "an empty JSON object"},
        {R"(error: {"ssn":"078-05-1120"})", "error: "},
        {"\x01\x02", "binary data"},
    };
    for (const auto &[body, expected] : cases) EXPECT_EQ(outline(body), expected) << body;
    EXPECT_LT(outline("{\"" + std::string(5000, 'k') + "\":1}").size(), 100U);
}

TEST(Printable, drops_what_changes_the_order_in_which_a_text_is_shown) {
    EXPECT_EQ(printable("a\u202Eb\u2028c\u2029d\u2066e\u200Ff\u061Cg\uFEFFh\x1B[31m\u009B"), "ab c defgh[31m");
    EXPECT_EQ(printable("\u2027\u2030\u200D"), "\u2027\u2030\u200D");
}

TEST(Classify, the_text_holds_code_status_title_and_message) {
    const ApiError error = classify(400, envelope("PLATFORM.INPUT_INVALID"), {});
    EXPECT_STREQ(error.what(), "PLATFORM.INPUT_INVALID (HTTP 400): T: M");
    EXPECT_EQ(error.log_url, "https://app/log");
    EXPECT_STREQ(classify(500, R"({"status":"error","error":{"message":"only this"}})", {}).what(),
                 "HTTP 500: only this");
}

TEST(Classify, any_body_is_tolerated) {
    for (const std::string &body :
         {std::string(), std::string("<html><title>502</title>"), std::string("upstream error"), std::string("null"),
          std::string("[]"), std::string("{\"status\":\"error\"}"), std::string(R"({"status":"error","error":"x"})"),
          std::string(R"({"status":"error","error":{"code":7,"message":null}})"), std::string("\xFF\x00\x01", 3),
          std::string(R"({"status":"error","error":{"message":"\ud800"}})"), std::string(2 << 20, '{')}) {
        const ApiError error = classify(502, body, {});
        EXPECT_EQ(error.error_class, ErrorClass::Transient) << body.substr(0, 50);
        EXPECT_LT(std::string(error.what()).size(), 200U);
    }
}

TEST(Classify, text_from_the_network_is_bounded_and_printable) {
    const std::string long_message = R"({"status":"error","error":{"message":"a\u0000\n\u0007\u0085)" +
                                     std::string(400, 'x') + R"(ä€ä€ä€ä€ä€ä€ä€ä€ä€ä€ä€ä€ä€ä€ä€ä€ä€ä€ä€ä€ä€ä€ä€ä€"}})";
    const ApiError error = classify(500, long_message, {});
    EXPECT_LE(error.message.size(), 500U);
    EXPECT_EQ(error.message.substr(0, 4), "a xx");
    EXPECT_EQ(printable(error.message), error.message);
    EXPECT_EQ(printable("\xC3\xA4\xED\xA0\x80\xF5\xC3", 500),
              "\xC3\xA4\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    EXPECT_EQ(printable("ab\xC3\xA4", 3), "ab");
}

TEST(DemandedWait, headers_in_all_their_forms) {
    struct Case {
        long status;
        std::vector<std::string> lines;
        std::optional<milliseconds> expected;
    };
    const std::string date = "Date: Sun, 06 Nov 1994 08:49:37 GMT";
    const Case cases[] = {
        {429, {}, std::nullopt},
        {429, {"Retry-After: 7"}, milliseconds(7000)},
        {503, {"retry-after:  7  "}, milliseconds(7000)},
        {429, {"Retry-After: 1.5"}, milliseconds(1500)},
        {429, {"Retry-After: 0"}, milliseconds(0)},
        {429, {"Retry-After: -5"}, std::nullopt},
        {429, {"Retry-After: soon"}, std::nullopt},
        {429, {"Retry-After:"}, std::nullopt},
        {429, {date, "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT"}, milliseconds(60000)},
        {429, {date, "Retry-After: Sun, 06 Nov 1994 08:40:00 GMT"}, milliseconds(0)},
        {429, {"Retry-After: 7", "retry-after-ms: 250"}, milliseconds(250)},
        {429, {"ratelimit-reset: 57"}, milliseconds(57000)},
        {429, {"Retry-After: 3", "RateLimit-Reset: 57"}, milliseconds(3000)},
        {500, {"ratelimit-reset: 57"}, std::nullopt},
        {429, {date, "ratelimit-reset: 784111807"}, milliseconds(30000)},
        {429, {date, "ratelimit-reset: 784111807000"}, milliseconds(30000)},
        {429, {date, "ratelimit-reset: 784111000"}, milliseconds(0)},
        {429, {"ratelimit-reset: 9999999999"}, std::chrono::minutes(5)},
        {429, {"ratelimit-reset: 100000000"}, std::chrono::minutes(5)},
        {503, {date, "Retry-After: 784111807"}, milliseconds(30000)},
        {503, {"Retry-After: 3600"}, std::chrono::hours(1)},
        {429, {"Retry-After: 99999999999999999999999999"}, std::chrono::hours(24)},
    };
    for (const Case &c : cases) {
        Headers headers;
        for (const std::string &line : c.lines) {
            headers.add_line(line);
        }
        const auto wait = demanded_wait(c.status, headers);
        EXPECT_EQ(wait, c.expected) << (c.lines.empty() ? "no header" : c.lines.back()) << " gave "
                                    << (wait ? wait->count() : -1);
    }
}

TEST(Headers, names_compare_without_case_and_the_last_one_counts) {
    Headers headers;
    headers.add_line("Content-Type:  text/html \r\n");
    headers.add_line("no colon here\r\n");
    headers.add_line("content-type: application/json\r\n");
    headers.add_line("Empty:\r\n");
    EXPECT_EQ(headers.find("CONTENT-TYPE"), "application/json");
    EXPECT_EQ(headers.find("empty"), "");
    EXPECT_EQ(headers.find("date"), std::nullopt);
}

} // namespace
} // namespace kombo
