#include "syncer/live_record.h"

#include <gtest/gtest.h>
#include <simdjson.h>

namespace {

using syncer::LiveRecord;
using syncer::Type;

class LiveRecordTest : public ::testing::Test {
protected:
    std::string text(size_t column) const { return std::string(cells_[column].text); }

    kombo::Arena arena_;
    std::vector<syncer::Cell> cells_;
    std::string_view extra_;
};

LiveRecord of(std::vector<LiveRecord::Column> columns, const syncer::Withheld &withheld = {}) {
    std::set<std::string> known = {"id", "salary"};
    return LiveRecord(columns, known, withheld, true);
}

TEST_F(LiveRecordTest, each_column_takes_its_key_and_unknown_keys_go_to_extra) {
    const simdjson::padded_string json(std::string(R"({"id": "a", "age": 7, "new": {"x": 1}, "salary": 5})"));
    of({{{"id"}, Type::Text}, {{"age"}, Type::Numeric}, {{"absent"}, Type::Date}}).read(json, arena_, cells_, extra_);
    EXPECT_EQ(text(0), "a");
    EXPECT_EQ(text(1), "7");
    EXPECT_TRUE(cells_[2].null);
    EXPECT_EQ(extra_, R"({"new": {"x": 1}})"); // a key that is known elsewhere is not unknown
}

TEST_F(LiveRecordTest, a_value_that_does_not_fit_is_kept_in_extra) {
    const simdjson::padded_string json(std::string(R"({"id": "a", "start": "soon", "end": "2024-05-01T10:00:00Z"})"));
    of({{{"id"}, Type::Text}, {{"start"}, Type::Date}, {{"end"}, Type::Date}}).read(json, arena_, cells_, extra_);
    EXPECT_TRUE(cells_[1].null);
    EXPECT_FALSE(cells_[2].null);
    EXPECT_EQ(extra_, R"({"start": "soon", "end": "2024-05-01T10:00:00Z"})");
}

TEST_F(LiveRecordTest, the_id_of_a_nested_object_is_a_column_beside_the_object) {
    const simdjson::padded_string json(std::string(R"({"id": "a", "boss": {"name": "B", "id": "b"}, "peer": null})"));
    of({{{"id"}, Type::Text}, {{"boss.id"}, Type::Text}, {{"boss"}, Type::Jsonb}, {{"peer.id"}, Type::Text}})
        .read(json, arena_, cells_, extra_);
    EXPECT_EQ(text(1), "b");
    EXPECT_EQ(text(2), R"({"name": "B", "id": "b"})");
    EXPECT_TRUE(cells_[3].null);
    EXPECT_TRUE(extra_.empty());
}

TEST_F(LiveRecordTest, a_column_takes_the_first_of_its_keys_that_has_a_value) {
    const simdjson::padded_string json(std::string(
        R"({"id": "a", "boss": {"id": "b"}, "boss_id": null, "job": {"id": "j"}, "job_id": "k", "peer": {"id": ""}})"));
    of({{{"boss_id", "boss.id"}, Type::Text}, {{"job_id", "job.id"}, Type::Text}, {{"peer.id"}, Type::Text}})
        .read(json, arena_, cells_, extra_);
    EXPECT_EQ(text(0), "b");
    EXPECT_EQ(text(1), "k");
    EXPECT_TRUE(cells_[2].null);
}

TEST_F(LiveRecordTest, a_key_reaches_any_depth_and_what_is_unknown_beside_it_goes_to_extra) {
    const simdjson::padded_string json(std::string(
        R"({"id": "a", "job": {"place": {"city": "Bonn", "zip": 1}, "code": "7", "level": 2}, "team": 5})"));
    of({{{"job.place.city"}, Type::Text}, {{"job.code"}, Type::Date}, {{"team.name"}, Type::Text}})
        .read(json, arena_, cells_, extra_);
    EXPECT_EQ(text(0), "Bonn");
    EXPECT_TRUE(cells_[1].null);
    EXPECT_EQ(extra_, R"({"job": {"place": {"zip": 1}, "code": "7", "level": 2}, "team": 5})");
}

TEST_F(LiveRecordTest, what_is_withheld_is_in_no_value_at_any_depth) {
    syncer::Withheld withheld;
    withheld.add("", "ssn");
    withheld.add("jobs", "pay");
    withheld.add("jobs.boss", "ssn");
    const simdjson::padded_string json(std::string(
        R"({"id": "a", "ssn": "1", "jobs": [{"pay": 9, "title": "t", "boss": {"ssn": "2", "id": "b"}}, 3]})"));
    of({{{"id"}, Type::Text}, {{"ssn"}, Type::Text}, {{"jobs"}, Type::Jsonb}}, withheld)
        .read(json, arena_, cells_, extra_);
    EXPECT_TRUE(cells_[1].null);
    EXPECT_EQ(text(2), R"([{"title": "t", "boss": {"id": "b"}}, 3])");
    EXPECT_TRUE(extra_.empty());
}

TEST_F(LiveRecordTest, lists_that_nest_without_end_show_nothing_that_is_withheld) {
    syncer::Withheld withheld;
    withheld.add("jobs", "pay");
    constexpr size_t depth = 100'000;
    const std::string inner = std::string(depth, '[') + R"({"pay": 9})" + std::string(depth, ']');
    const simdjson::padded_string json(R"({"id": "a", "jobs": )" + inner + ", \"new\": " + inner + "}");
    of({{{"id"}, Type::Text}, {{"jobs"}, Type::Jsonb}}, withheld).read(json, arena_, cells_, extra_);
    EXPECT_EQ(text(1), std::string(1024, '[') + "null" + std::string(1024, ']'));
    EXPECT_EQ(extra_.substr(0, 10), R"({"new": "[)") << "where nothing is withheld it is kept as text";
}

TEST_F(LiveRecordTest, a_column_that_is_not_wanted_stays_null) {
    const simdjson::padded_string json(std::string(R"({"id": "a", "age": 7})"));
    of({{{"id"}, Type::Text}, {{"age"}, Type::Numeric, false}}).read(json, arena_, cells_, extra_);
    EXPECT_TRUE(cells_[1].null);
    EXPECT_TRUE(extra_.empty());
}

} // namespace
