#pragma once

#include "kombo/json.h"
#include "syncer/catalogue.h"

#include <bitset>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace syncer {

/// Columns that one table may have.
constexpr size_t max_fields = 256;
using ColumnSet = std::bitset<max_fields>;

/// All fields of the table.
inline ColumnSet all_columns(const Table &table) {
    ColumnSet all;
    for (size_t field = 0; field < table.fields.size(); ++field) all.set(field);
    return all;
}

/// One decoded value. Text, numeric and jsonb are `text` (a numeric's digits, jsonb's JSON); boolean, date (days since
/// 1970-01-01), time and timestamptz (microseconds, since midnight and since 1970) are `number`.
struct Cell {
    std::string_view text;
    int64_t number = 0;
    bool null = true;
};

/// The effect that a row may have on the table.
enum class Mode : uint8_t {
    Replace,     ///< every column is the endpoint's word: insert, or update what differs
    UpdateLinked ///< the same for the columns that a linked record carries
};

struct Row {
    Cell *cells = nullptr;  ///< one per field of the table
    std::string_view extra; ///< JSON object, or empty
    std::optional<int64_t> changed_at;
};

/// `extra` as a value of type jsonb.
inline Cell extra_of(const Row &row) {
    return {row.extra, 0, row.extra.empty()};
}

/// Rows for one table that are written by one statement, in the order of their keys, which are unique within the set.
struct RowSet {
    size_t table = 0;
    Mode mode = Mode::Replace;
    ColumnSet columns; ///< which fields the rows carry
    std::vector<Row> rows;
};

/// A nested list that arrived complete with its parents. Stored children of these parents that are not in the list are
/// removed.
struct ListSet {
    size_t nested = 0; ///< index in Endpoint::nested
    std::vector<std::string_view> parents;
    std::vector<std::string_view> elements; ///< of a linked list: the ids that are in it
};

/// The oddities in the data of a run, with counts; at most 100 different ones are told apart, each by the first 63
/// bytes of its key's name.
class Oddities {
public:
    enum class Kind : uint8_t {
        UnknownKey,
        Misfit,
        Nul,
        Surrogate,
        Number,
        Depth,
        UnknownModel,
        MorePages,
        PagesMoved,
        ClockBehind,
        ColumnType,
        Referenced
    };
    void add(Kind kind, std::string_view table, std::string_view key, uint64_t count = 1);
    void add(const kombo::Repairs &repairs, std::string_view table, std::string_view key);
    void merge(const Oddities &other);
    bool empty() const { return counts_.empty(); }
    /// JSON array of {kind, table, key, count}, and hint where there is something to do.
    std::string json() const;
    /// The kind that json() gives this name; nullopt if there is none.
    static std::optional<Kind> kind_of(const std::string &name);

private:
    std::map<std::tuple<Kind, std::string, std::string>, uint64_t> counts_;
};

/// The records of a page, unfolded into rows of tables.
struct Batch {
    std::vector<RowSet> sets; ///< the endpoint's own table first
    std::vector<ListSet> lists;
    std::vector<std::string_view> ids;        ///< of the records themselves, tombstones past purge included
    std::vector<size_t> without_id;           ///< positions of records that cannot be stored: no id, not an object
    std::vector<std::string_view> past_purge; ///< of tombstones that are older than purge_after, and so not stored
    size_t repeated = 0;                      ///< records that another record of the same id in the batch replaced
    Oddities oddities;
};

/// `text` as a JSON string with its quotes.
std::string json_quote(std::string_view text);

} // namespace syncer
