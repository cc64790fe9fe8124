#include "invented_catalogue.h"
#include "syncer/links.h"

#include <gtest/gtest.h>

namespace syncer {
namespace {

std::string told(const Invented &given, const States &states, size_t table) {
    std::string text;
    for (const Link &link : links_to(given.catalogue, states, table)) {
        text += (text.empty() ? "" : " ") + given.catalogue.tables[link.table].name + "." + link.column;
        if (link.parents) text += "(" + given.catalogue.tables[*link.parents].name + "." + link.parent_column + ")";
    }
    return text;
}

States subscribed() {
    States states;
    states["/people"];
    return states;
}

TEST(LinksTo, finds_the_columns_that_hold_the_ids) {
    Invented given;
    const States states = subscribed();
    EXPECT_EQ(told(given, states, Invented::Teams), "people_teams.team_id(people.person_id)");
    EXPECT_EQ(told(given, states, Invented::Skills), "people_skills.skill_id(people.person_id)");
    EXPECT_EQ(told(given, states, Invented::Scales), "skills.scale_id");
    EXPECT_EQ(told(given, states, Invented::Jobs), "") << "owned, not linked";
    EXPECT_EQ(told(given, states, Invented::Places), "") << "its id is stored nowhere";
    given.table(Invented::People).fields.push_back({"place_id", Type::Text, "place_id"});
    EXPECT_EQ(told(given, states, Invented::Places), "people.place_id");
    given.exclude(Invented::People, "place_id");
    EXPECT_EQ(told(given, states, Invented::Places), "") << "the user wants it nowhere";
}

TEST(LinksTo, finds_the_parent_of_a_linked_list_and_the_holder_of_a_deep_link) {
    Invented given;
    given.people().nested = {{"jobs", Relation::Linked, Invented::Jobs, "person_id"},
                             {"jobs.skills", Relation::Join, Invented::PeopleSkills, "person_id"},
                             {"jobs.skills.skill", Relation::Linked, Invented::Skills, ""},
                             {"more", Relation::Part, Invented::People, ""},
                             {"more.place", Relation::Linked, Invented::Places, ""}};
    given.table(Invented::People).fields.push_back({"place_id", Type::Text, "x", false, {"more.place.id"}});
    EXPECT_EQ(told(given, subscribed(), Invented::Jobs), "jobs.id(people.person_id)");
    EXPECT_EQ(told(given, subscribed(), Invented::Skills), "people_skills.skill_id(jobs.person_id)");
    EXPECT_EQ(told(given, subscribed(), Invented::Places), "people.place_id");
}

TEST(LinksTo, knows_nothing_where_one_of_the_places_is_not_known) {
    Invented given;
    given.people().nested.push_back({"boss.team", Relation::Linked, Invented::Teams, ""});
    EXPECT_EQ(told(given, subscribed(), Invented::Teams), "");
}

TEST(LinksTo, a_link_that_the_holders_own_list_does_not_carry_is_in_no_column) {
    Invented given;
    Endpoint skills;
    skills.path = "/skills";
    skills.category = "HR";
    skills.table = Invented::Skills;
    given.catalogue.endpoints.push_back(skills);
    States states = subscribed();
    states["/skills"];
    EXPECT_EQ(told(given, states, Invented::Scales), "");
    given.catalogue.endpoints[1].nested = {{"scale", Relation::Linked, Invented::Scales, ""}};
    EXPECT_EQ(told(given, states, Invented::Scales), "skills.scale_id");
    given.catalogue.endpoints[1].nested.clear();
    states["/skills"].unavailable = true;
    EXPECT_EQ(told(given, states, Invented::Scales), "skills.scale_id") << "written from the people's";
}

TEST(CarriersAre, all_lists_that_deliver_the_records) {
    Invented given;
    Endpoint other = given.people();
    other.path = "/other";
    given.catalogue.endpoints.push_back(other);
    States states = subscribed();
    states["/other"];
    const auto first = [&](const Endpoint &endpoint) { return &endpoint == given.catalogue.endpoints.data(); };
    EXPECT_FALSE(carriers_are(first, given.catalogue, states, Invented::Teams));
    EXPECT_TRUE(carriers_are(first, given.catalogue, states, Invented::Jobs)) << "none carries it";
    EXPECT_TRUE(carriers_are([](const Endpoint &) { return true; }, given.catalogue, states, Invented::Teams));
    states["/other"].unavailable = true;
    EXPECT_TRUE(carriers_are(first, given.catalogue, states, Invented::Teams));
}

} // namespace
} // namespace syncer
