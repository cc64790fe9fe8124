#include "pg/store/difference.h"

#include "pg/base/memory.h"
#include "pg/store/columns.h"
#include "pg/store/statements.h"
#include "pg/store/temporary_file.h"

#include <algorithm>

namespace pg {

namespace {

using statements::qualified;
using statements::quoted;

constexpr uint64_t rows_at_once = 10000;

std::string live(const syncer::Table &table) {
    return table.join ? "t.integration_id = $1" : statements::live();
}

} // namespace

DifferenceFinder::DifferenceFinder(const syncer::Catalogue &catalogue, const syncer::States &states,
                                   std::string integration_id, const std::vector<syncer::Task> &tasks,
                                   std::function<void(const Differing &)> found)
    : catalogue_(catalogue), states_(states), integration_id_(std::move(integration_id)), found_(std::move(found)) {
    const auto is_read = [&](const syncer::Endpoint &endpoint) {
        return std::any_of(tasks.begin(), tasks.end(),
                           [&](const syncer::Task &task) { return task.endpoint == &endpoint; });
    };
    for (const syncer::Task &task : tasks)
        for (const syncer::Nested &linked : task.endpoint->nested) {
            if (!syncer::carriers_are(is_read, catalogue, states, linked.table)) continue;
            auto links = syncer::keeping_links(catalogue, states, *task.endpoint, linked);
            if (!links.empty())
                linked_.try_emplace(linked.table, Linked{std::move(links), syncer::SeenIds(open_temporary_file)});
        }
}

void DifferenceFinder::begin(const syncer::Endpoint &endpoint, kombo::Timestamp since) {
    endpoint_ = &endpoint;
    dependents_ = syncer::dependents(catalogue_, states_, endpoint);
    since_ = since;
    seen_.emplace(open_temporary_file);
}

void DifferenceFinder::compare(const syncer::Batch &batch, kombo::Timestamp requested_at) {
    for (const std::string_view id : batch.ids) seen_->add(hash_id(id));
    for_each_set(catalogue_, *endpoint_, batch, [&](const syncer::RowSet &set, const syncer::ListSet *list) {
        const MemoryScope scope;
        note_links(set);
        const Difference found = find_difference(catalogue_, integration_id_, *endpoint_, set, list, requested_at,
                                                 kombo::current_timestamp(), jsonb_);
        if (!found.rows.rows.empty()) show(found.rows);
        if (list) show_surplus_of(endpoint_->nested[list->nested], found.gone);
        if (list) show_dependents(&endpoint_->nested[list->nested], found.dead);
    });
    for_each_linked(*endpoint_, batch, [&](const syncer::ListSet &list) {
        const MemoryScope scope;
        show_surplus_of(endpoint_->nested[list.nested], {find_unlisted(catalogue_, integration_id_, *endpoint_, list,
                                                                       requested_at, kombo::current_timestamp())});
    });
}

void DifferenceFinder::note_links(const syncer::RowSet &set) {
    for (auto &[table, linked] : linked_)
        for (const syncer::Link &link : linked.links) {
            if (link.table != set.table) continue;
            const auto field = catalogue_.tables[set.table].find(link.column);
            if (!field) continue;
            for (const syncer::Row &row : set.rows)
                if (!row.cells[*field].null) linked.named.add(hash_id(row.cells[*field].text));
        }
}

void DifferenceFinder::report(const Differing &differing) {
    if (reported_.emplace(differing.table, differing.id).second) found_(differing);
}

void DifferenceFinder::show(const syncer::RowSet &rows) {
    const syncer::Table &table = catalogue_.tables[rows.table];
    Params params;
    params.text(integration_id_);
    add_columns(params, table, rows, jsonb_);
    const Result shown = execute(statements::show(table, rows), params, Planning::ByKeyVaried);
    for (uint64_t i = 0; i < shown.size(); ++i) {
        if (shown.boolean(i, 5))
            report({rows.table, shown.text(i, 1), Differing::Kind::Differs, shown.maybe(i, 2), shown.maybe(i, 3),
                    shown.maybe(i, 4)});
        else
            report({rows.table, shown.text(i, 1), Differing::Kind::Missing, std::nullopt, std::nullopt,
                    shown.maybe(i, 4)});
    }
}

void DifferenceFinder::show_surplus(size_t target, const std::vector<std::vector<std::string>> &keys) {
    if (keys.empty() || keys.front().empty()) return;
    const syncer::Table &table = catalogue_.tables[target];
    Params params;
    params.text(integration_id_);
    for (const auto &column : keys) params.texts(column);
    const Result shown = execute(statements::show_stored(table), params, Planning::ByKey);
    for (uint64_t i = 0; i < shown.size(); ++i)
        report({target, shown.text(i, 1), Differing::Kind::Surplus, std::nullopt, shown.maybe(i, 2), std::nullopt});
}

/// Rows of a list that are surplus, and what goes with them.
void DifferenceFinder::show_surplus_of(const syncer::Nested &nested,
                                       const std::vector<std::vector<std::string>> &keys) {
    show_surplus(nested.table, keys);
    if (!catalogue_.tables[nested.table].join && !keys.empty()) show_dependents(&nested, keys.front());
}

void DifferenceFinder::show_dependents(const syncer::Nested *holder, const std::vector<std::string> &ids) {
    if (ids.empty()) return;
    for (const syncer::Nested *nested : dependents_)
        if (syncer::is_same_place(endpoint_->holder(*nested), holder))
            show_surplus_of(*nested, keys_where(nested->table, nested->parent_column, ids));
}

/// The keys of live rows that have one of the values in a column.
std::vector<std::vector<std::string>> DifferenceFinder::keys_where(size_t target, const std::string &column,
                                                                   const std::vector<std::string> &values) const {
    Params params;
    params.text(integration_id_).texts(values);
    return keys_where(target, "t." + quoted(column) + " = ANY ($2)", params);
}

/// The keys of live rows that meet a condition. $1 is the integration id.
std::vector<std::vector<std::string>> DifferenceFinder::keys_where(size_t target, const std::string &condition,
                                                                   const Params &params) const {
    const syncer::Table &table = catalogue_.tables[target];
    std::string keys;
    for (const syncer::Field &field : table.fields)
        if (field.key) keys += (keys.empty() ? "t." : ", t.") + quoted(field.column);
    const Result rows =
        execute("SELECT " + keys + " FROM " + qualified(table) + " t WHERE " + live(table) + " AND " + condition,
                params, Planning::ByKey);
    std::vector<std::vector<std::string>> found(table.key_count());
    for (uint64_t i = 0; i < rows.size(); ++i)
        for (size_t k = 0; k < found.size(); ++k) found[k].push_back(rows.text(i, static_cast<int>(k) + 1));
    return found;
}

void DifferenceFinder::find_surplus() {
    if (states_.at(endpoint_->path).subscription.on_missing == syncer::OnMissing::Keep) return;
    find_surplus_records();
    for (const syncer::Nested *nested : dependents_)
        if (nested->relation == syncer::Relation::Join ||
            !syncer::own_list_delivers(catalogue_, states_, nested->table))
            find_orphans(*nested);
}

void DifferenceFinder::find_surplus_records() {
    Params params;
    params.text(integration_id_).instant(since_).instant(kombo::current_timestamp());
    for_unseen(endpoint_->table, " AND NOT coalesce(" + statements::written_since("t") + ", false)", params, *seen_,
               [&](const std::vector<std::string> &gone) {
                   show_surplus(endpoint_->table, keys_where(endpoint_->table, "id", gone));
                   show_dependents(nullptr, gone);
               });
}

void DifferenceFinder::find_unlinked() {
    Params params;
    params.text(integration_id_);
    for (auto &[table, linked] : linked_)
        for_unseen(table, "", params, linked.named,
                   [&, target = table](const std::vector<std::string> &gone) { show_surplus(target, {gone}); });
}

/// Goes through the live rows of a table by id, and hands over those that were not seen. `params` begin with the
/// integration; one more, the id behind which to go on, follows.
void DifferenceFinder::for_unseen(size_t target, const std::string &condition, const Params &params,
                                  syncer::SeenIds &seen,
                                  const std::function<void(const std::vector<std::string> &)> &take) const {
    const std::string query = "SELECT t.id FROM " + qualified(catalogue_.tables[target]) + " t WHERE " +
                              statements::live() + condition + " AND t.id > $" +
                              std::to_string(params.values().size() + 1) + " ORDER BY t.id LIMIT " +
                              std::to_string(rows_at_once);
    for (std::string after;;) {
        const MemoryScope scope;
        Params walk = params;
        walk.text(after);
        const Result rows = execute(query, walk, Planning::ByKey);
        std::vector<std::string> ids;
        for (uint64_t i = 0; i < rows.size(); ++i) ids.push_back(rows.text(i, 1));
        if (ids.empty()) return;
        after = ids.back();
        const bool more = ids.size() == rows_at_once;
        take(not_seen(std::move(ids), seen));
        if (!more) return;
    }
}

/// Rows of a nested list whose parent no page had, or that name none; of a list that lies deeper, whose parent is not
/// stored.
void DifferenceFinder::find_orphans(const syncer::Nested &nested) {
    if (nested.relation == syncer::Relation::Owned) {
        Params params;
        params.text(integration_id_);
        show_surplus_of(nested, keys_where(nested.table, "t." + quoted(nested.parent_column) + " IS NULL", params));
    }
    const syncer::Table &table = catalogue_.tables[nested.table];
    const size_t parent_table = endpoint_->parent_table(nested);
    const std::string parent = "t." + quoted(nested.parent_column);
    std::string after;
    while (true) {
        const MemoryScope scope;
        Params walk;
        walk.text(integration_id_).text(after);
        const Result rows =
            execute("SELECT DISTINCT " + parent + " FROM " + qualified(table) + " t WHERE " + live(table) + " AND " +
                        parent + " > $2 ORDER BY 1 LIMIT " + std::to_string(rows_at_once),
                    walk, Planning::ByKey);
        std::vector<std::string> parents;
        for (uint64_t i = 0; i < rows.size(); ++i) parents.push_back(rows.text(i, 1));
        if (parents.empty()) return;
        after = parents.back();
        const bool more = parents.size() == rows_at_once;
        const std::vector<std::string> gone = parent_table == endpoint_->table
                                                  ? not_seen(std::move(parents), *seen_)
                                                  : not_stored(catalogue_.tables[parent_table], parents);
        show_surplus_of(nested, keys_where(nested.table, nested.parent_column, gone));
        if (!more) return;
    }
}

std::vector<std::string> DifferenceFinder::not_stored(const syncer::Table &table,
                                                      const std::vector<std::string> &ids) const {
    Params params;
    params.text(integration_id_).texts(ids);
    const Result rows = execute("SELECT s.id FROM (SELECT unnest($2::text[]) AS id) s LEFT JOIN LATERAL (SELECT true "
                                "AS found FROM " +
                                    qualified(table) +
                                    " p WHERE p.integration_id = $1 AND p.id = s.id OFFSET 0) d ON true WHERE d.found "
                                    "IS NULL",
                                params, Planning::ByKey);
    std::vector<std::string> absent;
    for (uint64_t i = 0; i < rows.size(); ++i) absent.push_back(rows.text(i, 1));
    return absent;
}

} // namespace pg
