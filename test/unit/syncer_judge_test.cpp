#include "syncer/judge.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdexcept>

namespace syncer {
namespace {

// What Python's hmac module makes of `body_of_one` with the secrets of the two servers.
constexpr std::string_view body_of_one =
    R"({"id":"w1","type":"data-changed","data":{"integration_id":"one","changed_models":[{"name":"people"}]}})";
constexpr const char *by_first = "tOZR-oIs3DCixMUynZ3_jOdXhqrrL__MX84WNlkl0wc";
constexpr const char *by_firsts_previous = "Jpa05q9f5KmOQ3lBi13cFrRh9yxCTlnMLJlcODlCBqc";
constexpr const char *by_second = "UIhBbUGhNeKNnqwpbR-wbr6H_UZ1Jh3xhh1mw2-tVzo";

Endpoint endpoint(const char *path, std::vector<EndpointModel> models, bool enabled = true) {
    Endpoint made;
    made.path = path;
    made.category = "HR";
    made.enabled = enabled;
    made.models = std::move(models);
    return made;
}

Catalogue catalogue() {
    Catalogue made;
    made.endpoints = {
        endpoint("/jobs", {{"jobs", Role::Own, true}}),
        endpoint("/people",
                 {{"people", Role::Own, true}, {"jobs", Role::Implied, true}, {"scales", Role::Carried, false}}),
        endpoint("/places", {{"places", Role::Own, true}}, false),
        endpoint("/skills", {{"skills", Role::Own, false}}),
    };
    made.endpoints[3].incremental = false;
    made.webhooks = {{"thing-received", {"/places", "/skills"}}, {"of-another-category", {}}};
    return made;
}

/// Base64 of the HMAC-SHA256, as Kombo signs.
std::string sign(const std::string &body, const std::string &secret) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char *>(body.data()), body.size(), mac, &size);
    unsigned char text[2 * EVP_MAX_MD_SIZE];
    const int length = EVP_EncodeBlock(text, mac, static_cast<int>(size));
    return {reinterpret_cast<const char *>(text), static_cast<size_t>(length)};
}

std::string of_type(const std::string &type, const std::string &key, const std::string &integration) {
    return R"({"id":"w","type":")" + type + R"(","data":{")" + key + R"(":")" + integration + R"("}})";
}

/// Judges what is said to be signed by the first server, unless told otherwise.
struct Inbox {
    std::vector<SigningServer> servers = {{"first", {"whsec-1", "whsec-0"}, false, false, false},
                                          {"second", {"whsec-2"}, false, false, false}};
    std::map<std::string, KnownIntegration> integrations = {{"one", {"first", "HR", false, {}}},
                                                            {"two", {"second", "HR", false, {}}}};
    std::set<Judge::Event> done;
    Judge::CatalogueOf catalogue_of = [this](const std::string &) -> const Catalogue & { return catalogue_; };

    Judge judge() const { return {servers, integrations, done, catalogue_of}; }

    Verdict raw(std::string_view body, const std::optional<std::string> &signature) const {
        return judge().judge(kombo::parse_webhook(body), body, signature);
    }

    /// As if it were signed: servers take unsigned webhooks here.
    Verdict trusted(const std::string &body) {
        for (SigningServer &server : servers) server.accept_unsigned = server.name == "first";
        return raw(body, std::nullopt);
    }

    Verdict changed(const std::string &models, const std::string &integration = "one") {
        return trusted(R"({"id":"w","type":"data-changed","data":{"integration_id":")" + integration +
                       R"(","changed_models":)" + models + "}}");
    }

    Verdict typed(const std::string &type, const std::string &key = "integration_id",
                  const std::string &integration = "one") {
        return trusted(of_type(type, key, integration));
    }

private:
    Catalogue catalogue_ = catalogue();
};

/// "done /people/delta /jobs/full", "rejected: the webhook is not signed".
std::string told(const Verdict &verdict) {
    std::string text = name(verdict.status);
    if (!verdict.error.empty()) text += ": " + verdict.error;
    for (const PlannedRequest &request : verdict.requests) {
        text += " " + request.integration_id + (request.endpoint ? *request.endpoint + "/" + name(request.kind) : "?");
        if (!request.server.empty()) text += "@" + request.server;
        if (!request.unknown_model.empty()) text += "!" + request.unknown_model;
    }
    return text;
}

