#include "driven_run.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>

namespace syncer {
namespace {

/// What ends a full fetch, in one transaction and in several.
class Sweeping : public testing::TestWithParam<Durability> {};

INSTANTIATE_TEST_SUITE_P(Runs, Sweeping, testing::Values(Durability::AtOnce, Durability::PageByPage),
                         [](const auto &given) {
                             return given.param == Durability::AtOnce ? "at_once" : "page_by_page";
                         });

/// Kombo, as far as ids=… goes.
struct Kombo {
    std::set<std::string> knows;
    int refusal = 0; ///< status of the answer to a request that has an unknown id; 0: it is just left out
    std::string code = "PLATFORM.SAID_NO";
    std::vector<size_t> asked;
    std::vector<std::string> requests;

    /// The list itself is empty.
    kombo::Answer operator()(const std::string &request) {
        if (request.find("ids=") == std::string::npos) return page_answer("");
        requests.push_back(request);
        const size_t begin = request.find("ids=") + 4;
        std::string list = request.substr(begin, request.find_first_of("& ", begin) - begin);
        std::string records;
        bool unknown = false;
        size_t count = 0;
        for (size_t from = 0; from <= list.size(); ++count) {
            const size_t comma = std::min(list.find("%2C", from), list.size());
            const std::string id = list.substr(from, comma - from);
            from = comma + 3;
            unknown |= knows.count(id) == 0;
            if (knows.count(id) > 0) records += (records.empty() ? "" : ",") + (R"({"id":")" + id + "\"}");
        }
        asked.push_back(count);
        if (unknown && refusal != 0) return error_answer(refusal, code);
        return page_answer(records);
    }
};

struct Sweep {
    RunResult result;
    bool went_through = false;
    Kombo kombo;
};

Sweep sweep(People &people, Durability durability, Kombo kombo = {}) {
    Sweep done;
    done.kombo = std::move(kombo);
    const kombo::FaultServer server([&](const std::string &request, size_t) { return done.kombo(request); });
    Driven driven(people, server, durability);
    driven.finish();
    done.result = driven.run.result();
    done.went_through = done.result.status == Status::Ok;
    return done;
}

Ids missing_ids(size_t count) {
    Ids ids;
    for (size_t n = 0; n < count; ++n) ids.push_back("p" + std::to_string(n));
    return ids;
}

TEST_P(Sweeping, the_fuse) {
    struct Case {
        int64_t live;
        size_t gone;
        bool passes;
        double fraction = 0.5;
        bool accepted = false;
    };
    const Case cases[] = {
        {11, 11, false},
        {20, 20, false},
        {21, 11, false},
        {21, 21, false},
        {100, 51, false},
        {100, 100, false},
        {100, 100, false, 1.0},
        {21, 1, false, 0.0},
        {10, 10, true},
        {1, 1, true},
        {11, 10, true},
        {20, 19, true},
        {21, 10, true},
        {100, 50, true},
        {100, 99, true, 1.0},
        {20, 1, true, 0.0},
        {0, 0, true},
        {100, 0, true, 0.0},
        {11, 11, true, 0.5, true},
        {100, 100, true, 0.5, true},
        {1000, 300, true},
    };
    for (const Case &c : cases) {
        People run;
        run.store.live = c.live;
        run.store.gone = missing_ids(c.gone);
        run.settings.max_sweep_fraction = c.fraction;
        run.state().accept_sweep = c.accepted;
        const Sweep done = sweep(run, GetParam());
        const std::string name = std::to_string(c.gone) + " of " + std::to_string(c.live) + ", fraction " +
                                 std::to_string(c.fraction) + (c.accepted ? ", accepted" : "");
        EXPECT_EQ(done.went_through, c.passes) << name;
        EXPECT_EQ(run.store.removed.size(), c.passes ? c.gone : 0) << name;
        EXPECT_EQ(run.store.orphan_sweeps, c.passes ? Ids({"jobs ", "teams ", "skills "}) : Ids()) << name;
        EXPECT_EQ(done.result.error.empty(), c.passes) << name << ": " << done.result.error;
        EXPECT_EQ(done.result.status, c.passes ? Status::Ok : Status::Held) << name;
        if (!c.passes) {
            EXPECT_TRUE(done.kombo.asked.empty()) << name;
            EXPECT_NE(done.result.error.find(std::to_string(c.gone) + " of " + std::to_string(c.live)),
                      std::string::npos)
                << done.result.error;
        }
    }
}

TEST_P(Sweeping, asks_once_more_and_believes_the_answer) {
    for (const int refusal : {0, 400, 404}) {
        struct Case {
            const char *name;
            size_t missing;
            std::set<std::string> known;
        };
        const Case cases[] = {
            {"one that is gone", 1, {}},
            {"one that is there", 1, {"p0"}},
            {"all there", 7, {"p0", "p1", "p2", "p3", "p4", "p5", "p6"}},
            {"some, more than fit a request", 230, {"p0", "p99", "p100", "p101", "p229"}},
            {"none of more than fit a request", 101, {}},
        };
        for (const Case &c : cases) {
            People run;
            run.store.live = 1000;
            run.store.gone = missing_ids(c.missing);
            Kombo kombo;
            kombo.knows = c.known;
            kombo.refusal = refusal;
            const Sweep done = sweep(run, GetParam(), kombo);
            EXPECT_TRUE(done.went_through);
            Ids gone;
            for (const std::string &id : missing_ids(c.missing))
                if (c.known.count(id) == 0) gone.push_back(id);
            EXPECT_EQ(run.store.removed, gone) << c.name << ", refusal " << refusal;
            std::sort(run.store.stored.begin(), run.store.stored.end());
            EXPECT_EQ(run.store.stored, Ids(c.known.begin(), c.known.end())) << c.name << ": what came is written";
            EXPECT_EQ(done.result.received, 0) << c.name << ": only the endpoint's own list counts";
            for (const size_t ids : done.kombo.asked) EXPECT_LE(ids, 100U) << c.name;
            for (const std::string &request : done.kombo.requests)
                EXPECT_NE(request.find("include_deleted=true"), std::string::npos) << request;
            EXPECT_LE(done.kombo.asked.size(), refusal == 0 ? (c.missing + 99) / 100 : 2 * c.missing) << c.name;
        }
    }
}

TEST_P(Sweeping, any_other_refusal_fails_the_endpoint_and_removes_nothing) {
    for (const int refusal : {401, 403, 409, 422, 429, 500}) {
        People run;
        run.store.live = 100;
        run.store.gone = missing_ids(3);
        Kombo kombo;
        kombo.refusal = refusal;
        EXPECT_THROW(sweep(run, GetParam(), kombo), kombo::ApiError) << refusal;
        EXPECT_TRUE(run.store.removed.empty()) << refusal;
    }
}

TEST_P(Sweeping, a_refusal_that_is_not_about_the_ids_is_no_answer_about_them) {
    struct Refusing {
        int status;
        const char *code;
    };
    for (const Refusing &c :
         {Refusing{400, "INTEGRATION.MODEL_DISABLED"}, Refusing{404, "INTEGRATION.SETUP_INCOMPLETE"},
          Refusing{400, "PLATFORM.UNKNOWN_ERROR"}, Refusing{404, "PLATFORM.INTEGRATION_NOT_FOUND"},
          Refusing{400, "INTEGRATION.PERMISSION_MISSING"}, Refusing{404, "PLATFORM.AUTHENTICATION_INVALID"}}) {
        People run;
        run.store.live = 100;
        run.store.gone = missing_ids(1);
        Kombo kombo;
        kombo.refusal = c.status;
        kombo.code = c.code;
        EXPECT_THROW(sweep(run, GetParam(), kombo), kombo::ApiError) << c.code;
        EXPECT_TRUE(run.store.removed.empty()) << c.code;
    }
}

TEST_P(Sweeping, what_comes_back_in_several_pages_is_not_missing) {
    People run;
    run.store.live = 100;
    run.store.gone = missing_ids(3);
    const kombo::FaultServer server([&](const std::string &request, size_t) {
        if (request.find("ids=") == std::string::npos) return page_answer("");
        return request.find("cursor=") == std::string::npos ? page_answer(R"({"id":"p0"})", "more")
                                                            : page_answer(R"({"id":"p2"})");
    });
    Driven driven(run, server, GetParam());
    driven.finish();
    EXPECT_EQ(run.store.removed, Ids{"p1"});
    EXPECT_EQ(run.store.stored, (Ids{"p0", "p2"}));
    EXPECT_EQ(driven.run.result().pages, 1) << "only the endpoint's own list counts";
}

TEST_P(Sweeping, what_was_written_meanwhile_stays) {
    People run;
    run.store.live = 100;
    run.store.gone = missing_ids(3);
    run.store.touched = {"p1"};
    sweep(run, GetParam());
    EXPECT_EQ(run.store.removed, (Ids{"p0", "p2"}));
}

TEST_P(Sweeping, a_record_that_comes_back_and_is_refused_is_not_missing) {
    People run;
    run.store.live = 100;
    run.store.gone = missing_ids(2);
    run.store.bad = {"p1"};
    Kombo kombo;
    kombo.knows = {"p1"};
    sweep(run, GetParam(), kombo);
    EXPECT_EQ(run.store.removed, Ids{"p0"});
    EXPECT_EQ(run.store.parked.size(), 1U);
}

TEST_P(Sweeping, goes_in_steps_that_may_be_rolled_back) {
    const auto outcome = [&](size_t steps, bool failures) {
        People run;
        run.store.live = 10'000;
        run.store.gone = missing_ids(2500);
        run.store.touched = {"p7", "p1999"};
        run.store.steps = steps;
        run.state().subscription.purge_after_micros = 1;
        const kombo::FaultServer server(list({R"({"id":"a"})"}));
        Driven driven(run, server, GetParam());
        int count = 0;
        for (; driven.run.phase() != Run::Phase::Ended; ++count) {
            driven.arrive();
            const auto refused = [&] {
                driven.run.step();
                throw Refusal("55P03");
            };
            if (failures) {
                EXPECT_THROW(run.store.in_subtransaction(refused), Refusal);
            }
            driven.step();
        }
        EXPECT_GE(count, static_cast<int>(3 + 2 * steps)) << "a page, the search, three thousands, the lists";
        std::sort(run.store.removed.begin(), run.store.removed.end());
        EXPECT_EQ(run.store.removed.size(), 2498U);
        EXPECT_EQ(driven.run.result().counts.at(Invented::People).deleted, 2498);
        EXPECT_EQ(driven.run.result().counts.at(Invented::Jobs).deleted, static_cast<int64_t>(steps));
        return run.store.removed;
    };
    const Ids removed = outcome(1, false);
    for (const size_t steps : {1, 2, 3, 7}) {
        EXPECT_EQ(outcome(steps, false), removed) << steps;
        if (GetParam() == Durability::PageByPage) { // nobody repeats a step of a call that commits at once
            EXPECT_EQ(outcome(steps, true), removed) << steps;
        }
    }
}

TEST(Sweep, that_is_interrupted_after_any_step_begins_anew_and_forgets_no_count) {
    for (int interrupted_after = 1; interrupted_after < 40; ++interrupted_after) {
        People run;
        run.store.live = 10'000;
        run.store.gone = missing_ids(2500);
        run.store.steps = 3;
        const kombo::FaultServer server(list({R"({"id":"a"})"}));
        {
            Driven driven(run, server);
            for (int step = 0; step < interrupted_after && driven.run.phase() != Run::Phase::Ended; ++step)
                driven.step();
            if (driven.run.phase() == Run::Phase::Ended) break;
        }
        run.store.gone.erase(std::remove_if(run.store.gone.begin(), run.store.gone.end(),
                                            [&](const std::string &id) {
                                                return std::count(run.store.removed.begin(), run.store.removed.end(),
                                                                  id) > 0;
                                            }),
                             run.store.gone.end());
        Driven driven(run, server);
        driven.finish();
        EXPECT_EQ(run.store.removed.size(), 2500U) << interrupted_after;
        EXPECT_EQ(driven.run.result().counts.at(Invented::People).deleted, 2500) << interrupted_after;
    }
}

TEST_P(Sweeping, compares_with_all_that_came_since_the_fetch_began) {
    People run;
    run.store.live = 100;
    run.store.steps = 2;
    run.store.asked_for = {"a", "b", "c", "d"};
    const kombo::FaultServer server(list({R"({"id":"a"},{"id":"c"})", R"({"id":"b"})"}));
    const auto before = kombo::current_timestamp();
    Driven driven(run, server, GetParam());
    driven.finish();
    EXPECT_EQ(run.store.came, (std::vector<bool>{true, true, true, false}));
    EXPECT_GE(*run.store.since, before);
    EXPECT_EQ(run.store.searched, (Ids{"", "1"}));
}

TEST_P(Sweeping, keep_judges_and_removes_nothing) {
    People run;
    run.state().subscription.on_missing = OnMissing::Keep;
    run.store.live = 11;
    run.store.gone = missing_ids(11);
    const Sweep done = sweep(run, GetParam());
    EXPECT_TRUE(done.went_through);
    EXPECT_TRUE(done.kombo.asked.empty());
    EXPECT_TRUE(run.store.removed.empty());
}

TEST_P(Sweeping, removes_what_came_linked_once_nothing_names_it) {
    People run;
    run.store.steps = 2;
    sweep(run, GetParam());
    const std::string teams = std::to_string(Invented::Teams);
    const std::string skills = std::to_string(Invented::Skills);
    const std::string scales = std::to_string(Invented::Scales);
    EXPECT_EQ(run.store.link_sweeps,
              Ids({teams + " team_id mark", teams + " 1team_id mark", skills + " skill_id mark",
                   skills + " 1skill_id mark", scales + " scale_id mark", scales + " 1scale_id mark"}))
        << "what is linked by a record after the record itself; of places no link is known";

    People by_its_own;
    by_its_own.state().subscription.on_missing = OnMissing::Delete;
    sweep(by_its_own, GetParam());
    EXPECT_EQ(by_its_own.store.link_sweeps.front(), teams + " team_id delete") << "there is no list to say otherwise";

    People with_lists;
    Endpoint list = with_lists.invented.people();
    list.path = "/teams";
    list.table = Invented::Teams;
    list.nested.clear();
    with_lists.invented.catalogue.endpoints.push_back(list);
    with_lists.states["/teams"];
    sweep(with_lists, GetParam());
    EXPECT_EQ(with_lists.store.link_sweeps.front(), skills + " skill_id mark") << "teams have a list that sweeps them";
    with_lists.states["/teams"].subscription.enabled = false;
    with_lists.states["/teams"].subscription.on_missing = OnMissing::Keep;
    with_lists.store.link_sweeps.clear();
    sweep(with_lists, GetParam());
    EXPECT_EQ(with_lists.store.link_sweeps.front(), skills + " skill_id mark") << "and these it would keep";
}

TEST_P(Sweeping, deletes_tombstones_that_are_older_than_the_subscription_keeps) {
    People keeps;
    sweep(keeps, GetParam());
    EXPECT_FALSE(keeps.store.purged_before);
    for (const bool held : {false, true}) {
        People run;
        run.store.steps = 2;
        run.store.live = 12;
        if (held) run.store.gone = missing_ids(12);
        run.state().subscription.purge_after_micros = std::chrono::microseconds(std::chrono::hours(24)).count();
        EXPECT_EQ(sweep(run, GetParam()).result.status, held ? Status::Held : Status::Ok);
        ASSERT_TRUE(run.store.purged_before);
        EXPECT_LE(*run.store.purged_before, kombo::current_timestamp() - std::chrono::hours(24));
        EXPECT_EQ(run.store.purges, Ids({"", "1"})) << "each step goes on where the one before ended";
    }
}

TEST_P(Sweeping, removes_as_the_subscription_says) {
    for (const OnMissing how : {OnMissing::Mark, OnMissing::Delete}) {
        People run;
        run.state().subscription.on_missing = how;
        run.store.live = 100;
        run.store.gone = {"p0"};
        Sweep done = sweep(run, GetParam());
        EXPECT_EQ(run.store.how, how);
        EXPECT_EQ(done.result.counts[Invented::People].deleted, 1);
    }
}

} // namespace
} // namespace syncer
