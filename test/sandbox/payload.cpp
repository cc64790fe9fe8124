#include "payload.h"

#include "clock.h"

#include <mutex>
#include <random>
#include <shared_mutex>

namespace sandbox {

namespace {

Json owned(json_t *value) {
    return Json(value);
}

json_t *end_user() {
    return json_loads(end_user_json, 0, nullptr);
}

json_t *log_url(const std::string &id) {
    return json_string(("https://app.kombo.dev/sandbox/logs/" + id).c_str());
}

json_t *time_text(Millis at) {
    return json_string(iso_time(at).c_str());
}

Json data_changed(const Subject &subject, const ModelNames &models) {
    json_t *changed = json_array();
    for (const std::string &name : models) json_array_append_new(changed, json_pack("{s:s}", "name", name.c_str()));
    return owned(json_pack("{s:s, s:s, s:s, s:o}", "integration_id", subject.id.c_str(), "integration_tool",
                           subject.tool.c_str(), "integration_category", subject.category.c_str(), "changed_models",
                           changed));
}

Json sync_finished(const Subject &subject) {
    const std::string id = new_event_id();
    return owned(json_pack("{s:s, s:s, s:o, s:o, s:i, s:s, s:s, s:s, s:o, s:o}", "sync_id", id.c_str(), "sync_state",
                           "SUCCEEDED", "sync_started_at", time_text(now() - 14'000), "sync_ended_at", time_text(now()),
                           "sync_duration_seconds", 14, "integration_id", subject.id.c_str(), "integration_tool",
                           subject.tool.c_str(), "integration_category", subject.category.c_str(), "end_user",
                           end_user(), "log_url", log_url(id)));
}

Json state_changed(const Subject &subject) {
    const char *qa = subject.qa_failed ? "FAILED" : subject.setup_status == "COMPLETED" ? "PASSED" : "PENDING";
    return owned(json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:o}", "integration_tool", subject.tool.c_str(),
                           "integration_id", subject.id.c_str(), "integration_category", subject.category.c_str(),
                           "end_user", end_user(), "qa_status", qa, "setup_status", subject.setup_status.c_str(),
                           "state", subject.status.c_str(), "updated_at", time_text(now())));
}

// Kombo calls the integration `id`, `tool` and `category` here.
Json created_or_deleted(const Subject &subject, bool deleted) {
    Json data(json_pack("{s:s, s:s, s:s, s:o}", "id", subject.id.c_str(), "tool", subject.tool.c_str(), "category",
                        subject.category.c_str(), "end_user", end_user()));
    if (deleted) json_object_set_new(data.get(), "deleted_at", time_text(now()));
    return data;
}

Json connection_flow_failed(const Subject &subject) {
    return owned(json_pack("{s:s, s:s, s:o, s:o}", "integration_tool", subject.tool.c_str(), "integration_category",
                           subject.category.c_str(), "end_user", end_user(), "log_url", log_url(new_event_id())));
}

Json assessment_order(const Subject &subject) {
    static constexpr const char *order = R"({
        "package_id": "typescript_test", "status": "OPEN",
        "candidate": {"remote_id": "12345", "email": "zoe@example.com", "first_name": "Zoë", "last_name": "Grünwald",
                      "phone": null},
        "application": {"remote_id": "54321"},
        "job": {"remote_id": "67890", "name": "Développeuse TypeScript",
                                "job_code" : null,
                                "description" : "<p>TypeScript &amp; SQL</p>",
                                "location" : {
                                    "street_1" : "Lohmühlenstraße 65",
                                    "street_2" : null,
                                    "city" : "Berlin",
                                    "state" : "Berlin",
                                    "zip_code" : "12435",
                                    "country" : "DE",
                                    "raw" : null
                                },
                                "hiring_team" : [ {
                                    "remote_id" : "78901",
                                    "email" : "lead@example.com",
                                    "first_name" : "John",
                                    "last_name" : null,
                                    "hiring_team_roles" : [ "RECRUITER", "HIRING_MANAGER" ]
                                } ]
}
})";
    Json data = parse_json(order);
    json_object_set_new(data.get(), "id", json_string(new_event_id().c_str()));
    json_object_set_new(data.get(), "integration_id", json_string(subject.id.c_str()));
    return data;
}

Json ai_apply_application() {
    return owned(json_pack("{s:s, s:s, s:s, s:o, s:o}", "id", new_event_id().c_str(), "job_posting_id",
                           new_event_id().c_str(), "status", "SUBMITTED", "created_at", time_text(now() - 60'000),
                           "updated_at", time_text(now())));
}

Json ai_apply_job_posting() {
    return owned(json_pack("{s:s, s:{s:s, s:s}, s:s, s:n, s:o, s:o, s:n, s:n, s:s}", "id", new_event_id().c_str(),
                           "career_site", "id", new_event_id().c_str(), "label", "Example careers", "url",
                           "https://careers.example.com/jobs/1", "job_code", "created_at", time_text(now() - 60'000),
                           "updated_at", time_text(now()), "archived_at", "archived_reason", "availability",
                           "APPLYABLE"));
}

} // namespace

Subject::Subject(const std::string &unknown_id) : id(unknown_id), tool(unknown_id.substr(0, unknown_id.find(':'))) {}

Subject::Subject(const Integration &integration) {
    const std::shared_lock lock(integration.mutex);
    id = integration.id;
    tool = integration.tool;
    category = integration.category;
    status = integration.status;
    setup_status = integration.setup_status;
    qa_failed = integration.qa_failed;
    deleted = integration.deleted;
    models = integration.model_names();
}

std::string new_event_id() {
    static std::mutex mutex;
    static std::mt19937_64 random(std::random_device{}() * 4294967296ULL + std::random_device{}());
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const std::lock_guard lock(mutex);
    std::string id(24, ' ');
    for (char &c : id) c = alphabet[random() % alphabet.size()];
    return id;
}

Json webhook_data(const std::string &type, const Subject &subject, const ModelNames &models) {
    if (type == "data-changed") return data_changed(subject, models);
    if (type == "sync-finished") return sync_finished(subject);
    if (type == "integration-state-changed") return state_changed(subject);
    if (type == "integration-created") return created_or_deleted(subject, false);
    if (type == "integration-deleted") return created_or_deleted(subject, true);
    if (type == "connection-flow-failed") return connection_flow_failed(subject);
    if (type == "assessment:order-received" || type == "inline-assessment:order-received")
        return assessment_order(subject);
    if (type == "ai-apply-application-status-updated") return ai_apply_application();
    if (type == "ai-apply-job-posting-status-updated") return ai_apply_job_posting();
    throw AdminError(400, "Kombo has no webhook \"" + type + "\"");
}

} // namespace sandbox
