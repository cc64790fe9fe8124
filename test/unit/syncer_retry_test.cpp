#include "syncer/retry.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace syncer {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

const kombo::Timestamp noon = *kombo::parse_timestamp("2026-03-01T12:00:00Z");

TEST(BackOff, doubles_up_to_the_most_and_half_of_it_is_jitter) {
    struct Case {
        int attempts;
        milliseconds whole;
    };
    for (const Case &c : {Case{1, 500ms}, Case{2, 1s}, Case{3, 2s}, Case{6, 16s}, Case{7, 30s}, Case{8, 30s},
                          Case{1000000, 30s}, Case{0, 500ms}, Case{-1, 500ms}}) {
        EXPECT_EQ(back_off(c.attempts, 500ms, 30s, 0), c.whole) << c.attempts;
        EXPECT_EQ(back_off(c.attempts, 500ms, 30s, 1), c.whole / 2) << c.attempts;
        EXPECT_EQ(back_off(c.attempts, 500ms, 30s, 0.5), c.whole * 3 / 4) << c.attempts;
    }
    EXPECT_EQ(back_off(1, 1h, 1min, 0), 1min) << "never more than the most";
}

TEST(NextAttempt, is_sooner_where_it_may_pass_than_where_somebody_has_to_act) {
    struct Case {
        const char *name;
        Status status;
        bool lasting;
        std::optional<milliseconds> retry_after;
        int attempts;
        milliseconds wait; ///< without jitter
    };
    const Case cases[] = {
        {"first failure", Status::Failed, false, {}, 1, 5s},
        {"second", Status::Failed, false, {}, 2, 10s},
        {"third", Status::Failed, false, {}, 3, 20s},
        {"tenth", Status::Failed, false, {}, 10, 2560s},
        {"eleventh", Status::Failed, false, {}, 11, 1h},
        {"after days", Status::Failed, false, {}, 500, 1h},
        {"as Kombo says", Status::Failed, false, 90s, 1, 91s},
        {"as Kombo says, where our own would be shorter", Status::Failed, false, 90s, 5, 91s},
        {"no sooner than without", Status::Failed, false, 90s, 20, 1h},
        {"a demand of nothing is none", Status::Failed, false, 0s, 20, 1h},
        {"a demand of nothing is none at first", Status::Failed, false, 0s, 1, 5s},
        {"for as long as Kombo says", Status::Failed, false, 7200s, 20, 7201s},
        {"who names a time says that it passes", Status::Failed, true, 90s, 1, 91s},
        {"Kombo has no data before", Status::Waiting, true, 7200s, 1, 7201s},
        {"somebody has to act", Status::Failed, true, {}, 1, 24h},
        {"somebody has to act, still", Status::Failed, true, {}, 9, 24h},
        {"no data yet", Status::Waiting, true, {}, 1, 5min},
        {"no data yet, again", Status::Waiting, true, {}, 2, 10min},
        {"no data for long", Status::Waiting, true, {}, 5, 1h},
        {"the tool lacks the model", Status::Unavailable, true, {}, 1, 24h},
        {"the tool lacks the model, still", Status::Unavailable, true, {}, 50, 24h},
    };
    for (const Case &c : cases) {
        RunResult result;
        result.status = c.status;
        result.lasting = c.lasting;
        result.retry_after = c.retry_after;
        EXPECT_EQ(next_attempt(result, c.attempts, 0, noon), noon + c.wait) << c.name;
        const auto earliest = next_attempt(result, c.attempts, 1, noon);
        EXPECT_LT(earliest, noon + c.wait) << c.name << ": those that failed together are spread";
        EXPECT_GE(earliest, noon + std::max(c.retry_after.value_or(0ms), c.wait / 2))
            << c.name << ": never earlier than Kombo says";
    }
}

} // namespace
} // namespace syncer
