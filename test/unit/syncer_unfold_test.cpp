#include "unfolded.h"

namespace syncer {
namespace {

const std::string replacement = "\xEF\xBF\xBD";

TEST(Unfold, values_go_to_their_columns) {
    check({
        {"an empty page", {}, ""},
        {"an id alone", {R"({"id":"p1"})"}, "people id=p1\n"},
        {"every type",
         {R"({"tags":[1,"x"],"pay":0.10,"active":false,"born":"1970-01-02","name":"Ann","id":"p1",
              "changed_at":"1970-01-01T00:00:01Z","remote_deleted_at":null})"},
         "people id=p1 changed_at=1000000 name=Ann born=1 active=0 pay=0.10 tags=[1,\"x\"]\n"},
        {"nulls",
         {R"({"id":"p1","name":null,"pay":null,"tags":null,"mentor":null,"jobs":null,"place":null})"},
         "people id=p1\n"},
        {"several records, by key", {R"({"id":"p2"})", R"({"id":"p1"})"}, "people id=p1\npeople id=p2\n"},
    });
}

TEST(Unfold, an_owned_list_goes_to_its_own_table) {
    check({
        {"before the parent's id",
         {R"({"jobs":[{"title":"x","id":"j1"}],"id":"p1"})"},
         "people id=p1\njobs id=j1 person_id=p1 title=x\njobs of p1: j1\n"},
        {"after it",
         {R"({"id":"p1","jobs":[{"id":"j1"},{"id":"j2"}]})"},
         "people id=p1\njobs id=j1 person_id=p1\njobs id=j2 person_id=p1\njobs of p1: j1 j2\n"},
        {"empty: the parent has none", {R"({"id":"p1","jobs":[]})"}, "people id=p1\njobs of p1:\n"},
        {"null says nothing", {R"({"id":"p1","jobs":null})"}, "people id=p1\n"},
        {"absent says nothing", {R"({"id":"p1"})"}, "people id=p1\n"},
        {"of several parents, one silent",
         {R"({"id":"p1","jobs":[{"id":"j1"}]})", R"({"id":"p2"})", R"({"id":"p3","jobs":[]})"},
         "people id=p1\npeople id=p2\npeople id=p3\njobs id=j1 person_id=p1\njobs of p1 p3: j1\n"},
        {"a child that names its parent itself",
         {R"({"id":"p1","jobs":[{"id":"j1","person_id":"p1"}]})"},
         "people id=p1\njobs id=j1 person_id=p1\njobs of p1: j1\n"},
        {"a child whose parent is null",
         {R"({"id":"p1","jobs":[{"id":"j1","person_id":null}]})"},
         "people id=p1\njobs id=j1 person_id=p1\njobs of p1: j1\n"},
    });
}

TEST(Unfold, a_child_without_id_stays_with_its_parent) {
    check({
        {"among others",
         {R"({"id":"p1","jobs":[{"title":"x"},{"id":"j1"}]})"},
         "people id=p1 extra={\"jobs\": [{\"title\": \"x\"}]}\njobs id=j1 person_id=p1\njobs of p1: j1\n",
         "misfit jobs.id 1\n"},
        {"first, middle and last",
         {R"({"id":"p1","jobs":[{},{"id":"j1"},{"id":null},{"id":"j2"},{"id":""}]})"},
         "people id=p1 extra={\"jobs\": [{}, {\"id\": null}, {\"id\": \"\"}]}\njobs id=j1 person_id=p1\n"
         "jobs id=j2 person_id=p1\njobs of p1: j1 j2\n",
         "misfit jobs.id 3\n"},
        {"elements that are no objects",
         {R"({"id":"p1","jobs":[null,"x, ",[{"id":"j0"}],{"id":"j1"},7]})"},
         "people id=p1 extra={\"jobs\": [null, \"x, \", [{\"id\": \"j0\"}], 7]}\njobs id=j1 person_id=p1\n"
         "jobs of p1: j1\n",
         "misfit jobs.jobs 4\n"},
        {"a list that is none",
         {R"({"id":"p1","jobs":"none"})"},
         "people id=p1 extra={\"jobs\": \"none\"}\n",
         "misfit jobs.jobs 1\n"},
    });
}

TEST(Unfold, unknown_keys_are_kept_where_they_were) {
    check({
        {"of the record",
         {R"({"id":"p1","shoe":43,"a":{"b":[1.50]}})"},
         "people id=p1 extra={\"shoe\": 43, \"a\": {\"b\":[1.50]}}\n",
         "unknown key people.a 1\nunknown key people.shoe 1\n"},
        {"a null, too",
         {R"({"id":"p1","shoe":null})"},
         "people id=p1 extra={\"shoe\": null}\n",
         "unknown key people.shoe 1\n"},
        {"of a child",
         {R"({"id":"p1","jobs":[{"id":"j1","x":1}]})"},
         "people id=p1\njobs id=j1 person_id=p1 extra={\"x\": 1}\njobs of p1: j1\n",
         "unknown key jobs.x 1\n"},
        {"of a join",
         {R"({"id":"p1","teams":[{"id":"t1","x":1}]})"},
         "people id=p1\npeople_teams person_id=p1 team_id=t1 extra={\"x\": 1}\nteams~ id=t1\npeople_teams of p1: "
         "p1/t1\n",
         "unknown key people_teams.x 1\n"},
        {"of a linked record: with the record",
         {R"({"id":"p1","place":{"id":"l1","x":1}})"},
         "people id=p1 extra={\"place\": {\"id\": \"l1\", \"x\": 1}}\nplaces~ id=l1\n",
         "unknown key places.x 1\n"},
        {"of a record linked in a join: with the join",
         {R"({"id":"p1","skills":[{"skill":{"id":"s1","x":1}}]})"},
         "people id=p1\nskills~ id=s1\npeople_skills person_id=p1 skill_id=s1 extra={\"skill\": {\"id\": \"s1\", "
         "\"x\": "
         "1}}\npeople_skills of p1: p1/s1\n",
         "unknown key skills.x 1\n"},
        {"keys that need quoting",
         {R"({"id":"p1","a\"\\\n":1,"":2})"},
         "people id=p1 extra={\"a\\\"\\\\\\u000a\": 1, \"\": 2}\n",
         "unknown key people. 1\nunknown key people.a\"\\  1\n"},
    });
}

