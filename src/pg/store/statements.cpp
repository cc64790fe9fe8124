#include "pg/store/statements.h"

#include "pg/base/guard.h"

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

std::string literal(const std::string &text) {
    return guard([&] { return quote_literal_cstr(text.c_str()); });
}

/// A column of the source rows: the field's column, its type, and its name in the source (c1, c2, …).
struct Source {
    std::string column_name;
    std::string column; ///< the same as an identifier
    std::string type;
    std::string name;
    bool key;
    std::string stored_as; ///< of a column that has another type
};

std::vector<Source> sources_of(const syncer::Table &table, const syncer::RowSet &set) {
    std::vector<Source> sources;
    for (size_t i = 0; i < table.fields.size(); ++i) {
        const syncer::Field &field = table.fields[i];
        if (set.columns.test(i))
            sources.push_back({field.column, quoted(field.column), type_name(field.type),
                               "c" + number(sources.size() + 1), field.key, field.stored_as});
    }
    if (set.mode == syncer::Mode::Replace)
        sources.push_back({"extra", "extra", "jsonb", "c" + number(sources.size() + 1), false, {}});
    return sources;
}

/// A column that the user gave another type is compared as it comes out of that. Of a field, and of its source.
template <class Column> bool is_digested(const Column &column) {
    return !column.key && column.stored_as.empty();
}

template <class Column> bool is_sent(const Column &column) {
    return !is_digested(column) || column.column == "changed_at";
}

/// The beginning of a statement that removes rows of a nested table by what follows: a join row goes, an owned child is
/// marked deleted at $2.
std::string mark(const syncer::Table &table) {
    return "UPDATE " + qualified(table) + " t SET remote_deleted_at = $2, synced_at = $2";
}

std::string removal(const syncer::Table &table) {
    if (table.join) return "DELETE FROM " + qualified(table) + " t USING ";
    return mark(table) + " FROM ";
}

std::vector<std::string> keys_of(const syncer::Table &table) {
    std::vector<std::string> keys;
    for (const syncer::Field &field : table.fields)
        if (field.key) keys.push_back(quoted(field.column));
    return keys;
}

/// What follows in FROM, and the condition, to find rows `t` by arrays of their keys, beginning with that parameter.
std::string by_keys(const syncer::Table &table, size_t parameter) {
    const std::vector<std::string> keys = keys_of(table);
    return "(SELECT " +
           list(keys, ", ",
                [&](const std::string &key) { return "unnest($" + number(parameter++) + "::text[]) AS " + key; }) +
           ") g WHERE t.integration_id = $1 AND " +
           list(keys, " AND ", [](const std::string &key) { return "t." + key + " = g." + key; });
}

/// The statements that write rows of a set. Their parameters are an array per column, behind others.
class Write {
public:
    Write(const syncer::Table &table, const syncer::RowSet &set)
        : table_(table), sources_(sources_of(table, set)), alias_(table.name.size() > 2 ? quoted(table.name) : "t"),
          revives_(revives(table, set)) {
        std::partition_copy(sources_.begin(), sources_.end(), std::back_inserter(keys_), std::back_inserter(values_),
                            [](const Source &source) { return source.key; });
        std::partition_copy(values_.begin(), values_.end(), std::back_inserter(digested_),
                            std::back_inserter(converted_), is_digested<Source>);
        std::copy_if(sources_.begin(), sources_.end(), std::back_inserter(sent_), is_sent<Source>);
    }

    /// LATERAL with OFFSET 0 is never flattened: each row looks its stored row up by key.
    std::string compare(const std::string *parent_column, bool with_dead) const {
        const std::string by_key =
            list(keys_, " AND ", [&](const Source &s) { return alias_ + "." + s.column + " = n." + s.name; });
        size_t parameter = parent_column ? 6 : 5;
        std::string before = "unnest($4::bigint[]) AS o, ";
        std::string seed;
        if (!digested_.empty()) {
            before += "unnest($" + number(parameter++) + "::bigint[]) AS digest, ";
            seed = "$" + number(parameter++);
        }
        std::string from = rows(sent_, parameter, before);
        std::string found = "WHEN d.found THEN " + verdict_on("d", seed);
        std::string keys, unless_found;
        if (parent_column) {
            from += " FULL JOIN " + stored_of_parents(alias_ + "." + quoted(*parent_column)) + " b ON " +
                    list(keys_, " AND ", [](const Source &s) { return "b." + s.name + " = n." + s.name; });
            found = "WHEN n.o IS NULL THEN CASE WHEN " + no_longer_listed("b") + " THEN 1 " +
                    (with_dead ? "WHEN b.remote_deleted_at IS NOT NULL THEN 0 " : "") +
                    "ELSE 2 END WHEN b.found THEN " + verdict_on("b", seed) + " " + found;
            keys = ", " + list(keys_, ", ", [](const Source &s) { return "b." + s.name; });
            unless_found = "b.found IS NULL AND "; // then it may have another parent
        }
        return "SELECT * FROM (SELECT n.o, CASE " + found + " ELSE 0 END::bigint AS verdict" + keys + " FROM " + from +
               " LEFT JOIN LATERAL (SELECT " + stored() + " FROM " + qualified(table_) + " " + alias_ + " WHERE " +
               unless_found + alias_ + ".integration_id = $1 AND " + by_key +
               " OFFSET 0) d ON true) v WHERE v.verdict < 2";
    }

