#include "records.h"

#include <algorithm>

namespace sandbox {

const std::string *Overlay::value(std::string_view field) const {
    for (const auto &[name, text] : set)
        if (name == field) return &text;
    return nullptr;
}

std::string_view reference_field(Reference reference) {
    static constexpr std::array<std::string_view, 12> fields{
        "manager_id",  "work_location_id", "legal_entity_id", "employee_id",          "type_id",   "reviewee_id",
        "reviewer_id", "review_cycle_id",  "skill_id",        "proficiency_scale_id", "parent_id", "approver_id",
    };
    return fields[static_cast<std::size_t>(reference)];
}

Model reference_target(Model model, Reference reference) {
    switch (reference) {
    case Reference::manager:
    case Reference::employee:
    case Reference::reviewee:
    case Reference::reviewer:
    case Reference::approver:
        return Model::employees;
    case Reference::work_location:
        return Model::locations;
    case Reference::legal_entity:
        return Model::legal_entities;
    case Reference::absence_type:
        return Model::absence_types;
    case Reference::review_cycle:
        return Model::review_cycles;
    case Reference::skill:
        return Model::skills;
    case Reference::skill_scale:
        return Model::skill_scales;
    case Reference::parent:
        return model;
    }
    return model;
}

std::string_view list_key(Model target) {
    switch (target) {
    case Model::teams:
        return "groups";
    case Model::locations:
        return "locations";
    case Model::legal_entities:
        return "legal_entities";
    case Model::skills:
        return "skills";
    default:
        return "";
    }
}

std::optional<Model> list_model(std::string_view key) {
    for (const Model model : {Model::teams, Model::locations, Model::legal_entities, Model::skills})
        if (list_key(model) == key) return model;
    return std::nullopt;
}

Records::Records(std::string_view integration, std::uint64_t seed, Index employees)
    : base_(seed, employees), ids_(integration) {
    for (const Model model : all_models) counts_[slot(model)] = base_.count(model);
}

const Overlay *Records::overlay(Model model, Index index) const {
    const auto &blocks = overlays_[slot(model)];
    const Index block = index / block_size;
    return block < blocks.size() && blocks[block] ? (*blocks[block])[index % block_size].get() : nullptr;
}

Overlay &Records::edit(Model model, Index index) {
    auto &blocks = overlays_[slot(model)];
    const Index block = index / block_size;
    if (blocks.size() <= block) blocks.resize(block + 1);
    if (!blocks[block]) blocks[block] = std::make_unique<Block>();
    std::unique_ptr<Overlay> &changes = (*blocks[block])[index % block_size];
    if (!changes) changes = std::make_unique<Overlay>();
    return *changes;
}

Index Records::append(Model model, const std::string &id) {
    const Index index = counts_[slot(model)]++;
    Overlay &made = edit(model, index);
    if (!id.empty()) {
        made.id = id;
        own_ids_[slot(model)].emplace(id, index);
    }
    return index;
}

std::string Records::id(Model model, Index index) const {
    const Overlay *changes = overlay(model, index);
    if (changes && !changes->id.empty()) return changes->id;
    return ids_.id(model, index);
}

std::optional<Index> Records::find(Model model, std::string_view id) const {
    const auto &own = own_ids_[slot(model)];
    if (!own.empty()) {
        const auto found = own.find(std::string(id));
        if (found != own.end()) return found->second;
    }
    const std::optional<Index> index = ids_.index_of_id(model, id);
    if (!index || *index >= count(model) || this->id(model, *index) != id) return std::nullopt;
    return index;
}

std::optional<Index> Records::find_remote(Model model, std::string_view remote_id) const {
    std::string quoted;
    append_quoted(quoted, remote_id);
    for (Index i = 0; i < count(model); ++i) {
        const Overlay *changes = overlay(model, i);
        const std::string *set = changes ? changes->value("remote_id") : nullptr;
        if (set && *set == quoted) return i;
    }
    const std::optional<Index> index = ids_.index_of_remote_id(model, remote_id);
    if (!index || *index >= count(model)) return std::nullopt;
    const Overlay *changes = overlay(model, *index);
    if (changes && changes->value("remote_id")) return std::nullopt;
    return index;
}

Millis Records::changed_at(Model model, Index index) const {
    const Overlay *changes = overlay(model, index);
    return changes && changes->changed_at != 0 ? changes->changed_at : base_.changed_at(model, index);
}

bool Records::purged(Model model, Index index) const {
    const Overlay *changes = overlay(model, index);
    return changes && changes->purged;
}

bool Records::deleted(Model model, Index index) const {
    const Overlay *changes = overlay(model, index);
    return changes && changes->deleted_at != 0;
}

bool Records::wiped(Model model, Index index, Millis at) const {
    const Overlay *changes = overlay(model, index);
    // Kombo: 14 days after remote_deleted_at all fields are set to null
    return changes && changes->deleted_at != 0 && (changes->wiped || changes->deleted_at + 14 * day_ms <= at);
}

std::optional<Index> Records::follow(Model model, Index index, Reference reference) const {
    const Model target = reference_target(model, reference);
    const Overlay *changes = overlay(model, index);
    const std::string *set = changes ? changes->value(reference_field(reference)) : nullptr;
    std::optional<Index> found;
    if (!set)
        found = base_reference(model, index, reference);
    else if (set->size() > 2 && set->front() == '"')
        found = find(target, std::string_view(*set).substr(1, set->size() - 2));
    if (found && (*found >= count(target) || purged(target, *found))) return std::nullopt;
    return found;
}

std::optional<Index> Records::base_reference(Model model, Index index, Reference reference) const {
    switch (reference) {
    case Reference::manager:
        return base_.manager(index);
    case Reference::work_location:
        return base_.pick(Model::locations, model, index, 4);
    case Reference::legal_entity:
        return base_.pick(Model::legal_entities, model, index, 5);
    case Reference::employee:
    case Reference::reviewee:
        return base_.employee_of(model, index);
    case Reference::absence_type:
        return model == Model::time_off_balances ? 0 : base_.pick(Model::absence_types, model, index, 6);
    case Reference::reviewer:
    case Reference::approver:
        // Whoever is their manager later has neither reviewed nor approved.
        if (index >= base_.count(model)) return std::nullopt;
        return base_.manager(base_.employee_of(model, index));
    case Reference::review_cycle:
        // One that is created later moves no review.
        if (base_.count(Model::review_cycles) == 0) return std::nullopt;
        return index % base_.count(Model::review_cycles);
    case Reference::skill:
        return base_.pick(Model::skills, model, index, 7);
    case Reference::skill_scale:
        return index % 5 == 4 ? std::nullopt : std::optional<Index>(index % 3);
    case Reference::parent:
        return index < 4 ? std::nullopt : std::optional<Index>(index % 4);
    }
    return std::nullopt;
}

std::optional<Index> Records::follow(Model model, Index index, const Field &reference) const {
    const Overlay *changes = overlay(model, index);
    const std::string *set = changes ? changes->value(reference.key) : nullptr;
    std::optional<Index> found;
    const Index among = base_.count(reference.target);
    if (set) {
        if (set->size() > 2 && set->front() == '"')
            found = find(reference.target, std::string_view(*set).substr(1, set->size() - 2));
    } else if (index >= base_.count(model) || among == 0) {
        return std::nullopt;
    } else if (reference.parent) {
        found = base_.parent_of(model, reference.target, index);
    } else if (reference.cycle) {
        found = index % among;
    } else if (const std::uint64_t h = base_.hash(model, index, salt_of(reference.key)); !reference.nullable || h % 7) {
        found = static_cast<Index>(h / 7 % among);
    }
    if (found && (*found >= count(reference.target) || purged(reference.target, *found))) return std::nullopt;
    return found;
}

std::optional<ParentLink> parent_link(Model model) {
    if (!is_described(model)) {
        if (model != Model::employments && model != Model::time_off_balances) return std::nullopt;
        return ParentLink{Model::employees, reference_field(Reference::employee)};
    }
    const Field *parent = description(model).parent();
    return parent ? std::optional(ParentLink{parent->target, parent->key}) : std::nullopt;
}

std::optional<Index> Records::parent(Model model, Index index) const {
    if (!is_described(model)) return follow(model, index, Reference::employee);
    return follow(model, index, *description(model).parent());
}

std::vector<Index> Records::children(Model model, Index parent) const {
    std::vector<Index> all;
    const ParentLink link = parent_link(model).value();
    const auto [first, last] =
        is_described(model) ? base_.spread(model, link.parent, parent) : base_.children(model, parent);
    for (Index i = first; i < last; ++i) {
        const Overlay *changes = overlay(model, i);
        if (!changes || !changes->value(link.field)) all.push_back(i);
    }
    const auto &adopted = adopted_[slot(model)];
    if (const auto found = adopted.find(parent); found != adopted.end())
        all.insert(all.end(), found->second.begin(), found->second.end());
    return all;
}

void Records::adopt(Model model, Index index, std::optional<Index> from, std::optional<Index> to) {
    auto &adopted = adopted_[slot(model)];
    if (from) {
        auto &of_old = adopted[*from];
        of_old.erase(std::remove(of_old.begin(), of_old.end(), index), of_old.end());
    }
    if (to) adopted[*to].push_back(index);
}

std::vector<Link> Records::links(Model model, Index index, Model target) const {
    const Overlay *changes = overlay(model, index);
    if (changes) {
        const auto found = changes->links.find(std::string(list_key(target)));
        if (found != changes->links.end()) return found->second;
    }
    std::vector<Link> all;
    for (const Index i : model == Model::employees ? base_.groups_of(index) : base_.staffing_links(target, index))
        all.push_back({i, {}});
    return all;
}

std::vector<Link> Records::links(Model model, Index index, const Field &list) const {
    if (const Overlay *changes = overlay(model, index))
        if (const auto found = changes->links.find(list.key); found != changes->links.end()) return found->second;
    std::vector<Link> all;
    if (index < base_.count(model))
        for (const Index i : base_.some_of(list.target, model, index, salt_of(list.key))) all.push_back({i, {}});
    return all;
}

std::uint32_t salt_of(std::string_view key) {
    std::uint32_t salt = 2166136261U;
    for (const char c : key) salt = (salt ^ static_cast<unsigned char>(c)) * 16777619U;
    return salt | 0x100U;
}

} // namespace sandbox
