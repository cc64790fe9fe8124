#include "refusing_database.h"

#include <gtest/gtest.h>
#include <random>
#include <set>

namespace syncer {
namespace {

constexpr size_t in_memory = 65536;

/// Whether it finds what was added, and nothing else, asked for in one go.
void check(size_t count, uint64_t modulus) {
    FakeStore store;
    SeenIds ids(store);
    std::mt19937_64 random(count);
    std::set<uint64_t> added;
    for (size_t i = 0; i < count; ++i) {
        const uint64_t hash = random() % modulus;
        ids.add(hash);
        added.insert(hash);
    }
    std::vector<uint64_t> asked{0, UINT64_MAX};
    for (size_t i = 0; i < 5000; ++i) asked.push_back(random() % modulus);
    for (const uint64_t hash : added)
        if (random() % 10 == 0) asked.push_back(hash);
    std::vector<bool> expected;
    for (const uint64_t hash : asked) expected.push_back(added.count(hash) > 0);
    EXPECT_EQ(ids.find(asked), expected) << count << " below " << modulus;
    EXPECT_EQ(store.files_opened, count > in_memory ? 1U : 0U) << "one, and only if it is needed";
}

TEST(SeenIds, finds_what_was_added_and_nothing_else) {
    for (const size_t count : {size_t{0}, size_t{1}, size_t{1000}, in_memory, in_memory + 1, 3 * in_memory + 7})
        check(count, UINT64_MAX);
}

TEST(SeenIds, may_come_many_times) {
    check(3 * in_memory, 1); // a single one
    check(3 * in_memory, 100);
    check(3 * in_memory, in_memory);
}

TEST(SeenIds, can_be_added_after_some_were_asked_for) {
    FakeStore store;
    SeenIds ids(store);
    for (uint64_t hash = 0; hash < in_memory + 10; ++hash) ids.add(hash);
    EXPECT_EQ(ids.find({5, in_memory + 5, in_memory + 10}), (std::vector<bool>{true, true, false}));
    for (uint64_t hash = in_memory + 10; hash < 3 * in_memory; ++hash) ids.add(hash);
    EXPECT_EQ(ids.find({5, in_memory + 10, 3 * in_memory - 1, 3 * in_memory}),
              (std::vector<bool>{true, true, true, false}));
    EXPECT_TRUE(ids.find({}).empty());
}

} // namespace
} // namespace syncer
