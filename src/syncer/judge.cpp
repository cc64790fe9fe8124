#include "syncer/judge.h"

#include "kombo/error.h"

#include <algorithm>

namespace syncer {

namespace {

using kombo::Webhook;
using kombo::WebhookType;

constexpr size_t longest_id = 200;      // bytes, of an integration or a webhook
constexpr size_t most_asked_about = 20; // of a server, at once: each costs a request

std::string quoted(const std::string &text) {
    return "\"" + kombo::printable(text, 100) + "\"";
}

Verdict rejected(std::string error) {
    return {WebhookStatus::Rejected, std::move(error), {}, false};
}

Verdict ignored(std::string error) {
    return {WebhookStatus::Ignored, std::move(error), {}, false};
}

/// As kombo.add_integration wants it.
bool can_be_registered(const std::string &id) {
    return id.size() <= longest_id && kombo::printable(id, longest_id) == id && id.front() != ' ' && id.back() != ' ';
}

PlannedRequest ask_for_state(const std::string &integration_id, const std::string &server = {}) {
    PlannedRequest request;
    request.integration_id = integration_id;
    request.server = server;
    return request;
}

States states_of(const Catalogue &catalogue, const KnownIntegration &integration) {
    States states;
    for (const Endpoint &endpoint : catalogue.endpoints) {
        const auto override = integration.subscribed.find(endpoint.path);
        states[endpoint.path].subscription.enabled =
            override == integration.subscribed.end() ? endpoint.enabled : override->second;
    }
    return states;
}

bool knows_model(const Catalogue &catalogue, const std::string &model) {
    return std::any_of(catalogue.endpoints.begin(), catalogue.endpoints.end(), [&](const Endpoint &endpoint) {
        return std::any_of(endpoint.models.begin(), endpoint.models.end(),
                           [&](const EndpointModel &shown) { return shown.model == model; });
    });
}

std::string nothing_carries(const std::vector<std::string> &models) {
    std::string list;
    for (const std::string &model : models) list += (list.empty() ? "" : ", ") + kombo::printable(model, 100);
    return kombo::printable("no subscribed endpoint carries " + list);
}

} // namespace

const char *name(WebhookStatus status) {
    return status == WebhookStatus::Done ? "done" : status == WebhookStatus::Ignored ? "ignored" : "rejected";
}

Judge::Judge(std::vector<SigningServer> servers, std::map<std::string, KnownIntegration> integrations,
             std::set<Event> done, CatalogueOf catalogue_of)
    : servers_(std::move(servers)), integrations_(std::move(integrations)), done_(std::move(done)),
      catalogue_of_(std::move(catalogue_of)) {}

Judge::Event Judge::event_of(const Webhook &webhook) {
    return {kombo::printable(webhook.id, longest_id), kombo::printable(webhook.integration_id, longest_id)};
}

Verdict Judge::judge(const Webhook &webhook, std::string_view body, const std::optional<std::string> &signature) {
    const bool is_signed = signature && !signature->empty();
    const SigningServers servers = find_signing_servers(webhook, body, signature);
    if (servers.empty()) return rejected(nobody_signed(is_signed));
    if (!webhook.problem.empty()) return rejected(webhook.problem);

    const auto integration = integrations_.find(webhook.integration_id);
    if (const std::string why = asks_for_nothing(webhook); !why.empty()) return ignored(why);
    if (integration == integrations_.end()) return of_unknown(webhook, servers, is_signed);
    const std::string error = not_its_own(integration->second, servers, is_signed);
    if (!error.empty()) return rejected(error);

    const Event event = event_of(webhook);
    if (!webhook.id.empty() && done_.count(event) > 0) return ignored("a webhook of this id is done already");
    Verdict verdict = of_known(webhook, integration->second);
    if (verdict.status == WebhookStatus::Done) done_.insert(event);
    return verdict;
}

/// Why nothing comes of webhooks of this type; empty: something may.
std::string Judge::asks_for_nothing(const Webhook &webhook) const {
    std::string nothing = "webhooks of this type ask for nothing";
    if (webhook.type == WebhookType::OfNoConcern) return nothing;
    if (webhook.type != WebhookType::Other) return "";
    const auto integration = integrations_.find(webhook.integration_id);
    if (integration == integrations_.end()) return "webhooks of this type are not known";
    const auto &webhooks = catalogue_of_(integration->second.category).webhooks;
    const auto asked = webhooks.find(webhook.type_name);
    if (asked == webhooks.end()) return "webhooks of this type are not known";
    return asked->second.empty() ? nothing : "";
}

/// The servers that a webhook can come from: those by whose secret it is signed; where it is not signed, those that do
/// not insist. If it is by the server of the integration that it names, that one is enough.
Judge::SigningServers Judge::find_signing_servers(const Webhook &webhook, std::string_view body,
                                                  const std::optional<std::string> &signature) {
    kombo::SignatureCheck check(body, signature.value_or(""));
    const auto can_be_by = [&](const SigningServer &server) {
        if (!signature || signature->empty()) return server.accept_unsigned;
        return std::any_of(server.secrets.begin(), server.secrets.end(),
                           [&](const std::string &secret) { return check.is_by(secret); });
    };
    const auto integration = integrations_.find(webhook.integration_id);
    if (integration != integrations_.end())
        for (SigningServer &server : servers_)
            if (server.name == integration->second.server && can_be_by(server)) return {&server};
    SigningServers found;
    for (SigningServer &server : servers_)
        if (can_be_by(server)) found.push_back(&server);
    return found;
}

std::string Judge::nobody_signed(bool is_signed) const {
    if (!is_signed) return "the webhook is not signed";
    std::string unread;
    bool has_secret = false;
    for (const SigningServer &server : servers_) {
        has_secret = has_secret || !server.secrets.empty();
        if (server.unreadable) unread += (unread.empty() ? "" : ", ") + quoted(server.name);
    }
    std::string error = has_secret ? "the signature is by no webhook secret of any server"
                                   : "there is no webhook secret to verify the signature with";
    if (!unread.empty()) error += "; that of server " + unread + " could not be read";
    return kombo::printable(error);
}

/// An invented id makes the worker ask Kombo, which spends the key's budget: so only signed webhooks count, and only
/// some at once.
Verdict Judge::of_unknown(const Webhook &webhook, const SigningServers &servers, bool is_signed) {
    const std::string its_name = "integration " + quoted(webhook.integration_id);
    SigningServers registering;
    for (SigningServer *server : servers)
        if (is_signed && server->auto_register) registering.push_back(server);
    if (registering.empty() || webhook.type == WebhookType::IntegrationDeleted)
        return rejected(its_name + " is not known here");
    if (!can_be_registered(webhook.integration_id))
        return rejected(its_name +
                        " cannot be registered: its id is too long, or has control characters or white space "
                        "around it");
    Verdict verdict;
    for (SigningServer *server : registering) {
        if (server->asked_about.size() >= most_asked_about && server->asked_about.count(webhook.integration_id) == 0)
            continue;
        server->asked_about.insert(webhook.integration_id);
        verdict.requests.push_back(ask_for_state(webhook.integration_id, server->name));
    }
    if (verdict.requests.empty())
        return rejected(its_name + " is not known here, and Kombo is being asked about " +
                        std::to_string(most_asked_about) + " others already");
    return verdict;
}

/// Why a webhook by these servers may not touch the integration; empty: it may.
std::string Judge::not_its_own(const KnownIntegration &integration, const SigningServers &servers,
                               bool is_signed) const {
    const auto named = [&](const std::string &name) {
        return std::any_of(servers_.begin(), servers_.end(), [&](const SigningServer &s) { return s.name == name; });
    };
    if (std::any_of(servers.begin(), servers.end(),
                    [&](const SigningServer *s) { return s->name == integration.server; }))
        return "";
    const std::string its_own = "server " + quoted(integration.server);
    if (!named(integration.server)) return its_own + " of the integration does not exist";
    if (!is_signed) return "the webhook is not signed, and " + its_own + " does not accept unsigned webhooks";
    const SigningServer &signer = *servers.front();
    return "signed by server " + quoted(signer.name) + ", but the integration belongs to " + its_own;
}

Verdict Judge::of_known(const Webhook &webhook, const KnownIntegration &integration) const {
    Verdict verdict;
    if (webhook.type == WebhookType::DataChanged) verdict = of_changed_data(webhook, integration);
    if (webhook.type == WebhookType::Other) verdict = of_other_type(webhook, integration);
    if (verdict.status != WebhookStatus::Done) return verdict;
    // A pause because of Kombo's responses ends by asking again.
    if (integration.paused_automatically || webhook.type == WebhookType::IntegrationCreated ||
        webhook.type == WebhookType::IntegrationDeleted || webhook.type == WebhookType::IntegrationStateChanged)
        verdict.requests.push_back(ask_for_state(webhook.integration_id));
    verdict.ends_back_off = true;
    return verdict;
}

/// It names no model: the catalogue has the endpoints that show what it tells of.
Verdict Judge::of_other_type(const Webhook &webhook, const KnownIntegration &integration) const {
    const Catalogue &catalogue = catalogue_of_(integration.category);
    const States states = states_of(catalogue, integration);
    FetchRequest wanted;
    wanted.what.emplace();
    for (const std::string &path : catalogue.webhooks.at(webhook.type_name))
        if (states.at(path).subscription.enabled) wanted.what->push_back(path);
    if (wanted.what->empty()) return ignored("no subscribed endpoint shows what webhooks of this type tell of");
    Verdict verdict;
    verdict.requests = plan_requests(catalogue, integration.category, states, wanted, webhook.integration_id).requests;
    return verdict;
}

Verdict Judge::of_changed_data(const Webhook &webhook, const KnownIntegration &integration) const {
    if (webhook.changed_models.empty()) return ignored("it names no changed model");
    const Catalogue &catalogue = catalogue_of_(integration.category);
    const States states = states_of(catalogue, integration);

    FetchRequest wanted;
    wanted.what.emplace();
    std::optional<std::string> unknown;
    for (const std::string &model : std::set<std::string>(webhook.changed_models.begin(), webhook.changed_models.end()))
        if (knows_model(catalogue, model))
            wanted.what->push_back(model);
        else if (!unknown)
            unknown = model.empty() ? "a model without name" : kombo::printable(model, 100);

    RequestPlan planned = plan_requests(catalogue, integration.category, states, wanted, webhook.integration_id);
    if (unknown) {
        planned.ignored.push_back(*unknown);
        for (const auto &[endpoint, state] : states)
            if (state.subscription.enabled)
                planned.requests.push_back({webhook.integration_id, endpoint, Kind::Delta, "", *unknown});
    }
    if (planned.requests.empty()) return ignored(nothing_carries(planned.ignored));
    Verdict verdict;
    verdict.requests = std::move(planned.requests);
    return verdict;
}

} // namespace syncer