TEST(Unfold, values_that_do_not_fit_are_kept_where_they_were) {
    check({
        {"a number in a text column",
         {R"({"id":"p1","name":5})"},
         "people id=p1 extra={\"name\": 5}\n",
         "misfit people.name 1\n"},
        {"an object in a text column",
         {R"({"id":"p1","name":{"a":1}})"},
         "people id=p1 extra={\"name\": {\"a\":1}}\n",
         "misfit people.name 1\n"},
        {"a string in a number column",
         {R"({"id":"p1","pay":"12"})"},
         "people id=p1 extra={\"pay\": \"12\"}\n",
         "misfit people.pay 1\n"},
        {"a number that numeric cannot hold",
         {R"({"id":"p1","pay":1e400000})"},
         "people id=p1 extra={\"pay\": \"1e400000\"}\n",
         "misfit people.pay 1\nnumber beyond numeric kept as text people.pay 1\n"},
        {"dates that no calendar has",
         {R"({"id":"p1","born":"0000-00-00","changed_at":"300000-01-01T00:00:00Z"})"},
         "people id=p1 extra={\"born\": \"0000-00-00\", \"changed_at\": \"300000-01-01T00:00:00Z\"}\n",
         "misfit people.born 1\nmisfit people.changed_at 1\n"},
        {"a date with a time is stored, and kept as sent",
         {R"({"id":"p1","born":"1970-01-02T09:30:00Z"})"},
         "people id=p1 born=1 extra={\"born\": \"1970-01-02T09:30:00Z\"}\n"},
        {"of a child",
         {R"({"id":"p1","jobs":[{"id":"j1","title":[]}]})"},
         "people id=p1\njobs id=j1 person_id=p1 extra={\"title\": []}\njobs of p1: j1\n",
         "misfit jobs.title 1\n"},
        {"of a join",
         {R"({"id":"p1","teams":[{"id":"t1","share":"half"}]})"},
         "people id=p1\npeople_teams person_id=p1 team_id=t1 extra={\"share\": \"half\"}\nteams~ id=t1\n"
         "people_teams of p1: p1/t1\n",
         "misfit people_teams.share 1\n"},
        {"of a linked record",
         {R"({"id":"p1","place":{"id":"l1","city":7}})"},
         "people id=p1 extra={\"place\": {\"id\": \"l1\", \"city\": 7}}\nplaces~ id=l1 city=-\n",
         "misfit places.city 1\n"},
        {"of a record linked in a join, the join's columns are the join's",
         {R"({"id":"p1","teams":[{"id":"t1","name":7}]})"},
         "people id=p1\npeople_teams person_id=p1 team_id=t1 extra={\"name\": 7}\nteams~ id=t1 name=-\n"
         "people_teams of p1: p1/t1\n",
         "misfit people_teams.name 1\n"},
    });
}

