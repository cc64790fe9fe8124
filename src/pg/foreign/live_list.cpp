#include "pg/foreign/live_list.h"

#include "pg/base/memory.h"
#include "pg/base/role.h"
#include "pg/base/spi.h"
#include "pg/base/version_check.h"

namespace pg {

namespace {

/// Keys that every record of Kombo has; all others are rows of kombo.fields.
constexpr const char *record_keys[] = {"id", "changed_at", "remote_deleted_at", "custom_fields", "remote_data"};

void load_fields(LiveList &list) {
    for (const char *key : record_keys) list.known.insert(key);
    const Result fields = execute(R"(
        SELECT f.column_name, k.json_key
        FROM kombo.fields f CROSS JOIN unnest(f.json_key || f.fallback_keys) WITH ORDINALITY k (json_key, place)
        WHERE f.table_name = $1 AND k.json_key IS NOT NULL ORDER BY f.column_name, k.place)",
                                  Params().text(list.table));
    for (uint64_t i = 0; i < fields.size(); ++i) {
        list.json_keys[fields.text(i, 1)].push_back(fields.text(i, 2));
        list.known.insert(fields.text(i, 2));
    }
    const Result nested =
        execute("SELECT DISTINCT split_part(n.json_path, '.', 1) FROM kombo.nested_records n WHERE n.endpoint = $1",
                Params().text(list.path));
    for (uint64_t i = 0; i < nested.size(); ++i) list.known.insert(nested.text(i, 1));
}

void load_exclusions(LiveList &list) {
    const Result rows = execute(R"(
        SELECT p.path, x.column_name, coalesce(k.json_key, x.column_name)
        FROM (SELECT '' AS path, $2 AS table_name
              UNION ALL SELECT n.json_path, n.table_name FROM kombo.nested_records n
                        WHERE n.endpoint = $1 AND n.relation <> 'part') p
        JOIN kombo.excluded_fields x ON x.table_name = p.table_name
        LEFT JOIN kombo.fields f ON f.table_name = x.table_name AND f.column_name = x.column_name
        LEFT JOIN LATERAL unnest(f.json_key || f.fallback_keys) k (json_key) ON true)",
                                Params().text(list.path).text(list.table));
    for (uint64_t i = 0; i < rows.size(); ++i) {
        std::string path = rows.text(i, 1), key = rows.text(i, 3);
        if (path.empty()) list.json_keys[rows.text(i, 2)].clear();
        // Where the id of a nested record is kept out, so is the record.
        const size_t last = key.rfind('.');
        if (last != std::string::npos && key.substr(last) == ".id") key.resize(last);
        if (const size_t dot = key.rfind('.'); dot != std::string::npos) {
            path += (path.empty() ? "" : ".") + key.substr(0, dot);
            key.erase(0, dot + 1);
        }
        list.withheld.add(path, key);
    }
}

void load_filters(LiveList &list) {
    const Result rows = execute(R"(
        SELECT f.parameter, f.column_name, f.operator, f."values"::bigint, f.element_key, f.not_null, a.value
        FROM kombo.endpoint_filters f LEFT JOIN LATERAL unnest(f.allowed) a (value) ON true
        WHERE f.endpoint = $1 ORDER BY f.parameter)",
                                Params().text(list.path));
    for (uint64_t i = 0; i < rows.size(); ++i) {
        if (list.filters.empty() || list.filters.back().parameter != rows.text(i, 1))
            list.filters.push_back({rows.text(i, 1), rows.text(i, 2), rows.text(i, 3),
                                    static_cast<int>(rows.integer(i, 4)), std::nullopt, rows.text(i, 5),
                                    rows.text(i, 6)});
        std::optional<std::set<std::string>> &allowed = list.filters.back().allowed;
        if (rows.null(i, 7)) continue;
        if (!allowed) allowed.emplace();
        allowed->insert(rows.text(i, 7));
    }
}

} // namespace

LiveList load_live_list(const std::string &path) {
    const Spi spi;
    const SyncRole owner_of_everything(BOOTSTRAP_SUPERUSERID);
    check_interface();
    const Result found = execute("SELECT e.category, e.table_name, e.paginated, e.incremental FROM kombo.endpoints e "
                                 "WHERE e.path = $1",
                                 Params().text(path));
    if (found.size() == 0)
        raise(ERRCODE_UNDEFINED_OBJECT, "list \"" + path + "\" is not in the catalogue", "",
              "kombo.endpoints has the lists; the option \"endpoint\" of the foreign table names one.");
    LiveList list;
    list.path = path;
    list.category = found.text(0, 1);
    list.table = found.text(0, 2);
    list.paginated = found.boolean(0, 3);
    list.incremental = found.boolean(0, 4);
    load_fields(list);
    load_exclusions(list);
    load_filters(list);
    return list;
}

std::vector<std::string> registered_integrations(const std::string &server, const LiveList &list) {
    const Spi spi;
    const SyncRole owner_of_everything(BOOTSTRAP_SUPERUSERID);
    const Result rows = execute("SELECT i.integration_id FROM kombo.integrations i WHERE i.server = $1 AND i.category "
                                "= $2 ORDER BY 1",
                                Params().text(server).text(list.category));
    std::vector<std::string> ids;
    for (uint64_t i = 0; i < rows.size(); ++i) ids.push_back(rows.text(i, 1));
    return ids;
}

ListSize estimate_size(const std::string &server, const LiveList &list) {
    const Spi spi;
    const SyncRole owner_of_everything(BOOTSTRAP_SUPERUSERID);
    // Of the latest runs only: a table of many integrations' runs is large, and every plan asks this.
    const Result found = execute(R"(
        SELECT n.here, r.received, r.ms, n.of_category,
               (SELECT c.reltuples::bigint FROM pg_class c WHERE c.oid = to_regclass(format('kombo.%I', $3)))
        FROM (SELECT count(*) FILTER (WHERE i.server = $1) AS here, count(*) AS of_category
              FROM kombo.integrations i WHERE i.category = $2) n,
             (SELECT avg(l.received)::bigint AS received,
                     (1000 * sum(extract(epoch FROM l.finished_at - l.started_at)) / sum(l.pages))::bigint AS ms
              FROM (SELECT s.* FROM kombo.sync_runs s ORDER BY s.id DESC LIMIT 500) l
              WHERE l.endpoint = $4 AND l.kind = 'full' AND l.status IN ('ok', 'held') AND l.pages > 0) r)",
                                 Params().text(server).text(list.category).text(list.table).text(list.path));
    ListSize size;
    size.integrations = std::max<double>(1, static_cast<double>(found.integer(0, 1)));
    if (!found.null(0, 2))
        size.rows = static_cast<double>(found.integer(0, 2));
    else if (!found.null(0, 5) && found.integer(0, 5) > 0)
        size.rows =
            static_cast<double>(found.integer(0, 5)) / std::max<double>(1, static_cast<double>(found.integer(0, 4)));
    if (!found.null(0, 3)) size.page_ms = std::max<double>(1, static_cast<double>(found.integer(0, 3)));
    size.rows = std::max<double>(1, size.rows);
    return size;
}

} // namespace pg
