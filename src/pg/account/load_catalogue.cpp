#include "pg/account/load_catalogue.h"

#include "pg/account/altered_columns.h"
#include "pg/base/spi.h"
#include "syncer/decode.h"

#include <algorithm>
#include <set>

namespace pg {

namespace {

syncer::Type type_of(const std::string &name, const std::string &field) {
    const auto type = syncer::type_named(name);
    if (!type)
        raise(ERRCODE_INVALID_PARAMETER_VALUE, "field \"" + field + "\" has the unknown type \"" + name + "\"", "",
              "Use text, boolean, numeric, date, time, timestamptz or jsonb.");
    return *type;
}

syncer::OnMissing on_missing_of(const std::string &name) {
    if (name == "delete") return syncer::OnMissing::Delete;
    return name == "keep" ? syncer::OnMissing::Keep : syncer::OnMissing::Mark;
}

/// The fields that every record of Kombo has; all else is rows of kombo.fields.
std::vector<syncer::Field> record_fields() {
    return {{"id", syncer::Type::Text, "id", true},
            {"changed_at", syncer::Type::Timestamptz, "changed_at", false},
            {"remote_deleted_at", syncer::Type::Timestamptz, "remote_deleted_at", false},
            {"custom_fields", syncer::Type::Jsonb, "custom_fields", false},
            {"remote_data", syncer::Type::Jsonb, "remote_data", false}};
}

class Loader {
public:
    Loader(std::string category, Oid sync_role) : category_(std::move(category)), sync_role_(sync_role) {}

    syncer::Catalogue load() {
        load_tables();
        load_endpoints();
        load_models();
        load_nested();
        load_webhooks();
        return std::move(catalogue_);
    }

private:
    void load_tables() {
        const Result rows = execute(R"(
            SELECT DISTINCT n.table_name, t.owner::oid::bigint, t.relation::oid::bigint
            FROM (SELECT e.table_name FROM kombo.endpoints e WHERE e.category = $1
                  UNION
                  SELECT r.table_name FROM kombo.nested_records r JOIN kombo.endpoints e ON e.path = r.endpoint
                  WHERE e.category = $1) n
            JOIN kombo.data_tables t ON t.table_name = n.table_name
            ORDER BY 1)",
                                    Params().text(category_));
        for (uint64_t i = 0; i < rows.size(); ++i) {
            syncer::Table table;
            table.name = rows.text(i, 1);
            // The catalogue may name only tables of the sync role.
            if (static_cast<Oid>(rows.integer(i, 2)) != sync_role_)
                raise(ERRCODE_INSUFFICIENT_PRIVILEGE, "table kombo." + table.name + " does not belong to the sync role",
                      "",
                      "SELECT kombo.create_tables('" + category_ +
                          "', owner => '...') gives all data tables to one role.");
            watch_columns(static_cast<Oid>(rows.integer(i, 3)));
            tables_[table.name] = catalogue_.tables.size();
            catalogue_.tables.push_back(std::move(table));
        }
        load_fields();
    }

    /// Compares the data tables with the catalogue: columns that are gone, and columns of another type, though values
    /// may fit it.
    void compare_columns() {
        std::vector<std::set<std::string>> columns(catalogue_.tables.size());
        const Result rows = execute(R"(
            SELECT d.table_name, a.attname, format_type(a.atttypid, a.atttypmod), a.atttypid::bigint
            FROM kombo.data_tables d JOIN pg_attribute a ON a.attrelid = d.relation
            WHERE a.attnum > 0 AND NOT a.attisdropped)");
        for (uint64_t i = 0; i < rows.size(); ++i) {
            const auto table = tables_.find(rows.text(i, 1));
            if (table == tables_.end()) continue;
            columns[table->second].insert(rows.text(i, 2));
            syncer::Table &found = catalogue_.tables[table->second];
            const auto position = found.find(rows.text(i, 2));
            if (!position) continue;
            syncer::Field &field = found.fields[*position];
            const std::string stored = rows.text(i, 3);
            if (stored == name_of(field.type)) continue;
            field.column_type = stored + ", not " + name_of(field.type);
            const auto type = static_cast<Oid>(rows.integer(i, 4));
            // Cast to these, what is too long would be cut, and not refused as it is when it is stored.
            if (type != VARCHAROID) field.stored_as = type == BPCHAROID ? "bpchar" : stored;
        }
        for (size_t t = 0; t < columns.size(); ++t) find_missing_column(catalogue_.tables[t], columns[t]);
    }

