#include "driven_run.h"

#include <gtest/gtest.h>

namespace syncer {
namespace {

using namespace std::chrono_literals;
using Phase = Run::Phase;

const std::vector<std::string> three_pages = {R"({"id":"a"},{"id":"b"})", R"({"id":"c","shoe":43})", R"({"id":"d"})"};

/// What Kombo's clock showed, less the overlap and what the request took at most.
void expect_began_at(kombo::Timestamp watermark, const char *date) {
    const auto began = *kombo::parse_timestamp(date) - 60s;
    EXPECT_LE(watermark, began);
    EXPECT_GT(watermark, began - 20s);
}

TEST(Run, sends_nothing_unless_it_is_told_to) {
    const kombo::FaultServer server(list(three_pages));
    People people;
    Driven driven(people, server);
    for (int turns = 0; turns < 10; ++turns) {
        driven.run.poll(Clock::now());
        kombo::turn(driven.client.transfers, 1ms);
    }
    EXPECT_TRUE(server.requests().empty());
    EXPECT_TRUE(driven.run.wants_to_send(Clock::now()));
    EXPECT_FALSE(driven.run.in_flight());
    EXPECT_FALSE(driven.run.ready());
    driven.run.send();
    EXPECT_TRUE(driven.run.in_flight());
    EXPECT_FALSE(driven.run.wants_to_send(Clock::now()));
    driven.arrive();
    EXPECT_EQ(server.requests().size(), 1U);
}

/// What the run that this server's answers end comes to.
RunResult failed_run(People &people, const kombo::FaultServer &server) {
    Driven driven(people, server);
    driven.arrive();
    try {
        driven.run.step();
    } catch (const kombo::ApiError &) {
        return driven.run.failed(std::current_exception());
    }
    return {};
}

TEST(Run, asks_for_fewer_records_a_page_after_answers_that_took_too_long) {
    const kombo::FaultServer server({kombo::answer(504, "<html>")});
    People people;
    for (people.state().attempts = 0; people.state().attempts < 2; ++people.state().attempts)
        EXPECT_EQ(failed_run(people, server).page_size, std::nullopt) << people.state().attempts;
    for (const int next : {125, 62, 31, 15, 10}) {
        const RunResult result = failed_run(people, server);
        EXPECT_EQ(result.page_size, next);
        EXPECT_NE(result.error.find("asks for " + std::to_string(next) + " records a page"), std::string::npos)
            << result.error;
        people.state().page_size = result.page_size;
        ++people.state().attempts;
    }
    EXPECT_EQ(failed_run(people, server).page_size, std::nullopt) << "there is an end to it";
    EXPECT_NE(server.requests().back().find("page_size=10&"), std::string::npos) << server.requests().back();
}

TEST(Run, asks_for_fewer_records_at_once_where_a_page_was_too_large) {
    const kombo::FaultServer server(list(three_pages));
    People people;
    const Driven driven(people, server);
    kombo::ApiError too_large(kombo::ErrorClass::Transport, 0, "larger than max_response_size");
    too_large.too_much = too_large.permanent = true;
    const RunResult result = driven.run.failed(std::make_exception_ptr(too_large));
    EXPECT_EQ(result.page_size, 125);
    EXPECT_FALSE(result.lasting);
}

TEST(Run, other_failures_do_not_make_pages_smaller) {
    const kombo::FaultServer server({kombo::answer(503, "<html>")});
    People people;
    people.state().attempts = 20;
    EXPECT_EQ(failed_run(people, server).page_size, std::nullopt);
}

TEST(Run, a_list_that_takes_no_cursor_is_one_page_and_says_if_there_was_more) {
    const kombo::FaultServer server(list(three_pages));
    People people;
    for (Endpoint &endpoint : people.invented.catalogue.endpoints)
        if (endpoint.path == "/people") endpoint.paginated = false;
    Driven driven(people, server);
    driven.finish();
    EXPECT_EQ(driven.run.result().status, Status::Ok);
    EXPECT_EQ(driven.run.result().received, 2);
    EXPECT_NE(driven.run.result().oddities.json().find("more pages of a list that takes no cursor"), std::string::npos)
        << driven.run.result().oddities.json();
    for (const std::string &request : server.requests()) EXPECT_EQ(request.find("cursor="), std::string::npos);
}

TEST(Run, keeps_its_place_with_every_page) {
    const kombo::FaultServer server(list(three_pages));
    People people;
    const FakeStore &store = people.store;
    Driven driven(people, server);
    const auto before = kombo::current_timestamp();
    EXPECT_FALSE(store.open);
    const char *const cursors[] = {"c1", "c2", ""};
    const std::vector<Ids> brought = {{"a", "b"}, {"c"}, {"d"}};
    int64_t received = 0;
    for (int page = 1; page <= 3; ++page) {
        const auto index = static_cast<size_t>(page - 1);
        EXPECT_EQ(driven.run.phase(), Phase::Fetching);
        driven.step();
        ASSERT_TRUE(store.open);
        EXPECT_EQ(store.open->cursor, cursors[index]);
        EXPECT_EQ(store.open->query, "page_size=250&include_deleted=true");
        EXPECT_GE(store.open->started_at, before);
        EXPECT_LE(store.open->started_at, store.open->cursor_at);
        EXPECT_LE(store.open->cursor_at, kombo::current_timestamp());
        expect_began_at(store.open->watermark, "2026-01-01T00:00:00Z");
        std::vector<uint64_t> hashes;
        for (const std::string &id : brought[index]) hashes.push_back(people.store.hash(id));
        EXPECT_EQ(store.seen_pages.at(page), hashes);
        received += static_cast<int64_t>(hashes.size());
        RunResult kept;
        restore_progress(store.open->progress, people.invented.catalogue, kept);
        EXPECT_EQ(kept.pages, page);
        EXPECT_EQ(kept.received, received);
        EXPECT_EQ(kept.bytes, driven.run.result().bytes);
        EXPECT_EQ(kept.started_at, driven.run.result().started_at);
        EXPECT_TRUE(store.succeeded_with.empty());
    }
    const auto watermark = store.open->watermark;
    EXPECT_EQ(driven.run.phase(), Phase::Sweeping);
    driven.step();
    EXPECT_EQ(driven.run.phase(), Phase::Removing);
    driven.step();
    EXPECT_EQ(driven.run.phase(), Phase::Ended);
    EXPECT_FALSE(store.open);
    EXPECT_EQ(store.succeeded_with, std::vector{std::optional(watermark)});
    EXPECT_EQ(driven.run.watermark(), watermark);
    EXPECT_EQ(store.runs, Ids{"/people ok"});
    EXPECT_EQ(driven.run.result().trigger, "schedule");
    EXPECT_FALSE(driven.run.ready());
    EXPECT_FALSE(driven.run.wants_to_send(Clock::now()));
}

TEST(Run, keeps_no_place_where_all_commits_together_nor_of_a_delta) {
    for (const Kind kind : {Kind::Full, Kind::Delta})
        for (const Durability durability : {Durability::AtOnce, Durability::PageByPage}) {
            if (kind == Kind::Full && durability == Durability::PageByPage) continue;
            const kombo::FaultServer server(list(three_pages));
            People people;
            people.kind = kind;
            Driven driven(people, server, durability);
            for (int page = 0; page < 3; ++page) {
                driven.step();
                EXPECT_FALSE(people.store.open);
                EXPECT_TRUE(people.store.seen_pages.empty());
            }
            EXPECT_EQ(driven.run.phase(), kind == Kind::Delta ? Phase::Ended : Phase::Sweeping)
                << "the last page of a delta brings the watermark with it";
            driven.finish();
            EXPECT_EQ(people.store.stored, (Ids{"a", "b", "c", "d"}));
            EXPECT_EQ(people.store.succeeded_with.size(), 1U);
        }
}

/// What there is to show for it in the end.
std::string told(const RunResult &result, const FakeStore &store, const Catalogue &catalogue) {
    std::string text = rows_by_table(result.counts, catalogue) + result.oddities.json();
    for (const int64_t number : {int64_t{result.pages}, result.received, result.parked, int64_t{result.retries}})
        text += " " + std::to_string(number);
    for (const Ids *ids : {&store.stored, &store.parked, &store.removed, &store.runs}) {
        text += " /";
        for (const std::string &id : *ids) text += " " + id;
    }
    for (const auto &[page, hashes] : store.seen_pages) text += " " + std::to_string(hashes.size());
    return text + "\n";
}

TEST(Run, a_step_that_is_rolled_back_can_be_repeated_and_nothing_shows_it) {
    const auto outcome = [](int failures, Kind kind) {
        const kombo::FaultServer server([](const std::string &request, size_t) {
            if (request.find("ids=") == std::string::npos) return list_answer(three_pages, request);
            return page_answer(R"({"id":"x1"})");
        });
        People people;
        people.kind = kind;
        people.store.live = 100;
        people.store.gone = {"x1", "x2"};
        people.store.bad = {"b"};
        Driven driven(people, server);
        std::string story;
        while (driven.run.phase() != Phase::Ended) {
            driven.arrive();
            const Phase phase = driven.run.phase();
            const std::string before = told(driven.run.result(), people.store, people.invented.catalogue);
            const size_t requests = server.requests().size();
            for (int failure = 0; failure < failures; ++failure) {
                // With the commit, or, in the end, already with the first row.
                people.store.on_write = [&] {
                    if (failure + 1 == failures) throw Refusal("55P03");
                };
                EXPECT_THROW(people.store.in_subtransaction([&] {
                    driven.run.step();
                    throw Refusal("40001");
                }),
                             Refusal);
                EXPECT_EQ(driven.run.phase(), phase);
                EXPECT_EQ(told(driven.run.result(), people.store, people.invented.catalogue), before);
                EXPECT_TRUE(driven.run.ready());
            }
            people.store.on_write = [] {};
            driven.step();
            EXPECT_EQ(server.requests().size(), requests) << "the page is still here";
            story += told(driven.run.result(), people.store, people.invented.catalogue);
        }
        return story;
    };
    for (const Kind kind : {Kind::Full, Kind::Delta}) {
        const std::string undisturbed = outcome(0, kind);
        EXPECT_EQ(outcome(3, kind), undisturbed);
        if (kind == Kind::Full) {
            EXPECT_NE(undisturbed.find(R"("inserted": 4, "updated": 0, "unchanged": 0, "deleted": 1)"),
                      std::string::npos)
                << undisturbed;
            EXPECT_NE(undisturbed.find("3 4 1 0 / a c d x1 / b 23514"), std::string::npos) << undisturbed;
        }
    }
}

TEST(Run, the_next_page_may_be_asked_for_before_one_is_written_but_no_further_one) {
    const kombo::FaultServer server(list(three_pages));
    People people;
    Driven driven(people, server);
    driven.arrive();
    ASSERT_TRUE(driven.run.wants_to_send(Clock::now()));
    driven.run.send();
    const auto give_up = Clock::now() + 10s;
    while (driven.run.in_flight() && Clock::now() < give_up) {
        kombo::turn(driven.client.transfers, 1ms);
        driven.run.poll(Clock::now());
    }
    EXPECT_FALSE(driven.run.wants_to_send(Clock::now()));
    driven.step();
    EXPECT_EQ(people.store.stored, (Ids{"a", "b"}));
    EXPECT_EQ(people.store.open->cursor, "c1");
    driven.step();
    EXPECT_EQ(people.store.stored, (Ids{"a", "b", "c"}));
    EXPECT_EQ(server.requests().size(), 2U);
    driven.finish();
    EXPECT_EQ(people.store.stored, (Ids{"a", "b", "c", "d"}));
}

TEST(Run, what_is_wrong_with_an_answer_comes_out_of_the_step) {
    const kombo::FaultServer server([](const std::string &request, size_t) {
        if (request.find("cursor=") == std::string::npos) return list_answer(three_pages, request);
        return error_answer(403, "A.B");
    });
    People people;
    Driven driven(people, server);
    driven.step();
    driven.arrive();
    EXPECT_FALSE(driven.run.wants_to_send(Clock::now()));
    for (int attempt = 0; attempt < 2; ++attempt) EXPECT_THROW(driven.step(), kombo::ApiError) << "again and again";
    EXPECT_EQ(server.requests().size(), 2U);
}

TEST(Run, that_failed_tells_what_stays) {
    for (const Durability durability : {Durability::AtOnce, Durability::PageByPage}) {
        const kombo::FaultServer server([](const std::string &request, size_t) {
            if (request.find("cursor=") == std::string::npos) return list_answer(three_pages, request);
            return error_answer(500, "A.B");
        });
        People people;
        Driven driven(people, server, durability);
        driven.step();
        const auto caught = [&](const auto &error) { return driven.run.failed(std::make_exception_ptr(error)); };
        try {
            driven.step();
            FAIL() << "no error";
        } catch (const kombo::ApiError &) {
            const RunResult result = driven.run.failed(std::current_exception());
            EXPECT_EQ(result.status, Status::Failed);
            EXPECT_EQ(result.sqlstate, "HV000");
            EXPECT_FALSE(result.lasting);
            EXPECT_EQ(result.kind, Kind::Full);
            EXPECT_EQ(result.trigger, "schedule");
            EXPECT_EQ(result.started_at, driven.run.result().started_at);
            EXPECT_GE(result.finished_at, result.started_at);
            EXPECT_EQ(result.pages, 1);
            EXPECT_EQ(result.retries, 1);
            EXPECT_EQ(result.received, durability == Durability::AtOnce ? 0 : 2);
            EXPECT_EQ(result.counts.size(), durability == Durability::AtOnce ? 0U : 1U);
        }
        EXPECT_TRUE(caught(TooManyParked("too many")).too_many_parked);
        EXPECT_EQ(caught(Refusal("42501")).sqlstate, "42501");
        EXPECT_THROW(caught(Refusal("57014")), DatabaseError);
    }
}

TEST(Run, knows_a_cursor_that_is_refused) {
    struct Case {
        const char *name;
        kombo::Answer answer;
        bool refused;
    };
    const Case cases[] = {
        {"invalid", error_answer(400, "PLATFORM.INPUT_INVALID"), true},
        {"unknown code", error_answer(422, "A.B"), true},
        {"gone", error_answer(404, "A.B"), true},
        {"another refusal", error_answer(410, "A.B"), true},
        {"passes", error_answer(500, "A.B"), false},
        {"the key", error_answer(401, "PLATFORM.AUTHENTICATION_INVALID"), false},
        {"the integration", error_answer(409, "INTEGRATION.SETUP_INCOMPLETE"), false},
        {"the model", error_answer(400, "INTEGRATION.MODEL_DISABLED"), false},
        {"the same cursor", page_answer("", "c1"), false},
    };
    for (const Case &c : cases)
        for (const Kind kind : {Kind::Full, Kind::Delta}) {
            const kombo::FaultServer server([&](const std::string &request, size_t) {
                return request.find("cursor=") == std::string::npos ? page_answer("", "c1") : c.answer;
            });
            People people;
            people.kind = kind;
            Driven driven(people, server);
            driven.step();
            EXPECT_FALSE(driven.run.cursor_refused()) << c.name;
            EXPECT_THROW(driven.step(), kombo::ApiError) << c.name;
            EXPECT_EQ(driven.run.cursor_refused(), c.refused) << c.name;
        }
    const kombo::FaultServer server({error_answer(400, "PLATFORM.INPUT_INVALID")});
    People people;
    Driven driven(people, server);
    EXPECT_THROW(driven.step(), kombo::ApiError);
    EXPECT_FALSE(driven.run.cursor_refused()) << "the first page has none";
}

TEST(Run, waits_with_what_is_to_be_repeated_until_it_is_told_to_send) {
    const kombo::FaultServer server({error_answer(503, "A.B"), page_answer("")});
    People people;
    Driven driven(people, server);
    driven.run.send();
    const auto give_up = Clock::now() + 10s;
    while (!driven.run.wake_at() && Clock::now() < give_up) {
        kombo::turn(driven.client.transfers, 1ms);
        driven.run.poll(Clock::now());
    }
    ASSERT_TRUE(driven.run.wake_at());
    EXPECT_FALSE(driven.run.wants_to_send(*driven.run.wake_at() - 1ms));
    EXPECT_TRUE(driven.run.wants_to_send(*driven.run.wake_at()));
    EXPECT_EQ(server.requests().size(), 1U);
    driven.finish();
    EXPECT_EQ(driven.run.result().retries, 1);
}

TEST(Run, what_was_odd_before_the_first_page_is_told_with_the_rest) {
    const kombo::FaultServer server(list(three_pages));
    People people;
    Driven driven(people, server);
    driven.run.add_oddity(Oddities::Kind::UnknownModel, "/people", "shoes");
    driven.finish();
    EXPECT_EQ(driven.run.result().oddities.json(),
              R"([{"kind": "unknown key", "table": "people", "key": "shoe", "count": 1}, )"
              R"({"kind": "unknown model in a webhook", "table": "/people", "key": "shoes", "count": 1}])");
}

TEST(Run, a_full_one_ends_with_the_purge_and_with_what_was_parked_before_it) {
    for (const Kind kind : {Kind::Full, Kind::Delta})
        for (const bool held : {false, true}) {
            const kombo::FaultServer server(list(three_pages));
            People people;
            people.kind = kind;
            people.state().subscription.purge_after_micros = std::chrono::microseconds(24h).count();
            people.store.live = held ? 100 : 0;
            for (int n = 0; held && n < 99; ++n) people.store.gone.push_back("x" + std::to_string(n));
            Driven driven(people, server);
            while (driven.run.phase() != Phase::Ended) {
                EXPECT_FALSE(people.store.purged_before);
                driven.step();
            }
            EXPECT_EQ(people.store.purged_before.has_value(), kind == Kind::Full);
            const auto began = kind == Kind::Full ? std::optional(driven.run.result().started_at) : std::nullopt;
            EXPECT_EQ(people.store.unparked_before, began) << "what is refused still was parked again";
        }
}

TEST(Run, its_start_is_the_watermark_also_where_that_is_earlier_than_before) {
    for (const Kind kind : {Kind::Full, Kind::Delta}) {
        const kombo::FaultServer server(list(three_pages));
        People people;
        people.kind = kind;
        people.state().watermark = kombo::parse_timestamp("2030-01-01T00:00:00Z");
        Driven driven(people, server);
        driven.run.began_after(kombo::parse_timestamp("2030-01-01T00:00:00Z"));
        driven.finish();
        ASSERT_TRUE(people.store.succeeded_with.at(0));
        expect_began_at(*people.store.succeeded_with.at(0), "2026-01-01T00:00:00Z");
    }
}

TEST(Run, a_delta_asks_again_and_further_back_where_kombos_clock_is_behind_the_watermark) {
    const kombo::FaultServer server([](const std::string &, size_t) {
        return page_answer(R"({"id":"a"})", "", "Date: Wed, 31 Dec 2025 23:50:00 GMT\r\n");
    });
    People people; // asks for what changed after midnight
    people.kind = Kind::Delta;
    Driven driven(people, server);
    EXPECT_EQ(driven.finish(), 1);
    ASSERT_EQ(server.requests().size(), 2U);
    EXPECT_NE(asked(server, 0).find("updated_after=2026-01-01T00%3A00%3A00.000Z"), std::string::npos);
    EXPECT_EQ(asked(server, 1).find("updated_after=2026"), std::string::npos) << asked(server, 1);
    EXPECT_LT(driven.run.task().updated_after, kombo::parse_timestamp("2025-12-31T23:49:00Z"));
    EXPECT_EQ(people.store.stored, (Ids{"a"})) << "what was asked for in vain is not written";
    expect_began_at(people.store.succeeded_with.at(0).value_or(kombo::Timestamp()), "2025-12-31T23:50:00Z");
    EXPECT_NE(driven.run.result().oddities.json().find("clock"), std::string::npos);
}

/// Pages of a list that moves while it is read, as often as that: b comes twice.
kombo::FaultServer::Judge moving(size_t times) {
    return [times](const std::string &request, size_t index) {
        const bool first = request.find("cursor") == std::string::npos;
        const bool moved = index / 2 < times;
        return first ? page_answer(R"({"id":"a"},{"id":"b"})", "c" + std::to_string(index))
                     : page_answer(moved ? R"({"id":"b"},{"id":"d"})" : R"({"id":"c"},{"id":"d"})");
    };
}

TEST(Run, a_delta_whose_pages_moved_is_read_once_more) {
    for (const Durability durability : {Durability::AtOnce, Durability::PageByPage}) {
        const kombo::FaultServer server(moving(1));
        People people;
        people.kind = Kind::Delta;
        Driven driven(people, server, durability);
        EXPECT_EQ(driven.finish(), 4);
        EXPECT_EQ(people.store.stored, (Ids{"a", "b", "b", "d", "a", "b", "c", "d"}));
        ASSERT_EQ(people.store.succeeded_with.size(), 1U);
        EXPECT_TRUE(people.store.succeeded_with[0]);
        EXPECT_EQ(driven.run.result().pages, 4);
        EXPECT_EQ(driven.run.result().received, 8);
        EXPECT_NE(driven.run.result().oddities.json().find("pages moved"), std::string::npos);
    }
}

TEST(Run, a_delta_whose_pages_moved_twice_leaves_the_watermark_where_it_is) {
    const kombo::FaultServer server(moving(9));
    People people;
    people.kind = Kind::Delta;
    Driven driven(people, server);
    EXPECT_EQ(driven.finish(), 4);
    EXPECT_EQ(people.store.succeeded_with, std::vector{std::optional<kombo::Timestamp>()});
    EXPECT_EQ(driven.run.result().status, Status::Ok);
}

TEST(Run, a_page_that_is_written_once_more_did_not_come_twice) {
    const kombo::FaultServer server(list(three_pages));
    People people;
    people.kind = Kind::Delta;
    Driven driven(people, server);
    for (int page = 0; page < 3; ++page) {
        driven.arrive();
        driven.run.step(); // rolled back, say
        driven.step();
    }
    EXPECT_EQ(driven.run.phase(), Phase::Ended);
    EXPECT_TRUE(driven.run.result().oddities.json().find("pages moved") == std::string::npos);
}

} // namespace
} // namespace syncer
