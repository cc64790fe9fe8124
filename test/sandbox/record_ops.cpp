#include "record_ops.h"

#include "clock.h"
#include "render.h"

#include <algorithm>
#include <mutex>

namespace sandbox {

namespace {

bool has_parent_list(Model model) {
    return parent_link(model).has_value();
}

// The reference that a made record must have, because its field is never null.
std::optional<ParentLink> owner_reference(Model model) {
    switch (model) {
    case Model::absences:
    case Model::timesheets:
    case Model::skill_ratings:
        return ParentLink{Model::employees, reference_field(Reference::employee)};
    case Model::reviews:
        return ParentLink{Model::employees, reference_field(Reference::reviewee)};
    default:
        return parent_link(model);
    }
}

void put(Overlay &changes, const std::string &field, std::string json) {
    for (auto &[name, text] : changes.set) {
        if (name == field) {
            text = std::move(json);
            return;
        }
    }
    changes.set.emplace_back(field, std::move(json));
}

void touch_relation(Records &records, Model model, std::optional<Index> parent, Millis at) {
    if (parent) records.edit(parent_link(model)->parent, *parent).relation_changed_at = at;
}

void set_fields(Records &records, Model model, Index index, const json_t *fields, Millis at) {
    const auto link = parent_link(model);
    const std::string parent_field(link ? link->field : "");
    const bool moves = link && json_object_get(fields, parent_field.c_str());
    const std::optional<Index> old_parent = moves ? records.parent(model, index) : std::nullopt;
    const Overlay *before = records.overlay(model, index);
    const bool was_adopted = link && before && before->value(parent_field);
    Overlay &changes = records.edit(model, index);
    const char *name = nullptr;
    json_t *value = nullptr;
    json_object_foreach(const_cast<json_t *>(fields), name, value) {
        put(changes, name, dump_json(value));
    }
    if (moves) {
        records.adopt(model, index, was_adopted ? old_parent : std::nullopt, records.parent(model, index));
        touch_relation(records, model, old_parent, at);
    }
}

Index create(Records &records, Model model, const json_t *op, Millis at) {
    const std::string id = text_at(op, "id");
    if (!id.empty() && records.find(model, id))
        throw AdminError(409, "there is a record with that id: use undelete or change");
    const Json fields(json_object());
    if (const json_t *set = json_object_get(op, "set")) json_object_update(fields.get(), const_cast<json_t *>(set));
    if (const auto owner = owner_reference(model)) {
        const std::string field(owner->field);
        if (const json_t *given = json_object_get(op, field.c_str()))
            json_object_set(fields.get(), field.c_str(), const_cast<json_t *>(given));
        if (!json_object_get(fields.get(), field.c_str()) && records.count(owner->parent) != 0) {
            const std::string first = records.id(owner->parent, 0);
            json_object_set_new(fields.get(), field.c_str(), json_string(first.c_str()));
        }
    }
    const Index index = records.append(model, id);
    set_fields(records, model, index, fields.get(), at);
    Overlay &made = records.edit(model, index);
    made.changed_at = at;
    made.liveness_changed_at = at;
    return index;
}

void set_links(Records &records, Model model, Index index, const json_t *op, Millis at) {
    const std::string key = text_at(op, "list");
    const Field *list = is_described(model) ? description(model).find(key) : nullptr;
    const std::optional<Model> target = list ? std::optional(list->target) : list_model(key);
    const bool known =
        list ? list->kind == Field::Kind::joined
             : target && (model == Model::staffing_entities || (model == Model::employees && *target == Model::teams));
    if (!known) throw AdminError(400, "\"list\" must be a list of the record that joins it to others, as groups");
    std::vector<Link> links;
    std::size_t i = 0;
    json_t *entry = nullptr;
    json_array_foreach(json_object_get(op, "ids"), i, entry) {
        const std::string id = json_is_string(entry) ? json_string_value(entry) : text_at(entry, "id");
        const std::optional<Index> found = records.find(*target, id);
        if (!found) throw AdminError(404, "no such record in " + key + ": " + id);
        const json_t *proficiency = json_object_get(entry, "expected_proficiency");
        links.push_back({*found, proficiency ? dump_json(proficiency) : std::string()});
    }
    Overlay &changes = records.edit(model, index);
    changes.links[key] = std::move(links);
    // Kombo: changed_at is the last change of the record's own properties only
    changes.relation_changed_at = at;
}

void change_liveness(Records &records, Model model, Index index, const std::string &op, Millis at) {
    const bool was_live = records.live(model, index);
    Overlay &changes = records.edit(model, index);
    if (op == "delete") {
        changes.deleted_at = at;
        changes.changed_at = at;
    } else if (op == "undelete") {
        changes.deleted_at = 0;
        changes.wiped = changes.purged = false;
        changes.changed_at = at;
    } else if (op == "wipe") {
        changes.wiped = true;
        if (changes.deleted_at == 0) changes.deleted_at = changes.changed_at = at;
    } else {
        changes.purged = true;
    }
    if (records.live(model, index) != was_live) {
        changes.liveness_changed_at = at;
        if (has_parent_list(model)) touch_relation(records, model, records.parent(model, index), at);
    }
}

// The join table whose rows the entries of a list are.
std::string join_model(Model parent, Model target, const std::string &list = {}) {
    if (is_described(parent)) return description(parent).find(list)->join;
    if (parent == Model::employees) return "hris_join_employees_teams";
    return "hris_join_staffing_entities_" + std::string(list_key(target));
}

// What else changes when a record comes or goes: the rows that join it to others.
void add_joins(Model model, ModelNames &changed) {
    for (const Model parent : all_models)
        if (is_described(parent))
            for (const Field &field : description(parent).fields)
                if (!field.join.empty() && (model == parent || model == field.target)) changed.insert(field.join);
    if (model == Model::employees || model == Model::teams) changed.insert(join_model(Model::employees, Model::teams));
    for (const Model target : {Model::teams, Model::locations, Model::legal_entities, Model::skills})
        if (model == target || model == Model::staffing_entities)
            changed.insert(join_model(Model::staffing_entities, target));
}

// A purge is no change that Kombo would tell of: the data are gone 14 days after the deletion that it told of.
void add_changed(Model model, const json_t *op, bool was_live, bool is_live, ModelNames &changed) {
    const std::string name = text_at(op, "op");
    if (name == "set_links") {
        const std::string list = text_at(op, "list");
        changed.insert(join_model(model, list_model(list).value_or(model), list));
    } else if (name != "purge" && (name != "wipe" || was_live)) {
        if (const std::string own(is_described(model) ? description(model).changed : model_name(model)); !own.empty())
            changed.insert(own);
        if (was_live != is_live && name != "create") add_joins(model, changed);
    }
}

Millis time_of(const json_t *op) {
    const std::string text = text_at(op, "at");
    if (text.empty()) return now();
    const std::optional<Millis> at = parse_time(text);
    if (!at) throw AdminError(400, "\"at\" must be a date-time such as 2024-01-31T12:00:00.000Z");
    return *at;
}

} // namespace

Model model_at(const json_t *request, const char *key) {
    const std::string name = text_at(request, key);
    if (const Endpoint *endpoint = endpoint_at(name)) return endpoint->model;
    if (const auto model = model_by_name(name)) return *model;
    throw AdminError(400, "unknown model \"" + name + "\"");
}

std::string served(const Integration &integration, Model model, Index index) {
    if (integration.records.purged(model, index)) return "null";
    std::string out;
    render(out, {integration.records, now(), integration.nested_deleted}, model, index);
    return out;
}

std::string apply_record_op(Integration &integration, const json_t *op, ModelNames &changed) {
    Records &records = integration.records;
    const Model model = model_at(op, "model");
    const std::string name = text_at(op, "op");
    const Millis at = time_of(op);
    if (name == "create") {
        add_changed(model, op, false, true, changed);
        return served(integration, model, create(records, model, op, at));
    }
    const std::string id = text_at(op, "id");
    const std::optional<Index> index = records.find(model, id);
    if (!index) throw AdminError(404, "no record \"" + id + "\" in " + std::string(model_name(model)));
    const bool was_live = records.live(model, *index);
    if (name == "change") {
        set_fields(records, model, *index, json_object_get(op, "set"), at);
        records.edit(model, *index).changed_at = at;
    } else if (name == "set_links") {
        set_links(records, model, *index, op, at);
    } else if (name == "delete" || name == "undelete" || name == "wipe" || name == "purge") {
        change_liveness(records, model, *index, name, at);
    } else {
        throw AdminError(400, "\"op\" must be change, create, delete, undelete, wipe, purge or set_links");
    }
    add_changed(model, op, was_live, records.live(model, *index), changed);
    return served(integration, model, *index);
}

std::string apply_record_ops(Integration &integration, const json_t *ops, ModelNames &changed) {
    const std::unique_lock lock(integration.mutex);
    if (!json_is_array(ops)) return apply_record_op(integration, ops, changed);
    std::string out = "[";
    std::size_t i = 0;
    json_t *op = nullptr;
    json_array_foreach(const_cast<json_t *>(ops), i, op) {
        if (i != 0) out += ',';
        out += apply_record_op(integration, op, changed);
    }
    return out + "]";
}

std::string apply_raw(Integration &integration, const json_t *request, ModelNames &changed) {
    const std::unique_lock lock(integration.mutex);
    const Endpoint *endpoint = endpoint_at(text_at(request, "path", "/hris/employees"));
    if (!endpoint) throw AdminError(400, "\"path\" must be a list such as /hris/employees");
    const std::string path(endpoint->path);
    changed.insert(std::string(model_name(endpoint->model)));
    const std::string id = text_at(request, "id");
    const std::optional<Index> index = integration.records.find(endpoint->model, id);
    const std::string list_null = text_at(request, "list_null");
    const std::string list_absent = text_at(request, "list_absent");
    if (!list_null.empty() || !list_absent.empty()) {
        if (!index) throw AdminError(404, "no record \"" + id + "\" in " + path);
        Overlay &changes = integration.records.edit(endpoint->model, *index);
        if (!list_null.empty()) changes.lists[list_null] = ListMode::null;
        if (!list_absent.empty()) changes.lists[list_absent] = ListMode::absent;
        changes.raw_at = now();
        return served(integration, endpoint->model, *index);
    }
    const json_t *text = json_object_get(request, "json");
    if (!json_is_string(text) && !json_is_null(text))
        throw AdminError(400, "\"json\" must be the text to serve, as a string, or null to end it");
    const std::string json = text_at(request, "json");
    if (index) {
        Overlay &changes = integration.records.edit(endpoint->model, *index);
        if (json_is_null(text)) {
            changes.raw.erase(path);
            changes.lists.clear();
        } else {
            changes.raw[path] = json;
        }
        changes.raw_at = now();
        return "{\"replaced\":true}";
    }
    std::vector<ExtraRecord> &extra = integration.extra[path];
    const auto same = [&](const ExtraRecord &record) { return !id.empty() && record.id == id; };
    extra.erase(std::remove_if(extra.begin(), extra.end(), same), extra.end());
    if (json_is_null(text) && id.empty()) extra.clear();
    if (!json_is_null(text)) extra.push_back({id, json, now()});
    return "{\"replaced\":false}";
}

} // namespace sandbox