TEST(Judge, a_webhook_is_believed_by_any_secret_of_its_integrations_server) {
    const Inbox inbox;
    EXPECT_EQ(told(inbox.raw(body_of_one, by_first)), "done one/people/delta");
    EXPECT_EQ(told(inbox.raw(body_of_one, by_firsts_previous)), "done one/people/delta");
}

TEST(Judge, a_webhook_by_nobodys_secret_is_rejected) {
    Inbox inbox;
    inbox.servers[0].accept_unsigned = true; // is no leave to sign wrongly
    EXPECT_EQ(told(inbox.raw(body_of_one, "abc")), "rejected: the signature is by no webhook secret of any server");
    EXPECT_EQ(told(inbox.raw("nonsense", "abc")), "rejected: the signature is by no webhook secret of any server");
    inbox.servers[1].unreadable = true;
    EXPECT_EQ(
        told(inbox.raw(body_of_one, "abc")),
        "rejected: the signature is by no webhook secret of any server; that of server \"second\" could not be read");
    inbox.servers[0].secrets.clear();
    inbox.servers[1].secrets.clear();
    EXPECT_EQ(
        told(inbox.raw(body_of_one, by_first)),
        "rejected: there is no webhook secret to verify the signature with; that of server \"second\" could not be "
        "read");
    inbox.servers.clear();
    EXPECT_EQ(told(inbox.raw(body_of_one, by_first)),
              "rejected: there is no webhook secret to verify the signature with");
}

TEST(Judge, a_webhook_by_another_servers_secret_is_rejected) {
    Inbox inbox;
    EXPECT_EQ(told(inbox.raw(body_of_one, by_second)),
              "rejected: signed by server \"second\", but the integration belongs to server \"first\"");
    inbox.integrations["one"].server = "dropped";
    EXPECT_EQ(told(inbox.raw(body_of_one, by_first)), "rejected: server \"dropped\" of the integration does not exist");
    // Two servers may share a secret.
    inbox.integrations["one"].server = "second";
    inbox.servers[1].secrets.push_back("whsec-1");
    EXPECT_EQ(told(inbox.raw(body_of_one, by_first)), "done one/people/delta");
}

TEST(Judge, what_is_not_signed_is_taken_by_servers_that_accept_it) {
    Inbox inbox;
    EXPECT_EQ(told(inbox.raw(body_of_one, std::nullopt)), "rejected: the webhook is not signed");
    EXPECT_EQ(told(inbox.raw(body_of_one, "")), "rejected: the webhook is not signed");
    EXPECT_EQ(told(inbox.raw("nonsense", "")), "rejected: the webhook is not signed");
    inbox.servers[1].accept_unsigned = true;
    EXPECT_EQ(told(inbox.raw(body_of_one, "")),
              "rejected: the webhook is not signed, and server \"first\" does not accept unsigned webhooks");
    inbox.servers[0].accept_unsigned = true;
    EXPECT_EQ(told(inbox.raw(body_of_one, "")), "done one/people/delta");
}

TEST(Judge, a_malformed_webhook_is_rejected) {
    Inbox inbox;
    EXPECT_EQ(told(inbox.trusted("{}")), "rejected: malformed: it has no type");
    EXPECT_EQ(told(inbox.changed("null")), "rejected: malformed: data.changed_models is not a list");
}

TEST(Judge, types_that_ask_for_nothing_are_ignored) {
    Inbox inbox;
    EXPECT_EQ(told(inbox.typed("of-another-category")), "ignored: webhooks of this type ask for nothing");
    EXPECT_EQ(told(inbox.typed("connection-flow-failed", "x")), "ignored: webhooks of this type ask for nothing");
    EXPECT_EQ(told(inbox.typed("remote-event-received")), "ignored: webhooks of this type are not known");
}

