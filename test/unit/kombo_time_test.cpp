#include "kombo/time.h"

#include <gtest/gtest.h>

namespace kombo {
namespace {

std::string as_text(std::optional<Timestamp> timestamp) {
    return timestamp ? format_timestamp(*timestamp) : "none";
}

TEST(Time, date_times_are_read) {
    const std::pair<const char *, const char *> cases[] = {
        {"1986-01-01T00:00:00.000Z", "1986-01-01T00:00:00.000Z"},
        {"2026-05-02T12:34:56.789Z", "2026-05-02T12:34:56.789Z"},
        {"2026-05-02 12:34:56.789", "2026-05-02T12:34:56.789Z"},
        {"2026-05-02T12:34Z", "2026-05-02T12:34:00.000Z"},
        {"2026-05-02T12:34:56.7899999999999999999999Z", "2026-05-02T12:34:56.789Z"},
        {"2026-05-02", "2026-05-02T00:00:00.000Z"},
        {"2026-05-02Z", "2026-05-02T00:00:00.000Z"},
        {"2026-05-02T00:30:00+02:00", "2026-05-01T22:30:00.000Z"},
        {"2026-05-02T00:30:00-0530", "2026-05-02T06:00:00.000Z"},
        {"2026-05-02T00:30:00+01", "2026-05-01T23:30:00.000Z"},
        {"2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"},
        {"2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000Z"},
        {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"},
        {"9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999Z"},
        {"1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999Z"},
        {"2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"},
        {"2026-05-02T24:00:00Z", "2026-05-03T00:00:00.000Z"},
    };
    for (const auto &[text, expected] : cases) {
        EXPECT_EQ(as_text(parse_timestamp(text)), expected) << text;
    }
}

TEST(Time, what_is_no_date_time_is_refused) {
    const char *const cases[] = {"",
                                 " ",
                                 "0000-00-00",
                                 "0000-01-01",
                                 "300000-01-01T00:00:00Z",
                                 "2026-13-01",
                                 "2026-00-01",
                                 "2026-02-30",
                                 "2023-02-29",
                                 "1900-02-29",
                                 "2026-04-31",
                                 "26-01-01",
                                 "2026-1-1",
                                 "2026-01-01T",
                                 "2026-01-01T1:00",
                                 "2026-01-01T25:00:00Z",
                                 "2026-01-01T24:00:01Z",
                                 "2026-01-01T12:60:00Z",
                                 "2026-01-01T12:00:61Z",
                                 "2026-01-01T12:00:60.5Z",
                                 "2026-01-01T12:00:00.Z",
                                 "2026-01-01T12:00:00ZZ",
                                 "2026-01-01T12:00:00+",
                                 "2026-01-01T12:00:00+1",
                                 "2026-01-01T12:00:00+01:",
                                 "2026-01-01T12:00:00+24:00",
                                 "2026-01-01T12:00:00+01:60",
                                 " 2026-01-01",
                                 "2026-01-01 ",
                                 "2026-01-01T12:00:00Z\n",
                                 "0001-01-01T00:00:00+00:01",
                                 "9999-12-31T23:59:59-00:01",
                                 "9999-12-31T24:00:00Z",
                                 "now",
                                 "+2026-01-01",
                                 "infinity"};
    for (const char *text : cases) {
        EXPECT_EQ(parse_timestamp(text), std::nullopt) << text;
        EXPECT_FALSE(parse_date(text).has_value()) << text;
    }
}

TEST(Time, format_rounds_down_and_stays_within_four_digit_years) {
    EXPECT_EQ(format_timestamp({0}), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(format_timestamp({999}), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(format_timestamp({-1}), "1969-12-31T23:59:59.999Z");
    EXPECT_EQ(format_timestamp({INT64_MAX}), "9999-12-31T23:59:59.999Z");
    EXPECT_EQ(format_timestamp({INT64_MIN}), "0001-01-01T00:00:00.000Z");
}

TEST(Time, every_day_of_the_calendar_comes_back) {
    for (int64_t days = -719162; days <= 2932896; days += 13) {
        const Timestamp timestamp{days * 86'400'000'000};
        ASSERT_EQ(parse_timestamp(format_timestamp(timestamp)), timestamp) << days;
    }
}

TEST(Time, dates_are_utc_dates_and_tell_whether_a_time_was_lost) {
    struct Case {
        const char *text;
        int32_t days;
        bool exact;
    };
    const Case cases[] = {
        {"1970-01-01", 0, true},
        {"1970-01-02T00:00:00.000Z", 1, true},
        {"1970-01-02T00:00:00.0000001Z", 1, false},
        {"1970-01-01T00:00:00+01:00", -1, false},
        {"1970-01-02T02:00:00+02:00", 1, true},
        {"1969-12-31T23:59:59Z", -1, false},
        {"1986-01-01T00:00:00.000Z", 5844, true},
        {"1970-01-01T24:00:00Z", 1, true},
    };
    for (const Case &c : cases) {
        const auto date = parse_date(c.text);
        ASSERT_TRUE(date) << c.text;
        EXPECT_EQ(date->days, c.days) << c.text;
        EXPECT_EQ(date->exact, c.exact) << c.text;
    }
}

TEST(Time, times_of_day_are_read) {
    EXPECT_EQ(parse_time_of_day("00:00"), 0);
    EXPECT_EQ(parse_time_of_day("08:30:00"), 30'600'000'000);
    EXPECT_EQ(parse_time_of_day("23:59:59.999"), 86'399'999'000);
    EXPECT_EQ(parse_time_of_day("24:00:00"), 86'400'000'000);
    for (const char *text : {"", "8:30", "08:30:00Z", "24:00:01", "08:30:", "08:3", "25:00", "08.30"}) {
        EXPECT_EQ(parse_time_of_day(text), std::nullopt) << text;
    }
}

TEST(Time, http_dates_are_read_in_all_three_forms) {
    for (const char *text :
         {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
        EXPECT_EQ(as_text(parse_http_date(text)), "1994-11-06T08:49:37.000Z") << text;
    }
    EXPECT_EQ(parse_http_date("soon"), std::nullopt);
    EXPECT_EQ(parse_http_date(""), std::nullopt);
    EXPECT_EQ(parse_http_date("Sun, 06 Nov 999999 08:49:37 GMT"), std::nullopt) << "its microseconds are too many";
}

} // namespace
} // namespace kombo
