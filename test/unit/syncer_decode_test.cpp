#include "syncer/decode.h"

#include <gtest/gtest.h>

namespace syncer {
namespace {

const std::string replacement = "\xEF\xBF\xBD";

/// What came of a value: "null", its text or number, "misfit"; "~" for inexact.
std::string decoded(Type type, const std::string &raw, kombo::Repairs *counted = nullptr) {
    kombo::Arena arena;
    kombo::Repairs repairs;
    Cell cell{"left over", 7, false};
    bool inexact = false;
    const bool fits = decode(type, raw, arena, repairs, cell, inexact);
    if (counted) *counted = repairs;
    if (!fits) return cell.null ? "misfit" : "misfit, and a value";
    const bool is_text = type == Type::Text || type == Type::Numeric || type == Type::Jsonb;
    if (cell.null) return "null";
    return (is_text ? std::string(cell.text) : std::to_string(cell.number)) + (inexact ? "~" : "");
}

struct Case {
    const char *raw;
    std::string expected;
};

void check(Type type, const std::vector<Case> &cases) {
    for (const Case &c : cases) EXPECT_EQ(decoded(type, c.raw), c.expected) << c.raw;
}

TEST(Decode, null_is_null_whatever_the_type) {
    for (const Type type :
         {Type::Text, Type::Boolean, Type::Numeric, Type::Date, Type::Time, Type::Timestamptz, Type::Jsonb})
        EXPECT_EQ(decoded(type, "null"), "null") << static_cast<int>(type);
}

TEST(Decode, text_takes_strings_alone) {
    check(Type::Text, {{R"("")", ""},
                       {R"("null")", "null"},
                       {R"("a\"b\\c\n")", "a\"b\\c\n"},
                       {R"("a\u0000b")", "a" + replacement + "b"},
                       {R"("\ud800")", replacement},
                       {R"("\ud83d\ude00")", "\xF0\x9F\x98\x80"},
                       {"1", "misfit"},
                       {"true", "misfit"},
                       {"{}", "misfit"},
                       {R"({"a":"b"})", "misfit"},
                       {"[]", "misfit"},
                       {R"(["a"])", "misfit"}});
}

TEST(Decode, boolean_takes_true_and_false_alone) {
    check(Type::Boolean, {{"true", "1"},
                          {"false", "0"},
                          {"\"true\"", "misfit"},
                          {"0", "misfit"},
                          {"1", "misfit"},
                          {"\"\"", "misfit"},
                          {"{}", "misfit"},
                          {"[true]", "misfit"}});
}

TEST(Decode, numeric_keeps_the_digits_as_sent) {
    check(Type::Numeric, {{"0.10", "0.10"},
                          {"12345678901234567890", "12345678901234567890"},
                          {"-0", "-0"},
                          {"1E+2", "1E+2"},
                          {"1e400000", "misfit"},
                          {"-1e400000", "misfit"},
                          {"\"1\"", "misfit"},
                          {"\"\"", "misfit"},
                          {"true", "misfit"},
                          {"{}", "misfit"},
                          {"[1]", "misfit"}});
}

TEST(Decode, date_is_the_day_in_utc_and_tells_of_a_lost_time) {
    check(Type::Date, {{"\"0000-00-00\"", "misfit"},
                       {"\"2023-02-29\"", "misfit"},
                       {"\"300000-01-01\"", "misfit"},
                       {"\"\"", "misfit"},
                       {"\"01.02.2024\"", "misfit"},
                       {"\"2024-01-01T25:00:00Z\"", "misfit"},
                       {"\"1970-01-01\"", "0"},
                       {"\"1969-12-31\"", "-1"},
                       {"\"2024-02-29\"", "19782"},
                       {"\"2024-02-29T00:00:00.000Z\"", "19782"},
                       {"\"2024-02-29T00:00:00+02:00\"", "19781~"},
                       {"\"2024-02-28T22:00:00-02:00\"", "19782"},
                       {"\"2024-02-29T09:30:00Z\"", "19782~"},
                       {"\"9999-12-31\"", "2932896"},
                       {"\"0001-01-01\"", "-719162"},
                       {"19782", "misfit"},
                       {"true", "misfit"},
                       {"{}", "misfit"},
                       {"[]", "misfit"}});
}

TEST(Decode, time_is_microseconds_since_midnight) {
    check(Type::Time, {{"\"25:00:00\"", "misfit"},
                       {"\"12:60:00\"", "misfit"},
                       {"\"\"", "misfit"},
                       {"\"noon\"", "misfit"},
                       {"\"2024-01-01T12:00:00Z\"", "misfit"},
                       {"\"24:00:00\"", "86400000000"},
                       {"\"00:00\"", "0"},
                       {"\"09:30:01\"", "34201000000"},
                       {"\"09:30:01.5\"", "34201500000"},
                       {"9", "misfit"},
                       {"false", "misfit"},
                       {"{}", "misfit"},
                       {"[]", "misfit"}});
}

TEST(Decode, timestamptz_is_microseconds_since_1970) {
    check(Type::Timestamptz, {{"\"0000-00-00T00:00:00Z\"", "misfit"},
                              {"\"300000-01-01T00:00:00Z\"", "misfit"},
                              {"\"-0001-01-01T00:00:00Z\"", "misfit"},
                              {"\"2023-02-29T00:00:00Z\"", "misfit"},
                              {"\"\"", "misfit"},
                              {"\"2024\\u0000\"", "misfit"},
                              {"\"1970-01-01T00:00:00.000001Z\"", "1"},
                              {"\"1970-01-01T01:00:00+01:00\"", "0"},
                              {"\"1970-01-01T00:00:01\"", "1000000"},
                              {"\"1970-01-02\"", "86400000000"},
                              {"\"1970\\u002d01-01T00:00:00Z\"", "0"},
                              {"1700000000", "misfit"},
                              {"true", "misfit"},
                              {"{}", "misfit"},
                              {"[]", "misfit"}});
}

TEST(Decode, jsonb_takes_anything_and_repairs_it) {
    check(Type::Jsonb, {{R"({"a":[1,{"b":null}]})", R"({"a":[1,{"b":null}]})"},
                        {"[0.10,12345678901234567890]", "[0.10,12345678901234567890]"},
                        {"true", "true"},
                        {"1.50", "1.50"},
                        {"1e400000", "\"1e400000\""},
                        {R"("a\u0000")", R"("a\ufffd")"},
                        {R"({"\ud800":1e400000})", R"({"\ufffd":"1e400000"})"}});
}

TEST(Decode, repairs_are_counted_where_the_value_is_stored) {
    kombo::Repairs counted;
    decoded(Type::Text, R"("\u0000\u0000\ud800")", &counted);
    EXPECT_EQ(counted.nul, 2U);
    EXPECT_EQ(counted.surrogate, 1U);
    decoded(Type::Jsonb, R"(["\u0000",1e400000])", &counted);
    EXPECT_EQ(counted.nul, 1U);
    EXPECT_EQ(counted.number, 1U);
    for (const Type type : {Type::Date, Type::Time, Type::Timestamptz, Type::Numeric, Type::Boolean}) {
        EXPECT_EQ(decoded(type, R"("\u0000")", &counted), "misfit");
        EXPECT_FALSE(counted.any()) << "what does not fit is counted where it is kept";
    }
}

TEST(Decode, what_is_no_json_is_refused) {
    for (const Type type : {Type::Text, Type::Jsonb, Type::Date})
        EXPECT_THROW(decoded(type, R"("\x")"), kombo::MalformedJson) << static_cast<int>(type);
    EXPECT_THROW(decoded(Type::Jsonb, "nul"), kombo::MalformedJson);
    EXPECT_THROW(decoded(Type::Jsonb, "[1,]"), kombo::MalformedJson);
}

} // namespace
} // namespace syncer
