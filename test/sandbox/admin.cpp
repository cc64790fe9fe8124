#include "admin.h"

#include "clock.h"
#include "record_ops.h"
#include "render.h"

#include <algorithm>
#include <charconv>

namespace sandbox {

namespace {

constexpr const char *json_type = "application/json";

void replace_names(std::set<std::string> &names, const json_t *list) {
    if (!json_is_array(list)) return;
    names.clear();
    for (std::size_t i = 0; i < json_array_size(list); ++i)
        if (json_is_string(json_array_get(list, i))) names.insert(json_string_value(json_array_get(list, i)));
}

// The fields that POST and PATCH of an integration share.
void change_integration(Integration &integration, const json_t *fields) {
    const std::unique_lock lock(integration.mutex);
    integration.category = text_at(fields, "category", integration.category);
    integration.tool = text_at(fields, "tool", integration.tool);
    integration.status = text_at(fields, "status", integration.status);
    integration.setup_status = text_at(fields, "setup_status", integration.setup_status);
    integration.error_code = text_at(fields, "error_code", integration.error_code);
    if (json_is_null(json_object_get(fields, "error_code"))) integration.error_code.clear();
    integration.error_status = static_cast<int>(integer_at(fields, "error_status", integration.error_status));
    integration.qa_failed = flag_at(fields, "qa_failed", integration.qa_failed);
    integration.reads_when_inactive = flag_at(fields, "reads_when_inactive", integration.reads_when_inactive);
    integration.deleted = flag_at(fields, "deleted", integration.deleted);
    integration.nested_deleted = flag_at(fields, "nested_deleted", integration.nested_deleted);
    const std::string order = text_at(fields, "order");
    if (!order.empty() && order != "index" && order != "changed_at")
        throw AdminError(400, "\"order\" must be index or changed_at");
    if (!order.empty()) integration.order_by_changed_at = order == "changed_at";
    if (const json_t *expired = json_object_get(fields, "data_expired_at"))
        integration.data_expired_at =
            json_is_string(expired) ? parse_time(json_string_value(expired)).value_or(now()) : 0;
    replace_names(integration.unavailable_models, json_object_get(fields, "unavailable_models"));
    replace_names(integration.disabled_models, json_object_get(fields, "disabled_models"));
}

std::string describe(const Integration &integration) {
    const std::shared_lock lock(integration.mutex);
    return integration.describe();
}

// Kombo tells of states, and once the first sync is done also of the models that then have data.
void tell_state(Sandbox &sandbox, const Subject &before, const Subject &after) {
    if (before.deleted != after.deleted) {
        sandbox.webhooks.happened(after.deleted ? "integration-deleted" : "integration-created", after);
    } else if (before.status != after.status || before.setup_status != after.setup_status ||
               before.qa_failed != after.qa_failed) {
        sandbox.webhooks.happened("integration-state-changed", after);
    }
    if (before.setup_status == after.setup_status || after.setup_status != "COMPLETED") return;
    sandbox.webhooks.changed(after, after.models);
}

std::string integrations(Sandbox &sandbox, const httplib::Request &request, const json_t *body) {
    if (request.method == "GET") {
        std::string out = "[";
        for (const auto &integration : sandbox.integrations.all())
            out += (out.size() > 1 ? "," : "") + describe(*integration);
        return out + "]";
    }
    const std::string id = request.has_param("id") ? request.get_param_value("id") : text_at(body, "id");
    if (request.method == "DELETE") {
        const Subject gone(*integration_of(sandbox, id));
        sandbox.integrations.remove(gone.id);
        sandbox.webhooks.happened("integration-deleted", gone);
        return "{}";
    }
    if (request.method == "PATCH") {
        const auto integration = integration_of(sandbox, id);
        const Subject before(*integration);
        change_integration(*integration, body);
        tell_state(sandbox, before, Subject(*integration));
        return describe(*integration);
    }
    if (id.empty()) throw AdminError(400, "\"id\" is missing");
    const auto integration = std::make_shared<Integration>(
        id, static_cast<std::uint64_t>(integer_at(body, "seed", 1)),
        static_cast<Index>(std::clamp<std::int64_t>(integer_at(body, "employees", 100), 0, 20'000'000)));
    change_integration(*integration, body);
    if (!sandbox.integrations.add(integration)) throw AdminError(409, "there is an integration \"" + id + "\"");
    sandbox.webhooks.happened("integration-created", Subject(*integration));
    return describe(*integration);
}

struct JoinTable {
    std::string_view name;
    Model parent;
    std::string_view parent_key;
    Model target;
    std::string_view target_key;
};

constexpr JoinTable join_tables[] = {
    {"hris_join_employees_teams", Model::employees, "employee_id", Model::teams, "team_id"},
    {"hris_join_staffing_entities_groups", Model::staffing_entities, "staffing_entity_id", Model::teams, "group_id"},
    {"hris_join_staffing_entities_locations", Model::staffing_entities, "staffing_entity_id", Model::locations,
     "location_id"},
    {"hris_join_staffing_entities_legal_entities", Model::staffing_entities, "staffing_entity_id",
     Model::legal_entities, "legal_entity_id"},
    {"hris_join_staffing_entities_skills", Model::staffing_entities, "staffing_entity_id", Model::skills, "skill_id"},
};

const JoinTable *join_table(const std::string &name) {
    for (const JoinTable &table : join_tables)
        if (table.name == name) return &table;
    return nullptr;
}

// The same of the schema: the field of the model whose lists they are.
std::vector<std::string> described_rows(const Integration &integration, const Join &join) {
    const View view{integration.records, now(), integration.nested_deleted};
    std::vector<std::string> rows;
    for (const Model parent : all_models) {
        if (!is_described(parent)) continue;
        for (const Field &field : description(parent).fields) {
            if (field.join != join.name) continue;
            for (Index i = 0; i < integration.records.count(parent); ++i) {
                if (!integration.records.live(parent, i)) continue;
                for (const Link &link : integration.records.links(parent, i, field)) {
                    if (!served_nested(view, field.target, link.index)) continue;
                    std::string row;
                    ObjectWriter object(row);
                    object.text(join.parent_key, integration.records.id(parent, i));
                    object.text(join.target_key, integration.records.id(field.target, link.index));
                    object.close();
                    rows.push_back(std::move(row));
                }
            }
        }
    }
    return rows;
}

// Rows of a join table: what the lists of live parents hold.
std::vector<std::string> join_rows(const Integration &integration, const JoinTable &table) {
    const View view{integration.records, now(), integration.nested_deleted};
    std::vector<std::string> rows;
    for (Index parent = 0; parent < integration.records.count(table.parent); ++parent) {
        if (!integration.records.live(table.parent, parent)) continue;
        for (const Link &link : served_links(view, table.parent, parent, table.target)) {
            std::string row;
            ObjectWriter object(row);
            object.text(table.parent_key, integration.records.id(table.parent, parent));
            object.text(table.target_key, integration.records.id(table.target, link.index));
            if (table.target == Model::skills)
                object.json("expected_proficiency", expected_proficiency(view, parent, link));
            object.close();
            rows.push_back(std::move(row));
        }
    }
    return rows;
}

std::optional<std::vector<std::string>> rows_of_join(const Integration &integration, const std::string &name) {
    if (const JoinTable *table = join_table(name)) return join_rows(integration, *table);
    for (const Join &join : all_joins())
        if (join.name == name) return described_rows(integration, join);
    return std::nullopt;
}

std::string paged(std::size_t offset, std::size_t limit, std::size_t total,
                  const std::function<bool(std::size_t, std::string &)> &append) {
    std::string out = "{\"results\":[";
    std::size_t at = offset;
    bool first = true;
    for (std::size_t n = 0; at < total && n < limit; ++at) {
        std::string record;
        if (!append(at, record)) continue;
        if (!first) out += ',';
        first = false;
        out += record;
        ++n;
    }
    return out + "],\"next_offset\":" + (at < total ? std::to_string(at) : "null") + "}";
}

std::string records(Sandbox &sandbox, const httplib::Request &request, const json_t *body) {
    if (request.method == "POST") {
        const json_t *first = json_is_array(body) ? json_array_get(body, 0) : body;
        const auto integration = integration_of(sandbox, text_at(first, "integration"));
        ModelNames changed;
        std::string served = apply_record_ops(*integration, body, changed);
        sandbox.tell_changed(*integration, changed);
        return served;
    }
    const auto integration = integration_of(sandbox, request.get_param_value("integration"));
    const std::shared_lock lock(integration->mutex);
    const std::string name = request.get_param_value("model");
    const std::size_t offset = number_param(request, "offset", 0);
    const std::size_t limit = number_param(request, "limit", 1000);
    if (const auto rows = rows_of_join(*integration, name)) {
        return paged(offset, limit, rows->size(), [&](std::size_t at, std::string &out) {
            out = (*rows)[at];
            return true;
        });
    }
    const Json named(json_pack("{s:s}", "model", name.c_str()));
    const Model model = model_at(named.get(), "model");
    const std::string id = request.get_param_value("id");
    if (!id.empty()) {
        const auto index = integration->records.find(model, id);
        if (!index) throw AdminError(404, "no record \"" + id + "\" in " + name);
        return served(*integration, model, *index);
    }
    const bool with_deleted = request.get_param_value("include_deleted") != "false";
    const View view{integration->records, now(), integration->nested_deleted};
    return paged(offset, limit, integration->records.count(model), [&](std::size_t at, std::string &out) {
        const auto index = static_cast<Index>(at);
        if (integration->records.purged(model, index) || (!with_deleted && integration->records.deleted(model, index)))
            return false;
        render(out, view, model, index);
        return true;
    });
}

std::string count(Sandbox &sandbox, const httplib::Request &request) {
    const auto integration = integration_of(sandbox, request.get_param_value("integration"));
    const std::shared_lock lock(integration->mutex);
    const std::string name = request.get_param_value(request.has_param("path") ? "path" : "model");
    if (const auto rows = rows_of_join(*integration, name)) return "{\"count\":" + std::to_string(rows->size()) + "}";
    const Endpoint *endpoint = endpoint_at(name);
    Endpoint of_model{"", Model::employees, true};
    if (!endpoint) {
        const Json named(json_pack("{s:s}", "model", name.c_str()));
        of_model.model = model_at(named.get(), "model");
        endpoint = &of_model;
    }
    const bool with_deleted = request.get_param_value("include_deleted") == "true";
    return "{\"count\":" + std::to_string(count_records(*integration, *endpoint, with_deleted)) + "}";
}

std::string raw(Sandbox &sandbox, const json_t *body) {
    const auto integration = integration_of(sandbox, text_at(body, "integration"));
    ModelNames changed;
    std::string served = apply_raw(*integration, body, changed);
    sandbox.tell_changed(*integration, changed);
    return served;
}

std::string change_faults(Sandbox &sandbox, const httplib::Request &request, const json_t *body) {
    if (request.method == "DELETE") {
        sandbox.faults.clear();
    } else if (request.method == "POST") {
        if (json_is_array(body)) {
            for (std::size_t i = 0; i < json_array_size(body); ++i)
                sandbox.faults.add(std::make_shared<Fault>(json_array_get(body, i)));
        } else {
            sandbox.faults.add(std::make_shared<Fault>(body));
        }
    }
    return "{\"left\":" + std::to_string(sandbox.faults.left()) + "}";
}

std::string clock(const json_t *body) {
    if (json_object_get(body, "skew_seconds")) set_skew(integer_at(body, "skew_seconds", 0) * 1000);
    advance_clock(integer_at(body, "advance_seconds", 0) * 1000);
    std::string out = "{\"now\":";
    append_time(out, now());
    return out + "}";
}

std::string settings(Sandbox &sandbox, const json_t *body) {
    Settings &all = sandbox.settings;
    all.latency_ms = static_cast<int>(integer_at(body, "latency_ms", all.latency_ms));
    all.page_size_max = static_cast<int>(integer_at(body, "page_size_max", all.page_size_max));
    if (json_object_get(body, "rate_limit") || json_object_get(body, "rate_window_s")) {
        all.rate_limit = static_cast<int>(integer_at(body, "rate_limit", all.rate_limit));
        all.rate_window_s =
            static_cast<int>(std::max<std::int64_t>(1, integer_at(body, "rate_window_s", all.rate_window_s)));
        sandbox.rate_limit.restart();
    }
    const std::lock_guard lock(all.mutex);
    all.api_key = text_at(body, "api_key", all.api_key);
    return "{\"latency_ms\":" + std::to_string(all.latency_ms) + ",\"rate_limit\":" + std::to_string(all.rate_limit) +
           ",\"rate_window_s\":" + std::to_string(all.rate_window_s) +
           ",\"page_size_max\":" + std::to_string(all.page_size_max) + "}";
}

std::string answer(Sandbox &sandbox, const httplib::Request &request) {
    const std::string what = request.path.substr(std::string("/admin/").size());
    const bool reads = request.method == "GET" || request.method == "DELETE";
    const Json body = request.body.empty() ? Json(json_object()) : parse_json(request.body);
    if (!reads && !json_is_object(body.get()) && !json_is_array(body.get()))
        throw AdminError(400, "the body is not a JSON object or array");
    if (what == "requests") {
        if (request.method == "DELETE") sandbox.journal.clear();
        return sandbox.journal.json();
    }
    if (what == "concurrency") {
        if (request.method == "DELETE") sandbox.journal.clear_concurrency();
        return sandbox.journal.concurrency();
    }
    if (what == "integrations") return integrations(sandbox, request, body.get());
    if (what == "records") return records(sandbox, request, body.get());
    if (what == "count") return count(sandbox, request);
    if (what == "raw" && !reads) return raw(sandbox, body.get());
    if (what == "faults") return change_faults(sandbox, request, body.get());
    if (what == "clock") return clock(body.get());
    if (what == "webhooks") return change_webhooks(sandbox, request, body.get());
    if (what == "webhook" && !reads) return one_webhook(sandbox, body.get());
    if (what == "churn") return change_churn(sandbox, request, body.get());
    if (what == "outbox" && !reads) return sandbox.webhooks.take_held();
    if (what == "settings") return settings(sandbox, body.get());
    throw AdminError(404, "no admin call " + request.method + " " + request.path);
}

} // namespace

std::shared_ptr<Integration> integration_of(Sandbox &sandbox, const std::string &id) {
    if (auto found = sandbox.integrations.find(id)) return found;
    const auto all = sandbox.integrations.all();
    if (id.empty() && all.size() == 1) return all.front();
    throw AdminError(id.empty() ? 400 : 404,
                     id.empty() ? "name the integration: there is not exactly one" : "no integration \"" + id + "\"");
}

std::size_t number_param(const httplib::Request &request, const char *name, std::size_t otherwise) {
    const std::string text = request.get_param_value(name);
    std::size_t value = otherwise;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

void serve_admin(Sandbox &sandbox, const httplib::Request &request, httplib::Response &response) {
    try {
        response.set_content(answer(sandbox, request), json_type);
    } catch (const AdminError &error) {
        std::string out = "{\"error\":";
        append_quoted(out, error.what());
        response.status = error.status;
        response.set_content(out + "}", json_type);
    }
}

} // namespace sandbox
