#pragma once

#include "invented_catalogue.h"
#include "paged_list.h"
#include "refusing_database.h"
#include "syncer/run.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace syncer {

/// The people of one integration: what outlives a run.
struct People {
    People() { states["/people"]; }
    People(const People &) = delete;
    People &operator=(const People &) = delete;

    EndpointState &state() { return states["/people"]; }

    Task task() {
        Task made;
        made.endpoint = &invented.people();
        made.kind = kind;
        made.trigger = "schedule";
        if (kind == Kind::Delta) made.updated_after = kombo::parse_timestamp("2026-01-01T00:00:00Z");
        return made;
    }

    Invented invented;
    States states;
    FakeStore store;
    Settings settings{std::chrono::seconds(60), 0.5};
    Kind kind = Kind::Full;
};

/// A run that is driven by hand: nothing is requested before it is needed.
struct Driven {
    Driven(People &people_, const kombo::FaultServer &server, Durability durability = Durability::PageByPage)
        : people(people_), client(server), run(people.invented.catalogue, read(people), people.task(), "hibob:one",
                                               client.connection, people.store, people.settings, durability) {}

    /// Waits until step() has something to do.
    void arrive() {
        while (true) {
            const auto now = Clock::now();
            run.poll(now);
            if (run.ready()) return;
            if (run.wants_to_send(now)) run.send();
            client.waiter.wait(client.transfers, run.wake_at());
        }
    }

    /// In a transaction.
    void step() {
        arrive();
        people.store.in_subtransaction([&] { run.step(); });
        run.committed();
    }

    /// Steps to the end; tells how many it took.
    int finish() {
        int steps = 0;
        for (; run.phase() != Run::Phase::Ended; ++steps) step();
        return steps;
    }

    People &people;
    Client client;
    Run run;

private:
    /// As the worker does before it begins.
    static const States &read(People &people) {
        people.state().open_full = people.store.open;
        return people.states;
    }
};

/// What a list of these pages (JSON, with commas between the records) answers: page n follows the cursor "cn", and is
/// of the n-th minute of 2026 by Kombo's clock. Single ids it does not know.
inline kombo::Answer list_answer(const std::vector<std::string> &pages, const std::string &request) {
    if (request.find("ids=") != std::string::npos) return page_answer("");
    const size_t cursor = request.find("cursor=c");
    const size_t page = cursor == std::string::npos ? 0 : std::stoul(request.substr(cursor + 8));
    return page_answer(pages.at(page), page + 1 < pages.size() ? "c" + std::to_string(page + 1) : "",
                       "Date: Thu, 01 Jan 2026 00:0" + std::to_string(page) + ":00 GMT\r\n");
}

/// A server of that list.
inline kombo::FaultServer::Judge list(std::vector<std::string> pages) {
    return [pages = std::move(pages)](const std::string &request, size_t) { return list_answer(pages, request); };
}

} // namespace syncer
