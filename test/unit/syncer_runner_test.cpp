#include "invented_catalogue.h"
#include "paged_list.h"
#include "refusing_database.h"
#include "syncer/runner.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace syncer {
namespace {

using namespace std::chrono_literals;

/// People and places of one integration.
struct Running {
    Running() {
        Endpoint places;
        places.path = "/places";
        places.category = "HR";
        places.table = Invented::Places;
        invented.catalogue.endpoints.push_back(places);
        for (const Endpoint &endpoint : invented.catalogue.endpoints) states[endpoint.path];
    }

    /// Keeps how each endpoint ended: "path status error".
    class Told : public Observer {
    public:
        explicit Told(Ids &ends) : ends_(ends) {}
        void begins(const Task &) override {}
        void progress(const Task &, const RunResult &) override {}
        void ended(const Task &task, const RunResult &result) override {
            ends_.push_back(task.endpoint->path + " " + name(result.status) + " " + result.error);
        }

    private:
        Ids &ends_;
    };

    /// Runs both, in full.
    void run(const kombo::FaultServer &server) {
        Client client(server);
        run(client);
    }

    void run(Client &client) {
        std::vector<Task> tasks;
        for (const Endpoint &endpoint : invented.catalogue.endpoints) {
            Task task;
            task.endpoint = &endpoint;
            task.kind = kind;
            if (kind == Kind::Delta) task.updated_after = kombo::parse_timestamp("2026-01-01T00:00:00.1239Z");
            tasks.push_back(task);
        }
        Told observer(told);
        Runner(invented.catalogue, states, "hibob:one", client.connection, client.waiter, store, observer, {60s, 0.5})
            .run(tasks);
    }