TEST(Unfold, what_postgresql_cannot_hold_is_replaced_and_counted) {
    check({
        {"in a column",
         {R"({"id":"p1","name":"a\u0000\u0000"})"},
         "people id=p1 name=a" + replacement + replacement + "\n",
         "U+0000 replaced by U+FFFD people.name 2\n"},
        {"in an id, whose children follow it",
         {R"({"id":"p\ud800","jobs":[{"id":"j1"}]})"},
         "people id=p" + replacement + "\njobs id=j1 person_id=p" + replacement + "\njobs of p" + replacement +
             ": j1\n",
         "unpaired surrogate replaced by U+FFFD people.id 1\n"},
        {"in extra",
         {R"({"id":"p1","x":["\u0000",1e400000]})"},
         "people id=p1 extra={\"x\": [\"\\ufffd\",\"1e400000\"]}\n",
         "unknown key people.x 1\nU+0000 replaced by U+FFFD people.x 1\nnumber beyond numeric kept as text people.x "
         "1\n"},
        {"in a key",
         {R"({"id":"p1","x\u0000":1})"},
         "people id=p1 extra={\"x" + replacement + "\": 1}\n",
         "unknown key people.x" + replacement + " 1\nU+0000 replaced by U+FFFD people.(keys) 1\n"},
        {"in what does not fit",
         {R"({"id":"p1","born":"\u0000"})"},
         "people id=p1 extra={\"born\": \"\\ufffd\"}\n",
         "misfit people.born 1\nU+0000 replaced by U+FFFD people.born 1\n"},
    });
}

TEST(Unfold, records_that_cannot_be_rows_are_told_by_position) {
    const Unfolded result =
        unfold(Invented(), {"5", R"({"id":"p1"})", "null", "[]", "\"x\"", "{}", R"({"id":null})", R"({"id":5})",
                            R"({"id":""})", R"({"id":{"id":"x"}})", R"({"id":["x"]})", R"({"id":"p2"})", "true"});
    EXPECT_EQ(result.rows, "people id=p1\npeople id=p2\n");
    EXPECT_EQ(result.without_id, (std::vector<size_t>{0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12}));
    EXPECT_EQ(result.ids, (std::vector<std::string>{"p1", "p2"}));
}

TEST(Unfold, of_a_repeated_record_the_later_change_wins_else_the_later_one) {
    struct Repeated {
        const char *name;
        std::vector<const char *> changes;
        size_t winner;
    };
    const Repeated cases[] = {
        {"newer last", {"\"2024-01-01T00:00:00Z\"", "\"2024-01-02T00:00:00Z\""}, 1},
        {"newer first", {"\"2024-01-02T00:00:00Z\"", "\"2024-01-01T00:00:00Z\""}, 0},
        {"equal", {"\"2024-01-01T00:00:00Z\"", "\"2024-01-01T00:00:00.000Z\""}, 1},
        {"both null", {"null", "null"}, 1},
        {"the later lacks it", {"\"2024-01-01T00:00:00Z\"", "null"}, 1},
        {"the earlier lacks it", {"null", "\"2024-01-01T00:00:00Z\""}, 1},
        {"the later's is no time", {"\"2024-01-01T00:00:00Z\"", "\"soon\""}, 1},
        {"newest first of three", {"\"2024-01-03\"", "\"2024-01-01\"", "\"2024-01-02\""}, 0},
        {"newest in the middle", {"\"2024-01-01\"", "\"2024-01-03\"", "\"2024-01-02\""}, 1},
        {"newest twice", {"\"2024-01-03\"", "\"2024-01-03\"", "\"2024-01-02\""}, 1},
    };
    for (const Repeated &c : cases) {
        std::vector<std::string> records = {R"({"id":"p0"})"};
        for (size_t i = 0; i < c.changes.size(); ++i) {
            const std::string n = std::to_string(i);
            records.push_back(R"({"id":"p1","jobs":[{"id":"j)" + n + R"("}],"place":{"id":"l)" + n + R"("},"name":"v)" +
                              n + R"(","changed_at":)" + c.changes[i] + "}");
        }
        const Unfolded result = unfold(Invented(), records);
        const std::string n = std::to_string(c.winner);
        EXPECT_NE(result.rows.find("name=v" + n), std::string::npos) << c.name << "\n" << result.rows;
        const std::string nested = "jobs id=j" + n + " person_id=p1\nplaces~ id=l" + n + "\njobs of p1: j" + n + "\n";
        EXPECT_EQ(result.rows.substr(result.rows.find("jobs id")), nested)
            << c.name << ": the nested records are those of the winner alone";
        EXPECT_EQ(result.repeated, c.changes.size() - 1) << c.name;
        EXPECT_EQ(result.ids, (std::vector<std::string>{"p0", "p1"})) << c.name;
    }
}

