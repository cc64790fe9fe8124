#include "syncer/share.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace syncer {
namespace {

std::vector<std::string> integrations() {
    std::vector<std::string> ids;
    for (int number = 0; number < 8000; ++number) ids.push_back("hibob:" + std::to_string(number));
    return ids;
}

/// The worker that has it; -1 if that are several, or none.
int owner(const std::string &id, const std::vector<int> &workers) {
    int found = -1;
    for (const int own : workers) {
        if (!Share(own, workers).has(id)) continue;
        if (found != -1) return -1;
        found = own;
    }
    return found;
}

TEST(Share, each_integration_is_one_workers_and_the_shares_are_alike) {
    std::vector<int> count(9);
    for (const std::string &id : integrations()) {
        const int its = owner(id, {1, 2, 3, 4, 5, 6, 7, 8});
        ASSERT_NE(its, -1) << id;
        ++count[static_cast<size_t>(its)];
    }
    for (int worker = 1; worker <= 8; ++worker) EXPECT_NEAR(count[static_cast<size_t>(worker)], 1000, 150) << worker;
}

TEST(Share, only_what_a_worker_had_that_goes_moves) {
    for (const std::string &id : integrations()) {
        const int before = owner(id, {1, 2, 3, 4});
        const int after = owner(id, {1, 2, 4});
        if (before == 3)
            EXPECT_NE(after, -1) << id;
        else
            EXPECT_EQ(after, before) << id;
    }
}

TEST(Share, a_single_worker_has_everything) {
    EXPECT_TRUE(Share(7, {7}).has("hibob:1"));
    EXPECT_TRUE(Share().has("hibob:1"));
}

TEST(Share, the_lowest_number_leads_and_the_order_does_not_count) {
    EXPECT_TRUE(Share(2, {3, 2, 5}).leads());
    EXPECT_FALSE(Share(3, {3, 2, 5}).leads());
    EXPECT_FALSE(Share().leads());
    EXPECT_TRUE(Share(2, {3, 2}) == Share(2, {2, 3}));
    EXPECT_FALSE(Share(2, {3, 2}) == Share(3, {2, 3}));
    EXPECT_FALSE(Share(2, {3, 2}) == Share(2, {2}));
}

} // namespace
} // namespace syncer
