#pragma once

#include "syncer/batch.h"
#include "syncer/catalogue.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace syncer {

/// The rules by which the JSON object at one place of an endpoint's records unfolds, compiled once per run from the
/// catalogue.
struct Shape {
    /// A table that gets a row from this object.
    struct Target {
        size_t table = 0;
        Mode mode = Mode::Replace;
        ColumnSet columns;                  ///< of Mode::Replace: the fields that this place speaks for
        std::optional<size_t> parent_field; ///< field to be filled with the parent's id
        std::optional<size_t> list;         ///< index in Endpoint::nested of a list that is replaced as a whole
        /// Fields that have other keys, too: places of their cells behind those of the fields, in the order in which
        /// they are looked at.
        struct Fallback {
            size_t field, cell;
        };
        std::vector<Fallback> fallbacks{};
        size_t cells = 0; ///< of a row: one per field and fallback
    };

    /// A cell that takes the value of a key.
    struct Column {
        size_t target;
        size_t cell;
        Type type;        ///< that of the field, which is far away
        size_t outer = 0; ///< of which object the target is: 0 this one, 1 the one that it is nested in, …
    };

    /// The use of a key of the object.
    struct Member {
        std::vector<Column> columns;
        std::vector<Column> below; ///< cells that take values from inside the object under this key
        std::unique_ptr<Shape> nested;
        bool dropped = false;     ///< excluded
        bool elsewhere = false;   ///< a field of a row that another list writes: not stored here
        bool id_excluded = false; ///< the nested object's id is wanted nowhere: nothing but a row of its own is kept
        std::string_view key;     ///< its own
        mutable const Member *next = nullptr; ///< what followed it in the object that was read before
    };

    std::string label; ///< table name for messages
    std::vector<Target> targets;
    std::unordered_map<std::string, Member> members;
    /// The same by view, so that a lookup copies nothing.
    std::unordered_map<std::string_view, const Member *> index;
    mutable const Member *first = nullptr; ///< what the object that was read before began with
    /// A nested list of this object is replaced as a whole, or takes the id of this object.
    bool parent_of_lists = false;
    /// Another list writes its row: an object without an id, which can have none there, stays with the parent.
    bool row_elsewhere = false;
    /// An object without an id: what is nested in it belongs to the object that it is part of.
    bool part = false;
    /// Nothing tells of nested records here: dotted keys lead into the object. A list is no such object.
    bool keys_only = false;
    /// Unknown keys and misfits go to the `extra` of this target's row; without one, to the parent's `extra`.
    std::optional<size_t> keeper;
};

/// Compiles the shape of an endpoint's records. `has_writer(table)` tells whether another list writes the rows of a
/// linked record's table: then the record gives its id to its parent's column, and what is unknown of it to its
/// parent's `extra`. `has_list(table)`: that list is one whose own records the rows are. Throws InvalidRequest for
/// catalogue rows that contradict each other.
Shape compile_shape(
    const Catalogue &catalogue, const Endpoint &endpoint, const std::function<bool(size_t)> &has_writer,
    const std::function<bool(size_t)> &has_list = [](size_t) { return false; });

} // namespace syncer
