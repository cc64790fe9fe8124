#include "invented_catalogue.h"
#include "syncer/open_full.h"

#include <gtest/gtest.h>

namespace syncer {
namespace {

using namespace std::chrono_literals;

TEST(OpenFull, lives_for_an_hour_from_its_last_cursor) {
    OpenFull open;
    open.cursor_at = *kombo::parse_timestamp("2026-03-01T12:00:00Z");
    open.started_at = open.cursor_at - 24h;
    EXPECT_TRUE(open.alive(open.cursor_at));
    EXPECT_TRUE(open.alive(open.cursor_at + 1h - 1us));
    EXPECT_FALSE(open.alive(open.cursor_at + 1h));
    EXPECT_TRUE(open.alive(open.cursor_at - 10min)) << "our clock was set back";
    EXPECT_FALSE(open.alive(open.started_at - 1us)) << "what is asked for now would seem to be from before the fetch";
}

RunResult some_progress() {
    RunResult result;
    result.pages = 12;
    result.received = 3'000'000'000;
    result.bytes = size_t{5} << 40;
    result.retries = 3;
    result.parked = 7;
    result.started_at = *kombo::parse_timestamp("2026-03-01T12:00:00.123456Z");
    result.counts[Invented::People] = {1, 2, 3'000'000'000, 4};
    result.counts[Invented::Jobs] = {5, 6, 7, 8};
    result.oddities.add(Oddities::Kind::UnknownKey, "people", "a\"b\\c\nd", 2);
    result.oddities.add(Oddities::Kind::UnknownModel, "/people",
                        "Gr\xC3\xBC\xC3\x9F"
                        "e");
    result.oddities.add(kombo::Repairs{1, 2, 3, 4}, "jobs", "title");
    return result;
}

TEST(Progress, comes_back_as_it_was) {
    const Invented invented;
    const RunResult before = some_progress();
    RunResult after;
    restore_progress(progress_json(before, invented.catalogue), invented.catalogue, after);
    EXPECT_EQ(after.pages, 12);
    EXPECT_EQ(after.received, 3'000'000'000);
    EXPECT_EQ(after.bytes, size_t{5} << 40);
    EXPECT_EQ(after.retries, 3);
    EXPECT_EQ(after.parked, 7);
    EXPECT_EQ(after.started_at, before.started_at);
    ASSERT_EQ(after.counts.size(), 2U);
    EXPECT_EQ(after.counts[Invented::People].unchanged, 3'000'000'000);
    EXPECT_EQ(after.counts[Invented::Jobs].deleted, 8);
    EXPECT_EQ(after.oddities.json(), before.oddities.json());
    EXPECT_EQ(progress_json(after, invented.catalogue), progress_json(before, invented.catalogue));
    EXPECT_EQ(after.status, Status::Ok);
    EXPECT_TRUE(after.error.empty());
}

TEST(Progress, of_nothing_is_nothing) {
    const Invented invented;
    RunResult result;
    restore_progress(progress_json({}, invented.catalogue), invented.catalogue, result);
    EXPECT_EQ(progress_json(result, invented.catalogue), progress_json({}, invented.catalogue));
}

TEST(Progress, of_a_hundred_warnings_and_more_keeps_their_sum) {
    const Invented invented;
    RunResult before;
    for (int i = 0; i < 150; ++i) before.oddities.add(Oddities::Kind::UnknownKey, "people", "key" + std::to_string(i));
    RunResult after;
    restore_progress(progress_json(before, invented.catalogue), invented.catalogue, after);
    const std::string json = after.oddities.json();
    int64_t sum = 0;
    for (size_t at = 0; (at = json.find("\"count\": ", at)) != std::string::npos; ++at)
        sum += std::stoll(json.substr(at + 9));
    EXPECT_EQ(sum, 150) << json;
}

TEST(Progress, tables_are_told_by_name_and_those_that_are_gone_are_left_out) {
    Invented before;
    Invented now;
    now.catalogue.tables.erase(now.catalogue.tables.begin()); // people
    RunResult result;
    restore_progress(progress_json(some_progress(), before.catalogue), now.catalogue, result);
    ASSERT_EQ(result.counts.size(), 1U);
    EXPECT_EQ(result.counts.begin()->first, size_t{Invented::Jobs} - 1);
    EXPECT_EQ(result.counts.begin()->second.inserted, 5);
}

TEST(Progress, that_is_garbage_leaves_the_counts_at_nothing) {
    const Invented invented;
    for (const char *garbage :
         {"", "{", "nonsense", "[]", "[1, 2]", "{}", "null", "7", "\"text\"", R"({"pages": "twelve"})",
          R"({"pages": null, "received": {}, "tables": [], "warnings": {}})",
          R"({"tables": {"people": 7, "nobody": {"inserted": 1}}, "warnings": [7, null, {}, {"kind": "unheard of"}]})",
          R"({"warnings": [{"kind": 1, "table": 2, "key": 3, "count": "4"}]})"}) {
        RunResult result;
        result.started_at = {42};
        restore_progress(garbage, invented.catalogue, result);
        EXPECT_EQ(result.pages, 0) << garbage;
        EXPECT_EQ(result.received, 0) << garbage;
        EXPECT_EQ(result.started_at, kombo::Timestamp{42}) << garbage;
        EXPECT_EQ(result.oddities.json(), "[]") << garbage;
        for (const auto &[table, rows] : result.counts)
            EXPECT_EQ(rows.inserted + rows.updated + rows.unchanged + rows.deleted, 0) << garbage;
    }
}

} // namespace
} // namespace syncer