TEST(Unfold, rows_are_ordered_by_the_bytes_of_their_keys) {
    check({{"four",
            {R"({"id":"12345679"})", R"({"id":"ä"})", R"({"id":"123456781"})", R"({"id":"12345678"})"},
            "people id=12345678\npeople id=123456781\npeople id=12345679\npeople id=\u00e4\n"}});
}

TEST(Unfold, a_record_whose_keys_are_repeated_harms_nobody) {
    const std::string twice = R"({"id":"p1","id":"p2"})";
    const Unfolded result = unfold(Invented(), {twice, R"({"id":"p3"})", twice, R"({"id":"p4","id":null})"});
    EXPECT_NE(result.rows.find("people id=p3\n"), std::string::npos) << result.rows;
    EXPECT_NE(result.rows.find("people id=p4\n"), std::string::npos) << result.rows;
    EXPECT_EQ(result.ids.size() + result.without_id.size(), 3U);
}

TEST(Unfold, tombstones_past_purge_are_left_out_and_their_ids_are_told) {
    const auto limit = kombo::parse_timestamp("2026-01-10T00:00:00Z");
    const Unfolded result = unfold(
        Invented(),
        {R"({"id":"p1","remote_deleted_at":"2026-01-09T23:59:59Z","jobs":[{"id":"j1"}],"place":{"id":"l1"}})",
         R"({"id":"p2","remote_deleted_at":"2026-01-10T00:00:00Z"})", R"({"id":"p3","remote_deleted_at":null})",
         R"({"id":"p4","remote_deleted_at":"long ago"})", R"({"id":"p5","remote_deleted_at":7})", R"({"id":"p6"})"},
        people_and_jobs, limit);
    EXPECT_EQ(result.rows.find("p1"), std::string::npos) << result.rows;
    for (const char *stored : {"people id=p2 ", "people id=p3\n", "people id=p4 ", "people id=p5 ", "people id=p6\n"})
        EXPECT_NE(result.rows.find(stored), std::string::npos) << stored << "\n" << result.rows;
    EXPECT_EQ(result.past_purge, 1U);
    EXPECT_EQ(result.ids.size(), 6U);
}

TEST(Unfold, depth_that_jsonb_takes_is_kept_and_more_is_kept_as_text) {
    const auto nested = [](size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
    for (const char *key : {"tags", "unknown"}) {
        const std::string before = R"({"id":"p1",")" + std::string(key) + "\":";
        const std::string after = R"(,"jobs":[{"id":"j1"}]})";
        for (const size_t levels : {1000U, 1025U, 5000U}) {
            const Unfolded deep = unfold(Invented(), {before + nested(levels) + after});
            const std::string kept = levels <= 1024 ? nested(levels) : '"' + nested(levels) + '"';
            EXPECT_NE(deep.rows.find(kept), std::string::npos) << key << ", " << levels << " levels";
            EXPECT_NE(deep.rows.find("jobs of p1: j1"), std::string::npos) << key << ", " << levels << " levels";
            EXPECT_EQ(deep.odd.find("nested too deeply") != std::string::npos, levels > 1024)
                << key << ", " << levels << " levels\n"
                << deep.odd;
        }
    }
}

TEST(Unfold, a_record_that_is_no_json_inside_is_refused) {
    for (const char *record :
         {R"({"id":"p1","name":nul})", R"({"id":"p1" "name":"x"})", R"({"id":"p1","jobs":[{"id":"j1"} {"id":"j2"}]})",
          R"({"id":"p1","name":"\x"})", R"({"id":"p1","tags":[1,]})", R"({"id":"p1","pay":01})"})
        EXPECT_THROW(unfold(Invented(), {record}), kombo::MalformedJson) << record;
}

TEST(Unfold, an_unfolder_serves_many_pages) {
    const Invented given;
    const Endpoint &people = given.catalogue.endpoints[0];
    Unfolder unfolder(given.catalogue, compile_shape(given.catalogue, people, people_and_jobs), std::nullopt);
    kombo::Arena arena;
    for (int page = 0; page < 3; ++page) {
        std::vector<std::string> records;
        for (int i = 0; i < 300; ++i)
            records.push_back(R"({"jobs":[{"id":"j)" + std::to_string(i) + R"("}],"id":"p)" + std::to_string(i) +
                              "\"}");
        const kombo::Page parsed = page_of(records);
        const Batch batch = unfolder.unfold(parsed.records(), arena);
        ASSERT_EQ(batch.sets.size(), 2U);
        EXPECT_EQ(batch.sets[0].rows.size(), 300U);
        EXPECT_EQ(batch.sets[1].rows.size(), 300U);
        EXPECT_EQ(batch.lists.at(0).parents.size(), 300U);
        EXPECT_EQ(batch.sets[1].rows.back().cells[0].text, "j99") << "in the order of their keys";
        arena.clear();
    }
}

} // namespace
} // namespace syncer
