#include "pg/store/store.h"

#include "pg/account/integration.h"
#include "pg/account/sync_requests.h"
#include "pg/base/log_throttle.h"
#include "pg/base/memory.h"
#include "pg/store/columns.h"
#include "pg/store/statements.h"
#include "pg/store/temporary_file.h"
#include "sync/result.h"
#include "sync/watermark.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace pg {

namespace {

using statements::qualified;
using statements::quoted;

/// What the index of rejected_records surely holds (an entry has at most 2704 bytes); a longer id is in the record.
constexpr size_t longest_parked_id = 1000;

/// Text that surely makes a jsonb, whose elements take up to eight times the space ("0," is an entry and a number) and
/// 256 MB at most. A larger record is parked by its id and error alone.
constexpr size_t longest_parked_record = 16UL * 1024 * 1024;

/// Rows of a set that take a millisecond or more; to plan the statements of a linked set takes as long.
constexpr size_t large_set = 50;

/// Rows that a step of a sweep passes: by key, so some 10 to 50 ms.
constexpr uint64_t rows_at_once = 10000;

/// That more of a full fetch was refused than was stored, or of a delta that brought many records; in words.
std::optional<std::string> mostly_refused(const syncer::RunResult &result) {
    constexpr int64_t many = 10;
    if (result.parked * 2 <= result.received || (result.kind == syncer::Kind::Delta && result.parked < many))
        return std::nullopt;
    return "the database refused " + std::to_string(result.parked) + " of " + std::to_string(result.received) +
           " records";
}

/// Linked records make a statement for every combination of keys that they carry.
Planning planning_of(const syncer::RowSet &set) {
    return set.mode == syncer::Mode::UpdateLinked ? Planning::ByKeyOnce : Planning::ByKey;
}

/// Where the next step of a walk goes on, by the first column; nullopt: these were the last rows.
std::optional<std::string> next_place(const Result &passed) {
    if (passed.size() < rows_at_once) return std::nullopt;
    return passed.text(passed.size() - 1, 1);
}

} // namespace

SqlStore::SqlStore(const syncer::Catalogue &catalogue, std::string integration_id)
    : catalogue_(catalogue), integration_id_(std::move(integration_id)) {
    const Result rows = execute("SELECT DISTINCT endpoint FROM kombo.rejected_records WHERE integration_id = $1", key(),
                                Planning::ByKey);
    for (uint64_t i = 0; i < rows.size(); ++i) has_parked_[rows.text(i, 1)] = true;
}

void SqlStore::warn_of_run(const std::optional<Trouble> &trouble) {
    if (trouble) log_warning(trouble->message, trouble->sqlstate, trouble->detail, trouble->hint);
}

void SqlStore::write(const syncer::Endpoint &endpoint, const syncer::Batch &batch, kombo::Timestamp requested_at,
                     syncer::TableCounts &counts) {
    std::vector<const syncer::ListSet *> lists;
    for (const syncer::ListSet &list : batch.lists) lists.push_back(&list);
    for (const syncer::RowSet &set : batch.sets) {
        const auto its_list = std::find_if(lists.begin(), lists.end(), [&](const syncer::ListSet *list) {
            return set.mode == syncer::Mode::Replace && endpoint.nested[list->nested].table == set.table;
        });
        const syncer::ListSet *list = its_list == lists.end() ? nullptr : *its_list;
        if (list) lists.erase(its_list);
        if (list || !set.rows.empty()) write_set(endpoint, set, list, requested_at, counts);
    }
    for (const syncer::ListSet *list : lists) { // all of them empty, or a second list of the same table
        syncer::RowSet none;
        none.table = endpoint.nested[list->nested].table;
        for (size_t field = 0; field < table(none.table).fields.size(); ++field) none.columns.set(field);
        write_set(endpoint, none, list, requested_at, counts);
    }
}

