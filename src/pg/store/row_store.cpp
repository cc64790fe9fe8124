#include "pg/store/row_store.h"

#include "pg/base/memory.h"
#include "pg/store/columns.h"
#include "pg/store/row_digest.h"
#include "pg/store/statements.h"
#include "syncer/watermark.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace pg {

namespace {

using statements::qualified;
using statements::quoted;

/// Rows of a set that take a millisecond or more; to plan the statements of a linked set takes as long.
constexpr size_t large_set = 50;

/// Rows that a step of a sweep passes: by key, so some 10 to 50 ms.
constexpr uint64_t rows_at_once = 10000;

/// Linked records make a statement for every combination of keys that they carry.
Planning planning_of(const syncer::RowSet &set) {
    return set.mode == syncer::Mode::UpdateLinked ? Planning::ByKeyVaried : Planning::ByKey;
}

/// The place where the next step of a walk goes on, by the first column; nullopt: these were the last rows.
std::optional<std::string> next_place(const Result &passed) {
    if (passed.size() < rows_at_once) return std::nullopt;
    return passed.text(passed.size() - 1, 1);
}

bool is_linked(const syncer::Endpoint &endpoint, const syncer::ListSet &list) {
    return endpoint.nested[list.nested].relation == syncer::Relation::Linked;
}

} // namespace

void for_each_set(const syncer::Catalogue &catalogue, const syncer::Endpoint &endpoint, const syncer::Batch &batch,
                  const std::function<void(const syncer::RowSet &, const syncer::ListSet *)> &take) {
    std::vector<const syncer::ListSet *> lists;
    for (const syncer::ListSet &list : batch.lists)
        if (!is_linked(endpoint, list)) lists.push_back(&list);
    for (const syncer::RowSet &set : batch.sets) {
        const auto its_list = std::find_if(lists.begin(), lists.end(), [&](const syncer::ListSet *list) {
            return set.mode == syncer::Mode::Replace && endpoint.nested[list->nested].table == set.table;
        });
        const syncer::ListSet *list = its_list == lists.end() ? nullptr : *its_list;
        if (list) lists.erase(its_list);
        if (list || !set.rows.empty()) take(set, list);
    }
    for (const syncer::ListSet *list : lists) { // all of them empty, or a second list of the same table
        syncer::RowSet none;
        none.table = endpoint.nested[list->nested].table;
        none.columns = syncer::all_columns(catalogue.tables[none.table]);
        take(none, list);
    }
}

void for_each_linked(const syncer::Endpoint &endpoint, const syncer::Batch &batch,
                     const std::function<void(const syncer::ListSet &)> &take) {
    for (const syncer::ListSet &list : batch.lists)
        if (is_linked(endpoint, list)) take(list);
}

Difference find_difference(const syncer::Catalogue &catalogue, const std::string &integration_id,
                           const syncer::Endpoint &endpoint, const syncer::RowSet &set, const syncer::ListSet *list,
                           kombo::Timestamp requested_at, kombo::Timestamp now, JsonbBuilder &jsonb) {
    const syncer::Table &table = catalogue.tables[set.table];
    Params params;
    params.text(integration_id);
    std::vector<int64_t> numbers(set.rows.size());
    std::iota(numbers.begin(), numbers.end(), 0);
    params.instant(requested_at).instant(now).integers(numbers);
    if (list) params.texts(list->parents);
    const statements::Comparison how = statements::comparison(table, set);
    if (how.by_digest) {
        const int64_t seed = random_seed();
        params.integers(row_digests(table, set, how.digested, seed, jsonb)).integer(seed);
    }
    add_fields(params, table, set, how.sent, jsonb);
    const syncer::Nested *nested = list ? &endpoint.nested[list->nested] : nullptr;
    const Result rows = execute(statements::compare(table, set, nested ? &nested->parent_column : nullptr,
                                                    nested && endpoint.has_lists(*nested)),
                                params, planning_of(set));
    Difference found;
    found.rows.table = set.table;
    found.rows.mode = set.mode;
    found.rows.columns = set.columns;
    found.gone.resize(table.key_count());
    for (uint64_t i = 0; i < rows.size(); ++i) {
        if (rows.null(i, 1) && rows.integer(i, 2) == 0) {
            found.dead.push_back(rows.text(i, 3));
        } else if (rows.null(i, 1)) {
            for (size_t k = 0; k < found.gone.size(); ++k)
                found.gone[k].push_back(rows.text(i, static_cast<int>(k) + 3));
        } else {
            found.rows.rows.push_back(set.rows[static_cast<size_t>(rows.integer(i, 1))]);
            if (rows.integer(i, 2) == 0) ++found.inserted;
        }
    }
    return found;
}