    std::string upsert() const {
        if (values_.empty() && !revives_) return insert();
        std::string changes =
            list(values_, "", [](const Source &s) { return s.column + " = excluded." + s.column + ", "; });
        if (revives_)
            changes +=
                "remote_deleted_at = CASE WHEN " + marked_here("t") + " THEN NULL ELSE t.remote_deleted_at END, ";
        return insert("DO UPDATE SET " + changes + "synced_at = excluded.synced_at");
    }

    /// Counted by what it returns: on Citus the number of rows that it reports is the source's.
    std::string insert_new() const { return "WITH w AS (" + insert() + " RETURNING true) SELECT count(*) FROM w"; }

    std::string show() const {
        const auto differs = [](const Source &s) {
            // Citus writes ROW(…)::record *<> ROW(…)::record without the casts, which compares column by column.
            return "CASE WHEN record_image_ne(ROW(d." + s.column + "), ROW(" + as_stored(s) + ")) THEN " +
                   literal(s.column_name) + " END";
        };
        const auto some = [](const std::string &row) {
            return "(SELECT jsonb_object_agg(c, to_jsonb(" + row + ") -> c) FROM unnest(v.columns) c)";
        };
        return "SELECT concat_ws('/', " + list(keys_, ", ", [](const Source &s) { return "n." + s.name; }) +
               "), v.columns, CASE WHEN d.is_stored THEN " + some("d") + " END, CASE WHEN d.is_stored THEN " +
               some("l") + " ELSE to_jsonb(l) END, d.is_stored IS NOT NULL FROM " + rows(sources_, 2) +
               " LEFT JOIN LATERAL (SELECT true AS is_stored" +
               list(values_, "",
                    [&](const Source &s) {
                        return ", " + alias_ + "." + s.column + "::" + s.type + " AS " + s.column;
                    }) +
               " FROM " + qualified(table_) + " " + alias_ + " WHERE " + alias_ + ".integration_id = $1 AND " +
               list(keys_, " AND ", [&](const Source &s) { return alias_ + "." + s.column + " = n." + s.name; }) +
               " OFFSET 0) d ON true CROSS JOIN LATERAL (SELECT " +
               list(sources_, ", ", [](const Source &s) { return "n." + s.name + " AS " + s.column; }) +
               ") l CROSS JOIN LATERAL (SELECT array_remove(ARRAY[" + list(values_, ", ", differs) +
               "]::text[], NULL) AS columns) v";
    }

private:
    /// The rows of the set. Unnested in the target list, where all arrays advance together: in FROM each is put into a
    /// tuplestore of its own first, which took a tenth of an unchanged sync.
    static std::string rows(const std::vector<Source> &sources, size_t first_parameter,
                            const std::string &before = "") {
        size_t parameter = first_parameter;
        return "(SELECT " + before +
               list(sources, ", ",
                    [&](const Source &s) {
                        return "unnest($" + number(parameter++) + "::" + s.type + "[]) AS " + s.name;
                    }) +
               ") n";
    }

    /// The stored rows to compare with.
    std::string stored() const {
        std::string columns = "true AS found, " + alias_ + ".synced_at";
        if (changed_at()) columns += ", " + alias_ + ".changed_at";
        if (revives_) columns += ", " + marked_here(alias_) + " AS marked_here";
        if (!digested_.empty()) columns += ", " + image(digested_) + " AS image";
        if (!converted_.empty()) columns += ", " + image(converted_) + " AS converted";
        return columns;
    }

    /// The casts make a record of it, which keeps PostgreSQL from comparing column by column, and tolerate a column
    /// that the user gave another type.
    std::string image(const std::vector<Source> &columns) const {
        return "ROW(" + list(columns, ", ", [&](const Source &s) { return alias_ + "." + s.column + "::" + s.type; }) +
               ")::record";
    }

