#include "relations.h"

#include <algorithm>

namespace sandbox {

namespace {

Millis liveness_changed_at(const Records &records, Model model, Index index) {
    const Overlay *changes = records.overlay(model, index);
    return changes ? changes->liveness_changed_at : 0;
}

// A linked record counts by its own changes alone: what moves it in its own list does not carry over.
Millis linked(const Records &records, Model model, Index index, Reference reference) {
    const std::optional<Index> target = records.follow(model, index, reference);
    if (!target) return 0;
    const Model of = reference_target(model, reference);
    return std::max(records.changed_at(of, *target), liveness_changed_at(records, of, *target));
}

Millis children(const Records &records, Model model, Index employee) {
    Millis latest = 0;
    for (const Index child : records.children(model, employee))
        latest = std::max({latest, records.changed_at(model, child), liveness_changed_at(records, model, child)});
    return latest;
}

Millis joined(const Records &records, Model model, Index index, Model target, bool linked_record_triggers) {
    Millis latest = 0;
    for (const Link &link : records.links(model, index, target)) {
        latest = std::max(latest, liveness_changed_at(records, target, link.index));
        if (linked_record_triggers) latest = std::max(latest, records.changed_at(target, link.index));
    }
    return latest;
}

Millis moved_by(const Records &records, Model model, Index index, const Field &field) {
    Millis latest = 0;
    const auto take = [&](Index target) {
        if (field.moved_by_entries) latest = std::max(latest, liveness_changed_at(records, field.target, target));
        if (field.moved_by_record) latest = std::max(latest, records.changed_at(field.target, target));
    };
    if (field.kind == Field::Kind::object) {
        if (const auto target = records.follow(model, index, *description(model).find(field.by))) take(*target);
    } else if (field.kind == Field::Kind::children) {
        for (const Index child : records.children(field.target, index)) take(child);
    } else {
        for (const Link &link : records.links(model, index, field)) take(link.index);
    }
    return latest;
}

} // namespace

Millis moved_at(const Records &records, Model model, Index index) {
    Millis latest = records.changed_at(model, index);
    if (const Overlay *changes = records.overlay(model, index))
        latest = std::max({latest, changes->relation_changed_at, changes->raw_at});
    if (is_described(model)) {
        for (const Field &field : description(model).fields)
            if (field.moved_by_record || field.moved_by_entries)
                latest = std::max(latest, moved_by(records, model, index, field));
        return latest;
    }
    switch (model) {
    case Model::employees:
        latest = std::max(
            {latest, children(records, Model::employments, index), children(records, Model::time_off_balances, index),
             linked(records, model, index, Reference::manager), joined(records, model, index, Model::teams, false),
             linked(records, model, index, Reference::legal_entity),
             linked(records, model, index, Reference::work_location)});
        break;
    case Model::absences:
    case Model::time_off_balances:
        latest = std::max(latest, linked(records, model, index, Reference::absence_type));
        break;
    case Model::reviews:
        latest = std::max({latest, linked(records, model, index, Reference::review_cycle),
                           linked(records, model, index, Reference::reviewee),
                           linked(records, model, index, Reference::reviewer)});
        break;
    case Model::staffing_entities:
        for (const Model target : {Model::locations, Model::legal_entities, Model::teams, Model::skills})
            latest = std::max(latest, joined(records, model, index, target, true));
        break;
    default:
        break;
    }
    return latest;
}

} // namespace sandbox
