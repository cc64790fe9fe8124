#include "kombo/json.h"
#include "kombo/json_token.h"
#include "kombo/page.h"

#include <gtest/gtest.h>

namespace kombo {
namespace {

const std::string replacement = "\xEF\xBF\xBD";

TEST(SkipPlain, stops_at_whatever_is_special_and_at_nothing_else) {
    for (int c = 0; c < 256; ++c) {
        const bool special = c < 0x20 || c == '"' || c == '\\';
        for (size_t length = 1; length < 20; ++length)
            for (size_t at = 0; at < length; ++at) {
                std::string text(length, static_cast<char>(at % 2 == 0 ? 0x80 : 0x21)); // neighbours of what is special
                text[at] = static_cast<char>(c);
                for (size_t from = 0; from <= at; ++from)
                    ASSERT_EQ(skip_plain(text, from), special ? at : length) << c << " at " << at << " from " << from;
            }
    }
    EXPECT_EQ(skip_plain("plain", 5), 5U);
}

TEST(StringValue, escapes_are_decoded_and_what_postgresql_cannot_hold_is_replaced) {
    struct Case {
        const char *token;
        std::string value;
        uint32_t nul;
        uint32_t surrogate;
    };
    const Case cases[] = {
        {R"("")", "", 0, 0},
        {R"("plain")", "plain", 0, 0},
        {R"("a\"b\\c\/d\b\f\n\r\t")", "a\"b\\c/d\b\f\n\r\t", 0, 0},
        {R"("\u0041\u00e4\u20AC")", "A\xC3\xA4\xE2\x82\xAC", 0, 0},
        {R"("\ud83d\ude00")", "\xF0\x9F\x98\x80", 0, 0},
        {R"("a\u0000b\u0000")", "a" + replacement + "b" + replacement, 2, 0},
        {R"("\ud83d")", replacement, 0, 1},
        {R"("\ude00x")", replacement + "x", 0, 1},
        {R"("\ud83d\ud83d\ude00")", replacement + "\xF0\x9F\x98\x80", 0, 1},
        {R"("\ud83d\u0041")", replacement + "A", 0, 1},
        {R"("\ud83d\n")", replacement + "\n", 0, 1},
        {R"("\\u0000")", "\\u0000", 0, 0},
        {R"("\uffff")", "\xEF\xBF\xBF", 0, 0},
    };
    for (const Case &c : cases) {
        Arena arena;
        Repairs repairs;
        EXPECT_EQ(string_value(c.token, arena, repairs), c.value) << c.token;
        EXPECT_EQ(repairs.nul, c.nul) << c.token;
        EXPECT_EQ(repairs.surrogate, c.surrogate) << c.token;
    }
}

TEST(StringValue, a_string_without_escapes_is_not_copied) {
    const std::string token = "\"Gr\xC3\xBC\xC3\x9F"
                              "e\"  ";
    Arena arena;
    Repairs repairs;
    EXPECT_EQ(string_value(token, arena, repairs).data(), token.data() + 1);
}

TEST(StringValue, bad_strings_are_refused) {
    Arena arena;
    Repairs repairs;
    for (const char *token : {"", "\"", "abc", "\"abc", R"("\x")", R"("\u12")", R"("\u12g4")", R"("\")", "\"a\nb\"",
                              R"("a"b")", "1", "null"}) {
        EXPECT_THROW(string_value(token, arena, repairs), MalformedJson) << token;
    }
}

TEST(Number, what_numeric_holds) {
    const std::string big(131072, '9');
    const std::string fine(16383, '1');
    for (const std::string &token :
         {std::string("0"), std::string("-0"), std::string("0.10"), std::string("12345678901234567890"),
          std::string("1e131071"), std::string("0.001e131074"), std::string("1E-16383"), std::string("-1.5e+3"), big,
          "0." + fine, "-" + big + "." + fine, std::string("0e131000")}) {
        EXPECT_TRUE(number_fits_numeric(token)) << token.substr(0, 40);
        EXPECT_TRUE(is_json_number(token)) << token.substr(0, 40);
    }
    for (const std::string &token : {std::string("1e400000"), std::string("1e131072"), std::string("10e131071"),
                                     std::string("1e-16384"), std::string("1.1e-16383"), "1" + big, "0." + fine + "1",
                                     std::string("1e99999999999999999999"), std::string("0e-99999999999999999999")}) {
        EXPECT_FALSE(number_fits_numeric(token)) << token.substr(0, 40);
        EXPECT_TRUE(is_json_number(token)) << token.substr(0, 40);
    }
    for (const char *token : {"", "-", "+1", "01", "-01", ".5", "5.", "1e", "1e+", "1.e3", "0x10", "NaN", "Infinity",
                              "1 ", " 1", "1,2", "--1", "1e1.5"}) {
        EXPECT_FALSE(number_fits_numeric(token)) << token;
        EXPECT_FALSE(is_json_number(token)) << token;
    }
}

TEST(JsonbText, what_needs_no_repair_is_not_copied) {
    const std::string raw = R"( {"a":[1, 0.10, 12345678901234567890, -1e5, true, false, null, "x\u00e4"], "b": {} } )";
    Arena arena;
    Repairs repairs;
    const std::string_view text = jsonb_text(std::string_view(raw), arena, repairs);
    EXPECT_EQ(text.data(), raw.data() + 1);
    EXPECT_EQ(text.size(), raw.size() - 2);
    EXPECT_FALSE(repairs.any());
}

TEST(JsonbText, repairs_keep_everything_else) {
    const std::pair<std::string, std::string> cases[] = {
        {R"("a\u0000b")", R"("a\ufffdb")"},
        {R"({"k\ud800":["\udc00", 1e400000, 0.10]})", R"({"k\ufffd":["\ufffd", "1e400000", 0.10]})"},
        {R"([1e400000,-1e400000])", R"(["1e400000","-1e400000"])"},
        {R"(1e-20000)", R"("1e-20000")"},
        {R"({"a":{"b":"\ud83d\ude00\ud83d"}})", R"({"a":{"b":"\ud83d\ude00\ufffd"}})"},
    };
    for (const auto &[raw, expected] : cases) {
        Arena arena;
        Repairs repairs;
        EXPECT_EQ(jsonb_text(std::string_view(raw), arena, repairs), expected);
        EXPECT_TRUE(repairs.any()) << raw;
    }
}

TEST(JsonbText, what_is_not_json_is_refused) {
    Arena arena;
    Repairs repairs;
    for (const char *raw : {"",           "tru",         "nul",        "nulll", "{",
                            "}",          "[",           "[1,]",       "[,1]",  "[1 2]",
                            "{\"a\"}",    "{\"a\":}",    "{\"a\":1,}", "{a:1}", "{\"a\":1 \"b\":2}",
                            "{\"a\":1]",  "[1}",         "\"abc",      "\"a\\", "[01]",
                            "[1.]",       "[1e]",        "[NaN]",      "1 2",   "[\"\t\"]",
                            "{\"a\":1}}", "[\"\\u12\"]", "{1:2}",      "'a'",   "[1]//"}) {
        EXPECT_THROW(jsonb_text(std::string_view(raw), arena, repairs), MalformedJson) << raw;
    }
    EXPECT_FALSE(repairs.any());
}

TEST(JsonbText, nesting_is_bounded) {
    Arena arena;
    Repairs repairs;
    const std::string deep = std::string(1024, '[') + std::string(1024, ']');
    EXPECT_EQ(jsonb_text(std::string_view(deep), arena, repairs), deep);
    const std::string deeper = "[" + deep + "]";
    EXPECT_EQ(repairs.depth, 0U);
    EXPECT_EQ(jsonb_text(std::string_view(deeper), arena, repairs), '"' + deeper + '"');
    EXPECT_EQ(repairs.depth, 1U);
    // Beyond these levels the grammar is not checked; a control character is JSON nowhere.
    EXPECT_THROW(jsonb_text(std::string_view(deeper + "\x1b"), arena, repairs), MalformedJson);
    EXPECT_EQ(repairs.depth, 1U);
}

std::string padded(std::string text) {
    text.append(simdjson::SIMDJSON_PADDING, ' ');
    return text;
}

TEST(Record, fields_are_visited_in_order_with_their_raw_values) {
    const std::string text =
        padded(R"({"id" : "x\ty" , "na\u006de":"n", "n" : 0.10 , "o":{"a":[1,{"b":2}]} , "l":[ ], "z":null})");
    const std::string_view record(text.data(), text.size() - simdjson::SIMDJSON_PADDING);
    Arena arena;
    Repairs repairs;
    RecordParser parser;
    for (int i = 0; i < 2; ++i) {
        std::string seen;
        for_each_field(parser.parse(record), arena, repairs,
                       [&](std::string_view key, simdjson::ondemand::value value) {
                           seen += std::string(key) + "=" + std::string(raw_text(value)) + ";";
                       });
        EXPECT_EQ(seen, R"(id="x\ty";name="n";n=0.10;o={"a":[1,{"b":2}]};l=[ ];z=null;)");
    }
}

TEST(Record, values_may_be_looked_at_passed_over_or_converted) {
    const std::string text = padded(R"({"a":{"x":[1,2]},"b":1e400000,"c":{"y":"\u0000"},"d":7})");
    Arena arena;
    Repairs repairs;
    RecordParser parser;
    std::string seen;
    for_each_field(parser.parse({text.data(), text.size() - simdjson::SIMDJSON_PADDING}), arena, repairs,
                   [&](std::string_view key, simdjson::ondemand::value value) {
                       if (key == "b") {
                           seen += scalar_token(value);
                       } else if (key == "c") {
                           seen += jsonb_text(value, arena, repairs);
                       } else if (key == "d") {
                           seen += scalar_token(value);
                       }
                   });
    EXPECT_EQ(seen, R"(1e400000{"y":"\ufffd"}7)");
    EXPECT_EQ(repairs.nul, 1U);
}

TEST(Record, a_broken_record_is_refused) {
    for (const char *raw : {"", "1", "null", "[]", "\"x\"", "{\"a\":1 \"b\":2}", "{\"a\" 1}", "{\"a\":1,}", "{a:1}",
                            "{\"a\":}", "{\"\\x\":1}", "{"}) {
        const std::string text = padded(raw);
        Arena arena;
        Repairs repairs;
        RecordParser parser;
        EXPECT_THROW(for_each_field(
                         parser.parse({text.data(), text.size() - simdjson::SIMDJSON_PADDING}), arena, repairs,
                         [&](std::string_view, simdjson::ondemand::value value) { jsonb_text(value, arena, repairs); }),
                     MalformedJson)
            << raw;
    }
}

TEST(Arena, stored_text_outlives_its_source_until_clear) {
    Arena arena;
    std::string source = "temporary";
    const std::string_view kept = arena.store(source);
    source = "overwritten";
    EXPECT_EQ(kept, "temporary");
    EXPECT_EQ(arena.store("").size(), 0U);
    arena.clear();
    EXPECT_EQ(arena.store("again"), "again");
}

} // namespace
} // namespace kombo
