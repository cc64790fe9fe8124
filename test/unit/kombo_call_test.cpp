#include "fault_server.h"
#include "kombo/call.h"
#include "kombo/page.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace kombo {
namespace {

using std::chrono::milliseconds;

const std::string empty_list = R"({"status":"success","data":{"results":[],"next":null}})";

std::string error_body(const std::string &code) {
    return R"({"status":"error","error":{"code":")" + code + R"(","title":null,"message":"m"}})";
}

HttpOptions options() {
    HttpOptions result;
    result.allow_http = true;
    result.request_timeout = milliseconds(3000);
    return result;
}

RetryPolicy quick() {
    RetryPolicy policy;
    policy.max_retries = 3;
    policy.base = milliseconds(10);
    policy.cap = milliseconds(40);
    policy.longest_wait = milliseconds(2000);
    return policy;
}

void run(Transfers &transfers, Call &call) {
    const auto give_up = Call::Clock::now() + std::chrono::seconds(20);
    call.advance(Call::Clock::now());
    while (!call.done()) {
        if (Call::Clock::now() > give_up) {
            throw std::runtime_error("the call never ended");
        }
        turn(transfers, milliseconds(5));
        call.advance(Call::Clock::now());
    }
}

struct Outcome {
    long status = 0;
    int retries = 0;
    size_t requests = 0;
    std::optional<ApiError> error;
};

Outcome outcome(std::vector<Answer> answers, RetryPolicy policy = quick(), std::vector<std::string> headers = {}) {
    FaultServer server(std::move(answers));
    Transfers transfers;
    Call call(transfers, {server.url(), std::move(headers)}, options(), policy,
              [](Response &response) { Page::parse(std::move(response.body)); });
    run(transfers, call);
    Outcome result;
    try {
        result.status = call.take().status;
    } catch (const ApiError &error) {
        result.error = error;
    }
    result.retries = call.retries();
    result.requests = server.requests().size();
    return result;
}

TEST(Call, what_passes_is_retried_until_it_succeeds) {
    const std::vector<Answer> passing[] = {
        {answer(500, "")},
        {answer(503, "<html>busy</html>"), answer(502, "")},
        {answer(408, "")},
        {answer(429, "")},
        {answer(401, "<html>sign in</html>"), answer(407, ""), answer(403, "Just a moment...")},
        {answer(404, "<html>"), answer(400, "{}"), answer(302, "", "Location: /elsewhere\r\n")},
        {answer(421, ""), answer(425, ""), answer(499, "")},
        {answer(400, error_body("PLATFORM.UNKNOWN_ERROR"))},
        {answer(200, error_body("PLATFORM.TASK_TIMED_OUT"))},
        {answer(200, "<html>maintenance</html>")},
        {answer(200, empty_list.substr(0, 30))},
        {Answer{"HTTP/1.1 200 OK\r\n\r\n" + empty_list.substr(0, 40)}},
        {Answer{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"}},
        {Answer{"", false, false, milliseconds(0), true}},
    };
    for (std::vector<Answer> answers : passing) {
        const int failures = static_cast<int>(answers.size());
        const std::string first = answers.front().bytes;
        answers.push_back(answer(200, empty_list));
        const Outcome result = outcome(answers);
        EXPECT_EQ(result.status, 200) << first << (result.error ? result.error->what() : "");
        EXPECT_EQ(result.retries, failures) << first;
    }
}

TEST(Call, a_key_that_the_answer_repeats_is_masked) {
    const std::string key = "sk-0123456789abcdef0123456789abcdef0123456789";
    for (const Answer &telling :
         {answer(400, R"({"status":"error","error":{"code":"X","message":"no )" + key + R"( here"}})"),
          answer(200, "<html>you sent Bearer " + key), answer(502, key)}) {
        const Outcome result = outcome(std::vector<Answer>(4, telling), quick(), {"Authorization: Bearer " + key});
        ASSERT_TRUE(result.error);
        const std::string said = std::string(result.error->what()) + result.error->message + result.error->title;
        EXPECT_EQ(said.find(key.substr(0, 8)), std::string::npos) << said;
    }
}

TEST(Call, what_is_final_is_not_retried) {
    const std::pair<Answer, ErrorClass> final_answers[] = {
        {answer(400, error_body("PLATFORM.INPUT_INVALID")), ErrorClass::InvalidInput},
        {answer(401, error_body("PLATFORM.AUTHENTICATION_INVALID")), ErrorClass::Unauthorized},
        {answer(403, error_body("NEW.CODE")), ErrorClass::Final},
        {answer(404, error_body("NEW.CODE")), ErrorClass::NotFound},
        {answer(409, error_body("INTEGRATION.SETUP_SYNC_PENDING")), ErrorClass::SetupPending},
        {answer(503, error_body("INTEGRATION.SETUP_INCOMPLETE")), ErrorClass::SetupPending},
        {answer(500, error_body("INTEGRATION.MODEL_DISABLED")), ErrorClass::Unavailable},
        {answer(200, error_body("INTEGRATION.MODEL_NOT_AVAILABLE")), ErrorClass::Unavailable},
    };
    for (const auto &[given, expected] : final_answers) {
        const Outcome result = outcome({given});
        ASSERT_TRUE(result.error) << given.bytes;
        EXPECT_EQ(result.error->error_class, expected) << given.bytes;
        EXPECT_EQ(result.requests, 1U) << given.bytes;
    }
}

TEST(Call, retries_are_bounded_and_the_last_error_comes_out) {
    const Outcome result = outcome({answer(500, ""), answer(502, "gateway")});
    ASSERT_TRUE(result.error);
    EXPECT_EQ(result.error->http_status, 502);
    EXPECT_EQ(result.retries, 3);
    EXPECT_EQ(result.requests, 4U);
    RetryPolicy none = quick();
    none.max_retries = 0;
    EXPECT_EQ(outcome({answer(500, "")}, none).requests, 1U);
}

TEST(Call, a_body_of_another_shape_is_a_malformed_body_in_the_end) {
    const Outcome result = outcome({answer(200, R"({"hello":"world"})")});
    ASSERT_TRUE(result.error);
    EXPECT_EQ(result.error->error_class, ErrorClass::MalformedBody);
    EXPECT_NE(std::string(result.error->what()).find("hello"), std::string::npos) << result.error->what();
}

TEST(Call, the_wait_that_the_server_demands_is_kept) {
    for (const char *header : {"Retry-After: 1\r\n", "retry-after-ms: 700\r\n", "ratelimit-reset: 1\r\n"}) {
        FaultServer server({answer(429, "", header), answer(200, empty_list)});
        Transfers transfers;
        Call call(transfers, {server.url(), {}}, options(), quick());
        const auto begin = Call::Clock::now();
        run(transfers, call);
        EXPECT_EQ(call.take().status, 200);
        EXPECT_GE(Call::Clock::now() - begin, milliseconds(695)) << header;
        EXPECT_LT(Call::Clock::now() - begin, milliseconds(1900)) << header;
    }
}

TEST(Call, a_demand_of_nothing_does_not_shorten_the_back_off) {
    for (const char *header :
         {"Retry-After: 0\r\n", "retry-after-ms: 1\r\n",
          "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:40:00 GMT\r\n"}) {
        FaultServer server({answer(503, "", header)});
        Transfers transfers;
        RetryPolicy policy = quick();
        policy.base = policy.cap = std::chrono::hours(10);
        milliseconds longest(0);
        for (int i = 0; i < 8; ++i) { // any one of them may be short, by the jitter
            Call call(transfers, {server.url(), {}}, options(), policy);
            const auto begin = Call::Clock::now();
            call.advance(begin);
            while (call.in_flight()) {
                turn(transfers, milliseconds(2));
                call.poll(begin);
            }
            longest = std::max(longest, std::chrono::duration_cast<milliseconds>(*call.wake_at() - begin));
        }
        EXPECT_GT(longest, std::chrono::minutes(10)) << header;
    }
}

TEST(Call, a_demand_beyond_the_longest_wait_fails_at_once_and_is_told) {
    const Outcome result = outcome({answer(429, error_body("PLATFORM.RATE_LIMIT_EXCEEDED"), "Retry-After: 3\r\n")});
    ASSERT_TRUE(result.error);
    EXPECT_EQ(result.error->error_class, ErrorClass::RateLimited);
    EXPECT_EQ(result.error->retry_after, milliseconds(3000));
    EXPECT_EQ(result.requests, 1U);
}

TEST(Call, the_back_off_is_announced_and_grows_within_its_cap) {
    FaultServer server({answer(500, "")});
    Transfers transfers;
    RetryPolicy policy = quick();
    policy.max_retries = 6;
    Call call(transfers, {server.url(), {}}, options(), policy);
    EXPECT_TRUE(call.wake_at().has_value());
    int back_offs = 0;
    auto announced = call.wake_at();
    while (!call.done()) {
        const auto now = Call::Clock::now();
        call.advance(now);
        const auto before = std::exchange(announced, call.wake_at());
        if (announced && announced != before) { // a quick answer may be here within the sending
            ++back_offs;
            EXPECT_LE(*call.wake_at() - Call::Clock::now(), policy.cap); // the sending may have taken long
            EXPECT_GE(*call.wake_at(), now);
            EXPECT_EQ(call.last_error()->http_status, 500);
        }
        turn(transfers, milliseconds(2));
    }
    EXPECT_EQ(back_offs, 6);
    EXPECT_THROW(call.take(), ApiError);
}

TEST(Call, sends_by_itself_only_when_it_is_advanced) {
    FaultServer server({answer(500, ""), answer(200, empty_list)});
    Transfers transfers;
    Call call(transfers, {server.url(), {}}, options(), quick());
    const auto poll = [&] {
        const auto give_up = Call::Clock::now() + std::chrono::seconds(10);
        do {
            turn(transfers, milliseconds(1));
            call.poll(Call::Clock::now());
        } while (call.in_flight() && Call::Clock::now() < give_up);
    };
    EXPECT_TRUE(call.due(Call::Clock::now()));
    poll();
    EXPECT_TRUE(server.requests().empty());
    call.send();
    EXPECT_TRUE(call.in_flight());
    EXPECT_FALSE(call.due(Call::Clock::now()));
    EXPECT_FALSE(call.wake_at());
    poll();
    ASSERT_TRUE(call.wake_at());
    EXPECT_EQ(call.last_error()->http_status, 500);
    for (int turns = 0; turns < 60; ++turns) poll(); // longer than the back-off
    EXPECT_EQ(server.requests().size(), 1U) << "it is due, and waits to be told";
    EXPECT_TRUE(call.due(*call.wake_at()));
    EXPECT_FALSE(call.due(*call.wake_at() - milliseconds(1)));
    call.send();
    poll();
    ASSERT_TRUE(call.done());
    EXPECT_FALSE(call.due(Call::Clock::now()));
    EXPECT_EQ(call.take().status, 200);
    EXPECT_EQ(call.retries(), 1);
}

TEST(Call, the_listener_hears_of_every_answer_and_of_nothing_else) {
    FaultServer server({answer(500, "", "X-Number: 1\r\n"), Answer{"", false, false, milliseconds(0), true},
                        answer(200, "<html>", "X-Number: 2\r\n"), answer(200, empty_list, "X-Number: 3\r\n")});
    Transfers transfers;
    std::string heard;
    Call call(
        transfers, {server.url(), {}}, options(), quick(),
        [](Response &response) { Page::parse(std::move(response.body)); },
        [&](const Response &response) {
            heard += std::to_string(response.status) + ":" +
                     std::string(response.headers.find("x-number").value_or("")) + ":" +
                     std::to_string(response.body.size()) + " ";
        });
    run(transfers, call);
    EXPECT_EQ(call.take().status, 200);
    EXPECT_EQ(heard, "500:1:0 200:2:6 200:3:" + std::to_string(empty_list.size()) + " ");
}

TEST(Call, the_listener_hears_of_what_ends_it_too) {
    for (const int status : {401, 404, 429}) {
        FaultServer server({answer(status, error_body(""), "Retry-After: 3600\r\n")});
        Transfers transfers;
        std::vector<long> heard;
        Call call(transfers, {server.url(), {}}, options(), quick(), {},
                  [&](const Response &response) { heard.push_back(response.status); });
        Call moved = std::move(call);
        run(transfers, moved);
        EXPECT_THROW(moved.take(), ApiError);
        EXPECT_EQ(heard, std::vector<long>{status});
    }
}

TEST(Call, an_error_of_the_check_that_is_no_malformed_body_goes_through) {
    FaultServer server({answer(200, empty_list)});
    Transfers transfers;
    Call call(transfers, {server.url(), {}}, options(), quick(), [](Response &) { throw std::domain_error("mine"); });
    EXPECT_THROW(run(transfers, call), std::domain_error);
    EXPECT_EQ(transfers.in_flight(), 0U);
}

TEST(Call, a_call_that_goes_away_or_moves_leaves_nothing_behind) {
    FaultServer server({{"", false, true}});
    Transfers transfers;
    {
        Call call(transfers, {server.url(), {}}, options(), quick());
        call.advance(Call::Clock::now());
        turn(transfers);
        EXPECT_EQ(transfers.in_flight(), 1U);
        Call moved = std::move(call);
        EXPECT_EQ(transfers.in_flight(), 1U);
        EXPECT_FALSE(moved.done());
        EXPECT_THROW(moved.take(), std::logic_error);
    }
    EXPECT_EQ(transfers.in_flight(), 0U);
}

TEST(Call, a_refused_connection_is_tried_again) {
    std::string url;
    {
        FaultServer gone({answer(200, "")});
        url = gone.url();
    }
    Transfers transfers;
    Call call(transfers, {url, {}}, options(), quick());
    run(transfers, call);
    EXPECT_EQ(call.retries(), 3);
    try {
        call.take();
        FAIL() << "no error";
    } catch (const ApiError &error) {
        EXPECT_TRUE(error.host_unreachable);
    }
}

} // namespace
} // namespace kombo
