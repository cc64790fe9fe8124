#include "syncer/agenda.h"

#include <gtest/gtest.h>

namespace syncer {
namespace {

using namespace std::chrono_literals;

const Clock::time_point now = Clock::time_point(1000h);

QueuedRequest request(int64_t id, const std::string &integration, const std::string &what, const std::string &trigger) {
    QueuedRequest made;
    made.id = id;
    made.integration_id = integration;
    made.full = !what.empty() && what.back() == '!';
    made.endpoint = made.full ? what.substr(0, what.size() - 1) : what;
    made.trigger = trigger;
    return made;
}

/// An agenda with requests that are numbered as they come: "people!" is a full fetch, "" asks for the integration.
struct Given {
    int64_t add(const std::string &integration, const std::string &what = "people",
                const std::string &trigger = "schedule") {
        EXPECT_TRUE(agenda.add(request(++last, integration, what, trigger)));
        return last;
    }

    /// Whose turn it is, but for these; "-" for nobody.
    std::string next(Clock::time_point at = now, const std::set<std::string> &but = {}) {
        const auto found = agenda.next(at, [&](const std::string &id) { return but.count(id) > 0; });
        return found ? found->integration_id : "-";
    }

    const PendingFetch &wanted(const std::string &integration, const std::string &endpoint, bool full = false) {
        return agenda.find(integration)->pending.at({endpoint, full});
    }

