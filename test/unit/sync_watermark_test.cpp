#include "sync/watermark.h"

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

TEST(Advance, never_goes_back) {
    EXPECT_EQ(syncer::advance(std::nullopt, noon), noon);
    EXPECT_EQ(syncer::advance(noon - 1h, noon), noon);
    EXPECT_EQ(syncer::advance(noon, noon), noon);
    EXPECT_EQ(syncer::advance(noon + 1us, noon), noon + 1us);
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