std::vector<std::string> find_unlisted(const syncer::Catalogue &catalogue, const std::string &integration_id,
                                       const syncer::Endpoint &endpoint, const syncer::ListSet &list,
                                       kombo::Timestamp requested_at, kombo::Timestamp now) {
    const syncer::Nested &nested = endpoint.nested[list.nested];
    Params params;
    params.text(integration_id).instant(requested_at).instant(now).texts(list.parents).texts(list.elements);
    const Result rows =
        execute(statements::unlisted(catalogue.tables[nested.table], nested.parent_column), params, Planning::ByKey);
    std::vector<std::string> ids;
    for (uint64_t i = 0; i < rows.size(); ++i) ids.push_back(rows.text(i, 1));
    return ids;
}

uint64_t hash_id(std::string_view id) {
    return DatumGetUInt64(
        hash_any_extended(reinterpret_cast<const unsigned char *>(id.data()), static_cast<int>(id.size()), 0));
}

std::vector<std::string> not_seen(std::vector<std::string> ids, syncer::SeenIds &seen) {
    std::vector<uint64_t> hashes;
    hashes.reserve(ids.size());
    for (const std::string &id : ids) hashes.push_back(hash_id(id));
    const std::vector<bool> found = seen.find(hashes);
    size_t i = 0;
    ids.erase(std::remove_if(ids.begin(), ids.end(), [&](const std::string &) { return found[i++]; }), ids.end());
    return ids;
}

void RowStore::write(const syncer::Endpoint &endpoint, const syncer::Dependents &dependents, const syncer::Batch &batch,
                     kombo::Timestamp requested_at, syncer::TableCounts &counts) {
    const Tree tree{endpoint, dependents};
    for_each_set(catalogue_, endpoint, batch, [&](const syncer::RowSet &set, const syncer::ListSet *list) {
        write_set(tree, set, list, requested_at, counts);
    });
    for_each_linked(endpoint, batch,
                    [&](const syncer::ListSet &list) { remove_unlisted(tree, list, requested_at, counts); });
}

void RowStore::write_set(const Tree &tree, const syncer::RowSet &set, const syncer::ListSet *list,
                         kombo::Timestamp requested_at, syncer::TableCounts &counts) {
    const syncer::Endpoint &endpoint = tree.endpoint;
    const MemoryScope scope;
    if (set.rows.size() >= large_set || set.mode == syncer::Mode::UpdateLinked) meanwhile();
    const kombo::Timestamp now = kombo::current_timestamp();
    const auto rows = static_cast<int64_t>(set.rows.size());
    const int64_t inserted = insert_if_all_new(set, now);
    if (inserted == rows && rows > 0 && !(list && had_rows_before(endpoint, *list, now))) {
        counts[set.table].inserted += rows;
        return;
    }
    const Difference found =
        find_difference(catalogue_, integration_id_, endpoint, set, list, requested_at, now, jsonb_);
    const auto upserted = static_cast<int64_t>(found.rows.rows.size());
    if (upserted > 0) {
        Params params = key();
        params.instant(now);
        add_columns(params, table(set.table), found.rows, jsonb_);
        execute(statements::upsert(table(set.table), found.rows), params, planning_of(set));
    }
    if (!found.gone.front().empty()) remove_from_list(tree, endpoint.nested[list->nested], found.gone, now, counts);
    // Somebody may have marked them by hand, and left what lies in them.
    if (!found.dead.empty())
        remove_dependents(tree, &endpoint.nested[list->nested], found.dead, syncer::OnMissing::Mark, counts);
    syncer::RowCounts &count = counts[set.table];
    count.inserted += inserted + found.inserted;
    count.updated += upserted - found.inserted;
    count.unchanged += rows - inserted - upserted;
    all_new_[set.table] = rows > 0 && inserted + found.inserted == rows;
}

/// The same of a list whose rows are in several sets, as linked records are.
void RowStore::remove_unlisted(const Tree &tree, const syncer::ListSet &list, kombo::Timestamp requested_at,
                               syncer::TableCounts &counts) {
    const MemoryScope scope;
    const kombo::Timestamp now = kombo::current_timestamp();
    const std::vector<std::string> gone =
        find_unlisted(catalogue_, integration_id_, tree.endpoint, list, requested_at, now);
    if (!gone.empty()) remove_from_list(tree, tree.endpoint.nested[list.nested], {gone}, now, counts);
}

