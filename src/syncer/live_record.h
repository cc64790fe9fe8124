#pragma once

#include "kombo/json.h"
#include "syncer/batch.h"
#include "syncer/catalogue.h"

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

    /// JSON text without these keys, fit for jsonb. Throws kombo::MalformedJson.
    std::string_view redact(std::string_view raw, kombo::Arena &arena, kombo::Repairs &repairs) const;
};

/// Turns records of a list into rows of one wide table: a cell per column, nested records as they come.
class LiveRecord {
public:
    struct Column {
        /// Key in the record; "reviewee.id" is the id of a nested object; empty: always NULL.
        std::string json_key;
        Type type = Type::Text;
        bool wanted = true; ///< otherwise it is left NULL, and costs nothing
    };

    /// `known`: keys that have a column in some table of the list; all others go to `extra`, if that is wanted.
    LiveRecord(const std::vector<Column> &columns, const std::set<std::string> &known, Withheld withheld,
               bool extra_wanted);

    /// Reads one record (raw JSON text, followed by SIMDJSON_PADDING readable bytes) into `cells`, one per column, and
    /// `extra`, empty if there is none. What they view lives in the record and in `arena`. Throws kombo::MalformedJson.
    void read(std::string_view record, kombo::Arena &arena, std::vector<Cell> &cells, std::string_view &extra);

private:
    struct Member {
        std::vector<size_t> columns; ///< that take the value
        std::vector<size_t> ids;     ///< that take the id of the object under this key
        bool withheld = false;
        std::string_view key;
    };

    void take(const Member *member, std::string_view key, simdjson::ondemand::value value, kombo::Arena &arena,
              std::vector<Cell> &cells);
    void keep(std::string_view key, std::string_view raw, kombo::Arena &arena);
    std::string_view redacted(std::string_view key, std::string_view raw, kombo::Arena &arena) const;

    std::vector<Column> columns_;
    Withheld withheld_;
    bool extra_wanted_;
    std::map<std::string, Member> members_;
    std::unordered_map<std::string_view, const Member *> index_;
    std::string leftovers_;
    kombo::RecordParser parser_;
};

} // namespace syncer
