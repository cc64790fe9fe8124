#include "syncer/choice.h"

#include <gtest/gtest.h>

namespace syncer {
namespace {

using namespace std::chrono_literals;

const kombo::Timestamp now = *kombo::parse_timestamp("2026-03-01T12:00:00Z");

Endpoint endpoint(const char *path, std::vector<EndpointModel> models, bool incremental = true) {
    Endpoint made;
    made.path = path;
    made.models = std::move(models);
    made.incremental = incremental;
    return made;
}

/// People imply jobs; each list was fetched an hour ago, and in full three days ago.
struct Given {
    Given() {
        catalogue.endpoints = {endpoint("people", {{"people", Role::Own, true}, {"jobs", Role::Implied, true}}),
                               endpoint("jobs", {{"jobs", Role::Own, true}}),
                               endpoint("scales", {{"scales", Role::Own, false}}, false)};
        for (const Endpoint &one : catalogue.endpoints) {
            EndpointState &state = states[one.path];
            state.subscription.enabled = true;
            state.watermark = now - 1h;
            state.last_full_at = now - 72h;
        }
    }

    /// "people!" is a full fetch, "" the question for the state of the integration. The request's number.
    int64_t wanted(const std::string &what, const std::string &trigger = "webhook",
                   std::optional<kombo::Timestamp> at = std::nullopt) {
        QueuedRequest request;
        request.id = ++last;
        request.integration_id = "one";
        request.full = !what.empty() && what.back() == '!';
        request.endpoint = request.full ? what.substr(0, what.size() - 1) : what;
        request.trigger = trigger;
        request.requested_at = at.value_or(now);
        agenda.add(request);
        return last;
    }

    /// A fetch that has taken these requests is under way.
    void run(const std::string &path, Kind kind, std::vector<int64_t> requests = {}) {
        Task task;
        task.endpoint = catalogue.find(path);
        task.kind = kind;
        task.requests = std::move(requests);
        running.push_back(std::move(task));
    }

    Choice choice() {
        UnderWay under_way;
        for (const Task &task : running) under_way.fetches.push_back(&task);
        if (question) under_way.question = &*question;
        const auto *entry = agenda.find("one");
        return {catalogue, states, standing, under_way, entry ? entry->pending : none, now, 1h};
    }

    /// What is begun: "people delta 1 2" with the requests that it takes, "question 3", or "-".
    std::string begun() {
        if (!choice().urgency()) return "-";
        const Choice::Beginning beginning = choice().beginning();
        std::string text =
            beginning.task ? beginning.task->endpoint->path + " " + name(beginning.task->kind) : "question";
        for (const int64_t id : beginning.task ? beginning.task->requests : beginning.requests)
            text += " " + std::to_string(id);
        return text;
    }

