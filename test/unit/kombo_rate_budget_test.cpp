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

TEST(RateBudget, once_a_429_is_over_one_request_tries_and_the_others_wait_for_its_answer) {
    RateBudget budget;
    budget.refuse(2000, 1000);
    EXPECT_EQ(budget.take(true, 1000), 2000);
    budget.answered(1500); // it was on the way
    EXPECT_EQ(budget.take(true, 3000), std::nullopt);
    EXPECT_GT(budget.take(true, 3000).value_or(0), 0);
    EXPECT_GT(budget.take(true, 8000).value_or(0), 0);
    budget.refuse(0, 8000);
    EXPECT_EQ(budget.take(true, 8000), 2000) << "twice the first";
    EXPECT_EQ(taken(budget, true, 10000), 1);
    budget.answered(10100);
    EXPECT_EQ(taken(budget, true, 10100), 10000);
    EXPECT_EQ(budget.limited_until(10100), std::nullopt);
}

TEST(RateBudget, an_answer_that_never_comes_lets_another_try) {
    RateBudget budget;
    budget.refuse(1000, 0);
    EXPECT_EQ(taken(budget, false, 1000), 1);
    EXPECT_EQ(taken(budget, false, 10999), 0);
    EXPECT_EQ(taken(budget, false, 11000), 1);
}

TEST(RateBudget, several_429s_at_once_count_as_one) {
    RateBudget budget;
    for (int i = 0; i < 10; ++i) budget.refuse(0, 500 + i);
    EXPECT_EQ(budget.limited_until(510), 1509);
}

TEST(RateBudget, no_demand_is_obeyed_for_more_than_minutes) {
    RateBudget budget;
    budget.refuse(24 * 3600 * 1000, 0);
    EXPECT_EQ(budget.take(true, 0), 300000);
    RateBudget again;
    int64_t now = 0;
    for (int i = 0; i < 50; ++i) {
        while (again.take(true, now)) now += 1000;
        again.refuse(0, now);
        EXPECT_LE(again.take(true, now).value_or(0), 300000);
    }
    EXPECT_EQ(again.take(true, now), 300000) << "but it does not get shorter, either";
    RateBudget window;
    window.note(300, 0, int64_t{100000000} * 1000, 0);
    EXPECT_EQ(window.take(true, 0), 300000);
}

TEST(RateBudget, a_limit_that_is_lifted_is_tried_with_one_request) {
    RateBudget refused;
    refused.refuse(60000, 0);
    EXPECT_EQ(refused.limited_until(10), 60000);
    EXPECT_TRUE(refused.lift(10));
    EXPECT_EQ(taken(refused, false, 10), 1);
    RateBudget window;
    window.note(300, 0, 60000, 0);
    EXPECT_EQ(window.limited_until(10), 60000);
    EXPECT_TRUE(window.lift(10));
    EXPECT_EQ(taken(window, false, 10), 1);
    window.note(300, 200, 60000, 20);
    window.answered(20);
    EXPECT_EQ(taken(window, true, 20), 200);
    RateBudget free;
    EXPECT_FALSE(free.lift(10));
    EXPECT_EQ(taken(free, false, 10), 10000);
}

TEST(RateBudget, a_senseless_answer_changes_nothing) {
    RateBudget budget;
    budget.note(0, 0, 1000, 0);
    EXPECT_EQ(budget.take(false, 0), std::nullopt);
    budget.note(5, 5, -1, 0);
    EXPECT_EQ(taken(budget, true, 1), 5);
}

} // namespace