    Invented invented;
    States states;
    Kind kind = Kind::Full;
    FakeStore store;
    Ids told;
};

const std::string everything = R"({"id":"a"})";

TEST(Runner, asks_for_deletions_and_for_what_changed) {
    const kombo::FaultServer server({page_answer(everything)});
    Running given;
    given.kind = Kind::Delta;
    given.run(server);
    EXPECT_EQ(given.store.runs, (Ids{"/people ok", "/places ok"}));
    for (const std::string &request : server.requests())
        EXPECT_NE(request.find("?page_size=250&include_deleted=true&updated_after=2026-01-01T00%3A00%3A00.123Z HTTP"),
                  std::string::npos)
            << request;
}

TEST(Runner, a_list_gets_only_the_parameters_that_it_takes) {
    const kombo::FaultServer server({page_answer(everything)});
    Running given;
    for (Endpoint &endpoint : given.invented.catalogue.endpoints) endpoint.incremental = endpoint.paginated = false;
    given.run(server);
    EXPECT_EQ(server.requests().at(0).substr(0, 20), "GET /people HTTP/1.1");
}

TEST(Runner, asks_for_the_next_endpoint_before_the_last_page_is_written) {
    const kombo::FaultServer server({page_answer(everything, "c1"), page_answer(everything), page_answer(everything)});
    Client client(server);
    Running given;
    std::vector<size_t> requests; // that had come when each page was written
    given.store.on_write = [&] {
        const size_t wanted = std::min<size_t>(requests.size() + 2, 3);
        const auto give_up = kombo::Call::Clock::now() + 5s;
        while (server.requests().size() < wanted && kombo::Call::Clock::now() < give_up)
            kombo::turn(client.transfers, 1ms);
        requests.push_back(server.requests().size());
    };
    given.run(client);
    EXPECT_EQ(requests, (std::vector<size_t>{2, 3, 3}));
    EXPECT_EQ(given.store.runs, (Ids{"/people ok", "/places ok"}));
}

TEST(Runner, what_fails_leaves_nothing_behind_and_does_not_stop_the_others) {
    const kombo::Answer failing[] = {error_answer(500, "A.B"), error_answer(404, "A.B"), error_answer(422, "A.B"),
                                     page_answer(R"({"id":"b"})", "c1"), page_answer(R"({"id":nul})")};
    for (const kombo::Answer &answer : failing) {
        const kombo::FaultServer server([&](const std::string &request, size_t) {
            if (request.find("GET /places") == 0) return page_answer(everything);
            return request.find("cursor=") == std::string::npos ? page_answer(R"({"id":"p1"})", "c1") : answer;
        });
        Running given;
        given.run(server);
        EXPECT_EQ(given.store.runs, (Ids{"/people failed", "/places ok"})) << answer.bytes;
        EXPECT_EQ(given.store.failures, Ids{"/people"}) << answer.bytes;
        EXPECT_EQ(given.store.stored, Ids{"a"}) << answer.bytes << ": the first page is undone";
    }
}

TEST(Runner, what_is_the_whole_integrations_ends_the_rest_without_a_request) {
    struct Case {
        int status;
        const char *code;
        const char *ends;
    };
    for (const Case &c : {Case{401, "PLATFORM.AUTHENTICATION_INVALID", "failed"},
                          Case{409, "INTEGRATION.SETUP_SYNC_PENDING", "waiting"}}) {
        const kombo::FaultServer server({error_answer(c.status, c.code)});
        Running given;
        given.run(server);
        EXPECT_EQ(given.store.runs, (Ids{"/people " + std::string(c.ends), "/places " + std::string(c.ends)}));
        EXPECT_EQ(server.requests().size(), 1U);
    }
    const kombo::FaultServer unavailable({error_answer(400, "INTEGRATION.MODEL_NOT_AVAILABLE"), page_answer("")});
    Running given;
    given.run(unavailable);
    EXPECT_EQ(given.store.runs, (Ids{"/people unavailable", "/places ok"}));
}

TEST(Runner, a_failure_that_cannot_be_noted_is_told_and_stops_no_other) {
    const kombo::FaultServer server([](const std::string &request, size_t) {
        return request.find("GET /people") == 0 ? error_answer(422, "A.B") : page_answer(everything);
    });
    Running given;
    given.store.on_failure = [](const std::string &) { throw Refusal("P0001", "not here"); };
    given.run(server);
    ASSERT_EQ(given.told.size(), 2U);
    EXPECT_NE(given.told[0].find("this could not be noted: not here"), std::string::npos) << given.told[0];
    EXPECT_EQ(given.told[1], "/places ok ");
    EXPECT_EQ(given.store.stored, Ids{"a"});
    given.store.on_failure = [](const std::string &) { throw Refusal("57014", "cancelled"); };
    EXPECT_THROW(given.run(server), DatabaseError);
}

TEST(Runner, an_endpoint_that_the_catalogue_says_nothing_usable_of_fails_alone) {
    for (size_t broken : {0U, 1U}) {
        const kombo::FaultServer server({page_answer(everything)});
        Running given;
        given.invented.catalogue.endpoints[broken].missing_table = "hris_lost";
        given.run(server);
        ASSERT_EQ(given.told.size(), 2U);
        EXPECT_NE(given.told[broken].find("failed table kombo.hris_lost does not exist"), std::string::npos);
        EXPECT_NE(given.told[1 - broken].find(" ok "), std::string::npos) << given.told[1 - broken];
        EXPECT_EQ(server.requests().size(), 1U);
    }
}

TEST(Runner, cancel_goes_through) {
    const kombo::FaultServer server({page_answer(everything)});
    Running given;
    given.store.bad = {"a"};
    given.store.sqlstate = "57014";
    EXPECT_THROW(given.run(server), DatabaseError);
    EXPECT_TRUE(given.store.runs.empty());
    EXPECT_TRUE(given.store.stored.empty());
}

TEST(Runner, a_sweep_that_is_held_back_is_a_success_with_a_reason) {
    const kombo::FaultServer server({page_answer(everything)});
    Running given;
    given.store.live = 100;
    for (int n = 0; n < 60; ++n) given.store.gone.push_back("x" + std::to_string(n));
    given.run(server);
    EXPECT_EQ(given.store.runs, (Ids{"/people held", "/places held"}));
    EXPECT_EQ(given.store.succeeded_with.size(), 2U);
    EXPECT_TRUE(given.store.failures.empty());
    EXPECT_TRUE(given.store.removed.empty());
}

TEST(Runner, watermarks_are_the_starts_by_kombos_clock_and_never_older_than_an_earlier_endpoints) {
    const kombo::FaultServer server([](const std::string &request, size_t) {
        const bool people = request.find("GET /people") == 0;
        return page_answer(
            "", "", people ? "Date: Thu, 01 Jan 2026 00:01:00 GMT\r\n" : "Date: Thu, 01 Jan 2026 00:00:59 GMT\r\n");
    });
    Running given;
    given.run(server);
    ASSERT_EQ(given.store.succeeded_with.size(), 2U);
    const auto date = *kombo::parse_timestamp("2026-01-01T00:00:00Z");
    EXPECT_LE(given.store.succeeded_with[0], date);
    EXPECT_GT(given.store.succeeded_with[0], date - 20s);
    EXPECT_GE(given.store.succeeded_with[1], given.store.succeeded_with[0]);
}

} // namespace
} // namespace syncer