    void find_missing_column(syncer::Table &table, const std::set<std::string> &present) const {
        std::vector<std::string> wanted = {"integration_id", "extra", "synced_at"};
        for (const syncer::Field &field : table.fields) wanted.push_back(field.column);
        const auto missing = std::find_if(wanted.begin(), wanted.end(),
                                          [&](const std::string &column) { return present.count(column) == 0; });
        if (missing == wanted.end()) return;
        table.defect = {"42703", "column \"" + *missing + "\" of table kombo." + table.name + " does not exist",
                        "If it was renamed, give it that name again. Otherwise SELECT kombo.create_tables('" +
                            category_ + "') adds it, and SELECT kombo.exclude_field('" + table.name + "', '" +
                            *missing + "') does without it, if it is a field of Kombo's."};
    }

    /// Rows are found, and written once, by their key.
    void check_keys() {
        const Result rows = execute(R"(
            SELECT d.table_name, (SELECT string_agg(a.attname, ', ' ORDER BY a.attname)
                                  FROM pg_attribute a WHERE a.attrelid = d.relation
                                      AND a.attnum = ANY ((x.indkey::int2[])[0:x.indnkeyatts - 1]))
            FROM kombo.data_tables d JOIN pg_index x ON x.indrelid = d.relation
            WHERE x.indisunique AND x.indimmediate AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL)");
        std::set<std::pair<std::string, std::string>> unique;
        for (uint64_t i = 0; i < rows.size(); ++i) unique.emplace(rows.text(i, 1), rows.text(i, 2));
        for (syncer::Table &table : catalogue_.tables) {
            std::vector<std::string> keys = {"integration_id"};
            for (const syncer::Field &field : table.fields)
                if (field.key) keys.push_back(field.column);
            const std::string in_order = joined(keys);
            std::sort(keys.begin(), keys.end());
            if (table.defect || unique.count({table.name, joined(keys)}) > 0) continue;
            table.defect = {"42P10", "table kombo." + table.name + " has no primary key on (" + in_order + ")",
                            "ALTER TABLE kombo." + table.name + " ADD PRIMARY KEY (" + in_order + ")."};
        }
    }

    static std::string joined(const std::vector<std::string> &names) {
        std::string text;
        for (const std::string &name : names) text += (text.empty() ? "" : ", ") + name;
        return text;
    }

    /// As format_type() has it.
    static const char *name_of(syncer::Type type) {
        switch (type) {
        case syncer::Type::Boolean:
            return "boolean";
        case syncer::Type::Numeric:
            return "numeric";
        case syncer::Type::Date:
            return "date";
        case syncer::Type::Time:
            return "time without time zone";
        case syncer::Type::Timestamptz:
            return "timestamp with time zone";
        case syncer::Type::Jsonb:
            return "jsonb";
        case syncer::Type::Text:
            break;
        }
        return "text";
    }

