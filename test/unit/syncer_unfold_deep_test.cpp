#include "unfolded.h"

/// Values that lie deeper than in the record itself, and lists below nested records.
namespace syncer {
namespace {

bool nobody(size_t) {
    return false;
}

TEST(DottedKey, reaches_any_depth_and_needs_no_nested_record) {
    Invented given;
    given.table(Invented::People).fields.push_back({"city", Type::Text, "home.address.city"});
    given.table(Invented::People).fields.push_back({"floor", Type::Numeric, "home.floor"});
    check({{"both",
            {R"({"id":"p1","home":{"floor":2.50,"address":{"city":"Oslo"}}})"},
            "people id=p1 city=Oslo floor=2.50\n"},
           {"null on the way", {R"({"id":"p1","home":{"floor":1,"address":null}})"}, "people id=p1 floor=1\n"},
           {"nothing", {R"({"id":"p1","home":null})", R"({"id":"p2"})"}, "people id=p1\npeople id=p2\n"},
           {"what is unknown there stays, where it was",
            {R"({"id":"p1","home":{"x":1,"address":{"city":"Oslo","y":null}}})"},
            "people id=p1 city=Oslo extra={\"home\": {\"x\": 1, \"address\": {\"y\": null}}}\n",
            "unknown key people.x 1\nunknown key people.y 1\n"},
           {"what does not fit stays, too",
            {R"({"id":"p1","home":{"floor":"second"}})"},
            "people id=p1 extra={\"home\": {\"floor\": \"second\"}}\n",
            "misfit people.floor 1\n"},
           {"a list is no object",
            {R"({"id":"p1","home":[{"floor":1}]})"},
            "people id=p1 extra={\"home\": [{\"floor\":1}]}\n",
            "misfit people.home 1\n"}},
          given);
}

TEST(DottedKey, reads_inside_of_a_value_that_is_a_column_itself) {
    Invented given;
    given.table(Invented::People).fields.push_back({"first_tag", Type::Text, "tags.first"});
    check({{"object",
            {R"({"id":"p1","tags":{"first":"a\u00e9","x":1},"name":"Ann"})"},
            "people id=p1 name=Ann tags={\"first\":\"a\\u00e9\",\"x\":1} first_tag=a\u00e9\n"},
           {"list", {R"({"id":"p1","tags":["a"]})"}, "people id=p1 tags=[\"a\"]\n"},
           {"null", {R"({"id":"p1","tags":null})"}, "people id=p1\n"}},
          given);
}

TEST(FallbackKeys, are_looked_at_in_their_order_where_there_is_no_value) {
    Invented given;
    given.table(Invented::People).fields.push_back({"place_id", Type::Text, "place_id", false, {"place.id", "site"}});
    check({{"first", {R"({"site":"c","place":{"id":"b"},"place_id":"a","id":"p1"})"}, "people id=p1 place_id=a\n"},
           {"second", {R"({"id":"p1","site":"c","place":{"id":"b"},"place_id":null})"}, "people id=p1 place_id=b\n"},
           {"third", {R"({"id":"p1","place":null,"site":"c"})"}, "people id=p1 place_id=c\n"},
           {"none", {R"({"id":"p1","place":null})"}, "people id=p1\n"}},
          given, [](size_t table) { return table != Invented::Scales; });
}

TEST(FallbackKeys, give_a_linked_record_the_id_that_only_its_nested_record_has) {
    Invented given;
    given.table(Invented::Skills).fields[4].fallback_keys = {};
    given.table(Invented::Skills).fields[4].json_key = "scale_id";
    given.table(Invented::Skills).fields[4].fallback_keys = {"scale.id"};
    const std::string rows =
        unfold(given, {R"({"id":"p1","skills":[{"skill":{"id":"s1","scale":{"id":"c1"}}}]})"}, nobody).rows;
    EXPECT_NE(rows.find("skills~ id=s1 scale_id=c1\n"), std::string::npos) << rows;
}

TEST(Part, gives_what_is_nested_in_it_to_the_record_that_it_is_part_of) {
    Invented given;
    given.people().nested = {{"more", Relation::Part, Invented::People, ""},
                             {"more.jobs", Relation::Owned, Invented::Jobs, "person_id"},
                             {"more.place", Relation::Linked, Invented::Places, ""}};
    check({{"nested",
            {R"({"more":{"jobs":[{"id":"j1","title":"Cook"}],"place":{"id":"l1","city":"Oslo"}},"id":"p1"})"},
            "people id=p1\njobs id=j1 person_id=p1 title=Cook\nplaces~ id=l1 city=Oslo\njobs of p1: j1\n"},
           {"unknown",
            {R"({"id":"p1","more":{"x":1}})"},
            "people id=p1 extra={\"more\": {\"x\": 1}}\n",
            "unknown key people.x 1\n"},
           {"null", {R"({"id":"p1","more":null})"}, "people id=p1\n"}},
          given, nobody);
}

TEST(LinkedList, fills_the_parents_column_and_tells_what_is_in_it) {
    Invented given;
    given.people().nested = {{"jobs", Relation::Linked, Invented::Jobs, "person_id"}};
    check({{"some",
            {R"({"id":"p1","jobs":[{"id":"j1","title":"Cook"},{"id":"j2"}]})", R"({"id":"p2","jobs":[]})"},
            "people id=p1\npeople id=p2\njobs~ id=j1 person_id=p1 title=Cook\njobs~ id=j2 person_id=p1\n"
            "jobs of p1 p2: j1 j2\n"},
           {"null says nothing", {R"({"id":"p1","jobs":null})"}, "people id=p1\n"}},
          given, nobody);
    check({{"another list has them", {R"({"id":"p1","jobs":[{"id":"j1","title":"Cook"}]})"}, "people id=p1\n"}}, given);
}

TEST(JoinBelowALinkedRecord, is_stored_where_no_list_writes_that_record) {
    Invented given;
    given.people().nested = {{"mentor", Relation::Linked, Invented::Places, ""},
                             {"mentor.teams", Relation::Join, Invented::PeopleTeams, "person_id"}};
    const std::vector<std::string> records = {R"({"id":"p1","mentor":{"id":"l1","teams":[{"id":"t1"}]}})"};
    check({{"stored", records,
            "people id=p1 mentor_id=l1\npeople_teams person_id=l1 team_id=t1\nplaces~ id=l1\n"
            "people_teams of l1: l1/t1\n"}},
          given, nobody);
    check({{"left to others", records, "people id=p1 mentor_id=l1\n"}}, given, [](size_t) { return true; });
}

TEST(JoinBelowAnOwnedList, belongs_to_the_owned_record) {
    Invented given;
    given.people().nested = {{"jobs", Relation::Owned, Invented::Jobs, "person_id"},
                             {"jobs.teams", Relation::Join, Invented::PeopleTeams, "person_id"}};
    EXPECT_TRUE(given.people().owns(Invented::PeopleTeams));
    EXPECT_EQ(given.people().parent_table(given.people().nested[1]), size_t{Invented::Jobs});
    check({{"stored",
            {R"({"id":"p1","jobs":[{"teams":[{"id":"t1"},{"id":"t2"}],"id":"j1"},{"id":"j2","teams":[]}]})"},
            "people id=p1\npeople_teams person_id=j1 team_id=t1\npeople_teams person_id=j1 team_id=t2\n"
            "jobs id=j1 person_id=p1\njobs id=j2 person_id=p1\n"
            "jobs of p1: j1 j2\npeople_teams of j1 j2: j1/t1 j1/t2\n"}},
          given, [](size_t table) { return table == Invented::PeopleTeams; });
}

} // namespace
} // namespace syncer