    Agenda agenda;
    int64_t last = 0;
};

TEST(Agenda, is_empty_at_first) {
    Given given;
    EXPECT_TRUE(given.agenda.empty());
    EXPECT_EQ(given.agenda.requests(), 0U);
    EXPECT_EQ(given.next(), "-");
    EXPECT_FALSE(given.agenda.wake_at(now));
}

TEST(Agenda, an_ask_reaches_back_as_far_as_one_of_its_requests_has_to) {
    Given given;
    const auto back = kombo::parse_timestamp("2026-01-01T00:00:00Z");
    for (const auto &updated_after : {std::optional<kombo::Timestamp>(), std::optional(*back + 1h), back}) {
        QueuedRequest made = request(++given.last, "one", "people", "webhook");
        made.updated_after = updated_after;
        given.agenda.add(made);
    }
    EXPECT_EQ(given.wanted("one", "people").updated_after, back);
    given.agenda.remove({3});
    EXPECT_EQ(given.wanted("one", "people").updated_after, *back + 1h);
}

TEST(Agenda, the_urgency_of_a_request_is_its_triggers_but_fulls_wait_and_the_integration_does_not) {
    struct Case {
        const char *what;
        const char *trigger;
        Urgency urgency;
    };
    for (const Case &c : {Case{"people", "webhook", Urgency::WebhookDelta}, Case{"people", "sql", Urgency::AskedFor},
                          Case{"people", "schedule", Urgency::Scheduled}, Case{"people!", "webhook", Urgency::Full},
                          Case{"people!", "sql", Urgency::Full}, Case{"people!", "schedule", Urgency::Full},
                          Case{"", "schedule", Urgency::WebhookDelta}, Case{"", "webhook", Urgency::WebhookDelta}}) {
        EXPECT_EQ(urgency_of(request(1, "one", c.what, c.trigger)), c.urgency) << c.what << " " << c.trigger;
    }
}

TEST(Agenda, the_most_urgent_goes_first_whoever_came_first) {
    Given given;
    given.add("full", "people!");
    given.add("scheduled");
    given.add("asked", "people", "sql");
    given.add("webhook", "people", "webhook");
    for (const char *expected : {"webhook", "asked", "scheduled", "full"}) {
        EXPECT_EQ(given.next(), expected);
        for (const auto &[key, wanted] : PendingFetches(given.agenda.find(expected)->pending))
            for (const int64_t id : wanted.ids) given.agenda.remove({id});
    }
    EXPECT_TRUE(given.agenda.empty());
}

TEST(Agenda, among_equals_it_goes_round) {
    Given given;
    for (const char *integration : {"b", "a", "c"}) given.add(integration);
    std::string order;
    for (int turn = 0; turn < 7; ++turn) {
        const std::string id = given.next();
        order += id;
        given.agenda.served(id);
    }
    EXPECT_EQ(order, "abcabca");
    given.add("d", "people", "webhook");
    EXPECT_EQ(given.next(), "d");
    given.agenda.served("d");
    EXPECT_EQ(given.next(), "d") << "turns count among equals only";
}

TEST(Agenda, who_comes_new_does_not_overtake_those_who_wait) {
    Given given;
    given.add("x");
    given.add("y");
    given.agenda.served("x");
    given.agenda.served("y");
    given.agenda.served("x");
    given.add("a");
    std::string order;
    for (int turn = 0; turn < 3; ++turn) {
        order += given.next();
        given.agenda.served(given.next());
    }
    EXPECT_EQ(order.front(), 'y') << order;
    EXPECT_NE(order.find('a'), std::string::npos) << order << ": nor does it starve";
}

TEST(Agenda, who_is_passed_over_keeps_the_place) {
    Given given;
    given.add("a", "people", "webhook");
    given.add("b");
    EXPECT_EQ(given.next(now, {"a"}), "b");
    EXPECT_EQ(given.next(now, {"a", "b"}), "-");
    EXPECT_EQ(given.next(), "a");
}

TEST(Agenda, nobody_is_asked_about_who_stands_behind_the_next) {
    Given given;
    const int64_t everybody = 10'000;
    for (int64_t number = 0; number < everybody; ++number) given.add(std::to_string(number), "people!");
    std::set<std::string> under_way;
    for (int round = 0; round < 20; ++round) {
        size_t looked_at = 0;
        const auto place = given.agenda.next(now, [&](const std::string &id) {
            ++looked_at;
            return under_way.count(id) > 0;
        });
        ASSERT_TRUE(place);
        EXPECT_EQ(looked_at, under_way.size() + 1);
        if (round % 2 == 0)
            under_way.insert(place->integration_id);
        else
            given.agenda.served(place->integration_id);
    }
    given.add("urgent", "people", "webhook");
    EXPECT_EQ(given.agenda.next(now, [](const std::string &) { return false; })->integration_id, "urgent");
}

TEST(Agenda, what_it_says_of_a_place_is_what_the_integration_is_placed_by) {
    Given given;
    given.add("a", "people", "sql");
    const auto anybody = [](const std::string &) { return false; };
    EXPECT_EQ(given.agenda.next(now, anybody)->urgency, Urgency::AskedFor);
    EXPECT_GT(given.agenda.next(now, anybody)->turn, 0U) << "0 is before all";
    const int64_t by_webhook = given.add("a", "people", "webhook");
    EXPECT_EQ(given.agenda.next(now, anybody)->urgency, Urgency::WebhookDelta);
    given.agenda.remove({by_webhook});
    EXPECT_EQ(given.agenda.next(now, anybody)->urgency, Urgency::AskedFor);
    given.agenda.put_off("a", now + 2s);
    given.add("a", "people!");
    EXPECT_EQ(given.agenda.next(now, anybody)->urgency, Urgency::AskedFor);
    EXPECT_EQ(given.agenda.wake_at(now), std::nullopt);
}

TEST(Agenda, what_is_put_off_comes_back_by_the_clock_or_when_it_is_woken) {
    Given given;
    given.add("a");
    given.add("b");
    given.agenda.put_off("a", now + 2s);
    given.agenda.put_off("b", now + 5s);
    given.agenda.put_off("nobody", now + 1s);
    EXPECT_EQ(given.next(), "-");
    EXPECT_EQ(given.agenda.wake_at(now), now + 2s);
    EXPECT_EQ(given.next(now + 2s), "a");
    EXPECT_EQ(given.agenda.wake_at(now + 2s), now + 5s);
    EXPECT_EQ(given.agenda.wake_at(now + 5s), std::nullopt);
    given.agenda.wake_all();
    EXPECT_EQ(given.next(), "a");
    EXPECT_EQ(given.agenda.wake_at(now), std::nullopt);
}

TEST(Agenda, a_new_request_wakes_its_integration_and_no_other) {
    Given given;
    given.add("a");
    const int64_t of_b = given.add("b");
    given.agenda.put_off("a", now + 2s);
    given.agenda.put_off("b", Clock::time_point::max());
    EXPECT_FALSE(given.agenda.add(request(of_b, "b", "people", "schedule"))) << "it is known";
    EXPECT_EQ(given.next(), "-");
    given.add("b", "places");
    EXPECT_EQ(given.next(), "b");
    EXPECT_EQ(given.agenda.wake_at(now), now + 2s);
}

TEST(Agenda, requests_for_the_same_are_one) {
    Given given;
    for (const char *trigger : {"schedule", "webhook", "sql"}) given.add("a", "people", trigger);
    EXPECT_EQ(given.agenda.find("a")->pending.size(), 1U);
    const PendingFetch &wanted = given.wanted("a", "people");
    EXPECT_EQ(wanted.ids, (std::vector<int64_t>{1, 2, 3}));
    EXPECT_EQ(wanted.urgency, Urgency::WebhookDelta);
    EXPECT_EQ(wanted.trigger, "webhook");
    given.add("a", "people!", "sql");
    given.add("a", "places");
    given.add("a", "");
    given.add("b");
    EXPECT_EQ(given.agenda.find("a")->pending.size(), 4U) << "a full fetch, another endpoint, the integration itself";
    EXPECT_EQ(given.agenda.requests(), 7U);
}

TEST(Agenda, only_a_full_that_nobody_but_webhooks_asks_for_is_a_webhooks) {
    for (const auto &[triggers, expected] :
         std::vector<std::pair<std::vector<const char *>, const char *>>{{{"webhook"}, "webhook"},
                                                                         {{"webhook", "webhook"}, "webhook"},
                                                                         {{"webhook", "schedule"}, "schedule"},
                                                                         {{"schedule", "webhook"}, "schedule"},
                                                                         {{"webhook", "sql", "webhook"}, "sql"}}) {
        Given given;
        for (const char *trigger : triggers) given.add("a", "people!", trigger);
        EXPECT_EQ(given.wanted("a", "people", true).trigger, expected);
        EXPECT_EQ(given.wanted("a", "people", true).urgency, Urgency::Full);
    }
}

TEST(Agenda, what_is_left_is_as_urgent_as_its_own_requests_are) {
    Given given;
    const int64_t by_sql = given.add("a", "people!", "sql");
    given.add("a", "people!", "webhook");
    given.agenda.remove({by_sql});
    EXPECT_EQ(given.wanted("a", "people", true).trigger, "webhook") << "it has to wait for min_full_interval again";

    given.add("a", "places");
    const int64_t by_webhook = given.add("a", "places", "webhook");
    given.agenda.remove({by_webhook});
    EXPECT_EQ(given.wanted("a", "places").urgency, Urgency::Scheduled);
    EXPECT_EQ(given.wanted("a", "places").trigger, "schedule");
}

TEST(Agenda, models_that_nobody_knows_and_the_server_are_those_of_the_requests_that_are_left) {
    Given given;
    QueuedRequest shoes = request(1, "a", "people", "webhook");
    shoes.unknown_model = "shoes";
    QueuedRequest hats = request(2, "a", "people", "webhook");
    hats.unknown_model = "hats";
    QueuedRequest registering = request(3, "a", "", "webhook");
    registering.server = "first";
    for (const QueuedRequest &one : {shoes, hats, registering}) EXPECT_TRUE(given.agenda.add(one));
    EXPECT_EQ(given.wanted("a", "people").unknown_models, (std::set<std::string>{"hats", "shoes"}));
    EXPECT_EQ(given.wanted("a", "").server, "first");
    given.agenda.remove({1});
    EXPECT_EQ(given.wanted("a", "people").unknown_models, std::set<std::string>{"hats"});
}

TEST(Agenda, knows_when_the_last_request_of_an_ask_came) {
    Given given;
    for (const auto &[id, micros] : {std::make_pair(1, 20), std::make_pair(2, 30), std::make_pair(3, 10)}) {
        QueuedRequest one = request(id, "a", "people!", "sql");
        one.requested_at.micros = micros;
        EXPECT_TRUE(given.agenda.add(one));
    }
    EXPECT_EQ(given.wanted("a", "people", true).latest, kombo::Timestamp{30});
    given.agenda.remove({2});
    EXPECT_EQ(given.wanted("a", "people", true).latest, kombo::Timestamp{20});
}

TEST(Agenda, forgets_what_is_fulfilled_and_what_somebody_else_has_fulfilled) {
    Given given;
    const int64_t first = given.add("a");
    const int64_t second = given.add("a", "people", "webhook");
    const int64_t full = given.add("a", "people!");
    const int64_t of_b = given.add("b");
    given.agenda.remove({first});
    given.agenda.remove({first});
    given.agenda.remove({99});
    EXPECT_EQ(given.wanted("a", "people").ids, std::vector<int64_t>{second});
    EXPECT_FALSE(given.agenda.knows(first));
    EXPECT_TRUE(given.agenda.knows(second));
    given.agenda.keep_only({second, full, 1000});
    EXPECT_EQ(given.agenda.find("b"), nullptr);
    EXPECT_FALSE(given.agenda.knows(of_b));
    given.agenda.remove({second});
    EXPECT_EQ(given.agenda.find("a")->pending.size(), 1U);
    given.agenda.keep_only({});
    EXPECT_TRUE(given.agenda.empty());
    EXPECT_EQ(given.agenda.requests(), 0U);
    EXPECT_TRUE(given.agenda.add(request(first, "a", "people", "sql"))) << "it may come back";
}

TEST(Agenda, calls_nobody_urgent_who_asks_for_nothing) {
    EXPECT_EQ(Agenda::Entry().urgency(), std::nullopt);
}

} // namespace
} // namespace syncer