TEST(Judge, a_type_that_names_no_model_asks_for_the_endpoints_that_the_catalogue_has_for_it) {
    Inbox inbox;
    EXPECT_EQ(told(inbox.typed("thing-received")), "done one/skills/delta");
    EXPECT_TRUE(inbox.typed("thing-received").ends_back_off);
    EXPECT_EQ(told(inbox.typed("thing-received", "integration_id", "nobody")),
              "ignored: webhooks of this type are not known");
    EXPECT_EQ(told(inbox.typed("thing-received", "integration_id", "two")),
              "rejected: the webhook is not signed, and server \"second\" does not accept unsigned webhooks");
    inbox.integrations["one"].subscribed = {{"/skills", false}};
    EXPECT_EQ(told(inbox.typed("thing-received")),
              "ignored: no subscribed endpoint shows what webhooks of this type tell of");
    inbox.integrations["one"].subscribed = {{"/places", true}};
    EXPECT_EQ(told(inbox.typed("thing-received")), "done one/places/delta one/skills/delta");
}

TEST(Judge, the_state_of_an_integration_is_asked_for_and_not_believed) {
    Inbox inbox;
    EXPECT_EQ(told(inbox.typed("integration-created", "id")), "done one?");
    EXPECT_EQ(told(inbox.typed("integration-deleted", "id")), "done one?");
    EXPECT_EQ(told(inbox.typed("integration-state-changed")), "done one?");
    EXPECT_EQ(told(inbox.typed("sync-finished")), "done");
    inbox.integrations["one"].paused_automatically = true;
    EXPECT_EQ(told(inbox.typed("sync-finished")), "done one?");
    EXPECT_EQ(told(inbox.changed(R"([{"name":"people"}])")), "done one/people/delta one?");
}

TEST(Judge, every_sign_of_life_ends_the_back_off) {
    Inbox inbox;
    EXPECT_TRUE(inbox.typed("sync-finished").ends_back_off);
    EXPECT_TRUE(inbox.changed(R"([{"name":"people"}])").ends_back_off);
    EXPECT_FALSE(inbox.typed("sync-finished", "integration_id", "two").ends_back_off); // is not signed by its server
    EXPECT_FALSE(inbox.trusted("{}").ends_back_off);
}

TEST(Judge, changed_models_are_planned) {
    Inbox inbox;
    EXPECT_EQ(told(inbox.changed(R"([{"name":"jobs"}])")), "done one/jobs/delta");
    EXPECT_EQ(told(inbox.changed(R"([{"name":"jobs"},{"name":"people"},{"name":"jobs"}])")), "done one/people/delta");
    // No delta of the carrier shows the change: all of it is read.
    EXPECT_EQ(told(inbox.changed(R"([{"name":"scales"}])")), "done one/people/full");
    // That an endpoint has no deltas is found out when its turn comes.
    EXPECT_EQ(told(inbox.changed(R"([{"name":"skills"}])")), "done one/skills/delta");
}

TEST(Judge, models_that_nothing_subscribed_carries_are_ignored) {
    Inbox inbox;
    EXPECT_EQ(told(inbox.changed(R"([{"name":"places"}])")), "ignored: no subscribed endpoint carries places");
    EXPECT_EQ(told(inbox.changed("[]")), "ignored: it names no changed model");
    inbox.integrations["one"].subscribed = {{"/places", true}, {"/jobs", false}};
    EXPECT_EQ(told(inbox.changed(R"([{"name":"places"},{"name":"jobs"}])")), "done one/people/delta one/places/delta");
    inbox.integrations["one"].subscribed["/people"] = false;
    EXPECT_EQ(told(inbox.changed(R"([{"name":"jobs"}])")), "ignored: no subscribed endpoint carries jobs");
}

TEST(Judge, a_model_that_the_catalogue_does_not_know_asks_for_everything_subscribed) {
    Inbox inbox;
    EXPECT_EQ(told(inbox.changed(R"([{"name":"pets"}])")),
              "done one/jobs/delta!pets one/people/delta!pets one/skills/delta!pets");
    EXPECT_EQ(told(inbox.changed(R"([{"name":"scales"},{}])")),
              "done one/people/full one/jobs/delta!a model without name one/people/delta!a model without name "
              "one/skills/delta!a model without name");
    // A path is no model.
    EXPECT_EQ(inbox.changed(R"([{"name":"/places"}])").requests.size(), 3U);
    for (const char *path : {"/jobs", "/people", "/skills"}) inbox.integrations["one"].subscribed[path] = false;
    EXPECT_EQ(told(inbox.changed(R"([{"name":"pets"}])")), "ignored: no subscribed endpoint carries pets");
}

