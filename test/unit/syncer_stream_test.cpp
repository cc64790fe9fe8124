#include "paged_list.h"
#include "syncer/watermark.h"

#include <gtest/gtest.h>

namespace syncer {
namespace {

using namespace std::chrono_literals;

/// Waits until the server has seen so many requests; tells how many it saw.
size_t requests_within_a_second(Client &client, const kombo::FaultServer &server, size_t wanted) {
    const auto end = kombo::Call::Clock::now() + 1s;
    while (server.requests().size() < wanted && kombo::Call::Clock::now() < end) kombo::turn(client.transfers, 1ms);
    return server.requests().size();
}

TEST(PageStream, gives_the_pages_in_order_and_then_nothing) {
    const kombo::FaultServer server(
        {page_answer(R"({"id":"a"},{"id":"b"})", "c1"), page_answer("", "c2"), page_answer(R"({"id":"c"})")});
    Client client(server);
    PageStream stream = client.list();
    std::string seen;
    while (const auto arrived = stream.next(client.waiter)) {
        for (const std::string_view record : arrived->page.records()) seen += record;
        seen += stream.ended() ? "." : ";";
    }
    EXPECT_EQ(seen, R"({"id":"a"}{"id":"b"};;{"id":"c"}.)");
    EXPECT_FALSE(stream.next(client.waiter)) << "nor later";
    EXPECT_EQ(stream.pages(), 3);
    EXPECT_EQ(stream.retries(), 0);
    EXPECT_GT(stream.bytes(), 100U);
    EXPECT_EQ(server.requests().size(), 3U);
}

TEST(PageStream, repeats_every_filter_with_every_cursor) {
    const kombo::FaultServer server({page_answer("", "c/1="), page_answer("", "c2"), page_answer("")});
    Client client(server);
    kombo::Query filters;
    filters.add("page_size", "250").add_flag("include_deleted", true).add("updated_after", "2026-01-01T00:00:00.000Z");
    PageStream stream = client.list("/people", filters);
    while (stream.next(client.waiter)) {
    }
    const std::string first = "/people?" + filters.encode();
    EXPECT_EQ(asked(server, 0), first);
    EXPECT_EQ(asked(server, 1), first + "&cursor=c%2F1%3D");
    EXPECT_EQ(asked(server, 2), first + "&cursor=c2");
}

TEST(PageStream, asks_for_the_next_page_before_it_gives_one) {
    const kombo::FaultServer server({page_answer(R"({"id":"a"})", "c1"), {"", false, true}});
    Client client(server);
    PageStream stream = client.list();
    const auto first = stream.next(client.waiter);
    ASSERT_TRUE(first);
    EXPECT_EQ(client.transfers.in_flight(), 1U);
    EXPECT_EQ(requests_within_a_second(client, server, 2), 2U) << "without another call of next()";
    EXPECT_EQ(first->page.records().at(0), R"({"id":"a"})") << "the page stays as it is";
}

TEST(PageStream, asks_for_nothing_after_the_last_page) {
    for (const char *last : {"null", "\"\""}) {
        const kombo::FaultServer server(
            {kombo::answer(200, R"({"status":"success","data":{"results":[],"next":)" + std::string(last) + "}}")});
        Client client(server);
        PageStream stream = client.list();
        EXPECT_TRUE(stream.next(client.waiter));
        EXPECT_TRUE(stream.ended()) << last;
        EXPECT_EQ(client.transfers.in_flight(), 0U);
    }
}

TEST(PageStream, begins_without_waiting_and_once) {
    const kombo::FaultServer server({page_answer("")});
    Client client(server);
    PageStream stream = client.list();
    EXPECT_FALSE(stream.first_response());
    EXPECT_TRUE(stream.wants_to_send(Clock::now()));
    EXPECT_FALSE(stream.in_flight());
    stream.send();
    EXPECT_TRUE(stream.in_flight());
    EXPECT_FALSE(stream.wants_to_send(Clock::now()));
    EXPECT_EQ(requests_within_a_second(client, server, 1), 1U);
    EXPECT_EQ(stream.pages(), 0);
    EXPECT_TRUE(stream.next(client.waiter));
    EXPECT_FALSE(stream.wants_to_send(Clock::now()));
    EXPECT_EQ(server.requests().size(), 1U);
}

TEST(PageStream, that_goes_away_ends_its_request) {
    const kombo::FaultServer server({{"", false, true}});
    Client client(server);
    {
        PageStream stream = client.list();
        stream.send();
        EXPECT_EQ(client.transfers.in_flight(), 1U);
    }
    EXPECT_EQ(client.transfers.in_flight(), 0U);
}

TEST(PageStream, two_at_once_do_not_mix) {
    const kombo::FaultServer server([](const std::string &request, size_t) {
        return page_answer(request.find("GET /teams") == 0 ? R"({"id":"team"})" : R"({"id":"person"})");
    });
    Client client(server);
    PageStream people = client.list("/people");
    PageStream teams = client.list("/teams");
    people.send();
    teams.send();
    EXPECT_EQ(teams.next(client.waiter)->page.records().at(0), R"({"id":"team"})");
    EXPECT_EQ(people.next(client.waiter)->page.records().at(0), R"({"id":"person"})");
}

TEST(PageStream, a_cursor_that_comes_twice_is_an_error_not_an_endless_loop) {
    struct Case {
        std::vector<const char *> cursors;
        int pages; ///< that the caller gets
    };
    for (const Case &c : {Case{{"a", "a"}, 1}, Case{{"a", "b", "a"}, 2}, Case{{"a", "b", "c", "b"}, 3}}) {
        std::vector<kombo::Answer> answers;
        for (const char *cursor : c.cursors) answers.push_back(page_answer(R"({"id":"x"})", cursor));
        const kombo::FaultServer server(answers);
        Client client(server);
        PageStream stream = client.list();
        int pages = 0;
        try {
            while (stream.next(client.waiter)) ++pages;
            ADD_FAILURE() << "the list ended";
        } catch (const kombo::ApiError &error) {
            EXPECT_EQ(error.error_class, kombo::ErrorClass::MalformedBody);
            EXPECT_NE(std::string(error.what()).find("cursor"), std::string::npos) << error.what();
        }
        EXPECT_EQ(pages, c.pages);
        EXPECT_EQ(server.requests().size(), c.cursors.size()) << "nothing is asked for behind it";
    }
}

TEST(PageStream, a_page_that_is_cut_short_is_asked_for_again) {
    const kombo::FaultServer server({kombo::Answer{"HTTP/1.1 200 OK\r\n\r\n{\"status\":\"success\",\"data\":{\"resu"},
                                     page_answer(R"({"id":"a"})", "c1"), error_answer(503, "A.B"),
                                     page_answer(R"({"id":"b"})")});
    Client client(server);
    PageStream stream = client.list();
    EXPECT_EQ(stream.next(client.waiter)->page.records().at(0), R"({"id":"a"})");
    EXPECT_EQ(stream.next(client.waiter)->page.records().at(0), R"({"id":"b"})");
    EXPECT_EQ(stream.retries(), 2);
    EXPECT_EQ(asked(server, 2), asked(server, 3));
}

TEST(PageStream, an_error_that_does_not_pass_comes_out) {
    const kombo::FaultServer server({page_answer("", "c1"), error_answer(401, "PLATFORM.AUTHENTICATION_INVALID")});
    Client client(server);
    PageStream stream = client.list();
    EXPECT_TRUE(stream.next(client.waiter));
    try {
        stream.next(client.waiter);
        FAIL() << "no error";
    } catch (const kombo::ApiError &error) {
        EXPECT_EQ(error.error_class, kombo::ErrorClass::Unauthorized);
    }
    EXPECT_EQ(stream.pages(), 1);
}

TEST(PageStream, began_when_its_first_request_did) {
    const kombo::FaultServer server({page_answer("", "c1", "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"),
                                     page_answer("", "", "Date: Wed, 01 Jan 2025 00:00:00 GMT\r\n")});
    Client client(server);
    PageStream stream = client.list();
    while (stream.next(client.waiter)) {
    }
    ASSERT_TRUE(stream.first_response());
    const auto started = fetch_start(*stream.first_response(), 60s);
    const auto date = *kombo::parse_timestamp("2025-12-31T23:59:00Z");
    EXPECT_LE(started, date);
    EXPECT_GT(started, date - 20s) << "less only the time that the request took";
}

TEST(PageStream, sends_nothing_of_its_own_accord) {
    const kombo::FaultServer server({error_answer(500, "A.B"), page_answer(R"({"id":"a"})", "c1"), page_answer("")});
    Client client(server);
    PageStream stream = client.list();
    const auto stays_at = [&](size_t requests) {
        for (int turns = 0; turns < 10; ++turns) {
            stream.poll(Clock::now());
            kombo::turn(client.transfers, 1ms);
        }
        EXPECT_EQ(server.requests().size(), requests);
        EXPECT_FALSE(stream.in_flight());
    };
    const auto answer = [&] {
        stream.send();
        const auto give_up = Clock::now() + 10s;
        while (stream.in_flight() && Clock::now() < give_up) {
            kombo::turn(client.transfers, 1ms);
            stream.poll(Clock::now());
        }
    };
    stays_at(0);
    answer();
    EXPECT_FALSE(stream.answered()) << "an error that passes";
    ASSERT_TRUE(stream.wake_at());
    stays_at(1);
    EXPECT_TRUE(stream.wants_to_send(*stream.wake_at()));
    EXPECT_FALSE(stream.wants_to_send(*stream.wake_at() - 1ms));
    answer();
    ASSERT_TRUE(stream.answered());
    stays_at(2);
    EXPECT_FALSE(stream.wants_to_send(Clock::now())) << "the page has to be taken first";
    EXPECT_EQ(stream.take().page.records().size(), 1U);
    EXPECT_EQ(stream.cursor(), "c1");
    EXPECT_TRUE(stream.wants_to_send(Clock::now()));
    stays_at(2);
    answer();
    EXPECT_EQ(stream.take().page.records().size(), 0U);
    EXPECT_FALSE(stream.cursor());
    EXPECT_TRUE(stream.ended());
    EXPECT_FALSE(stream.wants_to_send(Clock::now()));
    EXPECT_EQ(stream.retries(), 1);
}

TEST(PageStream, a_list_can_be_taken_up_at_a_cursor) {
    const kombo::FaultServer server({page_answer(R"({"id":"c"})", "c3"), page_answer(R"({"id":"d"})", "c2")});
    Client client(server);
    kombo::Query filters;
    filters.add("page_size", "7");
    PageStream stream(client.connection, "/people", "hibob:one", filters, "c2");
    EXPECT_TRUE(stream.next(client.waiter));
    EXPECT_EQ(asked(server, 0), "/people?page_size=7&cursor=c2");
    EXPECT_THROW(stream.next(client.waiter), kombo::ApiError) << "the cursor that it began with comes again";
    EXPECT_EQ(asked(server, 1), "/people?page_size=7&cursor=c3");
}

TEST(PageStream, the_listener_is_told_of_every_answer) {
    const kombo::FaultServer server(
        {page_answer("", "c1", "ratelimit-remaining: 9\r\n"), error_answer(503, "A.B"), page_answer("")});
    Client client(server);
    std::string heard;
    client.connection.listener = [&](const kombo::Response &response) {
        heard += std::to_string(response.status) + "/" +
                 std::string(response.headers.find("ratelimit-remaining").value_or("-")) + " ";
    };
    PageStream stream = client.list();
    while (stream.next(client.waiter)) {
    }
    EXPECT_EQ(heard, "200/9 503/- 200/- ");
}

TEST(Finish, lets_what_the_waiter_throws_through) {
    struct Interrupt {};
    class Interrupted : public Waiter {
        void wait(kombo::Transfers &, std::optional<kombo::Call::Clock::time_point>) override { throw Interrupt(); }
    };
    const kombo::FaultServer server({{"", false, true}});
    Client client(server);
    Interrupted waiter;
    {
        PageStream stream = client.list();
        EXPECT_THROW(stream.next(waiter), Interrupt);
    }
    EXPECT_EQ(client.transfers.in_flight(), 0U);
}

} // namespace
} // namespace syncer
