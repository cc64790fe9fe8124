#include "invented_catalogue.h"
#include "syncer/exceptions.h"

#include <gtest/gtest.h>

namespace syncer {
namespace {

bool none(size_t) {
    return false;
}

const std::string record = R"({"id":"p1","name":"SECRET","pay":12345,"mentor":{"id":"SECRET-m","name":"SECRET","x":1},
    "boss":{"id":"p9","name":"SECRET","pay":12345,"x":1},"place":{"id":"l1","city":"SECRET","x":1},
    "jobs":[{"id":"j1","title":"SECRET","x":1},{"title":"SECRET","x":2}],
    "teams":[{"id":"t1","name":"SECRET","share":12345,"x":1},{"name":"SECRET","x":2}],
    "skills":[{"skill":{"id":"s1","name":"SECRET","x":1,"scale":{"id":"c1","name":"SECRET","x":1}},"wanted":"SECRET"},
              {"skill":{"name":"SECRET","scale":{"name":"SECRET","x":2}}}]})";

Invented without_secrets() {
    Invented given;
    given.exclude(Invented::People, "name");
    given.exclude(Invented::People, "pay");
    given.exclude(Invented::People, "mentor_id");
    given.exclude(Invented::Places, "city");
    given.exclude(Invented::Jobs, "title");
    given.exclude(Invented::Teams, "name");
    given.exclude(Invented::PeopleTeams, "share");
    given.exclude(Invented::PeopleSkills, "wanted");
    given.exclude(Invented::Skills, "name");
    given.exclude(Invented::Scales, "name");
    return given;
}

/// The lines of the table's rows.
std::string rows_of(const std::string &table, const std::string &rows) {
    std::string found;
    for (size_t begin = 0; begin < rows.size();) {
        const size_t end = rows.find('\n', begin);
        const std::string line = rows.substr(begin, end - begin + 1);
        if (line.compare(0, table.size(), table) == 0) found += line;
        begin = end + 1;
    }
    return found;
}

TEST(Excluded, fields_are_in_no_row_no_extra_and_nothing_that_is_parked) {
    const Invented given = without_secrets();
    const Endpoint &people = given.catalogue.endpoints[0];
    for (const bool has_writer : {false, true}) {
        Unfolder unfolder(given.catalogue, compile_shape(given.catalogue, people, [&](size_t) { return has_writer; }),
                          std::nullopt);
        const kombo::Page page = page_of({record});
        kombo::Arena arena;
        const std::string rows = told(given.catalogue, people, unfolder.unfold(page.records(), arena));
        EXPECT_EQ(rows.find("12345"), std::string::npos) << rows;
        EXPECT_EQ(rows.find("SECRET"), std::string::npos) << rows;

        const std::string parked = unfolder.redacted(page.records()[0]);
        EXPECT_EQ(parked.find("SECRET"), std::string::npos) << parked;
        EXPECT_EQ(parked.find("12345"), std::string::npos) << parked;
    }
}

TEST(Excluded, fields_do_not_take_others_with_them) {
    const Invented given = without_secrets();
    const Endpoint &people = given.catalogue.endpoints[0];
    Unfolder unfolder(given.catalogue, compile_shape(given.catalogue, people, none), std::nullopt);
    const kombo::Page page = page_of({record});
    kombo::Arena arena;
    const std::string rows = told(given.catalogue, people, unfolder.unfold(page.records(), arena));
    EXPECT_EQ(rows_of("places", rows), "places~ id=l1\n");
    EXPECT_EQ(rows_of("jobs id", rows), "jobs id=j1 person_id=p1 extra={\"x\": 1}\n");
    EXPECT_EQ(rows_of("people_teams person", rows), "people_teams person_id=p1 team_id=t1 extra={\"x\": 1}\n");
    const std::string parked = unfolder.redacted(page.records()[0]);
    for (const char *kept : {R"("id": "p1")", R"("place": {"id": "l1", "x": 1})", R"({"id": "j1", "x": 1}, {"x": 2})"})
        EXPECT_NE(parked.find(kept), std::string::npos) << kept << "\n" << parked;
}

TEST(Excluded, a_nested_id_that_nothing_unfolds_is_dropped_whole) {
    Invented given;
    given.people().nested.erase(given.people().nested.begin() + 2); // the mentor
    given.exclude(Invented::People, "mentor_id");
    const Endpoint &people = given.catalogue.endpoints[0];
    Unfolder unfolder(given.catalogue, compile_shape(given.catalogue, people, none), std::nullopt);
    const kombo::Page page = page_of({R"({"id":"p1","mentor":{"id":"SECRET"}})"});
    kombo::Arena arena;
    EXPECT_EQ(told(given.catalogue, people, unfolder.unfold(page.records(), arena)), "people id=p1\n");
    EXPECT_EQ(unfolder.redacted(page.records()[0]), R"({"id": "p1"})");
}