    /// One look-up by parent finds both the rows to compare with and those that the list no longer holds.
    std::string stored_of_parents(const std::string &parent) const {
        return "(SELECT d.* FROM (SELECT DISTINCT unnest($5::text[]) AS id) p CROSS JOIN LATERAL (SELECT " + stored() +
               ", " + list(keys_, ", ", [&](const Source &s) { return alias_ + "." + s.column + " AS " + s.name; }) +
               (table_.join ? "" : ", " + alias_ + ".remote_deleted_at") + " FROM " + qualified(table_) + " " + alias_ +
               " WHERE " + alias_ + ".integration_id = $1 AND " + parent + " = p.id OFFSET 0) d)";
    }

    std::string no_longer_listed(const std::string &found) const {
        return (table_.join ? "" : found + ".remote_deleted_at IS NULL AND ") + "NOT coalesce(" + written_since(found) +
               ", false)";
    }

    /// Compared as images, so that a number's digits count and NULLs are equal. What was inserted a moment ago has the
    /// very time.
    std::string verdict_on(const std::string &found, const std::string &seed) const {
        if (values_.empty() && !revives_) return "2";
        std::string verdict = "CASE WHEN " + found + ".synced_at = $3 THEN 2 ";
        if (const Source *changed = changed_at())
            verdict +=
                "WHEN " + written_since(found) + " AND " + as_stored(*changed) + " < " + found + ".changed_at THEN 2 ";
        if (revives_) verdict += "WHEN " + found + ".marked_here THEN 1 ";
        // First, as each value that its column cannot hold is to be found out.
        if (!converted_.empty())
            verdict +=
                "WHEN " + found + ".converted *<> ROW(" + list(converted_, ", ", as_stored) + ")::record THEN 1 ";
        if (!digested_.empty())
            verdict += "WHEN kombo_internal.row_digest(" + found + ".image, " + seed + ") <> n.digest THEN 1 ";
        return verdict + "ELSE 2 END";
    }

    std::string insert(const std::string &on_conflict = "DO NOTHING") const {
        return "INSERT INTO " + qualified(table_) + " AS t (integration_id, " +
               list(sources_, ", ", [](const Source &s) { return s.column; }) + ", synced_at) SELECT $1, " +
               list(sources_, ", ", [](const Source &s) { return s.name; }) + ", $2 FROM " + rows(sources_, 3) +
               " ON CONFLICT (integration_id, " + list(keys_, ", ", [](const Source &s) { return s.column; }) + ") " +
               on_conflict;
    }

    /// A value as it comes out of its column once it is stored there.
    static std::string as_stored(const Source &source) {
        const std::string sent = "n." + source.name;
        return source.stored_as.empty() ? sent : sent + "::" + source.stored_as + "::" + source.type;
    }

    /// A record that came linked, and that nothing named any more, is there again when it is named again, also by one
    /// that does not say so.
    static bool revives(const syncer::Table &table, const syncer::RowSet &set) {
        const auto field = table.find("remote_deleted_at");
        return set.mode == syncer::Mode::UpdateLinked && field && !set.columns.test(*field);
    }

    /// Whether the mark is ours, not Kombo's: it has the time at which it was written.
    static std::string marked_here(const std::string &row) {
        return row + ".remote_deleted_at = " + row + ".synced_at";
    }

    const Source *changed_at() const {
        const auto found = std::find_if(values_.begin(), values_.end(),
                                        [](const Source &source) { return source.column == "changed_at"; });
        return found == values_.end() ? nullptr : &*found;
    }

    const syncer::Table &table_;
    std::vector<Source> sources_;
    std::vector<Source> keys_;
    std::vector<Source> values_;
    std::vector<Source> digested_;  ///< of the values: those that are compared by a digest
    std::vector<Source> converted_; ///< and those that are not
    std::vector<Source> sent_;      ///< what compare() needs the values of
    std::string alias_;             ///< of the table: an error about a column names it
    bool revives_;
};

} // namespace

Comparison comparison(const syncer::Table &table, const syncer::RowSet &set) {
    Comparison how{{}, {}, false};
    for (size_t i = 0; i < table.fields.size(); ++i) {
        how.sent.set(i, set.columns.test(i) && is_sent(table.fields[i]));
        how.digested.set(i, set.columns.test(i) && is_digested(table.fields[i]));
    }
    how.by_digest = how.digested.any() || set.mode == syncer::Mode::Replace;
    return how;
}

