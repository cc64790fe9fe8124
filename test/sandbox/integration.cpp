#include "integration.h"

#include "clock.h"
#include "render.h"

#include <cctype>

namespace sandbox {

namespace {

std::vector<Endpoint> all_endpoints() {
    std::vector<Endpoint> all{
        {"/hris/absence-types", Model::absence_types, true},
        {"/hris/absences", Model::absences, true},
        {"/hris/employee-document-categories", Model::document_categories, true},
        {"/hris/employees", Model::employees, true},
        {"/hris/employments", Model::employments, true},
        {"/hris/groups", Model::teams, true},
        {"/hris/legal-entities", Model::legal_entities, true},
        {"/hris/locations", Model::locations, true},
        {"/hris/performance-review-cycles", Model::review_cycles, true},
        {"/hris/performance-reviews", Model::reviews, true},
        {"/hris/skill-proficiency-ratings", Model::skill_ratings, false},
        {"/hris/skills", Model::skills, false},
        {"/hris/staffing-entities", Model::staffing_entities, true},
        {"/hris/teams", Model::teams, true},
        {"/hris/time-off-balances", Model::time_off_balances, true},
        {"/hris/timesheets", Model::timesheets, true},
    };
    for (const Model model : all_models) {
        if (!is_described(model)) continue;
        const Description &described = description(model);
        if (!described.path.empty()) all.push_back({described.path, model, described.paginated, described.deltas});
    }
    return all;
}

} // namespace

const Endpoint *endpoint_at(std::string_view path) {
    static const std::vector<Endpoint> endpoints = all_endpoints();
    for (const Endpoint &endpoint : endpoints)
        if (endpoint.path == path) return &endpoint;
    return nullptr;
}

Integration::Integration(std::string own_id, std::uint64_t from_seed, Index employee_count)
    : id(std::move(own_id)), tool(id.substr(0, id.find(':'))), created_at(now()), seed(from_seed),
      employees(employee_count), records(id, from_seed, employee_count) {}

ModelNames Integration::model_names() const {
    std::string prefix;
    for (const char c : category) prefix += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    ModelNames names;
    for (const Model model : all_models)
        if (const std::string_view name = is_described(model) ? description(model).changed : model_name(model);
            !name.empty() && name.substr(0, name.find('_')) == prefix)
            names.emplace(name);
    return names;
}

std::string Integration::describe() const {
    std::string out;
    ObjectWriter object(out);
    object.text("id", id);
    if (object.open("tool")) {
        ObjectWriter of_tool(out);
        of_tool.text("id", tool);
        of_tool.text("label", tool);
        of_tool.null("internal_label");
        of_tool.text("logo_url", "https://example.com/" + tool + "/logo.svg");
        of_tool.text("icon_url", "https://example.com/" + tool + "/icon.svg");
        of_tool.close();
    }
    object.text("category", category);
    object.text("status", status);
    object.text("setup_status", setup_status);
    object.json("end_user", end_user_json);
    object.json("scope_config", R"({"id":"ScopeConfigOfTheSandbox1","name":"Default"})");
    object.time_or_null("data_expired_at", data_expired_at);
    object.time("created_at", created_at);
    object.boolean("beta", false);
    if (object.open("read_models")) {
        out += '[';
        bool first = true;
        for (const std::string &name : model_names()) {
            const bool supported = unavailable_models.count(name) == 0;
            const bool enabled = disabled_models.count(name) == 0;
            if (!first) out += ',';
            first = false;
            ObjectWriter read(out);
            read.text("id", name);
            read.text("label", name.substr(name.find('_') + 1));
            read.boolean("is_available", supported && enabled);
            read.text("coverage_status", supported ? "SUPPORTED" : "UNSUPPORTED");
            read.text("scope_config_setting", enabled ? "ENABLED" : "DISABLED");
            read.boolean("opted_out_by_customer", false);
            read.json("fields", R"([{"id":"remote_id","is_available":true,"coverage_status":"SUPPORTED",)"
                                R"("scope_config_setting":"ENABLED","opted_out_by_customer":false}])");
            read.close();
        }
        out += ']';
    }
    object.json("write_actions", "[]");
    object.close();
    return out;
}

std::shared_ptr<Integration> Integrations::find(const std::string &id) const {
    const std::lock_guard lock(mutex_);
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : found->second;
}

bool Integrations::add(std::shared_ptr<Integration> integration) {
    const std::lock_guard lock(mutex_);
    const std::string id = integration->id;
    return by_id_.emplace(id, std::move(integration)).second;
}

bool Integrations::remove(const std::string &id) {
    const std::lock_guard lock(mutex_);
    return by_id_.erase(id) != 0;
}

std::vector<std::shared_ptr<Integration>> Integrations::all() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Integration>> list;
    for (const auto &[id, integration] : by_id_) list.push_back(integration);
    return list;
}

} // namespace sandbox
