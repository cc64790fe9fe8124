#include "syncer/exceptions.h"
#include "syncer/plan.h"

#include <functional>
#include <gtest/gtest.h>

namespace syncer {
namespace {

using namespace std::chrono_literals;

const kombo::Timestamp now = *kombo::parse_timestamp("2026-03-01T12:00:00Z");

Endpoint endpoint(const char *path, size_t table, std::vector<EndpointModel> models) {
    Endpoint made;
    made.path = path;
    made.category = "HR";
    made.table = table;
    made.models = std::move(models);
    return made;
}

/// Employees imply employments and balances and carry groups, whose renaming none of their deltas shows.
Catalogue catalogue() {
    Catalogue made;
    made.endpoints = {
        endpoint("/balances", 2, {{"balances", Role::Own, true}}),
        endpoint("/employees", 0,
                 {{"employees", Role::Own, true},
                  {"join_employees_groups", Role::Own, true},
                  {"employments", Role::Implied, true},
                  {"balances", Role::Implied, true},
                  {"places", Role::Carried, true},
                  {"groups", Role::Carried, false},
                  {"scales", Role::Carried, false}}),
        endpoint("/employments", 1, {{"employments", Role::Own, true}}),
        endpoint("/old-groups", 3, {{"groups", Role::Own, true}}),
        endpoint("/groups", 3, {{"groups", Role::Own, true}}),
        endpoint("/places", 4, {{"places", Role::Own, true}}),
        endpoint("/skills", 5, {{"skills", Role::Own, false}, {"scales", Role::Carried, false}}),
        endpoint("/staffing", 6,
                 {{"staffing", Role::Own, true}, {"groups", Role::Carried, true}, {"scales", Role::Carried, false}}),
        endpoint("/jobs", 7, {{"jobs", Role::Own, true}}),
    };
    made.endpoints[3].deprecated = true;
    made.endpoints[6].incremental = false;
    made.endpoints[8].category = "AT";
    return made;
}

/// All is subscribed but the deprecated list, and was synced an hour ago.
States states() {
    States made;
    for (const Endpoint &one : catalogue().endpoints) {
        EndpointState state;
        state.subscription.enabled = !one.deprecated;
        state.watermark = now - 1h;
        state.last_full_at = now - 24h * 3;
        if (one.category == "HR") made[one.path] = state;
    }
    return made;
}

void unsubscribe(States &states, std::initializer_list<const char *> paths) {
    for (const char *path : paths) states[path].subscription.enabled = false;
}

std::string told(const Plan &plan) {
    std::string text;
    for (const Task &task : plan.tasks) {
        text += (text.empty() ? "" : " ") + task.endpoint->path + ":" + name(task.kind);
        if (task.updated_after.has_value() != (task.kind == Kind::Delta)) text += "(updated_after?)";
    }
    for (const std::string &model : plan.ignored) text += " ignored:" + model;
    return text;
}

struct Case {
    const char *name;
    FetchRequest request;
    const char *expected;
    std::function<void(States &)> given = [](States &) {};
};

void check(const std::vector<Case> &cases) {
    const Catalogue all = catalogue();
    for (const Case &c : cases) {
        States given = states();
        c.given(given);
        EXPECT_EQ(told(plan(all, "HR", given, c.request, now, 1h)), c.expected) << c.name;
    }
}

FetchRequest delta(std::optional<std::vector<std::string>> what = std::nullopt) {
    return {Kind::Delta, std::move(what)};
}
FetchRequest full(std::optional<std::vector<std::string>> what = std::nullopt) {
    return {Kind::Full, std::move(what)};
}

TEST(Plan, of_everything) {
    check({
        {"a full runs every subscribed endpoint, those that imply others first", full(),
         "/employees:full /balances:full /employments:full /groups:full /places:full /skills:full /staffing:full"},
        {"a delta leaves out what is implied; what takes no updated_after is read in full", delta(),
         "/employees:delta /groups:delta /places:delta /skills:full /staffing:delta"},
        {"an implied endpoint without a watermark is not left out", delta(),
         "/employees:delta /employments:full /groups:delta /places:delta /skills:full /staffing:delta",
         [](States &s) { s["/employments"].watermark.reset(); }},
        {"nor one that is behind the endpoint that implies it", delta(),
         "/employees:delta /balances:delta /groups:delta /places:delta /skills:full /staffing:delta",
         [](States &s) { s["/balances"].watermark = now - 1h - 1us; }},
        {"nor one that failed", delta(),
         "/employees:delta /balances:delta /groups:delta /places:delta /skills:full /staffing:delta",
         [](States &s) { s["/balances"].failed = true; }},
        {"one that is ahead of it is", delta(),
         "/employees:delta /groups:delta /places:delta /skills:full /staffing:delta",
         [](States &s) { s["/balances"].watermark = now; }},
        {"a full of the implying endpoint vouches for any watermark", delta(),
         "/employees:full /groups:delta /places:delta /skills:full /staffing:delta",
         [](States &s) {
             s["/employees"].watermark.reset();
             s["/balances"].watermark = now - 24h * 400;
         }},
        {"what nothing subscribed implies is not left out", delta(),
         "/balances:delta /employments:delta /groups:delta /places:delta /skills:full /staffing:delta",
         [](States &s) { unsubscribe(s, {"/employees"}); }},
        {"a watermark of 13 days serves, of 14 does not, and without one a delta is a full", delta(),
         "/employees:delta /groups:full /places:full /skills:full /staffing:delta",
         [](States &s) {
             s["/staffing"].watermark = now - 24h * 13;
             s["/groups"].watermark = now - 24h * 14;
             s["/places"].watermark.reset();
         }},
        {"a list that Kombo did not offer is read in full, as others wrote its rows", delta(),
         "/employees:delta /groups:full /places:delta /skills:full /staffing:delta",
         [](States &s) { s["/groups"].unavailable = true; }},
        {"nothing subscribed is no task", delta(), "",
         [](States &s) {
             for (auto &[path, state] : s) state.subscription.enabled = false;
         }},
        {"an empty list asks for nothing", full(std::vector<std::string>{}), ""},
    });
}

TEST(Plan, of_changed_models) {
    check({
        {"a model asks for its own endpoint alone", delta({{"groups"}}), "/groups:delta"},
        {"also where another endpoint implies it", delta({{"employments"}}), "/employments:delta"},
        {"what is asked for anyway implies it", delta({{"employments", "employees"}}), "/employees:delta"},
        {"whatever the order", delta({{"employees", "balances", "employments"}}), "/employees:delta"},
        {"a path implies, too", delta({{"balances", "/employees"}}), "/employees:delta"},
        {"a path that is named is not left out", delta({{"/balances", "employees"}}),
         "/employees:delta /balances:delta"},
        {"carrying is not implying", delta({{"employees", "groups", "places"}}),
         "/employees:delta /groups:delta /places:delta"},
        {"a join is its parent's", delta({{"join_employees_groups"}}), "/employees:delta"},
        {"names that are repeated count once", delta({{"groups", "groups", "/groups"}}), "/groups:delta"},
        {"a full of a model is a full of its own endpoint", full({{"groups", "employments"}}),
         "/employments:full /groups:full"},
        {"a list without updated_after is read in full", delta({{"skills"}}), "/skills:full"},
        {"the first delta is a full", delta({{"groups"}}), "/groups:full",
         [](States &s) { s["/groups"].watermark.reset(); }},
    });
}

TEST(Plan, of_models_whose_own_endpoint_is_not_subscribed) {
    const auto no_groups = [](States &s) { unsubscribe(s, {"/groups"}); };
    const auto employees_only = [](States &s) {
        for (auto &[path, state] : s) state.subscription.enabled = path == "/employees";
    };
    check({
        {"the carriers whose delta shows it serve", delta({{"groups"}}), "/staffing:delta", no_groups},
        {"an implying endpoint serves", delta({{"employments"}}), "/employees:delta",
         [](States &s) { unsubscribe(s, {"/employments"}); }},
        {"where no delta shows it the carrier is read in full", delta({{"groups"}}), "/employees:full", employees_only},
        {"once an hour", delta({{"groups"}}), "/employees:delta",
         [&](States &s) {
             employees_only(s);
             s["/employees"].last_full_at = now - 1h + 1us;
         }},
        {"and not less", delta({{"groups"}}), "/employees:full",
         [&](States &s) {
             employees_only(s);
             s["/employees"].last_full_at = now - 1h;
         }},
        {"and if it never was", delta({{"groups"}}), "/employees:full",
         [&](States &s) {
             employees_only(s);
             s["/employees"].last_full_at.reset();
         }},
        {"a carrier is read in full though another model asks for its delta", delta({{"groups", "employees"}}),
         "/employees:full", employees_only},
        {"a carrier that is asked for anyway implies what it does", delta({{"employments", "groups"}}),
         "/employees:full",
         [](States &s) {
             unsubscribe(s, {"/groups", "/staffing"});
         }},
        {"a model that never has an endpoint of its own goes by all its carriers", delta({{"scales"}}),
         "/employees:full /skills:full /staffing:full"},
        {"by those that are subscribed", delta({{"scales"}}), "/staffing:full",
         [](States &s) {
             unsubscribe(s, {"/employees", "/skills"});
         }},
        {"what nothing subscribed carries is ignored", delta({{"skills", "places"}}), "/employees:delta ignored:skills",
         [](States &s) {
             unsubscribe(s, {"/skills", "/places"});
         }},
        {"the deprecated twin serves where it alone is subscribed", delta({{"groups"}}), "/old-groups:delta",
         [](States &s) {
             unsubscribe(s, {"/groups"});
             s["/old-groups"].subscription.enabled = true;
         }},
        {"and is left alone where both are", delta({{"groups"}}), "/groups:delta",
         [](States &s) { s["/old-groups"].subscription.enabled = true; }},
    });
}

TEST(Plan, of_named_endpoints) {
    check({
        {"a path may be named though it is off by default", delta({{"/old-groups"}}), "/old-groups:delta"},
        {"a full", full({{"/groups", "/places"}}), "/groups:full /places:full"},
        {"the catalogue's order counts, those that imply others first",
         delta({{"/staffing", "/balances", "/employees"}}), "/employees:delta /balances:delta /staffing:delta"},
    });
}

TEST(Plan, what_another_endpoint_is_left_out_for_is_fetched_itself) {
    Catalogue chain;
    chain.endpoints = {
        endpoint("/a", 0, {{"a", Role::Own, true}}),
        endpoint("/b", 1, {{"b", Role::Own, true}, {"a", Role::Implied, true}}),
        endpoint("/c", 2, {{"c", Role::Own, true}, {"b", Role::Implied, true}}),
    };
    States given;
    for (const Endpoint &one : chain.endpoints) given[one.path].watermark = now - 1h;
    EXPECT_EQ(told(plan(chain, "HR", given, delta({{"a", "b", "c"}}), now, 1h)), "/b:delta /c:delta");
    EXPECT_EQ(told(plan(chain, "HR", given, delta(), now, 1h)), "/b:delta /c:delta");
}

TEST(Plan, endpoints_that_imply_each_other_are_not_both_left_out) {
    Catalogue circle;
    circle.endpoints = {endpoint("/a", 0, {{"a", Role::Own, true}, {"b", Role::Implied, true}}),
                        endpoint("/b", 1, {{"b", Role::Own, true}, {"a", Role::Implied, true}})};
    States given;
    for (const Endpoint &one : circle.endpoints) given[one.path].watermark = now - 1h;
    EXPECT_EQ(plan(circle, "HR", given, delta(), now, 1h).tasks.size(), 1U);
    EXPECT_FALSE(plan(circle, "HR", given, delta({{"a", "b"}}), now, 1h).tasks.empty());
}

TEST(Plan, a_delta_asks_from_the_watermark_and_knows_whose_watermarks_it_may_advance) {
    const Catalogue all = catalogue();
    const Plan made = plan(all, "HR", states(), delta({{"employees", "places"}}), now, 1h);
    ASSERT_EQ(told(made), "/employees:delta /places:delta");
    EXPECT_EQ(made.tasks[0].updated_after, now - 1h);
    ASSERT_EQ(made.tasks[0].implied.size(), 2U);
    EXPECT_EQ(made.tasks[0].implied[0]->path, "/balances");
    EXPECT_EQ(made.tasks[0].implied[1]->path, "/employments");
    EXPECT_TRUE(made.tasks[1].implied.empty());
}

std::optional<InvalidRequest> refusal(const std::vector<std::string> &what, const States &given) {
    const Catalogue all = catalogue();
    try {
        plan(all, "HR", given, {Kind::Delta, what}, now, 1h);
    } catch (const InvalidRequest &error) {
        return error;
    }
    return std::nullopt;
}

TEST(Plan, an_unknown_name_is_refused_with_all_the_valid_ones) {
    for (const char *unknown :
         {"", "employee", "Employees", "employees ", "/employees/", "/jobs", "jobs", "/Employees"}) {
        const auto error = refusal({"groups", unknown}, states());
        ASSERT_TRUE(error) << unknown;
        EXPECT_EQ(error->sqlstate, "22023") << unknown;
        EXPECT_NE(std::string(error->what()).find('"' + std::string(unknown) + '"'), std::string::npos)
            << error->what();
        EXPECT_EQ(error->hint,
                  "Valid names are: /balances, /employees, /employments, /groups, /old-groups, /places, /skills, "
                  "/staffing, balances, employees, employments, groups, join_employees_groups, places, scales, skills, "
                  "staffing.");
    }
}

TEST(Plan, an_endpoint_that_the_operator_switched_off_is_refused_when_it_is_named) {
    States given = states();
    given["/groups"].subscription = {false, true, OnMissing::Mark, std::nullopt};
    const auto error = refusal({"/groups"}, given);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->sqlstate, "55000");
    EXPECT_NE(std::string(error->what()).find("\"/groups\""), std::string::npos) << error->what();
    EXPECT_FALSE(refusal({"groups"}, given)) << "its model goes by the carriers";
}

TEST(Plan, a_model_whose_list_kombo_does_not_offer_is_asked_for_in_its_carriers_too) {
    const auto unavailable = [](States &s) { s["/places"].unavailable = true; };
    check({
        {"with its list, in case Kombo does by now", delta({{"places"}}), "/employees:delta /places:full", unavailable},
        {"one that nothing else carries is asked for alone", delta({{"skills"}}), "/skills:full",
         [](States &s) { s["/skills"].unavailable = true; }},
    });
}

/// A model whose own list it is, and of which no delta of that list tells.
TEST(Plan, a_model_that_no_delta_of_its_own_list_shows_is_read_in_full_as_often_as_is_allowed) {
    Catalogue all = catalogue();
    all.endpoints[1].models.push_back({"badges", Role::Own, false});
    States given = states();
    EXPECT_EQ(told(plan(all, "HR", given, delta({{"badges"}}), now, 1h)), "/employees:full");
    EXPECT_EQ(told(plan(all, "HR", given, delta({{"badges", "employees"}}), now, 1h)), "/employees:full");
    EXPECT_EQ(told(plan(all, "HR", given, delta({{"employees"}}), now, 1h)), "/employees:delta");
    given["/employees"].last_full_at = now - 59min;
    EXPECT_EQ(told(plan(all, "HR", given, delta({{"badges"}}), now, 1h)), "/employees:delta");
}

TEST(Dependents, are_joins_owned_lists_and_linked_lists_without_another_writer) {
    Catalogue all = catalogue();
    Endpoint &staffing = all.endpoints[7];
    staffing.nested = {
        {"links.tags", Relation::Join, 10, "link_id"},   {"links", Relation::Owned, 11, "staffing_id"},
        {"people", Relation::Linked, 12, "staffing_id"}, {"people.tags", Relation::Join, 13, "person_id"},
        {"groups", Relation::Linked, 3, "staffing_id"},  {"place", Relation::Linked, 4, ""}};
    const auto told_dependents = [&] {
        std::string text;
        for (const Nested *nested : dependents(all, states(), staffing)) text += nested->json_path + " ";
        return text;
    };
    EXPECT_EQ(told_dependents(), "links people links.tags people.tags ");
    all.endpoints[1].nested = {{"tags", Relation::Join, 13, "person_id"}};
    EXPECT_EQ(told_dependents(), "links people links.tags ") << "the other list joins them itself";
    EXPECT_EQ(staffing.parent_table(staffing.nested[0]), 11U);
    EXPECT_EQ(staffing.parent_table(staffing.nested[1]), 6U);
}

TEST(HasWriter, counts_lists_of_a_tables_own_and_those_that_own_it) {
    Catalogue all = catalogue();
    all.endpoints[1].nested = {{"employments", Relation::Owned, 1, "employee_id"}, {"place", Relation::Linked, 4, ""}};
    States given = states();
    unsubscribe(given, {"/employments", "/places"});
    EXPECT_FALSE(own_list_delivers(all, given, 1));
    EXPECT_TRUE(has_writer(all, given, 1)) << "owned by the employees";
    EXPECT_FALSE(has_writer(all, given, 4)) << "linked by the employees";
    given["/employees"].unavailable = true;
    EXPECT_FALSE(has_writer(all, given, 1)) << "Kombo does not offer the list that owns it";
    given["/employments"].subscription.enabled = true;
    EXPECT_TRUE(has_writer(all, given, 1));
}

TEST(OwnListDelivers, counts_deprecated_twins_and_nothing_that_is_off_or_unavailable) {
    const Catalogue all = catalogue();
    States given = states();
    EXPECT_TRUE(own_list_delivers(all, given, 3));
    unsubscribe(given, {"/groups"});
    EXPECT_FALSE(own_list_delivers(all, given, 3));
    given["/old-groups"].subscription.enabled = true;
    EXPECT_TRUE(own_list_delivers(all, given, 3));
    given["/old-groups"].unavailable = true;
    EXPECT_FALSE(own_list_delivers(all, given, 3));
    EXPECT_FALSE(own_list_delivers(all, given, 7)) << "another category's";
    EXPECT_FALSE(own_list_delivers(all, given, 99)) << "no endpoint's";
}

} // namespace
} // namespace syncer
