#include "pg/statements.h"

#include "pg/guard.h"

#include <algorithm>

namespace pg::statements {

namespace {

std::string number(size_t n) {
    return std::to_string(n);
}

/// "a, b, c" of what `piece` makes of each element.
template <class Elements, class Piece> std::string list(const Elements &elements, const char *separator, Piece piece) {
    std::string text;
    for (const auto &element : elements) text += (text.empty() ? "" : separator) + piece(element);
    return text;
}

/// A column of the source rows: the field's column, its type, and its name in the source (c1, c2, …).
struct Source {
    std::string column;
    std::string type;
    std::string name;
    bool key;
};

std::vector<Source> sources_of(const syncer::Table &table, const syncer::RowSet &set) {
    std::vector<Source> sources;
    for (size_t i = 0; i < table.fields.size(); ++i) {
        const syncer::Field &field = table.fields[i];
        if (set.columns.test(i))
            sources.push_back(
                {quoted(field.column), type_name(field.type), "c" + number(sources.size() + 1), field.key});
    }
    if (set.mode == syncer::Mode::Replace)
        sources.push_back({"extra", "jsonb", "c" + number(sources.size() + 1), false});
    return sources;
}

/// The source rows, from an array per column that begin with $4. Unnested in the target list, where all advance together
/// row by row: in FROM each is put into a tuplestore of its own first, which took a tenth of an unchanged sync.
std::string rows_of(const std::vector<Source> &sources) {
    size_t parameter = 3;
    return "(SELECT " + list(sources, ", ", [&](const Source &s) {
               return "unnest($" + number(++parameter) + "::" + s.type + "[]) AS " + s.name;
           }) + ") n";
}

} // namespace

std::string write(const syncer::Table &table, const syncer::RowSet &set) {
    const std::vector<Source> sources = sources_of(table, set);
    std::vector<Source> keys;
    std::vector<Source> values;
    std::partition_copy(sources.begin(), sources.end(), std::back_inserter(keys), std::back_inserter(values),
                        [](const Source &source) { return source.key; });
    const auto changed_at =
        std::find_if(values.begin(), values.end(), [](const Source &source) { return source.column == "changed_at"; });

    const std::string names = list(sources, ", ", [](const Source &s) { return s.name; });
    const std::string by_key = list(keys, " AND ", [](const Source &s) { return "t." + s.column + " = n." + s.name; });

    // Compared as images, so that a number's digits count and NULLs are equal. The casts make a record of it, which
    // keeps PostgreSQL from comparing column by column, and tolerate a column that the user gave another type.
    std::string verdict = "CASE WHEN d.found IS NULL THEN 0 ";
    if (set.mode == syncer::Mode::InsertLinked || values.empty()) {
        verdict += "ELSE 2 END";
    } else {
        if (changed_at != values.end())
            verdict += "WHEN " + written_since("d") + " AND n." + changed_at->name + " < d.changed_at THEN 2 ";
        verdict += "WHEN d.image *<> ROW(" + list(values, ", ", [](const Source &s) { return "n." + s.name; }) +
                   ")::record THEN 1 ELSE 2 END";
    }
    std::string stored = "true AS found, t.synced_at";
    if (changed_at != values.end()) stored += ", t.changed_at";
    if (!values.empty())
        stored += ", ROW(" + list(values, ", ", [](const Source &s) { return "t." + s.column + "::" + s.type; }) +
                  ")::record AS image";

    const std::string update = set.mode == syncer::Mode::InsertLinked || values.empty()
                                   ? "DO NOTHING"
                                   : "DO UPDATE SET " + list(values, ", ", [](const Source &s) {
                                         return s.column + " = excluded." + s.column;
                                     }) + ", synced_at = excluded.synced_at";
    // LATERAL with OFFSET 0 is never flattened: each source row looks its stored row up by key.
    return "WITH s AS MATERIALIZED (SELECT n.*, " + verdict + " AS verdict FROM " + rows_of(sources) +
           " LEFT JOIN LATERAL (SELECT " + stored + " FROM " + qualified(table) +
           " t WHERE t.integration_id = $1 AND " + by_key + " OFFSET 0) d ON true), w AS (INSERT INTO " +
           qualified(table) + " AS t (integration_id, " +
           list(sources, ", ", [](const Source &s) { return s.column; }) + ", synced_at) SELECT $1, " + names +
           ", $3 FROM s WHERE verdict < 2 ON CONFLICT (integration_id, " +
           list(keys, ", ", [](const Source &s) { return s.column; }) + ") " + update +
           ") SELECT count(*) FILTER (WHERE verdict = 0), count(*) FILTER (WHERE verdict = 1), "
           "count(*) FILTER (WHERE verdict = 2) FROM s";
}

std::string shrink(const syncer::Table &table, const std::string &parent_column) {
    std::vector<std::string> keys;
    for (const syncer::Field &field : table.fields)
        if (field.key) keys.push_back(quoted(field.column));
    size_t parameter = 4;
    const std::string kept =
        list(keys, ", ", [&](const std::string &) { return "$" + number(++parameter) + "::text[]"; });
    const std::string stored = list(keys, ", ", [](const std::string &key) { return "t." + key; });
    const std::string gone =
        "WITH gone AS (SELECT d.* FROM unnest($4::text[]) AS p(id) CROSS JOIN LATERAL (SELECT " + stored + " FROM " +
        qualified(table) + " t WHERE t.integration_id = $1 AND t." + quoted(parent_column) + " = p.id" +
        (table.join ? "" : " AND t.remote_deleted_at IS NULL") + " AND NOT coalesce(" + written_since("t") +
        ", false) OFFSET 0) d WHERE (" + list(keys, ", ", [](const std::string &key) { return "d." + key; }) +
        ") NOT IN (SELECT * FROM unnest(" + kept + "))) ";
    const std::string match = list(keys, " AND ", [](const std::string &key) { return "t." + key + " = g." + key; });
    if (table.join)
        return gone + "DELETE FROM " + qualified(table) + " t USING gone g WHERE t.integration_id = $1 AND " + match;
    return gone + "UPDATE " + qualified(table) +
           " t SET remote_deleted_at = $3, synced_at = $3 FROM gone g WHERE t.integration_id = $1 AND " + match;
}

std::string remove_orphans(const syncer::Table &table, const std::string &parent_column, const syncer::Table &parents,
                           uint64_t limit) {
    const std::string parent = "t." + quoted(parent_column);
    const std::string rows = table.join ? "t.integration_id = $1" : live();
    const std::string change = table.join ? "DELETE FROM " + qualified(table) + " t USING orphans o WHERE "
                                          : "UPDATE " + qualified(table) +
                                                " t SET remote_deleted_at = $2, synced_at = $2 FROM orphans o WHERE ";
    return "WITH passed AS MATERIALIZED (SELECT " + parent + " AS id FROM " + qualified(table) + " t WHERE " + rows +
           " AND " + parent + " > $3 ORDER BY " + parent + " LIMIT " + number(limit) +
           "), orphans AS MATERIALIZED (SELECT DISTINCT n.id FROM passed n LEFT JOIN LATERAL (SELECT true AS found "
           "FROM " +
           qualified(parents) + " p WHERE p.integration_id = $1 AND p.id = n.id OFFSET 0) d ON true " +
           "WHERE d.found IS NULL), gone AS (" + change + rows + " AND " + parent +
           " = o.id RETURNING true) SELECT (SELECT count(*) FROM gone), count(*), max(id) FROM passed";
}

std::string quoted(const std::string &identifier) {
    return guard([&] { return quote_identifier(identifier.c_str()); });
}

std::string qualified(const syncer::Table &table) {
    return "kombo." + quoted(table.name);
}

std::string live() {
    return "t.integration_id = $1 AND t.remote_deleted_at IS NULL";
}

std::string written_since(const std::string &alias) {
    return "(" + alias + ".synced_at > $2 AND " + alias + ".synced_at <= $3)";
}

const char *type_name(syncer::Type type) {
    switch (type) {
    case syncer::Type::Text:
        return "text";
    case syncer::Type::Boolean:
        return "boolean";
    case syncer::Type::Numeric:
        return "numeric";
    case syncer::Type::Date:
        return "date";
    case syncer::Type::Time:
        return "time";
    case syncer::Type::Timestamptz:
        return "timestamptz";
    case syncer::Type::Jsonb:
        return "jsonb";
    }
    return "text";
}

} // namespace pg::statements
