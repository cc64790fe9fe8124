#pragma once

#include "data.h"
#include "ids.h"
#include "schema.h"

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sandbox {

/// One entry of a list that joins two models.
struct Link {
    Index index;
    std::string proficiency; ///< JSON text of `expected_proficiency`; empty = derived from the skill's scale
};

/// How a nested list is served in place of its content.
enum class ListMode { null, absent };

/// What differs from the base data for one record.
struct Overlay {
    std::vector<std::pair<std::string, std::string>> set; ///< field name and JSON text
    std::string id;                                       ///< of records made with an id of their own
    Millis changed_at = 0;                                ///< 0 = as in the base data
    Millis deleted_at = 0;
    Millis liveness_changed_at = 0; ///< when it last came into or left the lists of others
    Millis relation_changed_at = 0; ///< when an entry of one of its own lists came or left
    bool wiped = false;
    bool purged = false;
    std::map<std::string, std::vector<Link>> links;
    std::map<std::string, ListMode> lists;
    std::map<std::string, std::string> raw; ///< list path and the text served there
    Millis raw_at = 0;

    /// The JSON text that was set for the field, or null.
    const std::string *value(std::string_view field) const;
};

/// References from one record to another by a field that holds an id.
enum class Reference {
    manager,
    work_location,
    legal_entity,
    employee,
    absence_type,
    reviewee,
    reviewer,
    review_cycle,
    skill,
    skill_scale,
    parent,
    approver,
};

/// The field that holds the reference; some are no field of the record as served, only of `set`.
std::string_view reference_field(Reference reference);

/// All records of an integration: base data and what was changed since.
class Records {
public:
    Records(std::string_view integration, std::uint64_t seed, Index employees);

    const BaseData &base() const { return base_; }

    /// The number of records ever made: live, deleted and purged.
    Index count(Model model) const { return counts_[slot(model)]; }

    /// What differs from the base data; null if nothing does.
    const Overlay *overlay(Model model, Index index) const;

    /// The same for writing.
    Overlay &edit(Model model, Index index);

    /// Makes a record, with an id of its own or one that follows from its number.
    Index append(Model model, const std::string &id);

    std::string id(Model model, Index index) const;
    std::string remote_id(Model model, Index index) const { return ids_.remote_id(model, index); }
    std::optional<Index> find(Model model, std::string_view id) const;

    /// The record that a remote id names, set ones included.
    std::optional<Index> find_remote(Model model, std::string_view remote_id) const;

    Millis changed_at(Model model, Index index) const;
    bool purged(Model model, Index index) const;
    bool deleted(Model model, Index index) const;
    bool live(Model model, Index index) const { return !purged(model, index) && !deleted(model, index); }

    /// Whether all fields are null: 14 days after the deletion, or at once by the wipe operation.
    bool wiped(Model model, Index index, Millis at) const;

    /// The record that a reference field names, if it names one that exists.
    std::optional<Index> follow(Model model, Index index, Reference reference) const;

    /// The same of a described model: the record that the field names.
    std::optional<Index> follow(Model model, Index index, const Field &reference) const;

    /// The records of a list that holds those of `model` by their parent, deleted and purged ones included.
    std::vector<Index> children(Model model, Index parent) const;

    /// The record in whose list one of `model` stands; see parent_link().
    std::optional<Index> parent(Model model, Index index) const;

    /// Gives a child record to another parent.
    void adopt(Model model, Index index, std::optional<Index> from, std::optional<Index> to);

    /// The entries of a joined list (`groups`, `locations`, `legal_entities`, `skills`), dead ones included.
    std::vector<Link> links(Model model, Index index, Model target) const;

    /// The same of a described model's field.
    std::vector<Link> links(Model model, Index index, const Field &list) const;

private:
    std::optional<Index> base_reference(Model model, Index index, Reference reference) const;

    BaseData base_;
    Ids ids_;
    std::array<Index, model_count> counts_{};
    // In blocks, so that a few changes among millions of records take little.
    static constexpr Index block_size = 64;
    using Block = std::array<std::unique_ptr<Overlay>, block_size>;
    std::array<std::vector<std::unique_ptr<Block>>, model_count> overlays_;
    std::array<std::unordered_map<std::string, Index>, model_count> own_ids_;
    std::array<std::unordered_map<Index, std::vector<Index>>, model_count> adopted_;
};

/// The model in whose records a list holds those of `model`, and the field that names the parent.
struct ParentLink {
    Model parent;
    std::string_view field;
};
std::optional<ParentLink> parent_link(Model model);

/// The key of the list of `target` records inside a record (`groups`).
std::string_view list_key(Model target);

/// A number that follows from the key of a field, to draw its values by.
std::uint32_t salt_of(std::string_view key);

/// The model that a list key stands for.
std::optional<Model> list_model(std::string_view key);

/// The model that the reference field of a record of `model` names.
Model reference_target(Model model, Reference reference);

} // namespace sandbox
