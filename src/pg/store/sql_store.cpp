#include "pg/store/sql_store.h"

#include "pg/account/integration.h"
#include "pg/account/sync_requests.h"
#include "pg/base/memory.h"
#include "pg/shared/shared.h"
#include "pg/store/columns.h"
#include "pg/store/erased.h"
#include "pg/store/temporary_file.h"
#include "syncer/result.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace pg {

namespace {

/// The longest id that the index of rejected_records holds (an entry has at most 2704 bytes); a longer one is in the
/// record.
constexpr size_t longest_parked_id = 1000;

/// Text that surely makes a jsonb, whose elements take up to eight times the space ("0," is an entry and a number) and
/// 256 MB at most. A larger record is parked by its id and error alone.
constexpr size_t longest_parked_record = 16UL * 1024 * 1024;

/// A record that names an erased one, as an employee does his manager, is parked by its id and error alone.
constexpr const char *unless_it_names_erased =
    "CASE WHEN NOT EXISTS (SELECT FROM jsonb_path_query($4, 'strict $.**') v JOIN kombo.erased_records e "
    "ON e.integration_id = $1 AND e.id = v #>> '{}' AND jsonb_typeof(v) = 'string') THEN $4 END";

/// That more of a full fetch was refused than was stored, or of a delta that brought many records; in words.
std::optional<std::string> mostly_refused(const syncer::RunResult &result) {
    constexpr int64_t many = 10;
    if (result.parked * 2 <= result.received || (result.kind == syncer::Kind::Delta && result.parked < many))
        return std::nullopt;
    return "the database refused " + std::to_string(result.parked) + " of " + std::to_string(result.received) +
           " records";
}

} // namespace

SqlStore::SqlStore(const syncer::Catalogue &catalogue, std::string integration_id)
    : RowStore(catalogue, std::move(integration_id)), has_erased_(pg::has_erased(RowStore::integration_id())) {
    const Result rows = execute("SELECT DISTINCT endpoint FROM kombo.rejected_records WHERE integration_id = $1", key(),
                                Planning::ByKey);
    for (uint64_t i = 0; i < rows.size(); ++i) has_parked_[rows.text(i, 1)] = true;
}

syncer::ErasedRecords SqlStore::find_erased(const std::vector<std::string_view> &ids) {
    return pg::find_erased(catalogue(), integration_id(), ids);
}

void SqlStore::erase(const syncer::Belonging &record) {
    Params params = key();
    params.text(table(record.table).name).text(record.id).text(table(record.owner_table).name).text(record.owner_id);
    execute("SELECT kombo_internal.erase_with($1, $2, $3, $4, $5)", params);
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
                "rejected_at) VALUES ($1, $2, $3, " +
                    std::string(has_erased_ ? unless_it_names_erased : "$4") + ", $5, $6, $7)",
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
            failures = 0, attempts = 0, next_attempt_at = NULL, last_error = excluded.last_error, last_hint = NULL,
            -- A full fetch that is under way goes on with the pages that it was begun with.
            page_size = CASE WHEN $6 OR s.full_started_at IS NULL THEN NULL ELSE s.page_size END,
            held = CASE WHEN $6 THEN excluded.held ELSE s.held END,
            refused = CASE WHEN $6 THEN excluded.refused ELSE coalesce(excluded.refused, s.refused) END,
            accept_sweep = s.accept_sweep AND NOT $8)",
            params);
    if (full && before.open_full) forget_full(*task.endpoint);
    if (full && before.unavailable) request_full(*task.endpoint, result.finished_at);
    begin_anew();
    if (watermark) advance_implied(task, states, result, *watermark);
    const bool in_vain = !syncer::changed_rows(result.counts) && result.parked == 0;
    if (task.of_webhook && in_vain && (!full || !task.endpoint->incremental))
        ask_again(integration_id(), task.requests, before.delta_from(result.started_at).value_or(result.started_at));
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

/// Kombo offers the list again. Until that is known, the lists that carry its model may have removed rows that this
/// full fetch had read already.
void SqlStore::request_full(const syncer::Endpoint &endpoint, kombo::Timestamp at) {
    Params params = of(endpoint);
    params.instant(at);
    execute("INSERT INTO kombo.sync_requests (integration_id, endpoint, kind, trigger, requested_at) "
            "VALUES ($1, $2, 'full', 'schedule', $3)",
            params);
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
    params.maybe_text(result.hint.empty() ? std::nullopt : std::optional(result.hint));
    execute(R"(
        INSERT INTO kombo.sync_state AS s
            (integration_id, endpoint, last_status, last_error, failures, attempts, next_attempt_at, page_size,
             last_hint)
        VALUES ($1, $2, $3, $4, CASE WHEN $5 THEN 1 ELSE 0 END, 1, $6, $7::integer, $8)
        ON CONFLICT (integration_id, endpoint) DO UPDATE SET
            last_status = excluded.last_status, last_error = excluded.last_error, last_hint = excluded.last_hint,
            failures = s.failures + excluded.failures, attempts = s.attempts + 1,
            next_attempt_at = coalesce(excluded.next_attempt_at, s.next_attempt_at),
            page_size = coalesce(excluded.page_size, s.page_size))",
            params);
    if (!shared::is_worker() && shared::any_worker(MyDatabaseId)) request_again(task);
}

/// What a call failed at is a worker's to try again, as what the worker itself fails at is.
void SqlStore::request_again(const syncer::Task &task) {
    Params params = of(*task.endpoint);
    params.text(std::string_view(syncer::name(task.kind)));
    execute(R"(
        INSERT INTO kombo.sync_requests (integration_id, endpoint, kind, trigger)
        SELECT $1, $2, $3, 'schedule'
        FROM kombo.endpoints e
        LEFT JOIN kombo.subscriptions o ON o.integration_id = $1 AND o.endpoint = e.path
        WHERE e.path = $2 AND CASE WHEN o.endpoint IS NULL THEN e.delta_interval ELSE o.delta_interval END IS NOT NULL
          AND NOT EXISTS (SELECT FROM kombo.sync_requests r
                          WHERE r.integration_id = $1 AND r.endpoint = $2 AND r.kind = $3 AND r.attempt = 0))",
            params);
}

} // namespace pg