std::string compare(const syncer::Table &table, const syncer::RowSet &set, const std::string *parent_column,
                    bool with_dead) {
    return Write(table, set).compare(parent_column, with_dead);
}

std::string upsert(const syncer::Table &table, const syncer::RowSet &set) {
    return Write(table, set).upsert();
}

std::string insert_new(const syncer::Table &table, const syncer::RowSet &set) {
    return Write(table, set).insert_new();
}

std::string listed_before(const syncer::Table &table, const std::string &parent_column) {
    return "SELECT EXISTS (SELECT FROM (SELECT unnest($3::text[]) AS id) p CROSS JOIN LATERAL (SELECT FROM " +
           qualified(table) + " t WHERE t.integration_id = $1 AND t." + quoted(parent_column) +
           " = p.id AND t.synced_at IS DISTINCT FROM $2 OFFSET 0) d)";
}

std::string unlisted(const syncer::Table &table, const std::string &parent_column) {
    return "SELECT d.id FROM (SELECT DISTINCT unnest($4::text[]) AS id) p CROSS JOIN LATERAL (SELECT t.id FROM " +
           qualified(table) + " t WHERE " + live() + " AND t." + quoted(parent_column) + " = p.id AND NOT coalesce(" +
           written_since("t") +
           ", false) OFFSET 0) d WHERE NOT EXISTS (SELECT FROM unnest($5::text[]) e (id) WHERE e.id = d.id)";
}

std::string remove(const syncer::Table &table) {
    return removal(table) + by_keys(table, 3);
}

std::string show(const syncer::Table &table, const syncer::RowSet &set) {
    return Write(table, set).show();
}

std::string show_stored(const syncer::Table &table) {
    return "SELECT concat_ws('/', " + list(keys_of(table), ", ", [](const std::string &key) { return "t." + key; }) +
           "), to_jsonb(t) - 'synced_at' FROM " + qualified(table) + " t, " + by_keys(table, 2);
}

std::string remove_orphans(const syncer::Table &table, const std::string &parent_column, const syncer::Table &parents,
                           bool unseen) {
    const std::string orphans =
        "(SELECT s.id FROM (SELECT unnest($3::text[]) AS id) s LEFT JOIN LATERAL (SELECT true AS found FROM " +
        qualified(parents) + " p WHERE p.integration_id = $1 AND p.id = s.id" +
        (unseen ? " AND (p.remote_deleted_at IS NULL OR p.synced_at > $4)" : "") +
        " OFFSET 0) d ON true WHERE d.found IS NULL) o WHERE t." + quoted(parent_column) + " = o.id AND ";
    return removal(table) + orphans + (table.join ? "t.integration_id = $1" : live());
}

std::string remove_parentless(const syncer::Table &table, const std::string &parent_column) {
    return mark(table) + " WHERE " + live() + " AND t." + quoted(parent_column) + " IS NULL";
}

std::string unlinked(const syncer::Catalogue &catalogue, const std::vector<syncer::Link> &links) {
    const auto served = [](const std::string &row) {
        // A row that a sweep marked, without Kombo's word, has the time at which it was marked.
        return "(" + row + ".remote_deleted_at IS NULL OR " + row + ".remote_deleted_at > $3 AND " + row +
               ".remote_deleted_at IS DISTINCT FROM " + row + ".synced_at)";
    };
    const auto named = [&](const syncer::Link &link) {
        const syncer::Table &holder = catalogue.tables[link.table];
        std::string from = "SELECT true AS found FROM " + qualified(holder) + " l";
        std::string condition = " WHERE l.integration_id = $1 AND l." + quoted(link.column) + " = s.id";
        if (link.parents) {
            from += " JOIN " + qualified(catalogue.tables[*link.parents]) +
                    " p ON p.integration_id = $1 AND p.id = l." + quoted(link.parent_column);
            condition += " AND " + served("p");
        } else if (!holder.join) {
            condition += " AND " + served("l");
        }
        return from + condition;
    };
    return "SELECT s.id FROM (SELECT unnest($2::text[]) AS id) s LEFT JOIN LATERAL (SELECT u.found FROM (" +
           list(links, " UNION ALL ", named) + ") u LIMIT 1) d ON true WHERE d.found IS NULL";
}

std::string quoted(const std::string &identifier) {
    return guard([&] { return quote_identifier(identifier.c_str()); });
}

std::string qualified(const syncer::Table &table) {
    std::string name;
    for (const char c : table.name) name += c == '"' ? "\"\"" : std::string(1, c);
    return "kombo.\"" + name + "\"";
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
