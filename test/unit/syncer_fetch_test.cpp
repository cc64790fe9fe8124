#include "invented_catalogue.h"
#include "refusing_database.h"
#include "syncer/fetch.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>

namespace syncer {
namespace {

using namespace std::chrono_literals;

/// A fetch of /people into a FakeStore.
struct Fetching {
    explicit Fetching(Kind kind = Kind::Full) {
        task.endpoint = &invented.people();
        task.kind = kind;
        states["/people"];
    }

    Fetch &fetch() {
        if (!fetch_) fetch_ = std::make_unique<Fetch>(invented.catalogue, states, task, store, result);
        return *fetch_;
    }

    void take(const std::vector<std::string> &records) { fetch().take({page_of(records), Clock::now()}); }

    EndpointState &state() { return states["/people"]; }

    Invented invented;
    States states;
    Task task;
    FakeStore store;
    RunResult result;

private:
    std::unique_ptr<Fetch> fetch_;
};

std::string person(size_t n) {
    return R"({"id":"p)" + std::to_string(n) + "\"}";
}

std::vector<std::string> people(size_t from, size_t to) {
    std::vector<std::string> records;
    for (size_t n = from; n < to; ++n) records.push_back(person(n));
    return records;
}

TEST(FetchTake, halves_a_refused_page_down_to_the_records_at_fault) {
    struct Case {
        const char *name;
        size_t records;
        std::set<std::string> bad;
        size_t most_attempts;
    };
    const Case cases[] = {
        {"a single record", 1, {"p0"}, 1},
        {"all", 8, {"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"}, 15},
        {"the first of many", 250, {"p0"}, 19},
        {"the last", 250, {"p249"}, 19},
        {"an odd number", 7, {"p3"}, 7},
        {"two neighbours across the middle", 10, {"p4", "p5"}, 17},
        {"none", 250, {}, 1},
    };
    for (const Case &c : cases) {
        Fetching run;
        run.store.bad = c.bad;
        run.take(people(0, c.records));
        std::set<std::string> parked;
        for (const std::string &entry : run.store.parked) {
            const std::string id = entry.substr(0, entry.find(' '));
            EXPECT_EQ(entry, id + " 23514 {\"id\": \"" + id + "\"}") << c.name;
            parked.insert(id);
        }
        EXPECT_EQ(parked, c.bad) << c.name;
        EXPECT_EQ(run.store.parked.size(), c.bad.size()) << c.name << ": each once";
        Ids good;
        for (size_t n = 0; n < c.records; ++n)
            if (const std::string id = "p" + std::to_string(n); c.bad.count(id) == 0) good.push_back(id);
        Ids stored = run.store.stored;
        std::sort(stored.begin(), stored.end());
        Ids sorted = good;
        std::sort(sorted.begin(), sorted.end());
        EXPECT_EQ(stored, sorted) << c.name << ": the rest goes on";
        EXPECT_EQ(run.store.unparked, good) << c.name << ": what is stored is no longer parked";
        EXPECT_LE(run.store.attempts.size(), c.most_attempts) << c.name;
        EXPECT_EQ(run.result.counts[Invented::People].inserted, static_cast<int64_t>(good.size())) << c.name;
        EXPECT_EQ(run.result.received, static_cast<int64_t>(c.records)) << c.name;
        EXPECT_EQ(run.result.parked, static_cast<int64_t>(c.bad.size())) << c.name;
    }
}

TEST(FetchTake, parks_what_a_record_is_to_blame_for_and_lets_everything_else_through) {
    for (const char *state : {"22003", "23505", "44000", "54000", "P0001"}) {
        Fetching run;
        run.store.bad = {"p1"};
        run.store.sqlstate = state;
        run.take(people(0, 3));
        EXPECT_EQ(run.store.parked, Ids{"p1 " + std::string(state) + " {\"id\": \"p1\"}"});
    }
    for (const char *state : {"57014", "40P01", "42501", "53100", "55P03", "XX000"}) {
        Fetching run;
        run.store.bad = {"p1"};
        run.store.sqlstate = state;
        EXPECT_THROW(run.take(people(0, 3)), DatabaseError) << state;
        EXPECT_TRUE(run.store.parked.empty()) << state;
        EXPECT_EQ(run.store.attempts.size(), 1U) << state;
    }
}

TEST(FetchTake, parks_a_record_whose_nested_row_is_refused) {
    Fetching run;
    run.store.bad = {"j1"};
    run.take({R"({"id":"p0","jobs":[{"id":"j0"}]})", R"({"id":"p1","jobs":[{"id":"j1","title":"x"}]})"});
    EXPECT_EQ(run.store.parked, Ids{R"(p1 23514 {"id": "p1", "jobs": [{"id": "j1", "title": "x"}]})"});
    EXPECT_EQ(run.store.stored, Ids{"p0"});
    EXPECT_EQ(run.result.counts[Invented::Jobs].inserted, 1);
}

TEST(FetchTake, parks_records_without_id_and_nothing_that_is_excluded) {
    Fetching run;
    run.invented.exclude(Invented::People, "name");
    run.store.bad = {"p2"};
    run.take({"null", person(0), R"({"name":"SECRET","pay":1})", person(1), R"({"id":"p2","name":"SECRET"})", "[7]"});
    Ids parked = run.store.parked;
    std::sort(parked.begin(), parked.end());
    EXPECT_EQ(parked, (Ids{"- 23502 [7]", "- 23502 null", "- 23502 {\"pay\": 1}", "p2 23514 {\"id\": \"p2\"}"}));
    EXPECT_EQ(run.store.stored, (Ids{"p0", "p1"}));
    EXPECT_EQ(run.result.received, 6);
    EXPECT_EQ(run.result.parked, 4);
}

TEST(FetchTake, a_thousand_records_may_be_parked_and_no_more) {
    Fetching run;
    for (size_t n = 0; n < 1001; ++n) run.store.bad.insert("p" + std::to_string(n));
    for (size_t page = 0; page < 4; ++page) run.take(people(page * 250, page * 250 + 250));
    EXPECT_EQ(run.store.parked.size(), 1000U);
    run.take(people(2000, 2250));
    try {
        run.take(people(1000, 1001));
        FAIL() << "no error";
    } catch (const TooManyParked &error) {
        EXPECT_NE(std::string(error.what()).find("\"p1000\" is refused"), std::string::npos) << error.what();
    }
    EXPECT_EQ(run.store.parked.size(), 1000U);

    Fetching without_ids;
    without_ids.take(std::vector<std::string>(1000, "{}"));
    EXPECT_THROW(without_ids.take({"{}"}), TooManyParked);
}

TEST(FetchTake, an_empty_page_is_nothing) {
    Fetching run;
    run.take({});
    EXPECT_TRUE(run.store.stored.empty());
    EXPECT_EQ(run.result.received, 0);
    EXPECT_EQ(run.result.parked, 0);
}

TEST(FetchTake, a_refusal_that_no_record_explains_fails_the_endpoint) {
    Fetching run;
    run.store.bad = {"everything"};
    EXPECT_THROW(run.take({}), DatabaseError);
    EXPECT_THROW(run.take({"{}"}), DatabaseError) << "a page of nothing but a record without id";
}

TEST(FetchTake, counts_repeats_as_received_and_stores_them_once) {
    Fetching run;
    run.take({person(0), person(1), person(0)});
    EXPECT_EQ(run.result.received, 3);
    EXPECT_EQ(run.result.counts[Invented::People].inserted, 2);
}

TEST(FetchTake, sums_up_what_was_odd_once_however_often_a_page_is_halved) {
    Fetching run;
    run.store.bad = {"p7"};
    std::vector<std::string> records = people(0, 8);
    records[3] = R"({"id":"p3","shoe":43})";
    run.take(records);
    run.take({R"({"id":"p9","shoe":43})"});
    EXPECT_EQ(run.result.oddities.json(), R"([{"kind": "unknown key", "table": "people", "key": "shoe", "count": 2}])");
}

TEST(FetchTake, what_is_no_json_inside_is_told) {
    Fetching run;
    EXPECT_THROW(run.take({person(0), R"({"id":"p1","name":nul})"}), kombo::MalformedJson);
    EXPECT_TRUE(run.store.stored.empty());
}

TEST(FetchPurge, a_tombstone_that_old_is_not_stored_and_removes_the_row_that_is_here) {
    for (const Kind kind : {Kind::Delta, Kind::Full}) {
        Fetching run(kind);
        run.state().subscription.purge_after_micros = std::chrono::microseconds(24h).count();
        run.take({person(0), R"({"id":"p1","remote_deleted_at":"2020-01-01T00:00:00Z"})"});
        EXPECT_EQ(run.store.stored, Ids{"p0"});
        EXPECT_EQ(run.store.removed, Ids{"p1"}) << "it is live here if the deletion was never seen";
        EXPECT_EQ(run.store.how, OnMissing::Delete);
        EXPECT_EQ(run.result.counts[Invented::People].deleted, 0) << "which is the sweep's count";
    }
}

TEST(FetchSeen, holds_every_id_that_came_stored_or_not) {
    Fetching run;
    run.state().subscription.purge_after_micros = std::chrono::microseconds(24h).count();
    run.store.bad = {"p1"};
    run.take({person(0), person(1)});
    run.take({"{}", R"({"id":"p2","remote_deleted_at":"2020-01-01T00:00:00Z"})", person(0)});
    const auto seen = run.fetch().take_seen();
    EXPECT_EQ(std::set<uint64_t>(seen.begin(), seen.end()),
              (std::set<uint64_t>{run.store.hash("p0"), run.store.hash("p1"), run.store.hash("p2")}));
    EXPECT_TRUE(run.fetch().take_seen().empty()) << "each once";
}

TEST(FetchSeen, of_a_delta_holds_its_ids_too_by_which_pages_that_moved_are_seen) {
    Fetching run(Kind::Delta);
    run.take({person(0)});
    EXPECT_EQ(run.fetch().take_seen(), std::vector<uint64_t>{run.store.hash("p0")});
}

TEST(FetchConfirmed, is_stored_and_counted_as_returned_but_not_as_received) {
    Fetching run;
    run.store.bad = {"p1"};
    std::unordered_set<std::string> returned;
    run.fetch().take_confirmed({page_of({person(0), person(1), "{}"}), Clock::now()}, returned);
    EXPECT_EQ(returned, (std::unordered_set<std::string>{"p0", "p1"}));
    EXPECT_EQ(run.store.stored, Ids{"p0"});
    EXPECT_EQ(run.store.parked.size(), 1U) << "a record without id was parked when its page came";
    EXPECT_EQ(run.result.received, 0);
}

} // namespace
} // namespace syncer