void RowStore::remove_from_list(const Tree &tree, const syncer::Nested &list,
                                const std::vector<std::vector<std::string>> &keys, kombo::Timestamp now,
                                syncer::TableCounts &counts) {
    const size_t target = list.table;
    if (!table(target).join) remove_dependents(tree, &list, keys.front(), syncer::OnMissing::Mark, counts);
    const Removal remove = [&](size_t begin, size_t end) {
        Params params = key();
        params.instant(now);
        for (const auto &column : keys)
            params.texts(std::vector<std::string_view>(column.begin() + static_cast<std::ptrdiff_t>(begin),
                                                       column.begin() + static_cast<std::ptrdiff_t>(end)));
        execute(statements::remove(table(target)), params, Planning::ByKey);
        return static_cast<int64_t>(end - begin);
    };
    remove_unreferenced(
        0, keys.front().size(), remove, [](size_t, size_t) { return int64_t(0); }, counts[target]);
}

/// If the previous batch contained only new rows (as in a first full sync), inserts first, which takes half the time.
/// Returns how many rows were new; the others are compared.
int64_t RowStore::insert_if_all_new(const syncer::RowSet &set, kombo::Timestamp now) {
    if (set.mode != syncer::Mode::Replace || set.rows.empty() || !all_new_[set.table]) return 0;
    Params params = key();
    params.instant(now);
    add_columns(params, table(set.table), set, jsonb_);
    return execute(statements::insert_new(table(set.table), set), params, Planning::ByKey).integer(0, 1);
}

/// Whether a parent of the list has rows but those that were written at `now`.
bool RowStore::had_rows_before(const syncer::Endpoint &endpoint, const syncer::ListSet &list, kombo::Timestamp now) {
    const syncer::Nested &nested = endpoint.nested[list.nested];
    Params params = key();
    params.instant(now).texts(list.parents);
    return execute(statements::listed_before(table(nested.table), nested.parent_column), params, Planning::ByKey)
        .boolean(0, 1);
}

std::optional<std::string> RowStore::find_missing(const syncer::Endpoint &endpoint, const std::string &after,
                                                  syncer::SeenIds &seen, kombo::Timestamp since,
                                                  std::vector<std::string> &missing, int64_t &live) {
    const MemoryScope scope;
    Params params = key();
    params.instant(since).instant(kombo::current_timestamp()).text(after);
    const Result rows = execute("SELECT t.id, coalesce(" + statements::written_since("t") + ", false) FROM " +
                                    qualified(table(endpoint.table)) + " t WHERE " + statements::live() +
                                    " AND t.id > $4 ORDER BY t.id LIMIT " + std::to_string(rows_at_once),
                                params, Planning::ByKey);
    live += static_cast<int64_t>(rows.size());
    std::vector<std::string> ids;
    for (uint64_t i = 0; i < rows.size(); ++i)
        if (!rows.boolean(i, 2)) ids.push_back(rows.text(i, 1));
    // Looked up here and not joined there: no plan of a join that statistics can spoil.
    for (std::string &id : not_seen(std::move(ids), seen)) missing.push_back(std::move(id));
    return next_place(rows);
}

void RowStore::remove(const syncer::Endpoint &endpoint, const syncer::Dependents &dependents,
                      const std::vector<std::string> &ids, syncer::OnMissing how, syncer::TableCounts &counts) {
    if (ids.empty()) return;
    const MemoryScope scope;
    remove_dependents({endpoint, dependents}, nullptr, ids, how, counts);
    remove_rows(endpoint.table, "id", ids, how, counts);
}

/// Removes what is nested in the records of these ids: those of `holder`, or the endpoint's own where that is null.
void RowStore::remove_dependents(const Tree &tree, const syncer::Nested *holder, const std::vector<std::string> &ids,
                                 syncer::OnMissing how, syncer::TableCounts &counts) {
    if (ids.empty()) return;
    const auto lies_in = [&](const syncer::Nested &nested, const syncer::Nested *outer) {
        return syncer::is_same_place(tree.endpoint.holder(nested), outer);
    };
    for (const syncer::Nested *nested : tree.dependents) {
        if (!lies_in(*nested, holder)) continue;
        const bool has_dependents = std::any_of(tree.dependents.begin(), tree.dependents.end(),
                                                [&](const syncer::Nested *inner) { return lies_in(*inner, nested); });
        if (has_dependents)
            remove_dependents(tree, nested, ids_of_parents(nested->table, nested->parent_column, ids), how, counts);
        remove_rows(nested->table, nested->parent_column, ids,
                    nested->relation == syncer::Relation::Join ? syncer::OnMissing::Delete : how, counts);
    }
}

