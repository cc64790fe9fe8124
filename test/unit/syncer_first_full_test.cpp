#include "syncer/plan.h"

#include <gtest/gtest.h>

namespace syncer {
namespace {

using namespace std::chrono_literals;

const kombo::Timestamp now = *kombo::parse_timestamp("2026-03-01T12:00:00Z");
const kombo::Timestamp begun = now - 2h; ///< when the open full fetch began

/// People imply jobs; the first full fetch of people is under way.
struct Given {
    Given() {
        for (const char *path : {"/people", "/jobs", "/places", "/skills"}) {
            Endpoint endpoint;
            endpoint.path = path;
            endpoint.category = "HR";
            endpoint.table = catalogue.endpoints.size();
            endpoint.models = {{path + 1, Role::Own, true}};
            catalogue.endpoints.push_back(endpoint);
            states[path].watermark = now - 1h;
        }
        catalogue.endpoints[0].models.push_back({"jobs", Role::Implied, true});
        catalogue.endpoints[3].incremental = false;
        people().watermark.reset();
        people().open_full = OpenFull{begun + 1min, begun, "page_size=250", "c1", now - 1min, "{}"};
    }

    EndpointState &people() { return states["/people"]; }
    EndpointState &jobs() { return states["/jobs"]; }
    void let_it_go_stale() { people().open_full->cursor_at = now - 1h; }

    const Endpoint &endpoint(const char *path) const { return *catalogue.find(path); }
    Task task(const char *path, Kind kind = Kind::Delta) const {
        return task_for(catalogue, states, endpoint(path), kind, now);
    }
    bool people_vouch_for(const char *path) const {
        return vouched_for(states, endpoint(path), endpoint("/people"), now);
    }

    Catalogue catalogue;
    States states;
};

TEST(FirstFull, deltas_ask_from_its_start_as_long_as_it_lives) {
    Given given;
    EXPECT_EQ(given.people().delta_from(now), begun);
    EXPECT_EQ(given.task("/people").kind, Kind::Delta);
    EXPECT_EQ(given.task("/people").updated_after, begun);
    given.let_it_go_stale();
    EXPECT_EQ(given.people().delta_from(now), std::nullopt);
    EXPECT_EQ(given.task("/people").kind, Kind::Full);
    EXPECT_EQ(given.task("/people").updated_after, std::nullopt);
    given.people().open_full.reset();
    EXPECT_EQ(given.task("/people").kind, Kind::Full);
}

TEST(FirstFull, of_long_ago_serves_no_delta) {
    Given given;
    given.people().open_full->watermark = now - 24h * 14;
    EXPECT_EQ(given.task("/people").kind, Kind::Full);
}

TEST(FirstFull, a_later_one_changes_nothing_for_deltas) {
    Given given;
    given.people().watermark = now - 3h;
    EXPECT_EQ(given.task("/people").updated_after, now - 3h);
    given.people().watermark = now - 24h * 14;
    EXPECT_EQ(given.task("/people").kind, Kind::Full) << "what changed before the open one began would be missed";
}

TEST(FirstFull, who_asks_for_a_full_gets_one_and_what_has_no_deltas_is_read_in_full) {
    Given given;
    EXPECT_EQ(given.task("/people", Kind::Full).kind, Kind::Full);
    EXPECT_EQ(given.task("/people", Kind::Full).updated_after, std::nullopt);
    given.states["/skills"].watermark.reset();
    given.states["/skills"].open_full = given.people().open_full;
    EXPECT_EQ(given.task("/skills").kind, Kind::Full);
}

TEST(FirstFull, a_task_knows_what_it_implies) {
    const Given given;
    ASSERT_EQ(given.task("/people").implied.size(), 1U);
    EXPECT_EQ(given.task("/people").implied[0]->path, "/jobs");
    EXPECT_TRUE(given.task("/jobs").implied.empty());
}

TEST(FirstFull, its_deltas_vouch_for_what_is_not_behind_its_start) {
    Given given;
    EXPECT_TRUE(given.people_vouch_for("/jobs"));
    given.jobs().watermark = begun;
    EXPECT_TRUE(given.people_vouch_for("/jobs"));
    given.jobs().watermark = begun - 1us;
    EXPECT_FALSE(given.people_vouch_for("/jobs"));
    given.let_it_go_stale();
    EXPECT_TRUE(given.people_vouch_for("/jobs")) << "people are read in full then";
}

TEST(FirstFull, nobody_vouches_for_what_was_never_complete) {
    Given given;
    given.jobs().watermark.reset();
    EXPECT_FALSE(given.people_vouch_for("/jobs"));
    given.jobs().open_full = given.people().open_full;
    EXPECT_FALSE(given.people_vouch_for("/jobs"));
    EXPECT_FALSE(given.people_vouch_for("/people"));
    EXPECT_FALSE(given.people_vouch_for("/places")) << "people do not imply it";
}

TEST(FirstFull, a_delta_of_everything_leaves_out_what_its_delta_shows) {
    Given given;
    const auto told = [&] {
        std::string text;
        for (const Task &task : plan(given.catalogue, "HR", given.states, {}, now, 1h).tasks)
            text += task.endpoint->path + ":" + name(task.kind) + " ";
        return text;
    };
    EXPECT_EQ(told(), "/people:delta /places:delta /skills:full ");
    given.jobs().watermark = begun - 1us;
    EXPECT_EQ(told(), "/people:delta /jobs:delta /places:delta /skills:full ");
    given.let_it_go_stale();
    EXPECT_EQ(told(), "/people:full /places:delta /skills:full ");
}

} // namespace
} // namespace syncer
