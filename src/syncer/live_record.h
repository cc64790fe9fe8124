#pragma once

#include "kombo/json.h"
#include "syncer/batch.h"
#include "syncer/catalogue.h"

#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace syncer {

/// Keys that are kept out of what is read: of an object, and of the objects and lists that are nested in it.
struct Withheld {
    std::set<std::string, std::less<>> keys;
    std::map<std::string, Withheld, std::less<>> nested;

    bool empty() const { return keys.empty() && nested.empty(); }

    /// Adds a key of the object at a path of keys joined by dots; the path of the record itself is empty.
    void add(std::string_view path, const std::string &key);

    /// Those of the object or list under a key.
    const Withheld &inner(std::string_view key) const;

    /// JSON text without these keys, fit for jsonb. Throws kombo::MalformedJson.
    std::string_view redact(std::string_view raw, kombo::Arena &arena, kombo::Repairs &repairs) const;
};

/// Turns records of a list into rows of one wide table: a cell per column, nested records as they come.
class LiveRecord {
public:
    struct Column {
        /// Keys in the record, looked at in this order until one has a value; "reviewee.id" is the id of a nested
        /// object; none: always NULL.
        std::vector<std::string> json_keys;
        Type type = Type::Text;
        bool wanted = true; ///< otherwise it is left NULL, and costs nothing
    };

    /// `known`: keys that have a column in some table of the list, of nested objects with dots; all others go to
    /// `extra`, if that is wanted.
    LiveRecord(const std::vector<Column> &columns, const std::set<std::string> &known, Withheld withheld,
               bool extra_wanted);

    /// Reads one record (raw JSON text, followed by SIMDJSON_PADDING readable bytes) into `cells`, one per column, and
    /// `extra`, empty if there is none. What they view lives in the record and in `arena`. Throws kombo::MalformedJson.
    void read(std::string_view record, kombo::Arena &arena, std::vector<Cell> &cells, std::string_view &extra);

private:
    /// A key of the record, or of an object nested in it.
    struct Place {
        struct Use {
            size_t column, rank; ///< the place among the column's keys
        };
        std::vector<Use> uses;
        std::map<std::string, Place> members;
        std::unordered_map<std::string_view, const Place *> index; ///< the same
        bool known = false;                                        ///< nothing below it is unknown
        bool is_read = false;                                      ///< something is wanted of it, or of what is below
    };

    /// The row under construction, and the object that is being read.
    struct Target {
        kombo::Arena &arena;
        std::vector<Cell> &cells;
        std::string *leftovers; ///< what is unknown of the object: `"key": value, …`; null: it is not wanted
        size_t depth;           ///< 0: the record
    };

    Place &place_of(const std::string &path);
    void finish(Place &place);
    void read_object(const Place &place, const Withheld &withheld, simdjson::ondemand::object object,
                     const Target &target);
    void take(const Place &place, const Withheld &withheld, std::string_view key, simdjson::ondemand::value value,
              const Target &target);
    /// Returns whether the value fits all columns that take it.
    bool take_value(const Place &place, const Withheld &withheld, std::string_view key, std::string_view raw,
                    const Target &target);
    static void keep(std::string_view key, std::string_view raw, const Withheld &withheld, const Target &target);

    std::vector<Column> columns_;
    Withheld withheld_;
    bool extra_wanted_;
    Place record_;
    std::vector<size_t> ranks_; ///< per column: the place, among its keys, of the one whose value it has
    kombo::RecordParser parser_;
    std::deque<simdjson::ondemand::parser> parsers_; ///< by depth, of nested objects
};

} // namespace syncer
