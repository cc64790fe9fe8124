#include "pg/store/difference.h"

#include "pg/base/memory.h"
#include "pg/store/columns.h"
#include "pg/store/statements.h"
#include "pg/store/temporary_file.h"

namespace pg {

namespace {

using statements::qualified;
using statements::quoted;

constexpr uint64_t rows_at_once = 10000;

} // namespace

DifferenceFinder::DifferenceFinder(const syncer::Catalogue &catalogue, std::string integration_id,
                                   std::function<void(const Differing &)> found)
    : catalogue_(catalogue), integration_id_(std::move(integration_id)), found_(std::move(found)) {}

void DifferenceFinder::begin(const syncer::Endpoint &endpoint, syncer::OnMissing how, kombo::Timestamp since) {
    endpoint_ = &endpoint;
    how_ = how;
    since_ = since;
    seen_.emplace(open_temporary_file);
}

void DifferenceFinder::compare(const syncer::Batch &batch, kombo::Timestamp requested_at) {
    for (const std::string_view id : batch.ids) seen_->add(hash_id(id));
    for_each_set(catalogue_, *endpoint_, batch, [&](const syncer::RowSet &set, const syncer::ListSet *list) {
        const MemoryScope scope;
        const Difference found = find_difference(catalogue_, integration_id_, *endpoint_, set, list, requested_at,
                                                 kombo::current_timestamp(), jsonb_);
        if (!found.rows.rows.empty()) show(found.rows);
        show_surplus(set.table, found.gone);
    });
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

void DifferenceFinder::find_surplus() {
    if (how_ != syncer::OnMissing::Keep) find_surplus_records();
    for (const syncer::Nested &nested : endpoint_->nested)
        if (nested.of_record() &&
            (nested.relation == syncer::Relation::Owned || nested.relation == syncer::Relation::Join))
            find_orphans(nested);
}

void DifferenceFinder::find_surplus_records() {
    const syncer::Table &table = catalogue_.tables[endpoint_->table];
    std::string after;
    while (true) {
        const MemoryScope scope;
        Params params;
        params.text(integration_id_).instant(since_).instant(kombo::current_timestamp()).text(after);
        const Result rows = execute("SELECT t.id FROM " + qualified(table) + " t WHERE " + statements::live() +
                                        " AND t.id > $4 AND NOT coalesce(" + statements::written_since("t") +
                                        ", false) ORDER BY t.id LIMIT " + std::to_string(rows_at_once),
                                    params, Planning::ByKey);
        std::vector<std::string> ids;
        for (uint64_t i = 0; i < rows.size(); ++i) ids.push_back(rows.text(i, 1));
        if (ids.empty()) return;
        after = ids.back();
        const bool more = ids.size() == rows_at_once;
        show_surplus(endpoint_->table, {not_seen(std::move(ids), *seen_)});
        if (!more) return;
    }
}

/// Rows of a nested list whose parent no page had.
void DifferenceFinder::find_orphans(const syncer::Nested &nested) {
    const syncer::Table &table = catalogue_.tables[nested.table];
    const std::string parent = "t." + quoted(nested.parent_column);
    const std::string live = table.join ? "t.integration_id = $1" : statements::live();
    std::string keys;
    for (const syncer::Field &field : table.fields)
        if (field.key) keys += (keys.empty() ? "t." : ", t.") + quoted(field.column);
    std::string after;
    while (true) {
        const MemoryScope scope;
        Params walk;
        walk.text(integration_id_).text(after);
        const Result rows = execute("SELECT DISTINCT " + parent + " FROM " + qualified(table) + " t WHERE " + live +
                                        " AND " + parent + " > $2 ORDER BY 1 LIMIT " + std::to_string(rows_at_once),
                                    walk, Planning::ByKey);
        std::vector<std::string> parents;
        for (uint64_t i = 0; i < rows.size(); ++i) parents.push_back(rows.text(i, 1));
        if (parents.empty()) return;
        after = parents.back();
        const bool more = parents.size() == rows_at_once;
        Params params;
        params.text(integration_id_).texts(not_seen(std::move(parents), *seen_));
        const Result orphans = execute("SELECT " + keys + " FROM " + qualified(table) + " t WHERE " + live + " AND " +
                                           parent + " = ANY ($2)",
                                       params, Planning::ByKey);
        std::vector<std::vector<std::string>> found(table.key_count());
        for (uint64_t i = 0; i < orphans.size(); ++i)
            for (size_t k = 0; k < found.size(); ++k) found[k].push_back(orphans.text(i, static_cast<int>(k) + 1));
        show_surplus(nested.table, found);
        if (!more) return;
    }
}

} // namespace pg
