#include "kombo/rate_budget.h"

#include <gtest/gtest.h>

using kombo::RateBudget;

namespace {

/// How many requests go before one has to wait.
int taken(RateBudget &budget, bool urgent, int64_t now) {
    int count = 0;
    while (count < 10000 && !budget.take(urgent, now)) ++count;
    return count;
}

TEST(RateBudget, without_a_known_limit_everybody_may) {
    RateBudget budget;
    EXPECT_EQ(taken(budget, false, 1), 10000);
}

TEST(RateBudget, the_last_tenth_is_for_urgent_requests) {
    RateBudget budget;
    budget.note(300, 100, 57000, 1000);
    EXPECT_EQ(taken(budget, false, 1000), 70);
    EXPECT_EQ(taken(budget, true, 1000), 30);
    EXPECT_EQ(budget.take(true, 2000), 56000);
}

TEST(RateBudget, of_a_small_limit_one_request_is_for_urgent_ones) {
    RateBudget budget;
    budget.note(3, 3, 1000, 0);
    EXPECT_EQ(taken(budget, false, 0), 2);
    EXPECT_EQ(taken(budget, true, 0), 1);
}

TEST(RateBudget, a_limit_of_one_keeps_nothing_back) {
    RateBudget budget;
    budget.note(1, 1, 1000, 0);
    EXPECT_EQ(taken(budget, false, 0), 1);
}

TEST(RateBudget, the_whole_limit_is_there_again_when_the_window_is_over) {
    RateBudget budget;
    budget.note(10, 0, 5000, 0);
    EXPECT_EQ(budget.take(true, 4999), 1);
    EXPECT_EQ(taken(budget, true, 5000), 10);
    EXPECT_GT(budget.take(true, 5000).value_or(0), 0) << "until an answer tells of the new window";
    budget.note(10, 4, 60000, 5100);
    EXPECT_EQ(budget.take(true, 5100), 60000) << "the answer does not count the nine others that are on the way";
}

TEST(RateBudget, answers_of_one_window_come_in_any_order) {
    RateBudget budget;
    budget.note(100, 50, 30000, 0);
    budget.note(100, 52, 31000, 10);
    EXPECT_EQ(budget.remaining, 50);
    budget.note(100, 99, 60000, 20);
    EXPECT_EQ(budget.remaining, 99) << "another window has begun";
}

TEST(RateBudget, an_answer_that_leaves_more_than_can_be_on_the_way_is_believed) {
    RateBudget budget;
    int sent = 0;
    for (int i = 0; i < 1000; ++i) {
        if (!budget.take(false, i)) ++sent;
        budget.note(300, 299, 60000, i); // it counts nothing down
    }
    EXPECT_EQ(sent, 1000);
}

TEST(RateBudget, a_429_stops_all_for_as_long_as_it_says) {
    RateBudget budget;
    budget.block(2000, 1000);
    budget.block(500, 1000);
    EXPECT_EQ(budget.take(true, 1000), 2000);
    EXPECT_EQ(budget.take(true, 3000), std::nullopt);
}

TEST(RateBudget, a_senseless_answer_changes_nothing) {
    RateBudget budget;
    budget.note(0, 0, 1000, 0);
    EXPECT_EQ(budget.take(false, 0), std::nullopt);
    budget.note(5, 5, -1, 0);
    EXPECT_EQ(taken(budget, true, 1), 5);
}

} // namespace