void SqlStore::write_set(const syncer::Endpoint &endpoint, const syncer::RowSet &set, const syncer::ListSet *list,
                         kombo::Timestamp requested_at, syncer::TableCounts &counts) {
    const MemoryScope scope;
    if (set.rows.size() >= large_set || set.mode == syncer::Mode::UpdateLinked) meanwhile();
    const kombo::Timestamp now = kombo::current_timestamp();
    const auto rows = static_cast<int64_t>(set.rows.size());
    const int64_t inserted = insert_if_all_new(set, now);
    if (inserted == rows && rows > 0 && !(list && had_rows_before(endpoint, *list, now))) {
        counts[set.table].inserted += rows;
        return;
    }
    const Difference found = compare(endpoint, set, list, requested_at, now);
    const auto upserted = static_cast<int64_t>(found.rows.rows.size());
    if (upserted > 0) {
        Params params = key();
        params.instant(now);
        add_columns(params, table(set.table), found.rows, jsonb_);
        execute(statements::upsert(table(set.table), found.rows), params, planning_of(set));
    }
    if (!found.gone.front().empty()) {
        remove_from_lists(set.table, found.gone, now, counts[set.table]);
    }
    syncer::RowCounts &count = counts[set.table];
    count.inserted += inserted + found.inserted;
    count.updated += upserted - found.inserted;
    count.unchanged += rows - inserted - upserted;
    all_new_[set.table] = rows > 0 && inserted + found.inserted == rows;
}

void SqlStore::remove_from_lists(size_t target, const std::vector<std::vector<std::string>> &keys, kombo::Timestamp now,
                                 syncer::RowCounts &count) {
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
        0, keys.front().size(), remove, [](size_t, size_t) { return int64_t(0); }, count);
}

/// Where one batch brought nothing but new rows, as in a first full fetch, the next one will, too: to insert is then
/// all there is to do, and takes half the time. Returns how many were new indeed; the others are compared.
int64_t SqlStore::insert_if_all_new(const syncer::RowSet &set, kombo::Timestamp now) {
    if (set.mode != syncer::Mode::Replace || set.rows.empty() || !all_new_[set.table]) return 0;
    Params params = key();
    params.instant(now);
    add_columns(params, table(set.table), set, jsonb_);
    return static_cast<int64_t>(execute(statements::insert_new(table(set.table), set), params, Planning::ByKey).size());
}

/// Whether a parent of the list has rows but those that were written at `now`.
bool SqlStore::had_rows_before(const syncer::Endpoint &endpoint, const syncer::ListSet &list, kombo::Timestamp now) {
    const syncer::Nested &nested = endpoint.nested[list.nested];
    Params params = key();
    params.instant(now).texts(list.parents);
    return execute(statements::listed_before(table(nested.table), nested.parent_column), params, Planning::ByKey)
        .boolean(0, 1);
}

SqlStore::Difference SqlStore::compare(const syncer::Endpoint &endpoint, const syncer::RowSet &set,
                                       const syncer::ListSet *list, kombo::Timestamp requested_at,
                                       kombo::Timestamp now) {
    Params params = key();
    std::vector<int64_t> numbers(set.rows.size());
    std::iota(numbers.begin(), numbers.end(), 0);
    params.instant(requested_at).instant(now).integers(numbers);
    if (list) params.texts(list->parents);
    add_columns(params, table(set.table), set, jsonb_);
    const std::string *parent_column = list ? &endpoint.nested[list->nested].parent_column : nullptr;
    const Result rows = execute(statements::compare(table(set.table), set, parent_column), params, planning_of(set));
    Difference found;
    found.rows.table = set.table;
    found.rows.mode = set.mode;
    found.rows.columns = set.columns;
    found.gone.resize(table(set.table).key_count());
    for (uint64_t i = 0; i < rows.size(); ++i) {
        if (rows.null(i, 1)) {
            for (size_t k = 0; k < found.gone.size(); ++k)
                found.gone[k].push_back(rows.text(i, static_cast<int>(k) + 3));
        } else {
            found.rows.rows.push_back(set.rows[static_cast<size_t>(rows.integer(i, 1))]);
            if (rows.integer(i, 2) == 0) ++found.inserted;
        }
    }
    return found;
}

