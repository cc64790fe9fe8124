#include "admin.h"

#include <algorithm>
#include <mutex>

namespace sandbox {

namespace {

ModelNames models_at(const json_t *body) {
    const json_t *list = json_object_get(body, "changed_models");
    if (!list) return {"hris_employees"};
    ModelNames models;
    for (std::size_t i = 0; i < json_array_size(list); ++i) {
        if (!json_is_string(json_array_get(list, i)))
            throw AdminError(400, "\"changed_models\" must be an array of names");
        models.insert(json_string_value(json_array_get(list, i)));
    }
    return models;
}

// A webhook may be about an integration that is not there.
Subject subject_at(Sandbox &sandbox, const json_t *body) {
    const std::string id = text_at(body, "integration");
    if (!id.empty() && !sandbox.integrations.find(id)) return Subject(id);
    return Subject(*integration_of(sandbox, id));
}

void append_answer(std::string &out, const Answer &answer) {
    if (out.back() != '[') out += ',';
    out += "{\"status\":" + std::to_string(answer.status) + ",\"error\":";
    append_quoted(out, answer.error);
    out += '}';
}

} // namespace

std::string change_webhooks(Sandbox &sandbox, const httplib::Request &request, const json_t *body) {
    if (request.method == "DELETE") sandbox.webhooks.stop();
    if (request.method == "POST") sandbox.webhooks.configure(body);
    return sandbox.webhooks.json(number_param(request, "deliveries", 100));
}

std::string change_churn(Sandbox &sandbox, const httplib::Request &request, const json_t *body) {
    const std::lock_guard lock(sandbox.churn_mutex);
    if (request.method == "POST") {
        const auto integration = integration_of(sandbox, text_at(body, "integration"));
        std::unique_ptr<Churn> &churn = sandbox.churns[integration->id];
        churn.reset();
        churn = std::make_unique<Churn>(integration, body, [&sandbox](const auto &changed_one, const auto &models) {
            sandbox.tell_changed(changed_one, models);
        });
    }
    std::string out = "[";
    for (const auto &[id, churn] : sandbox.churns) {
        if (!churn || (request.has_param("integration") && request.get_param_value("integration") != id)) continue;
        if (request.method == "DELETE") churn->stop();
        out += (out.size() > 1 ? "," : "") + churn->json();
    }
    return out + "]";
}

std::string one_webhook(Sandbox &sandbox, const json_t *body) {
    const std::string url = text_at(body, "url", sandbox.webhooks.url());
    const bool sends = flag_at(body, "send");
    if (sends && url.compare(0, 7, "http://") != 0) throw AdminError(400, "\"url\" must start with http://");
    const Subject subject = subject_at(sandbox, body);
    const ModelNames models = models_at(body);
    const std::string type = text_at(body, "type", "data-changed");
    const std::string secret = text_at(body, "secret", sandbox.webhooks.secret());
    const std::int64_t count = std::clamp<std::int64_t>(integer_at(body, "count", 1), 1, 100'000);
    std::string first;
    std::string all = "[";
    std::string answers = "[";
    for (std::int64_t i = 0; i < count; ++i) {
        const Webhook webhook = make_webhook(type, subject, models, secret, body);
        if (i == 0) first = webhook.json();
        if (i != 0) all += ',';
        all += webhook.json();
        for (std::int64_t n = integer_at(body, "repeat", 1); sends && n > 0; --n)
            append_answer(answers, post(webhook, url, sandbox.webhooks.timeout()));
    }
    first.pop_back();
    if (json_object_get(body, "count")) first += ",\"webhooks\":" + all + ']';
    if (sends) first += ",\"answers\":" + answers + ']';
    return first + '}';
}

} // namespace sandbox
