#include "unfolded.h"

namespace syncer {
namespace {

TEST(Unfold, a_linked_record_stores_nothing_where_another_list_writes_its_rows) {
    const auto all = [](size_t) { return true; };
    check({{"its known fields are another's to say",
            {R"({"id":"p1","place":{"city":7,"id":"l1","name":"HQ"}})"},
            "people id=p1\n"},
           {"its id goes to the parent's column",
            {R"({"mentor":{"name":"Bea","id":"p2"},"id":"p1"})"},
            "people id=p1 mentor_id=p2\n"},
           {"in a join, its id and the join's columns are stored",
            {R"({"id":"p1","teams":[{"id":"t1","name":"T","share":1}]})"},
            "people id=p1\npeople_teams person_id=p1 team_id=t1 share=1\npeople_teams of p1: p1/t1\n"},
           {"nor does what it links to",
            {R"({"id":"p1","skills":[{"skill":{"id":"s1","name":"Go","scale":{"id":"c1","name":"1-5"}}}]})"},
            "people id=p1\npeople_skills person_id=p1 skill_id=s1\npeople_skills of p1: p1/s1\n"},
           {"what is unknown of it stays with the parent",
            {R"({"id":"p1","place":{"id":"l1","name":"HQ","x":1}})"},
            "people id=p1 extra={\"place\": {\"id\": \"l1\", \"x\": 1}}\n",
            "unknown key places.x 1\n"},
           {"in a join with the join",
            {R"({"id":"p1","teams":[{"id":"t1","name":"T","x":1}]})"},
            "people id=p1\npeople_teams person_id=p1 team_id=t1 extra={\"x\": 1}\npeople_teams of p1: p1/t1\n",
            "unknown key people_teams.x 1\n"},
           {"null", {R"({"id":"p1","place":null})"}, "people id=p1\n"},
           {"what has no id has no row elsewhere",
            {R"({"id":"p1","place":{"city":"Bonn"}})"},
            "people id=p1 extra={\"place\": {\"city\": \"Bonn\"}}\n",
            "misfit places.id 1\n"},
           {"nor what is no object",
            {R"({"id":"p1","place":"l1"})"},
            "people id=p1 extra={\"place\": \"l1\"}\n",
            "misfit places.place 1\n"}},
          Invented(), all);
    check({{"a scale that comes with such a skill alone is stored",
            {R"({"id":"p1","skills":[{"skill":{"id":"s1","name":"Go","scale":{"id":"c1","name":"1-5"}}}]})"},
            "people id=p1\nscales~ id=c1 name=1-5\npeople_skills person_id=p1 skill_id=s1\n"
            "people_skills of p1: p1/s1\n"}},
          Invented(), [](size_t table) { return table != Invented::Scales; });
    check({{"the list of the record itself, or one of its own, is such a list",
            {R"({"id":"p1","mentor":{"id":"p2","name":"Bea"}})"},
            "people id=p1 mentor_id=p2\n"}},
          Invented(), [](size_t) { return false; });
}

TEST(Unfold, a_linked_record_writes_what_it_carries_where_no_other_list_does) {
    check({
        {"NULLs included", {R"({"id":"p1","place":{"city":null,"id":"l1"}})"}, "people id=p1\nplaces~ id=l1 city=-\n"},
        {"only the keys that came are carried",
         {R"({"id":"p1","place":{"id":"l1","name":"HQ"}})", R"({"id":"p2","place":{"id":"l2","city":"Bonn"}})"},
         "people id=p1\npeople id=p2\nplaces~ id=l1 name=HQ\nplaces~ id=l2 city=Bonn\n"},
        {"the same one in many records is one row",
         {R"({"id":"p1","place":{"id":"l1","name":"HQ"}})", R"({"id":"p2","place":{"id":"l1","name":"HQ"}})"},
         "people id=p1\npeople id=p2\nplaces~ id=l1 name=HQ\n"},
        {"its later version wins",
         {R"({"id":"p1","place":{"id":"l1","name":"new","changed_at":"1970-01-01T00:00:02Z"}})",
          R"({"id":"p2","place":{"id":"l1","name":"old","changed_at":"1970-01-01T00:00:01Z"}})"},
         "people id=p1\npeople id=p2\nplaces~ id=l1 changed_at=2000000 name=new\n"},
        {"null", {R"({"id":"p1","place":null})"}, "people id=p1\n"},
        {"without id",
         {R"({"id":"p1","place":{"city":"Bonn"}})"},
         "people id=p1 extra={\"place\": {\"city\": \"Bonn\"}}\n",
         "misfit places.id 1\n"},
        {"an empty object",
         {R"({"id":"p1","place":{}})"},
         "people id=p1 extra={\"place\": {}}\n",
         "misfit places.id 1\n"},
        {"an id in its place",
         {R"({"id":"p1","place":"l1"})"},
         "people id=p1 extra={\"place\": \"l1\"}\n",
         "misfit places.place 1\n"},
    });
}

TEST(Unfold, the_id_of_a_nested_object_goes_to_its_dotted_column) {
    check({
        {"with a row of the record's own table",
         {R"({"mentor":{"name":"Bea","id":"p2"},"id":"p1"})"},
         "people id=p1 mentor_id=p2\n"},
        {"null", {R"({"id":"p1","mentor":null})"}, "people id=p1\n"},
        {"an object without id",
         {R"({"id":"p1","mentor":{"name":"Bea"}})"},
         "people id=p1 extra={\"mentor\": {\"name\": \"Bea\"}}\n",
         "misfit people.id 1\n"},
        {"a scalar",
         {R"({"id":"p1","mentor":"p2"})"},
         "people id=p1 extra={\"mentor\": \"p2\"}\n",
         "misfit people.mentor 1\n"},
    });
}

TEST(Unfold, a_copy_has_its_row_elsewhere) {
    check({
        {"what is known of it is dropped",
         {R"({"id":"p1","boss":{"id":"p9","name":"Cy","pay":1,"mentor":{"id":"p8"}}})"},
         "people id=p1\n"},
        {"what is not stays with the parent",
         {R"({"id":"p1","boss":{"id":"p9","name":"Cy","shoe":43}})"},
         "people id=p1 extra={\"boss\": {\"id\": \"p9\", \"shoe\": 43}}\n",
         "unknown key people.shoe 1\n"},
        {"null", {R"({"id":"p1","boss":null})"}, "people id=p1\n"},
        {"a list of copies",
         {R"({"id":"p1","boss":[{"id":"p9"},{"id":"p8","shoe":1}]})"},
         "people id=p1 extra={\"boss\": [{\"id\": \"p8\", \"shoe\": 1}]}\n",
         "unknown key people.shoe 1\n"},
    });
}

TEST(Unfold, a_join_list_gives_rows_of_both_ids) {
    check({
        {"with what they carry, and the linked records",
         {R"({"teams":[{"id":"t1","name":"T","share":0.10},{"id":"t2"}],"id":"p1"})"},
         "people id=p1\npeople_teams person_id=p1 team_id=t1 share=0.10\npeople_teams person_id=p1 team_id=t2\n"
         "teams~ id=t1 name=T\nteams~ id=t2\npeople_teams of p1: p1/t1 p1/t2\n"},
        {"twice the same: the later counts",
         {R"({"id":"p1","teams":[{"id":"t1","share":1},{"id":"t1","share":2}]})"},
         "people id=p1\npeople_teams person_id=p1 team_id=t1 share=2\nteams~ id=t1\n"
         "people_teams of p1: p1/t1\n"},
        {"the same team of two people",
         {R"({"id":"p1","teams":[{"id":"t1"}]})", R"({"id":"p2","teams":[{"id":"t1"}]})"},
         "people id=p1\npeople id=p2\npeople_teams person_id=p1 team_id=t1\npeople_teams person_id=p2 team_id=t1\n"
         "teams~ id=t1\npeople_teams of p1 p2: p1/t1 p2/t1\n"},
        {"empty", {R"({"id":"p1","teams":[]})"}, "people id=p1\npeople_teams of p1:\n"},
        {"null", {R"({"id":"p1","teams":null})"}, "people id=p1\n"},
        {"without id",
         {R"({"id":"p1","teams":[{"name":"T"}]})"},
         "people id=p1 extra={\"teams\": [{\"name\": \"T\"}]}\npeople_teams of p1:\n",
         "misfit people_teams.id 1\n"},
    });
}

TEST(Unfold, nested_records_nest_further) {
    check({
        {"two levels, in any order of keys",
         {R"({"skills":[{"wanted":{"min":2},"skill":{"scale":{"name":"1-5","id":"c1"},"id":"s1","name":"Go"}}],)"
          R"("id":"p1"})"},
         "people id=p1\nscales~ id=c1 name=1-5\nskills~ id=s1 name=Go scale_id=c1\n"
         "people_skills person_id=p1 skill_id=s1 wanted={\"min\":2}\npeople_skills of p1: p1/s1\n"},
        {"the inner one is null",
         {R"({"id":"p1","skills":[{"skill":{"id":"s1","scale":null}}]})"},
         "people id=p1\nskills~ id=s1 scale_id=-\npeople_skills person_id=p1 skill_id=s1\npeople_skills of p1: "
         "p1/s1\n"},
        {"the inner one is absent",
         {R"({"id":"p1","skills":[{"skill":{"id":"s1"}}]})"},
         "people id=p1\nskills~ id=s1\npeople_skills person_id=p1 skill_id=s1\npeople_skills of p1: p1/s1\n"},
        {"the inner one lacks an id",
         {R"({"id":"p1","skills":[{"skill":{"id":"s1","scale":{"name":"x"}}}]})"},
         "people id=p1\nskills~ id=s1 scale_id=-\n"
         "people_skills person_id=p1 skill_id=s1 extra={\"skill\": {\"id\": \"s1\", \"scale\": {\"name\": \"x\"}}}\n"
         "people_skills of p1: p1/s1\n",
         "misfit scales.id 1\n"},
        {"the outer one lacks an id",
         {R"({"id":"p1","skills":[{"skill":{"name":"Go","scale":{"id":"c1"}}}]})"},
         "people id=p1 extra={\"skills\": [{\"skill\": {\"name\": \"Go\", \"scale\": {\"id\": \"c1\"}}}]}\n"
         "scales~ id=c1\npeople_skills of p1:\n",
         "misfit people_skills.id 1\nmisfit skills.id 1\n"},
        {"the outer one is null",
         {R"({"id":"p1","skills":[{"skill":null,"wanted":1}]})"},
         "people id=p1 extra={\"skills\": [{\"skill\": null, \"wanted\": 1}]}\npeople_skills of p1:\n",
         "misfit people_skills.id 1\n"},
        {"the parent lacks an id, and nothing of it becomes rows",
         {R"({"skills":[{"skill":{"id":"s1"}}],"jobs":[{"id":"j1"}],"place":{"id":"l1"}})"},
         ""},
    });
}

} // namespace
} // namespace syncer