    void load_fields() {
        const Result rows = execute(R"(
            SELECT f.table_name, f.column_name, f.type, f.json_key, f.key, x.column_name IS NOT NULL,
                EXISTS (SELECT FROM pg_attribute a JOIN kombo.data_tables d ON d.relation = a.attrelid
                        WHERE d.table_name = f.table_name AND a.attname = f.column_name AND NOT a.attisdropped),
                f.refers_to, f.belongs
            FROM kombo.fields f
            LEFT JOIN kombo.excluded_fields x ON x.table_name = f.table_name AND x.column_name = f.column_name
            ORDER BY f.table_name, f.key DESC, f.position, f.column_name)");
        auto fallbacks = load_fallback_keys();
        std::map<size_t, std::vector<syncer::Field>> fields;
        for (uint64_t i = 0; i < rows.size(); ++i) {
            const auto table = tables_.find(rows.text(i, 1));
            if (table == tables_.end()) continue;
            const std::string column = rows.text(i, 2);
            const syncer::Type type = type_of(rows.text(i, 3), table->first + "." + column);
            const std::vector<std::string> others = fallbacks[{table->first, column}];
            if (!rows.boolean(i, 6)) {
                syncer::Field field{column, type, rows.text(i, 4), rows.boolean(i, 5), others};
                const auto referred = tables_.find(rows.text(i, 8));
                if (referred != tables_.end()) field.refers_to = referred->second;
                field.belongs = rows.boolean(i, 9);
                fields[table->second].push_back(std::move(field));
                continue;
            }
            std::vector<std::string> &excluded = catalogue_.tables[table->second].excluded_keys;
            if (!rows.null(i, 4)) excluded.push_back(rows.text(i, 4));
            excluded.insert(excluded.end(), others.begin(), others.end());
            // Without a key it is written as NULL: whatever lies there goes with the next full fetch.
            if (rows.boolean(i, 7)) fields[table->second].push_back({column, type, "", false});
        }
        for (size_t t = 0; t < catalogue_.tables.size(); ++t) complete(catalogue_.tables[t], fields[t]);
        exclude_record_fields();
        compare_columns();
        check_keys();
    }

    /// By table and column.
    static std::map<std::pair<std::string, std::string>, std::vector<std::string>> load_fallback_keys() {
        const Result rows = execute(R"(
            SELECT f.table_name, f.column_name, k.json_key
            FROM kombo.fields f CROSS JOIN unnest(f.fallback_keys) WITH ORDINALITY k (json_key, place)
            ORDER BY f.table_name, f.column_name, k.place)");
        std::map<std::pair<std::string, std::string>, std::vector<std::string>> keys;
        for (uint64_t i = 0; i < rows.size(); ++i) keys[{rows.text(i, 1), rows.text(i, 2)}].push_back(rows.text(i, 3));
        return keys;
    }

    static void complete(syncer::Table &table, const std::vector<syncer::Field> &own) {
        table.join = std::any_of(own.begin(), own.end(), [](const syncer::Field &field) { return field.key; });
        if (!table.join) table.fields = record_fields();
        table.fields.insert(table.fields.end(), own.begin(), own.end());
        if (table.fields.size() > syncer::max_fields)
            raise(ERRCODE_PROGRAM_LIMIT_EXCEEDED, "table kombo." + table.name + " has too many fields",
                  "At most " + std::to_string(syncer::max_fields) + " are supported.");
    }

    /// remote_data, custom_fields and the like are in no row of kombo.fields and can be excluded all the same.
    void exclude_record_fields() {
        const Result rows = execute(R"(
            SELECT x.table_name, x.column_name,
                EXISTS (SELECT FROM pg_attribute a JOIN kombo.data_tables d ON d.relation = a.attrelid
                        WHERE d.table_name = x.table_name AND a.attname = x.column_name AND NOT a.attisdropped)
            FROM kombo.excluded_fields x)");
        for (uint64_t i = 0; i < rows.size(); ++i) {
            const auto table = tables_.find(rows.text(i, 1));
            if (table == tables_.end()) continue;
            syncer::Table &found = catalogue_.tables[table->second];
            const auto field = found.find(rows.text(i, 2));
            if (!field || found.fields[*field].key) continue;
            if (std::exchange(found.fields[*field].json_key, "").empty()) continue; // a row of kombo.fields, done above
            found.excluded_keys.push_back(rows.text(i, 2));
            if (!rows.boolean(i, 3)) found.fields.erase(found.fields.begin() + static_cast<std::ptrdiff_t>(*field));
        }
    }

