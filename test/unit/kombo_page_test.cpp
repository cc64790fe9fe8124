#include "kombo/data.h"
#include "kombo/json.h"
#include "kombo/page.h"

#include <gtest/gtest.h>

namespace kombo {
namespace {

std::string list(const std::string &results, const std::string &next) {
    return R"({"status":"success","data":{"results":)" + results + R"(,"next":)" + next + "}}";
}

TEST(Page, records_keep_their_order_and_their_text) {
    const Page page = Page::parse(list(R"([ {"id":"a","n":0.10} ,{"id":"b","l":[{"x":"]}"}]}, {} ])", "\"c\\u002d1\""));
    ASSERT_EQ(page.records().size(), 3U);
    EXPECT_EQ(page.records()[0], R"({"id":"a","n":0.10})");
    EXPECT_EQ(page.records()[1], R"({"id":"b","l":[{"x":"]}"}]})");
    EXPECT_EQ(page.records()[2], "{}");
    EXPECT_EQ(page.next(), "c-1");
}

TEST(Page, the_order_of_keys_is_free_and_unknown_keys_are_passed_over) {
    const Page page = Page::parse(
        R"( {"x":[{"status":"error"}],"data":{"next":"n","y":{"results":1},"results":[{"id":1}]},"warnings":[],
            "status":"success"} )");
    EXPECT_EQ(page.records().size(), 1U);
    EXPECT_EQ(page.next(), "n");
}

TEST(Page, null_empty_and_missing_next_end_the_list) {
    EXPECT_EQ(Page::parse(list("[]", "null")).next(), std::nullopt);
    EXPECT_EQ(Page::parse(list("[]", "\"\"")).next(), std::nullopt);
    EXPECT_EQ(Page::parse(R"({"status":"success","data":{"results":[]}})").next(), std::nullopt);
}

TEST(Page, elements_that_are_no_objects_are_records_too) {
    const Page page = Page::parse(list(R"([1e400000, null ,"x",[1,{"a":2}],{"id":"a"}])", "null"));
    ASSERT_EQ(page.records().size(), 5U);
    EXPECT_EQ(page.records()[0], "1e400000");
    EXPECT_EQ(page.records()[1], "null");
    EXPECT_EQ(page.records()[2], "\"x\"");
    EXPECT_EQ(page.records()[3], R"([1,{"a":2}])");
    EXPECT_EQ(page.records()[4], R"({"id":"a"})");
}

TEST(Page, records_can_be_parsed_in_place_after_a_move) {
    Page first = Page::parse(list(R"([{"id":"a"},{"id":"b"}])", "null"));
    const Page page = std::move(first);
    Arena arena;
    Repairs repairs;
    RecordParser parser;
    std::string ids;
    for (const std::string_view record : page.records()) {
        for_each_field(parser.parse(record), arena, repairs,
                       [&](std::string_view, simdjson::ondemand::value value) { ids += scalar_token(value); });
    }
    EXPECT_EQ(ids, R"("a""b")");
}

TEST(Page, bytes_are_those_of_the_body) {
    const std::string body = list("[]", "null");
    EXPECT_EQ(Page::parse(body).bytes(), body.size());
}

TEST(Page, anything_else_is_a_malformed_body_that_says_what_came) {
    const std::string whole = list(R"([{"id":"a","x":[1,2]},{"id":"b"}])", R"("next")");
    const std::string cases[] = {"",
                                 " ",
                                 "null",
                                 "[]",
                                 "42",
                                 "\"x\"",
                                 "<html><body>Bad gateway</body></html>",
                                 "{}",
                                 R"({"status":"success"})",
                                 R"({"status":"success","data":null})",
                                 R"({"status":"success","data":[]})",
                                 R"({"status":"success","data":{}})",
                                 R"({"data":{"results":[],"next":null}})",
                                 R"({"status":"error","data":{"results":[],"next":null}})",
                                 R"({"status":1,"data":{"results":[]}})",
                                 list("null", "null"),
                                 list("{}", "null"),
                                 list("\"x\"", "null"),
                                 list("[]", "7"),
                                 list("[]", "{}"),
                                 list("[]", "true"),
                                 whole + "x",
                                 whole + whole,
                                 whole + "}",
                                 R"({"status":"error","error":{"message":"m"}})",
                                 "\xFF\xFE",
                                 std::string("\0\0", 2),
                                 list("[{]", "null"),
                                 list("[{} {}]", "null"),
                                 list("[{},]", "null"),
                                 "{\"status\":\"success\",\"data\":{\"results\":[\"a\nb\"]}}"};
    for (const std::string &body : cases) {
        EXPECT_THROW(Page::parse(body), MalformedBody) << body;
    }
}

TEST(Page, every_truncation_is_found) {
    const std::string whole = list(R"([{"id":"a","x":[1,2]},{"id":"b\"}"}])", R"("next")");
    for (size_t length = 0; length < whole.size(); ++length) {
        EXPECT_THROW(Page::parse(whole.substr(0, length)), MalformedBody) << whole.substr(0, length);
    }
}

TEST(Page, the_message_names_what_was_expected_and_at_most_sixty_bytes_of_what_came) {
    try {
        Page::parse("<html>\n\x01" + std::string(500, 'x') + "secret");
        FAIL() << "no error";
    } catch (const MalformedBody &error) {
        const std::string text = error.what();
        EXPECT_NE(text.find("expected"), std::string::npos) << text;
        EXPECT_NE(text.find("<html> xxx"), std::string::npos) << text;
        EXPECT_EQ(text.find("secret"), std::string::npos) << text;
        EXPECT_EQ(text.find(std::string(61, 'x')), std::string::npos) << text;
    }
}

TEST(CursorTrail, repeated_and_looping_cursors_are_found) {
    CursorTrail trail;
    EXPECT_TRUE(trail.insert("a"));
    EXPECT_FALSE(trail.insert("a"));
    EXPECT_TRUE(trail.insert("b"));
    EXPECT_TRUE(trail.insert("c"));
    EXPECT_FALSE(trail.insert("a"));
    EXPECT_EQ(trail.size(), 3U);
}

TEST(Data, the_object_of_a_single_answer) {
    EXPECT_EQ(data_object(R"({"data":{"environment_id":"e\u0000","n":1e400000},"status":"success"})"),
              R"({"environment_id":"e\ufffd","n":"1e400000"})");
    for (const char *body : {"", "<html>", R"({"status":"success","data":[]})", R"({"status":"success","data":null})",
                             R"({"status":"success"})", R"({"data":{}})", R"({"status":"success","data":{}}x)",
                             R"({"status":"success","data":{"a":1 "b":2}})"}) {
        EXPECT_THROW(data_object(body), MalformedBody) << body;
    }
}

} // namespace
} // namespace kombo