uint64_t SqlStore::hash(std::string_view id) {
    return DatumGetUInt64(
        hash_any_extended(reinterpret_cast<const unsigned char *>(id.data()), static_cast<int>(id.size()), 0));
}

std::vector<std::string> SqlStore::not_seen(std::vector<std::string> ids, syncer::SeenIds &seen) {
    std::vector<uint64_t> hashes;
    hashes.reserve(ids.size());
    for (const std::string &id : ids) hashes.push_back(hash(id));
    const std::vector<bool> found = seen.find(hashes);
    size_t i = 0;
    ids.erase(std::remove_if(ids.begin(), ids.end(), [&](const std::string &) { return found[i++]; }), ids.end());
    return ids;
}

std::optional<std::string> SqlStore::find_missing(const syncer::Endpoint &endpoint, const std::string &after,
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

void SqlStore::remove(const syncer::Endpoint &endpoint, const std::vector<std::string> &ids, syncer::OnMissing how,
                      syncer::TableCounts &counts) {
    if (ids.empty()) return;
    const MemoryScope scope;
    for (const syncer::Nested &nested : endpoint.nested) {
        if (!nested.of_record()) continue;
        if (nested.relation == syncer::Relation::Join)
            remove_rows(nested.table, nested.parent_column, ids, syncer::OnMissing::Delete, counts);
        if (nested.relation == syncer::Relation::Owned)
            remove_rows(nested.table, nested.parent_column, ids, how, counts);
    }
    remove_rows(endpoint.table, "id", ids, how, counts);
}

/// Marks or deletes the rows whose column has one of the ids. What another table refers to is marked in any case; a
/// join row, which cannot be, stays.
void SqlStore::remove_rows(size_t target, const std::string &column, const std::vector<std::string> &ids,
                           syncer::OnMissing how, syncer::TableCounts &counts) {
    const std::string found = " AND t." + quoted(column) + " = ANY ($2)";
    const auto some = [&](size_t begin, size_t end) {
        Params params = key();
        params.texts(std::vector<std::string_view>(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                                                   ids.begin() + static_cast<std::ptrdiff_t>(end)));
        return params;
    };
    const Removal mark = [&](size_t begin, size_t end) -> int64_t {
        if (table(target).join) return 0;
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

/// Where a foreign key of somebody's refuses a removal, it is halved down to the elements that are referred to.
void SqlStore::remove_unreferenced(size_t begin, size_t end, const Removal &remove, const Removal &keep,
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

std::vector<std::string> SqlStore::untouched(const syncer::Endpoint &endpoint, const std::vector<std::string> &ids,
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

std::optional<std::string> SqlStore::remove_orphans(const syncer::Endpoint &endpoint, const syncer::Nested &nested,
                                                    const std::string &after, syncer::SeenIds &seen,
                                                    syncer::TableCounts &counts) {
    const MemoryScope scope;
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
    const std::vector<std::string> suspects = not_seen(std::move(parents), seen);
    const Removal remove = [&](size_t begin, size_t end) {
        Params params = key();
        params.instant(kombo::current_timestamp())
            .texts(std::vector<std::string_view>(suspects.begin() + static_cast<std::ptrdiff_t>(begin),
                                                 suspects.begin() + static_cast<std::ptrdiff_t>(end)));
        return static_cast<int64_t>(
            execute(statements::remove_orphans(table(nested.table), nested.parent_column, table(endpoint.table)),
                    params, Planning::ByKey)
                .size());
    };
    remove_unreferenced(
        0, suspects.size(), remove, [](size_t, size_t) { return int64_t(0); }, counts[nested.table]);
    return next_place(passed);
}

std::optional<std::string> SqlStore::remove_unlinked(size_t target, const std::vector<syncer::Link> &links,
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

std::optional<std::string> SqlStore::purge(const syncer::Endpoint &endpoint, kombo::Timestamp before,
                                           const std::string &after, syncer::TableCounts &counts) {
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
    remove(endpoint, ids, syncer::OnMissing::Delete, purged);
    for (auto &[index, count] : purged) {
        if (index == endpoint.table) count.deleted = 0; // `deleted` of the run's own table is the sweep's alone
        counts[index].deleted += count.deleted;
        counts[index].referenced += count.referenced;
        if (count.referenced > 0) counts[index].reference = count.reference;
    }
    return next_place(rows);
}

void SqlStore::park(const syncer::Endpoint &endpoint, std::optional<std::string_view> id, const std::string &record,
                    const std::string &sqlstate, const std::string &error) {
    const MemoryScope scope;
    if (id && id->size() > longest_parked_id) id.reset();
    if (id) unpark(endpoint, {*id});
    Params params = key();
    params.text(endpoint.path)
        .maybe_text(id ? std::optional<std::string>(*id) : std::nullopt)
        .jsonb(record.size() > longest_parked_record ? std::nullopt : std::optional<std::string_view>(record))
        .text(sqlstate)
        .text(error)
        .instant(kombo::current_timestamp());
    past_sequences([&] {
        execute("INSERT INTO kombo.rejected_records (integration_id, endpoint, record_id, record, sqlstate, error, "
                "rejected_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                params);
    });
    has_parked_[endpoint.path] = true;
}

void SqlStore::unpark(const syncer::Endpoint &endpoint, const std::vector<std::string_view> &ids) {
    if (!has_parked_[endpoint.path]) return;
    const MemoryScope scope;
    Params params = key();
    params.text(endpoint.path).texts(ids);
    execute("DELETE FROM kombo.rejected_records r WHERE r.integration_id = $1 AND r.endpoint = $2 AND r.record_id = "
            "ANY ($3)",
            params);
}

void SqlStore::unpark_before(const syncer::Endpoint &endpoint, kombo::Timestamp before) {
    if (!has_parked_[endpoint.path]) return;
    Params params = key();
    params.text(endpoint.path).instant(before);
    execute("DELETE FROM kombo.rejected_records r WHERE r.integration_id = $1 AND r.endpoint = $2 AND r.rejected_at < "
            "$3",
            params);
}

void SqlStore::unpark_since(const syncer::Endpoint &endpoint, kombo::Timestamp since) {
    Params params = of(endpoint);
    params.instant(since);
    execute("DELETE FROM kombo.rejected_records r WHERE r.integration_id = $1 AND r.endpoint = $2 AND r.rejected_at >= "
            "$3",
            params);
}

void SqlStore::succeeded(const syncer::Task &task, const syncer::States &states, const syncer::RunResult &result,
                         std::optional<kombo::Timestamp> watermark) {
    const bool full = task.kind == syncer::Kind::Full;
    const syncer::EndpointState &before = states.at(task.endpoint->path);
    // A delta that ran while the first full fetch is under way has brought what changed since that began, no more.
    const bool complete = full || before.watermark;
    Params params = of(*task.endpoint);
    // Also where it is earlier than before: then a clock was put back, and what changes now has earlier times.
    params.instant(complete ? watermark : std::nullopt)
        .text(std::string_view(syncer::name(result.status)))
        .instant(result.finished_at)
        .boolean(full)
        .maybe_text(result.error.empty() ? std::nullopt : std::optional(result.error))
        .boolean(full && before.accept_sweep) // given while this run was under way, it is the next one's
        .boolean(result.status == syncer::Status::Held)
        .maybe_text(mostly_refused(result));
    execute(R"(
        INSERT INTO kombo.sync_state AS s
            (integration_id, endpoint, watermark, last_status, last_success_at, last_full_at, last_error, held, refused)
        VALUES ($1, $2, $3, $4, $5, CASE WHEN $6 THEN $5 END, $7, CASE WHEN $9 THEN $7 END, $10)
        ON CONFLICT (integration_id, endpoint) DO UPDATE SET
            watermark = coalesce(excluded.watermark, s.watermark), last_status = excluded.last_status,
            last_success_at = excluded.last_success_at,
            last_full_at = coalesce(excluded.last_full_at, s.last_full_at),
            failures = 0, attempts = 0, next_attempt_at = NULL, last_error = excluded.last_error,
            -- A full fetch that is under way goes on with the pages that it was begun with.
            page_size = CASE WHEN $6 OR s.full_started_at IS NULL THEN NULL ELSE s.page_size END,
            held = CASE WHEN $6 THEN excluded.held ELSE s.held END,
            refused = CASE WHEN $6 THEN excluded.refused ELSE coalesce(excluded.refused, s.refused) END,
            accept_sweep = s.accept_sweep AND NOT $8)",
            params);
    if (full && before.open_full) forget_full(*task.endpoint);
    all_new_.clear();
    if (watermark) advance_implied(task, states, result, *watermark);
    const bool in_vain = !syncer::changed_rows(result.counts) && result.parked == 0;
    if (task.of_webhook && in_vain && (!full || !task.endpoint->incremental))
        ask_again(integration_id_, task.requests, before.delta_from(result.started_at).value_or(result.started_at));
    delete_requests(task.requests);
}

void SqlStore::advance_implied(const syncer::Task &task, const syncer::States &states, const syncer::RunResult &result,
                               kombo::Timestamp watermark) {
    for (const syncer::Endpoint *implied : task.implied) {
        const auto state = states.find(implied->path);
        if (state == states.end() || !state->second.watermark) continue;
        if (task.updated_after && *state->second.watermark < *task.updated_after) continue;
        Params of_implied = of(*implied);
        of_implied.instant(watermark).instant(result.finished_at);
        execute("UPDATE kombo.sync_state s SET watermark = $3, last_success_at = $4 "
                "WHERE s.integration_id = $1 AND s.endpoint = $2 AND s.watermark IS NOT NULL",
                of_implied);
    }
}

void SqlStore::checkpoint(const syncer::Task &task, const syncer::OpenFull &open, int page,
                          const std::vector<uint64_t> &seen) {
    const MemoryScope scope;
    if (page == 1) {
        execute("DELETE FROM kombo.sync_seen n WHERE n.integration_id = $1 AND n.endpoint = $2", of(*task.endpoint));
    }
    Params params = of(*task.endpoint);
    params.instant(open.started_at)
        .instant(open.watermark)
        .text(std::string_view(open.query))
        .text(std::string_view(open.cursor))
        .instant(open.cursor_at)
        .jsonb(open.progress);
    execute(R"(
        INSERT INTO kombo.sync_state AS s
            (integration_id, endpoint, full_started_at, full_watermark, full_query, full_cursor, full_cursor_at,
             full_progress)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (integration_id, endpoint) DO UPDATE SET
            full_started_at = excluded.full_started_at, full_watermark = excluded.full_watermark,
            full_query = excluded.full_query, full_cursor = excluded.full_cursor,
            full_cursor_at = excluded.full_cursor_at, full_progress = excluded.full_progress)",
            params);
    if (seen.empty()) return;
    Params batch = of(*task.endpoint);
    batch.integer(page).bytes({reinterpret_cast<const char *>(seen.data()), seen.size() * sizeof(uint64_t)});
    execute("INSERT INTO kombo.sync_seen (integration_id, endpoint, batch, hashes) VALUES ($1, $2, $3, $4)", batch);
}

void SqlStore::keep_progress(const syncer::Task &task, const std::string &progress) {
    const MemoryScope scope;
    Params params = of(*task.endpoint);
    params.jsonb(progress);
    execute("UPDATE kombo.sync_state s SET full_progress = $3 WHERE s.integration_id = $1 AND s.endpoint = $2", params);
}

syncer::SeenIds SqlStore::seen(const syncer::Endpoint &endpoint) {
    syncer::SeenIds ids(*this);
    for_each_bytes("SELECT n.hashes FROM kombo.sync_seen n WHERE n.integration_id = $1 AND n.endpoint = $2",
                   of(endpoint), [&](std::string_view batch) {
                       for (; batch.size() >= sizeof(uint64_t); batch.remove_prefix(sizeof(uint64_t))) {
                           uint64_t hash = 0;
                           std::memcpy(&hash, batch.data(), sizeof hash);
                           ids.add(hash);
                       }
                   });
    return ids;
}

std::unique_ptr<syncer::TemporaryFile> SqlStore::temporary_file() {
    return open_temporary_file();
}

void SqlStore::forget_full(const syncer::Endpoint &endpoint) {
    execute("DELETE FROM kombo.sync_seen n WHERE n.integration_id = $1 AND n.endpoint = $2", of(endpoint));
    execute("UPDATE kombo.sync_state s SET full_started_at = NULL, full_watermark = NULL, full_query = NULL, "
            "full_cursor = NULL, full_cursor_at = NULL, full_progress = NULL "
            "WHERE s.integration_id = $1 AND s.endpoint = $2",
            of(endpoint));
}

/// From now on the lists that carry the model write its rows: what they brought before is asked for again.
void SqlStore::request_carriers(const syncer::Endpoint &unavailable) {
    execute(R"(
        INSERT INTO kombo.sync_requests (integration_id, endpoint, kind, trigger)
        SELECT DISTINCT $1, n.endpoint, 'full', 'schedule'
        FROM kombo.endpoints own
        JOIN kombo.nested_records n ON n.table_name = own.table_name AND n.relation = 'linked'
        JOIN kombo.endpoints e ON e.path = n.endpoint AND e.path <> own.path AND e.category = own.category
        LEFT JOIN kombo.subscriptions o ON o.integration_id = $1 AND o.endpoint = e.path
        WHERE own.path = $2 AND coalesce(o.enabled, e.enabled)
          AND NOT EXISTS (SELECT FROM kombo.sync_state s
                          WHERE s.integration_id = $1 AND s.endpoint = $2 AND s.last_status = 'unavailable'))",
            of(unavailable));
}

void SqlStore::failed(const syncer::Task &task, const syncer::RunResult &result) {
    if (result.status == syncer::Status::Unavailable) request_carriers(*task.endpoint);
    Params params = of(*task.endpoint);
    params.text(std::string_view(syncer::name(result.status))).text(result.error);
    // Only a failure counts as one: that Kombo is not ready, or lacks a model, is nobody's fault.
    params.boolean(result.status == syncer::Status::Failed).instant(result.next_attempt_at);
    params.maybe_text(result.page_size ? std::optional(std::to_string(*result.page_size)) : std::nullopt);
    execute(R"(
        INSERT INTO kombo.sync_state AS s
            (integration_id, endpoint, last_status, last_error, failures, attempts, next_attempt_at, page_size)
        VALUES ($1, $2, $3, $4, CASE WHEN $5 THEN 1 ELSE 0 END, 1, $6, $7::integer)
        ON CONFLICT (integration_id, endpoint) DO UPDATE SET
            last_status = excluded.last_status, last_error = excluded.last_error,
            failures = s.failures + excluded.failures, attempts = s.attempts + 1,
            next_attempt_at = coalesce(excluded.next_attempt_at, s.next_attempt_at),
            page_size = coalesce(excluded.page_size, s.page_size))",
            params);
}

} // namespace pg