    Catalogue catalogue;
    States states;
    Standing standing;
    Agenda agenda;
    PendingFetches none;
    std::vector<Task> running;
    std::optional<std::vector<int64_t>> question;
    int64_t last = 0;
};

TEST(Choice, begins_nothing_where_nothing_is_asked_for) {
    Given given;
    EXPECT_EQ(given.begun(), "-");
    EXPECT_FALSE(given.choice().next_start());
}

TEST(Choice, the_most_urgent_comes_first) {
    Given given;
    given.wanted("people!", "sql");
    given.wanted("scales", "schedule");
    given.wanted("people", "webhook");
    EXPECT_EQ(given.begun(), "people delta 3");
    given.wanted("");
    EXPECT_EQ(given.begun(), "question 4");
    EXPECT_EQ(given.choice().urgency(), Urgency::WebhookDelta);
}

TEST(Choice, what_runs_is_not_begun_twice_and_takes_what_was_asked_before_it) {
    Given given;
    const int64_t taken = given.wanted("people");
    given.run("people", Kind::Delta, {taken});
    EXPECT_EQ(given.begun(), "-");
    given.wanted("people"); // the list may have been read before the change
    EXPECT_EQ(given.begun(), "-");
    EXPECT_FALSE(given.choice().next_start());
    given.running.clear();
    EXPECT_EQ(given.begun(), "people delta 1 2");
    given.question = {7};
    given.wanted("");
    given.agenda.remove({1, 2});
    EXPECT_EQ(given.begun(), "-");
}

TEST(Choice, a_full_fetch_brings_what_a_delta_would) {
    Given given;
    given.wanted("people!", "sql");
    given.wanted("people", "schedule");
    given.standing.had_delta = {"people"};
    EXPECT_EQ(given.begun(), "people full 1 2");
    EXPECT_EQ(given.choice().beginning().urgency, Urgency::Full);
    // One that is resumed has pages from before the request.
    given.states["people"].open_full = OpenFull{now - 1min, now - 1min, "", "c", now - 1min, "{}"};
    given.agenda.remove({2});
    given.wanted("people!", "sql", now - 2min);
    EXPECT_EQ(given.begun(), "people full");
}

TEST(Choice, a_delta_brings_what_one_would_that_it_implies) {
    Given given;
    given.wanted("jobs");
    EXPECT_EQ(given.begun(), "jobs delta 1");
    given.wanted("people", "schedule");
    EXPECT_EQ(given.begun(), "people delta 1 2");
    EXPECT_TRUE(given.choice().beginning().task->of_webhook);
    given.states["jobs"].watermark = now - 2h; // people's would not reach back so far
    EXPECT_EQ(given.begun(), "jobs delta 1");
    given.states["jobs"].watermark = now - 1h;
    given.states["people"].next_attempt_at = now + 1min;
    EXPECT_EQ(given.begun(), "jobs delta 1");
}

TEST(Choice, a_delta_reaches_back_as_far_as_a_request_has_to) {
    Given given;
    QueuedRequest request;
    request.id = 9;
    request.integration_id = "one";
    request.endpoint = "people";
    request.trigger = "webhook";
    request.unknown_model = "hris_new";
    request.updated_after = now - 3h;
    given.agenda.add(request);
    EXPECT_EQ(given.choice().beginning().task->updated_after, now - 3h);
    EXPECT_EQ(given.choice().beginning().unknown_models, std::set<std::string>{"hris_new"});
}

TEST(Choice, a_back_off_is_waited_out) {
    Given given;
    given.wanted("people");
    given.wanted("scales");
    given.states["people"].next_attempt_at = now + 5min;
    EXPECT_EQ(given.begun(), "scales full 2");
    given.states["scales"].next_attempt_at = now + 3min;
    EXPECT_EQ(given.begun(), "-");
    EXPECT_EQ(given.choice().next_start(), now + 3min);
}

TEST(Choice, full_fetches_that_only_webhooks_ask_for_keep_their_distance) {
    Given given;
    given.states["people"].last_full_at = now - 20min;
    given.wanted("people!", "webhook");
    EXPECT_EQ(given.begun(), "-");
    EXPECT_EQ(given.choice().next_start(), now + 40min);
    given.wanted("people!", "sql");
    EXPECT_EQ(given.begun(), "people full 1 2");
}

TEST(Choice, a_full_fetch_has_its_turn_after_a_delta) {
    Given given;
    given.wanted("people!", "sql");
    given.wanted("people", "webhook", now + 1s);
    EXPECT_EQ(given.begun(), "people delta 2");
    given.standing.had_delta = {"people"};
    EXPECT_EQ(given.begun(), "people full 1 2");
    EXPECT_EQ(given.choice().urgency(), Urgency::WebhookDelta);
}

TEST(Choice, a_full_fetch_gives_way_to_a_delta_that_runs_or_could_be_begun) {
    Given given;
    EXPECT_FALSE(given.choice().delta_goes_first("people"));
    given.wanted("people");
    EXPECT_TRUE(given.choice().delta_goes_first("people"));
    given.standing.doubtful = true;
    EXPECT_FALSE(given.choice().delta_goes_first("people"));
    given.standing.doubtful = false;
    given.states["people"].next_attempt_at = now + 1min;
    EXPECT_FALSE(given.choice().delta_goes_first("people"));
    given.run("people", Kind::Delta);
    EXPECT_TRUE(given.choice().delta_goes_first("people"));
}

TEST(Choice, while_all_fetches_may_fail_one_runs_at_a_time) {
    Given given;
    given.standing.doubtful = true;
    given.wanted("people");
    EXPECT_EQ(given.begun(), "people delta 1");
    given.run("scales", Kind::Full);
    EXPECT_EQ(given.begun(), "-");
}

TEST(Choice, of_a_suspended_integration_only_its_state_is_asked_for) {
    Given given;
    given.standing.suspended = true;
    given.standing.next_attempt_at = now + 1h;
    given.wanted("people");
    EXPECT_EQ(given.begun(), "-");
    EXPECT_EQ(given.choice().next_start(), now + 1h);
    given.standing.next_attempt_at = now;
    EXPECT_EQ(given.begun(), "question");
    given.standing.question_not_before = now + 1min;
    EXPECT_EQ(given.begun(), "-");
    EXPECT_EQ(given.choice().next_start(), now + 1min);
}

TEST(Choice, an_integration_that_is_not_added_is_asked_about_and_not_fetched) {
    Given given;
    given.standing.added = false;
    given.wanted("people");
    given.wanted("");
    EXPECT_EQ(given.begun(), "question 2");
    given.question = {2};
    EXPECT_EQ(given.begun(), "-");
}

TEST(Choice, what_is_switched_off_unknown_or_done_is_pointless) {
    Given given;
    given.wanted("people", "sql");
    given.wanted("lost");
    given.wanted("jobs");
    given.wanted("scales!", "schedule", now - 1h);
    EXPECT_EQ(given.choice().pointless(), std::vector<int64_t>{2});
    given.states["people"].subscription.enabled = false; // who names it wants it all the same
    given.states["jobs"].subscription.enabled = false;
    given.states["scales"].last_full_at = now - 1min;
    EXPECT_EQ(given.choice().pointless(), (std::vector<int64_t>{3, 2, 4}));
    given.states["people"].subscription.refused = true;
    EXPECT_EQ(given.choice().pointless(), (std::vector<int64_t>{3, 2, 1, 4}));
    given.run("jobs", Kind::Delta, {3});
    EXPECT_EQ(given.choice().pointless(), (std::vector<int64_t>{2, 1, 4}));
}

} // namespace
} // namespace syncer
