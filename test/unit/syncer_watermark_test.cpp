#include "syncer/watermark.h"

#include <gtest/gtest.h>

namespace syncer {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;

const kombo::Timestamp noon = *kombo::parse_timestamp("2026-03-01T12:00:00Z");

kombo::Response response(const char *date, microseconds elapsed) {
    kombo::Response made;
    made.sent_at = noon;
    made.elapsed = elapsed;
    if (date) made.headers.add("Date", date);
    return made;
}

TEST(FetchStart, is_the_earlier_of_both_clocks_less_the_time_of_the_request_and_the_overlap) {
    struct Case {
        const char *name;
        const char *date;
        microseconds elapsed;
        microseconds overlap;
        const char *start;
    };
    const Case cases[] = {
        {"no Date", nullptr, 1s, 60s, "2026-03-01T11:59:00.000Z"},
        {"an empty Date", "", 1s, 60s, "2026-03-01T11:59:00.000Z"},
        {"garbage", "yesterday at noon", 1s, 60s, "2026-03-01T11:59:00.000Z"},
        {"a date that no calendar has", "Sun, 31 Feb 2026 10:00:00 GMT", 1s, 60s, "2026-03-01T11:59:00.000Z"},
        {"Kombo's clock is ten minutes behind", "Sun, 01 Mar 2026 11:50:00 GMT", 0s, 60s, "2026-03-01T11:49:00.000Z"},
        {"Kombo's clock is ten minutes ahead", "Sun, 01 Mar 2026 12:10:00 GMT", 0s, 60s, "2026-03-01T11:59:00.000Z"},
        {"both agree", "Sun, 01 Mar 2026 12:00:00 GMT", 0s, 60s, "2026-03-01T11:59:00.000Z"},
        {"a slow answer counts from its beginning", "Sun, 01 Mar 2026 12:00:05 GMT", 5500ms, 0s,
         "2026-03-01T11:59:59.500Z"},
        {"a slow answer of a clock ahead", "Sun, 01 Mar 2026 12:00:05 GMT", 3s, 0s, "2026-03-01T12:00:00.000Z"},
        {"an obsolete form of date", "Sunday, 01-Mar-26 11:50:00 GMT", 0s, 0s, "2026-03-01T11:50:00.000Z"},
        {"no overlap", nullptr, 0s, 0s, "2026-03-01T12:00:00.000Z"},
    };
    for (const Case &c : cases)
        EXPECT_EQ(kombo::format_timestamp(fetch_start(response(c.date, c.elapsed), c.overlap)), c.start) << c.name;
}

TEST(FurtherBack, where_kombos_clock_is_behind_what_was_asked_for_as_far_as_the_last_fetch_is_ago) {
    const char *const ten_to = "Sun, 01 Mar 2026 11:50:00 GMT";
    EXPECT_FALSE(further_back(response(nullptr, 0s), noon, 60s));
    EXPECT_FALSE(further_back(response(ten_to, 0s), noon - 1h, 60s));
    EXPECT_FALSE(further_back(response(ten_to, 0s), noon - 10min, 60s));
    EXPECT_FALSE(further_back(response(ten_to, 0s), noon - 10min + 1s - 1us, 60s)) << "it shows whole seconds";
    EXPECT_EQ(further_back(response(ten_to, 0s), noon - 10min + 1s, 0s), noon - 20min + 1s);
    EXPECT_EQ(further_back(response(ten_to, 0s), noon - 5min, 60s), noon - 15min) << "five minutes ago by our clock";
    EXPECT_EQ(further_back(response(ten_to, 0s), noon, 60s), noon - 11min);
    EXPECT_EQ(further_back(response(ten_to, 0s), noon + 1h, 60s), noon - 11min) << "our clock was put back, too";
}

TEST(InOrder, evens_out_no_more_than_what_whole_seconds_can_hide) {
    EXPECT_EQ(in_order(noon, std::nullopt), noon);
    EXPECT_EQ(in_order(noon, noon - 1h), noon);
    EXPECT_EQ(in_order(noon, noon + 1s), noon + 1s);
    EXPECT_EQ(in_order(noon, noon + 3s), noon) << "the clock was put back";
}

TEST(ServesDelta, for_thirteen_days_and_no_longer) {
    EXPECT_FALSE(serves_delta(std::nullopt, noon));
    EXPECT_FALSE(serves_delta(noon - 24h * 14, noon));
    EXPECT_FALSE(serves_delta(noon - 24h * 13 - 1us, noon));
    EXPECT_TRUE(serves_delta(noon - 24h * 13, noon));
    EXPECT_TRUE(serves_delta(noon, noon));
    EXPECT_TRUE(serves_delta(noon + 10min, noon)) << "our clock was set back";
}

} // namespace
} // namespace syncer