TEST(Judge, an_integration_that_is_not_here_is_rejected_or_registered) {
    Inbox inbox;
    EXPECT_EQ(told(inbox.changed(R"([{"name":"people"}])", "new")), "rejected: integration \"new\" is not known here");
    inbox.servers[1].auto_register = true; // but it did not send it
    EXPECT_EQ(told(inbox.typed("integration-created", "id", "new")), "rejected: integration \"new\" is not known here");
    inbox.servers[0].auto_register = true;
    const auto by_the_first = [&](const std::string &body) { return told(inbox.raw(body, sign(body, "whsec-1"))); };
    EXPECT_EQ(by_the_first(of_type("integration-created", "id", "new")), "done new?@first");
    EXPECT_EQ(by_the_first(R"({"type":"data-changed","data":{"integration_id":"new","changed_models":[]}})"),
              "done new?@first");
    EXPECT_EQ(by_the_first(of_type("integration-deleted", "id", "new")),
              "rejected: integration \"new\" is not known here");
    for (const std::string &id : {std::string(" new"), std::string("new\\n"), std::string(201, 'x')})
        EXPECT_EQ(by_the_first(of_type("integration-created", "id", id)).substr(0, 8), "rejected") << id;
}

TEST(Judge, only_who_signs_has_an_integration_registered) {
    Inbox inbox;
    inbox.servers[0].auto_register = true;
    EXPECT_EQ(told(inbox.typed("integration-created", "id", "new")), "rejected: integration \"new\" is not known here");
}

TEST(Judge, only_some_unknown_integrations_are_asked_about_at_once) {
    Inbox inbox;
    inbox.servers[0].auto_register = true;
    inbox.servers[0].asked_about = {"asked"};
    Judge judge = inbox.judge();
    const auto sent = [&](const std::string &id) {
        const std::string body = of_type("integration-created", "id", id);
        return told(judge.judge(kombo::parse_webhook(body), body, sign(body, "whsec-1")));
    };
    for (int i = 1; i < 20; ++i) EXPECT_EQ(sent(std::to_string(i)), "done " + std::to_string(i) + "?@first");
    EXPECT_EQ(sent("20"), "rejected: integration \"20\" is not known here, and Kombo is being asked about 20 others "
                          "already");
    EXPECT_EQ(sent("asked"), "done asked?@first");
}

TEST(Judge, a_webhook_that_nothing_comes_of_ends_no_back_off) {
    Inbox inbox;
    inbox.integrations["one"].paused_automatically = true;
    const Verdict of_nobody = inbox.changed(R"([{"name":"places"}])");
    EXPECT_EQ(told(of_nobody), "ignored: no subscribed endpoint carries places");
    EXPECT_FALSE(of_nobody.ends_back_off);
    inbox.done = {{"w", "one"}};
    EXPECT_FALSE(inbox.changed(R"([{"name":"people"}])").ends_back_off);
}

TEST(Judge, what_is_done_is_not_done_again) {
    Inbox inbox;
    for (SigningServer &server : inbox.servers) server.accept_unsigned = true;
    inbox.done = {{"old", "one"}};
    Judge judge = inbox.judge();
    const auto sent = [&](const std::string &id, const std::string &integration) {
        const std::string body =
            R"({"id":")" + id + R"(","type":"sync-finished","data":{"integration_id":")" + integration + R"("}})";
        return told(judge.judge(kombo::parse_webhook(body), body, std::nullopt));
    };
    EXPECT_EQ(sent("old", "one"), "ignored: a webhook of this id is done already");
    EXPECT_EQ(sent("old", "two"), "done"); // another's
    EXPECT_EQ(sent("new", "one"), "done");
    EXPECT_EQ(sent("new", "one"), "ignored: a webhook of this id is done already");
    EXPECT_EQ(sent("", "one"), "done");
    EXPECT_EQ(sent("", "one"), "done"); // without an id there is no telling
}

TEST(Judge, a_catalogue_that_cannot_be_read_is_the_callers_to_handle) {
    Inbox inbox;
    inbox.catalogue_of = [](const std::string &category) -> const Catalogue & {
        throw std::runtime_error("no catalogue of " + category);
    };
    EXPECT_THROW(inbox.changed(R"([{"name":"people"}])"), std::runtime_error);
    EXPECT_EQ(told(inbox.typed("sync-finished")), "done");
}

} // namespace
} // namespace syncer