std::vector<std::string> RowStore::ids_of_parents(size_t target, const std::string &parent_column,
                                                  const std::vector<std::string> &parents) {
    Params params = key();
    params.texts(parents);
    const Result rows = execute("SELECT t.id FROM " + qualified(table(target)) +
                                    " t WHERE t.integration_id = $1 AND t." + quoted(parent_column) + " = ANY ($2)",
                                params, Planning::ByKey);
    std::vector<std::string> ids;
    for (uint64_t i = 0; i < rows.size(); ++i) ids.push_back(rows.text(i, 1));
    return ids;
}

/// Marks or deletes the rows whose column has one of the ids. What another table refers to is marked in any case; what
/// cannot be, as most join rows, stays.
void RowStore::remove_rows(size_t target, const std::string &column, const std::vector<std::string> &ids,
                           syncer::OnMissing how, syncer::TableCounts &counts) {
    const std::string found = " AND t." + quoted(column) + " = ANY ($2)";
    const auto some = [&](size_t begin, size_t end) {
        Params params = key();
        params.texts(std::vector<std::string_view>(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                                                   ids.begin() + static_cast<std::ptrdiff_t>(end)));
        return params;
    };
    const Removal mark = [&](size_t begin, size_t end) -> int64_t {
        if (!table(target).has_mark()) return 0;
        Params params = some(begin, end);
        params.instant(kombo::current_timestamp());
        return static_cast<int64_t>(execute("UPDATE " + qualified(table(target)) +
                                                " t SET remote_deleted_at = $3, synced_at = $3 WHERE " +
                                                statements::live() + found,
                                            params, Planning::ByKey)
                                        .size());
    };
    const Removal erase = [&](size_t begin, size_t end) {
        return static_cast<int64_t>(
            execute("DELETE FROM " + qualified(table(target)) + " t WHERE t.integration_id = $1" + found,
                    some(begin, end), Planning::ByKey)
                .size());
    };
    if (how == syncer::OnMissing::Delete)
        remove_unreferenced(0, ids.size(), erase, mark, counts[target]);
    else
        counts[target].deleted += mark(0, ids.size());
}

/// If a user's foreign key refuses a removal, halves it down to the rows that are referred to.
void RowStore::remove_unreferenced(size_t begin, size_t end, const Removal &remove, const Removal &keep,
                                   syncer::RowCounts &count) {
    if (begin == end) return;
    std::string reference;
    try {
        int64_t removed = 0;
        subtransaction([&] { removed = remove(begin, end); });
        count.deleted += removed;
        return;
    } catch (const Error &error) {
        if (!error.is_reference()) throw;
        reference = error.constraint();
    }
    if (end - begin == 1) {
        count.deleted += keep(begin, end);
        ++count.referenced;
        count.reference = reference;
        return;
    }
    const size_t middle = begin + (end - begin) / 2;
    remove_unreferenced(begin, middle, remove, keep, count);
    remove_unreferenced(middle, end, remove, keep, count);
}

std::vector<std::string> RowStore::untouched(const syncer::Endpoint &endpoint, const std::vector<std::string> &ids,
                                             kombo::Timestamp since) {
    const MemoryScope scope;
    Params params = key();
    params.instant(since).instant(kombo::current_timestamp()).texts(ids);
    const Result rows =
        execute("SELECT t.id FROM " + qualified(table(endpoint.table)) + " t WHERE " + statements::live() +
                    " AND t.id = ANY ($4) AND NOT coalesce(" + statements::written_since("t") + ", false)",
                params, Planning::ByKey);
    std::vector<std::string> left;
    for (uint64_t i = 0; i < rows.size(); ++i) left.push_back(rows.text(i, 1));
    return left;
}

