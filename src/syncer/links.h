#pragma once

#include "syncer/plan.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace syncer {

/// A column that holds ids of records that come linked.
struct Link {
    size_t table = 0;
    std::string column;
    /// Of a join table: the table of the parents, and the column that holds their ids.
    std::optional<size_t> parents;
    std::string parent_column;

    bool operator==(const Link &other) const {
        return table == other.table && column == other.column && parents == other.parents &&
               parent_column == other.parent_column;
    }
};

/// The places where the ids of records that come linked in others are stored: next to the link by the name of
/// `<key>_id` or `<key>.id`, or as the key of a join; of a linked list that is complete, the parent's id in the rows
/// themselves. Empty if one of the places is not known, because the catalogue
/// has no such column, or the user excluded it.
std::vector<Link> links_to(const Catalogue &catalogue, const States &states, size_t table);

/// What a full of a list that carries the table's records does with those that nothing names any more: as the model's
/// own list has it, which need not be subscribed; else as the carrying one has.
OnMissing on_missing_links(const Catalogue &catalogue, const States &states, size_t table, const Endpoint &carrier);

/// links_to() of records that go so; empty if they do not, or a list writes them.
std::vector<Link> keeping_links(const Catalogue &catalogue, const States &states, const Endpoint &carrier,
                                const Nested &linked);

/// True if `is_read` is of all lists that carry the table's records.
bool carriers_are(const std::function<bool(const Endpoint &)> &is_read, const Catalogue &catalogue,
                  const States &states, size_t table);

} // namespace syncer
