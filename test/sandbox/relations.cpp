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

} // namespace

Millis moved_at(const Records &records, Model model, Index index) {
    Millis latest = records.changed_at(model, index);
    if (const Overlay *changes = records.overlay(model, index))
        latest = std::max({latest, changes->relation_changed_at, changes->raw_at});
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