    void load_endpoints() {
        const Result rows = execute(R"(
            SELECT path, table_name, enabled, paginated, incremental, on_missing, status = 'deprecated'
            FROM kombo.endpoints WHERE category = $1 ORDER BY path)",
                                    Params().text(category_));
        for (uint64_t i = 0; i < rows.size(); ++i) {
            const auto table = tables_.find(rows.text(i, 2));
            syncer::Endpoint endpoint;
            endpoint.path = rows.text(i, 1);
            endpoint.category = category_;
            endpoint.table = table == tables_.end() ? catalogue_.tables.size() : table->second;
            if (table == tables_.end()) endpoint.missing_table = rows.text(i, 2);
            endpoint.enabled = rows.boolean(i, 3);
            endpoint.paginated = rows.boolean(i, 4);
            endpoint.incremental = rows.boolean(i, 5);
            endpoint.on_missing = on_missing_of(rows.text(i, 6));
            endpoint.deprecated = rows.boolean(i, 7);
            catalogue_.endpoints.push_back(std::move(endpoint));
        }
    }

    syncer::Endpoint *endpoint(const std::string &path) {
        for (syncer::Endpoint &known : catalogue_.endpoints)
            if (known.path == path) return &known;
        return nullptr;
    }

    void load_models() {
        const Result rows = execute("SELECT endpoint, model, role, delta FROM kombo.endpoint_models ORDER BY 1, 2");
        for (uint64_t i = 0; i < rows.size(); ++i) {
            syncer::Endpoint *owner = endpoint(rows.text(i, 1));
            if (!owner) continue;
            const std::string role = rows.text(i, 3);
            owner->models.push_back({rows.text(i, 2),
                                     role == "own"       ? syncer::Role::Own
                                     : role == "implied" ? syncer::Role::Implied
                                                         : syncer::Role::Carried,
                                     rows.boolean(i, 4)});
        }
    }

    void load_nested() {
        const Result rows = execute(R"(
            SELECT endpoint, json_path, relation, table_name, parent_column
            FROM kombo.nested_records ORDER BY endpoint, json_path, relation)");
        for (uint64_t i = 0; i < rows.size(); ++i) {
            syncer::Endpoint *owner = endpoint(rows.text(i, 1));
            const auto table = tables_.find(rows.text(i, 4));
            if (!owner) continue;
            if (table == tables_.end()) {
                owner->missing_table = rows.text(i, 4);
                continue;
            }
            const std::string relation = rows.text(i, 3);
            owner->nested.push_back({rows.text(i, 2),
                                     relation == "owned"    ? syncer::Relation::Owned
                                     : relation == "linked" ? syncer::Relation::Linked
                                     : relation == "join"   ? syncer::Relation::Join
                                     : relation == "part"   ? syncer::Relation::Part
                                                            : syncer::Relation::Copy,
                                     table->second, rows.text(i, 5)});
        }
    }

    void load_webhooks() {
        const Result rows = execute("SELECT type, endpoint FROM kombo.webhook_endpoints ORDER BY 1, 2");
        for (uint64_t i = 0; i < rows.size(); ++i) {
            std::vector<std::string> &asked = catalogue_.webhooks[rows.text(i, 1)];
            if (endpoint(rows.text(i, 2))) asked.push_back(rows.text(i, 2));
        }
    }

    std::string category_;
    Oid sync_role_;
    syncer::Catalogue catalogue_;
    std::map<std::string, size_t> tables_;
};

} // namespace

syncer::Catalogue load_catalogue(const std::string &category, unsigned sync_role) {
    return Loader(category, sync_role).load();
}