TEST(Redacted, keeps_all_that_is_not_excluded_and_makes_jsonb_of_it) {
    const Invented given;
    const Endpoint &people = given.catalogue.endpoints[0];
    Unfolder unfolder(given.catalogue, compile_shape(given.catalogue, people, none), std::nullopt);
    const std::pair<const char *, const char *> cases[] = {
        {"5", "5"},
        {"null", "null"},
        {R"("a\u0000")", R"("a\ufffd")"},
        {"[]", "[]"},
        {"{}", "{}"},
        {R"([{"id":"p1"},7])", R"([{"id": "p1"}, 7])"},
        {R"({"name":1e400000,"x\"":"\ud800"})", R"({"name": "1e400000", "x\"": "\ufffd"})"},
        {R"({"jobs":[{"title":"x"},null],"place":{}})", R"({"jobs": [{"title": "x"}, null], "place": {}})"},
    };
    for (const auto &[given_record, expected] : cases) {
        const kombo::Page page = page_of({given_record});
        EXPECT_EQ(unfolder.redacted(page.records()[0]), expected) << given_record;
    }
}

TEST(Redacted, lists_that_nest_without_end_take_no_more_than_their_text) {
    Invented given;
    given.exclude(Invented::Jobs, "title");
    const Endpoint &people = given.catalogue.endpoints[0];
    Unfolder unfolder(given.catalogue, compile_shape(given.catalogue, people, none), std::nullopt);
    constexpr size_t depth = 100'000;
    const std::string jobs = std::string(depth, '[') + R"({"title":"SECRET"})" + std::string(depth, ']');
    const kombo::Page page = page_of({R"({"id":"p1","jobs":)" + jobs + "}"});
    kombo::Arena arena;
    const std::string kept = std::string(1024, '[') + "null" + std::string(1024, ']');
    EXPECT_EQ(unfolder.redacted(page.records()[0]), R"({"id": "p1", "jobs": )" + kept + "}");
    const std::string rows = told(given.catalogue, people, unfolder.unfold(page.records(), arena));
    EXPECT_EQ(rows.find("SECRET"), rows.npos) << rows.substr(0, 200);
}

TEST(CompileShape, rows_that_contradict_each_other_are_refused) {
    Invented no_parent;
    no_parent.people().nested[0].parent_column = "owner_id";
    Invented no_column;
    no_column.people().nested[4].parent_column = "";
    Invented no_key;
    no_key.table(Invented::Jobs).fields.push_back({"boss_name", Type::Text, "boss..name"});
    Invented no_fallback;
    no_fallback.table(Invented::People).fields.push_back({"deep_id", Type::Text, "a", false, {".b"}});
    Invented nowhere;
    nowhere.people().nested.push_back({"home.place", Relation::Linked, Invented::Places, ""});
    Invented without_id;
    without_id.people().table = Invented::PeopleTeams;
    Invented too_many;
    for (int n = 0; n < 200; ++n)
        too_many.table(Invented::People).fields.push_back({"f" + std::to_string(n), Type::Text, "a", false, {"b"}});
    const std::pair<Invented *, const char *> cases[] = {
        {&no_parent, "\"jobs\""},        {&no_column, "\"teams\""},
        {&no_key, "\"jobs.boss_name\""}, {&no_fallback, "\"people.deep_id\""},
        {&nowhere, "\"home.place\""},    {&without_id, "\"people_teams\""},
        {&too_many, "kombo.people"}};
    for (const auto &[given, named] : cases) {
        try {
            compile_shape(given->catalogue, given->people(), none);
            ADD_FAILURE() << "nothing was said about " << named;
        } catch (const InvalidRequest &error) {
            EXPECT_NE(std::string(error.what()).find(named), std::string::npos) << error.what();
            EXPECT_FALSE(error.detail.empty());
            EXPECT_FALSE(error.hint.empty());
        }
    }
}

TEST(CompileShape, a_list_speaks_for_every_field_of_its_own_table) {
    Invented given;
    given.people().nested.erase(given.people().nested.begin() + 2); // the mentor, of which it still has the id
    const Shape shape = compile_shape(given.catalogue, given.people(), none);
    EXPECT_EQ(shape.targets.at(0).columns, all_columns(given.table(Invented::People)));
}

} // namespace
} // namespace syncer
