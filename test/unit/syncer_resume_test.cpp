#include "driven_run.h"

#include <gtest/gtest.h>

namespace syncer {
namespace {

using namespace std::chrono_literals;
using Phase = Run::Phase;

const std::vector<std::string> four_pages = {R"({"id":"a"},{"id":"b"})", R"({"id":"c","shoe":43},{"id":"bad"})", "",
                                             R"({"id":"d","shoe":44})"};
const std::string first_request = "/people?page_size=250&include_deleted=true";

/// Two that are gone, and one record that the database refuses.
struct Copied : People {
    Copied() {
        store.stored = {"old", "a", "older"};
        store.live = 100;
        store.looks = true;
        store.bad = {"bad"};
    }
};

void expect_complete(const Driven &driven, const std::string &name) {
    const FakeStore &store = driven.people.store;
    EXPECT_EQ(store.stored, (Ids{"old", "a", "older", "a", "b", "c", "d"})) << name;
    EXPECT_EQ(store.removed, (Ids{"old", "older"})) << name;
    EXPECT_EQ(store.parked.size(), 1U) << name;
    EXPECT_EQ(store.runs, Ids{"/people ok"}) << name;
    EXPECT_FALSE(store.open) << name;
    const RunResult &result = driven.run.result();
    EXPECT_EQ(result.pages, 4) << name;
    EXPECT_EQ(result.received, 5) << name;
    EXPECT_EQ(result.parked, 1) << name;
    EXPECT_EQ(result.counts.at(Invented::People).inserted, 4) << name;
    EXPECT_EQ(result.counts.at(Invented::People).deleted, 2) << name;
    EXPECT_EQ(result.oddities.json(), R"([{"kind": "unknown key", "table": "people", "key": "shoe", "count": 2}])")
        << name;
    const auto date = *kombo::parse_timestamp("2025-12-31T23:59:00Z");
    ASSERT_EQ(store.succeeded_with.size(), 1U) << name;
    EXPECT_LE(store.succeeded_with[0], date) << name << ": the first page's, whatever the later ones say";
    EXPECT_GT(store.succeeded_with[0], date - 20s) << name;
}

TEST(Resume, wherever_a_full_fetch_is_interrupted_it_ends_as_if_it_had_not_been) {
    const int steps = 7; // four pages, the suspects, one confirming page, the end
    size_t bytes = 0;    // in all
    for (int interrupted_after = 0; interrupted_after <= steps; ++interrupted_after) {
        const std::string name = "after step " + std::to_string(interrupted_after);
        bool failed = false;
        const kombo::FaultServer server([&](const std::string &request, size_t) {
            if (request.find("cursor=c1") != std::string::npos && !std::exchange(failed, true))
                return error_answer(503, "A.B");
            return list_answer(four_pages, request);
        });
        Copied people;
        kombo::Timestamp began;
        std::optional<kombo::Timestamp> since;
        {
            Driven driven(people, server);
            for (int step = 0; step < interrupted_after; ++step) driven.step();
            began = driven.run.result().started_at;
            if (interrupted_after == steps) {
                EXPECT_EQ(driven.run.phase(), Phase::Ended);
                expect_complete(driven, "not interrupted");
                EXPECT_EQ(driven.run.result().bytes, bytes);
                continue;
            }
            driven.arrive(); // what has come and is not written is lost
            if (people.store.open) since = people.store.open->started_at;
        }
        const size_t requests = server.requests().size();
        Driven driven(people, server);
        driven.finish();
        expect_complete(driven, name);
        EXPECT_EQ(people.store.since, since.value_or(*people.store.since)) << name << ": later rows are left alone";
        EXPECT_EQ(people.store.unparked_before, driven.run.result().started_at) << name;
        if (interrupted_after == 0) bytes = driven.run.result().bytes;
        EXPECT_EQ(driven.run.result().bytes, bytes) << name;
        EXPECT_EQ(driven.run.result().retries, interrupted_after == 1 ? 0 : 1) << name << ": of what was committed";
        EXPECT_EQ(driven.run.result().started_at == began, interrupted_after > 0) << name;
        const std::string cursor = "&cursor=c" + std::to_string(interrupted_after);
        EXPECT_EQ(asked(server, requests), interrupted_after == 0  ? first_request
                                           : interrupted_after < 4 ? first_request + cursor
                                                                   : first_request + "&ids=old%2Colder")
            << name;
    }
}

TEST(Resume, it_may_be_interrupted_after_every_single_step) {
    const kombo::FaultServer server(list(four_pages));
    Copied people;
    for (int page = 0; page < 4; ++page) Driven(people, server).step();
    EXPECT_EQ(server.requests().size(), 4U) << "no page twice";
    Driven driven(people, server);
    EXPECT_EQ(driven.run.phase(), Phase::Sweeping);
    EXPECT_TRUE(driven.run.ready()) << "without any request";
    EXPECT_FALSE(driven.run.wants_to_send(Clock::now()));
    driven.finish();
    expect_complete(driven, "every step");
}

TEST(Resume, what_does_not_fit_begins_anew) {
    struct Case {
        const char *name;
        void (*change)(People &);
        bool fits = false;
    };
    const Case cases[] = {
        {"nothing", [](People &) {}, true},
        {"a cursor that is nearly an hour old",
         [](People &p) { p.store.open->cursor_at = p.store.open->cursor_at - 59min; }, true},
        {"a cursor that is an hour old", [](People &p) { p.store.open->cursor_at = p.store.open->cursor_at - 1h; }},
        {"the same though all pages are here",
         [](People &p) {
             p.store.open->cursor = "";
             p.store.open->cursor_at = p.store.open->cursor_at - 1h;
         }},
        {"other filters", [](People &p) { p.store.open->query = "page_size=100&include_deleted=true"; }},
        {"an endpoint without filters",
         [](People &p) { p.invented.people().incremental = p.invented.people().paginated = false; }},
        {"progress that cannot be read", [](People &p) { p.store.open->progress = "{"; }},
        {"progress of nothing", [](People &p) { p.store.open->progress = "{}"; }},
        {"a delta", [](People &p) { p.kind = Kind::Delta; }},
    };
    for (const Case &c : cases) {
        const kombo::FaultServer server(list(four_pages));
        Copied people;
        Driven(people, server).step();
        c.change(people);
        Driven driven(people, server);
        driven.step();
        EXPECT_EQ(asked(server, 1).find("cursor=c1") != std::string::npos, c.fits)
            << c.name << ": " << asked(server, 1);
        EXPECT_EQ(driven.run.result().pages, c.fits ? 2 : 1) << c.name;
        EXPECT_EQ(driven.run.result().received, c.fits ? 4 : 2) << c.name;
        EXPECT_EQ(people.store.seen_pages.size(), c.fits ? 2U : 1U) << c.name << ": of the pages of one fetch alone";
    }
}

TEST(Resume, a_call_that_commits_at_once_goes_its_own_way) {
    const kombo::FaultServer server(list(four_pages));
    Copied people;
    Driven(people, server).step();
    Driven driven(people, server, Durability::AtOnce);
    driven.finish();
    EXPECT_EQ(asked(server, 1), first_request);
    EXPECT_EQ(driven.run.result().pages, 4);
    EXPECT_EQ(people.store.removed, (Ids{"old", "older"}));
}

TEST(Resume, one_that_begins_anew_knows_nothing_of_what_the_other_saw) {
    const kombo::FaultServer server([](const std::string &request, size_t index) {
        if (index == 0) return page_answer(R"({"id":"vanishes"})", "c1");
        return list_answer(four_pages, request);
    });
    Copied people;
    Driven(people, server).step();
    people.store.open->query = "";
    Driven driven(people, server);
    driven.finish();
    EXPECT_EQ(people.store.removed, (Ids{"old", "older", "vanishes"}));
}

TEST(Resume, a_cursor_that_is_refused_is_told) {
    const kombo::FaultServer server([](const std::string &request, size_t) {
        if (request.find("cursor=") == std::string::npos) return list_answer(four_pages, request);
        return error_answer(400, "PLATFORM.INPUT_INVALID");
    });
    Copied people;
    Driven(people, server).step();
    Driven driven(people, server);
    EXPECT_THROW(driven.step(), kombo::ApiError);
    EXPECT_TRUE(driven.run.cursor_refused());
    EXPECT_TRUE(people.store.open) << "to forget it is the caller's";
}

TEST(Resume, a_thousand_records_may_be_parked_in_all) {
    std::string records;
    for (int n = 0; n < 250; ++n) records += (n == 0 ? "" : ",") + std::string("{}");
    const kombo::FaultServer server(list({records, records, records, records, records}));
    People people;
    for (size_t page = 1; page <= 4; ++page) {
        Driven(people, server).step();
        EXPECT_EQ(people.store.parked.size(), page * 250);
    }
    Driven driven(people, server);
    EXPECT_THROW(driven.step(), TooManyParked);
    EXPECT_EQ(people.store.parked.size(), 1000U) << "the page is rolled back";
    EXPECT_EQ(driven.run.failed(std::make_exception_ptr(TooManyParked("x"))).started_at,
              driven.run.result().started_at);
}

TEST(Resume, the_fuse_counts_what_all_pages_brought) {
    const kombo::FaultServer server(list({R"({"id":"p0"})", R"({"id":"p1"})"}));
    People people;
    people.store.live = 21;
    people.store.looks = true;
    for (int n = 0; n < 21; ++n) people.store.stored.push_back("p" + std::to_string(n));
    Driven(people, server).step();
    Driven driven(people, server);
    driven.finish();
    EXPECT_EQ(driven.run.result().status, Status::Held);
    EXPECT_NE(driven.run.result().error.find("19 of 21"), std::string::npos) << driven.run.result().error;
    EXPECT_TRUE(people.store.removed.empty());
    EXPECT_EQ(people.store.runs, Ids{"/people held"});
}

} // namespace
} // namespace syncer