std::string catalogue_fingerprint() {
    return execute(R"(
        SELECT concat_ws(' ',
            (SELECT sum(hashtextextended(e::text, 0)) FROM kombo.endpoints e),
            (SELECT sum(hashtextextended(m::text, 0)) FROM kombo.endpoint_models m),
            (SELECT sum(hashtextextended(f::text, 0)) FROM kombo.fields f),
            (SELECT sum(hashtextextended(n::text, 0)) FROM kombo.nested_records n),
            (SELECT sum(hashtextextended(w::text, 0)) FROM kombo.webhook_endpoints w),
            (SELECT sum(hashtextextended(x::text, 0)) FROM kombo.excluded_fields x),
            (SELECT sum(hashtextextended(d::text, 0)) FROM kombo.data_tables d),
            (SELECT sum(hashtextextended(concat_ws(' ', a.attrelid, a.attname, a.atttypid, a.atttypmod), 0))
             FROM kombo.data_tables d JOIN pg_attribute a ON a.attrelid = d.relation
             WHERE a.attnum > 0 AND NOT a.attisdropped),
            (SELECT sum(hashtextextended(concat_ws(' ', x.indexrelid, x.indisvalid), 0))
             FROM kombo.data_tables d JOIN pg_index x ON x.indrelid = d.relation WHERE x.indisunique)))")
        .text(0, 1);
}

syncer::States load_states(const syncer::Catalogue &catalogue, const std::string &integration_id) {
    syncer::States states;
    for (const syncer::Endpoint &endpoint : catalogue.endpoints) {
        syncer::EndpointState &state = states[endpoint.path];
        state.subscription.enabled = endpoint.enabled;
        state.subscription.on_missing = endpoint.on_missing;
    }
    const Result subscriptions = execute(R"(
        SELECT endpoint, enabled, on_missing, CASE WHEN purge_after IS NOT NULL
            THEN (extract(epoch FROM least(purge_after, '100 years')) * 1000000)::bigint END
        FROM kombo.subscriptions WHERE integration_id = $1)",
                                         Params().text(integration_id), Planning::ByKey);
    for (uint64_t i = 0; i < subscriptions.size(); ++i) {
        const auto state = states.find(subscriptions.text(i, 1));
        if (state == states.end()) continue;
        syncer::Subscription &subscription = state->second.subscription;
        subscription.enabled = subscriptions.boolean(i, 2);
        subscription.refused = !subscription.enabled;
        if (!subscriptions.null(i, 3)) subscription.on_missing = on_missing_of(subscriptions.text(i, 3));
        if (!subscriptions.null(i, 4)) subscription.purge_after_micros = subscriptions.integer(i, 4);
    }
    const Result rows = execute(R"(
        SELECT endpoint, watermark, last_full_at, accept_sweep, attempts::bigint, next_attempt_at,
            full_started_at, full_watermark, full_query, full_cursor, full_cursor_at, full_progress::text,
            page_size::bigint, last_status = 'unavailable', last_status IN ('failed', 'waiting')
        FROM kombo.sync_state WHERE integration_id = $1)",
                                Params().text(integration_id), Planning::ByKey);
    for (uint64_t i = 0; i < rows.size(); ++i) {
        const auto state = states.find(rows.text(i, 1));
        if (state == states.end()) continue;
        state->second.watermark = rows.instant(i, 2);
        state->second.last_full_at = rows.instant(i, 3);
        state->second.accept_sweep = rows.boolean(i, 4);
        state->second.attempts = static_cast<int>(rows.integer(i, 5));
        state->second.next_attempt_at = rows.instant(i, 6);
        if (!rows.null(i, 13)) state->second.page_size = static_cast<int>(rows.integer(i, 13));
        state->second.unavailable = rows.boolean(i, 14);
        state->second.failed = rows.boolean(i, 15);
        if (const auto started_at = rows.instant(i, 7))
            state->second.open_full = {*started_at,      rows.instant(i, 8).value_or(*started_at),  rows.text(i, 9),
                                       rows.text(i, 10), rows.instant(i, 11).value_or(*started_at), rows.text(i, 12)};
    }
    return states;
}

} // namespace pg
