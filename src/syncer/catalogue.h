#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// The catalogue: what can be fetched and where it is stored, from the catalogue tables. No endpoint, model or field
/// name stands in C++ but the ones that every Kombo record has.
namespace syncer {

/// The decoding of a value, by its column's SQL type.
enum class Type : uint8_t { Text, Boolean, Numeric, Date, Time, Timestamptz, Jsonb };

struct Field {
    std::string column;
    Type type = Type::Text;
    /// Key in the record; "reviewee.id" is the id of a nested object; empty: filled from the parent, or an excluded
    /// field, which is written as NULL.
    std::string json_key;
    bool key = false;
    std::vector<std::string> fallback_keys{}; ///< looked at in this order where json_key has no value
    std::string column_type{}; ///< of a column that has another type than this: both in words, "integer, not numeric"
    std::string stored_as{};   ///< the SQL type through which a value goes to be what such a column would hold
    std::optional<size_t> refers_to{}; ///< the table whose id it holds
    bool belongs = false;              ///< the row is about that record, and erased with it
};

struct Table {
    std::string name;
    /// Keyed by the ids that it joins, not by an id of its own.
    bool join = false;
    /// Key columns first.
    std::vector<Field> fields;
    /// JSON keys of fields that the user wants nowhere (kombo.exclude_field).
    std::vector<std::string> excluded_keys;

    /// Why no row can be written to it.
    struct Defect {
        std::string sqlstate, message, hint;
    };
    std::optional<Defect> defect{};

    /// Throws InvalidRequest if it has a defect.
    void check() const;

    /// True if a row can be marked as deleted.
    bool has_mark() const { return find("remote_deleted_at").has_value(); }

    /// Number of key columns beside integration_id.
    size_t key_count() const;
    /// True if the field has this key, or falls back to it.
    static bool has_key(const Field &field, const std::string &json_key);
    /// Position of a column in `fields`.
    std::optional<size_t> find(const std::string &column) const;
};

/// The extent of a fetch: what changed since the watermark, or everything.
enum class Kind : uint8_t { Delta, Full };
const char *name(Kind kind);

enum class Relation : uint8_t { Owned, Linked, Join, Copy, Part };

/// A nested record or list of an endpoint, and how it unfolds.
struct Nested {
    std::string json_path;
    Relation relation = Relation::Copy;
    size_t table = 0;
    /// Column that holds the id of the parent: of owned lists, joins, and linked lists that are complete.
    std::string parent_column;
};

/// Both null, or at the same place of an endpoint's records.
bool is_same_place(const Nested *a, const Nested *b);

enum class Role : uint8_t { Own, Implied, Carried };

struct EndpointModel {
    std::string model;
    Role role = Role::Carried;
    /// A delta of the endpoint shows a change of this model.
    bool delta = true;
};

enum class OnMissing : uint8_t { Mark, Delete, Keep };

struct Endpoint {
    std::string path;
    std::string category;
    size_t table = 0;
    std::string missing_table; ///< one that the endpoint fills and that was never made; see check_tables()
    bool enabled = true;       ///< subscribed by default
    bool paginated = true;     ///< takes cursor and page_size
    bool incremental = true;   ///< takes updated_after and include_deleted
    bool deprecated = false;
    OnMissing on_missing = OnMissing::Mark;
    std::vector<EndpointModel> models;
    std::vector<Nested> nested;

    /// Throws InvalidRequest where one of its tables was never made: it can be neither synced nor written.
    void check_tables() const;

    /// The nested record that this one is nested in; null: it lies in the endpoint's own record, or in a part of that.
    const Nested *holder(const Nested &of) const;
    /// The table of the record that it is nested in.
    size_t parent_table(const Nested &of) const;

    /// True if there are lists in its records that go with these.
    bool has_lists(const Nested &outer) const;

    /// True if it is a complete list, as are all that it is nested in: nobody but this endpoint writes its rows.
    bool owns(const Nested &list) const;
    /// True if rows of the table come as such lists.
    bool owns(size_t of_table) const;
};

struct Catalogue {
    std::vector<Table> tables;
    std::vector<Endpoint> endpoints;
    /// By type: the endpoints that show what a webhook tells of that names no changed model; none where these are of
    /// another category.
    std::map<std::string, std::vector<std::string>> webhooks{};

    const Endpoint *find(const std::string &path) const;
};

/// The settings of one integration and endpoint: the endpoint's defaults and the subscription's overrides.
struct Subscription {
    bool enabled = true;
    /// The operator has said no, in so many words.
    bool refused = false;
    OnMissing on_missing = OnMissing::Mark;
    std::optional<int64_t> purge_after_micros;
};

} // namespace syncer