std::optional<std::string> RowStore::remove_orphans(const syncer::Endpoint &endpoint, const syncer::Nested &nested,
                                                    const std::string &after, syncer::SeenIds &seen,
                                                    kombo::Timestamp since, syncer::TableCounts &counts) {
    const MemoryScope scope;
    if (after.empty() && nested.relation == syncer::Relation::Owned) {
        Params params = key();
        params.instant(kombo::current_timestamp());
        counts[nested.table].deleted += static_cast<int64_t>(
            execute(statements::remove_parentless(table(nested.table), nested.parent_column), params, Planning::ByKey)
                .size());
    }
    const std::string parent = "t." + quoted(nested.parent_column);
    Params walk = key();
    walk.text(after);
    const Result passed =
        execute("SELECT " + parent + " FROM " + qualified(table(nested.table)) + " t WHERE t.integration_id = $1 AND " +
                    parent + " > $2 ORDER BY " + parent + " LIMIT " + std::to_string(rows_at_once),
                walk, Planning::ByKey);
    std::vector<std::string> parents;
    for (uint64_t i = 0; i < passed.size(); ++i)
        passed.with_bytes(i, 1, [&](std::string_view id) {
            if (parents.empty() || parents.back() != id) parents.emplace_back(id);
        });
    const size_t parent_table = endpoint.parent_table(nested);
    const bool own = parent_table == endpoint.table;
    const std::vector<std::string> suspects = own ? not_seen(std::move(parents), seen) : std::move(parents);
    const Removal remove = [&](size_t begin, size_t end) {
        Params params = key();
        params.instant(kombo::current_timestamp())
            .texts(std::vector<std::string_view>(suspects.begin() + static_cast<std::ptrdiff_t>(begin),
                                                 suspects.begin() + static_cast<std::ptrdiff_t>(end)));
        if (own) params.instant(since);
        return static_cast<int64_t>(
            execute(statements::remove_orphans(table(nested.table), nested.parent_column, table(parent_table), own),
                    params, Planning::ByKey)
                .size());
    };
    remove_unreferenced(
        0, suspects.size(), remove, [](size_t, size_t) { return int64_t(0); }, counts[nested.table]);
    return next_place(passed);
}

std::optional<std::string> RowStore::remove_unlinked(size_t target, const std::vector<syncer::Link> &links,
                                                     syncer::OnMissing how, const std::string &after,
                                                     syncer::TableCounts &counts) {
    const MemoryScope scope;
    Params walk = key();
    walk.text(after);
    const Result passed = execute("SELECT t.id FROM " + qualified(table(target)) + " t WHERE " + statements::live() +
                                      " AND t.id > $2 ORDER BY t.id LIMIT " + std::to_string(rows_at_once),
                                  walk, Planning::ByKey);
    std::vector<std::string> ids;
    for (uint64_t i = 0; i < passed.size(); ++i) ids.push_back(passed.text(i, 1));
    if (ids.empty()) return std::nullopt;
    Params params = key();
    params.texts(ids).instant(kombo::current_timestamp() - syncer::tombstones_are_served);
    const Result unlinked = execute(statements::unlinked(catalogue_, links), params, Planning::ByKey);
    ids.clear();
    for (uint64_t i = 0; i < unlinked.size(); ++i) ids.push_back(unlinked.text(i, 1));
    if (!ids.empty()) remove_rows(target, "id", ids, how, counts);
    return next_place(passed);
}

std::optional<std::string> RowStore::purge(const syncer::Endpoint &endpoint, const syncer::Dependents &dependents,
                                           kombo::Timestamp before, const std::string &after,
                                           syncer::TableCounts &counts) {
    const MemoryScope scope;
    Params params = key();
    params.instant(before).text(after);
    const Result rows =
        execute("SELECT t.id, coalesce(t.remote_deleted_at < $2, false) FROM " + qualified(table(endpoint.table)) +
                    " t WHERE t.integration_id = $1 AND t.id > $3 ORDER BY t.id LIMIT " + std::to_string(rows_at_once),
                params, Planning::ByKey);
    std::vector<std::string> ids;
    for (uint64_t i = 0; i < rows.size(); ++i)
        if (rows.boolean(i, 2)) ids.push_back(rows.text(i, 1));
    syncer::TableCounts purged;
    remove(endpoint, dependents, ids, syncer::OnMissing::Delete, purged);
    for (auto &[index, count] : purged) {
        if (index == endpoint.table) count.deleted = 0; // `deleted` of the run's own table is the sweep's alone
        counts[index].deleted += count.deleted;
        counts[index].referenced += count.referenced;
        if (count.referenced > 0) counts[index].reference = count.reference;
    }
    return next_place(rows);
}

} // namespace pg
