#include "pg/account/sync_requests.h"
#include "pg/base/memory.h"
#include "pg/base/settings.h"
#include "pg/store/sql_store.h"
#include "syncer/result.h"

#include <algorithm>

/// Rows of kombo.sync_runs.
namespace pg {

namespace {

/// Whether it is a run of the schedule that nobody would look at.
bool brought_nothing(const syncer::RunResult &result) {
    return result.kind == syncer::Kind::Delta && result.trigger == "schedule" && result.status == syncer::Status::Ok &&
           result.error.empty() && result.oddities.empty() && result.parked == 0 &&
           std::all_of(result.counts.begin(), result.counts.end(), [](const auto &table) {
               const syncer::RowCounts &rows = table.second;
               return rows.inserted == 0 && rows.updated == 0 && rows.deleted == 0;
           });
}

} // namespace

/// The history is no reason to give up what was fetched. A lock is waited for where somebody has the time.
void SqlStore::record_run(const syncer::Task &task, const syncer::RunResult &result) {
    try {
        past_sequences([&] { insert_run(task, result); });
        record_failures_ = 0;
        run_recorded(std::nullopt);
    } catch (const std::exception &) {
        Trouble trouble = describe_trouble();
        if (trouble.sqlstate == "57014" || (trouble.passing() && record_failures_++ < record_attempts)) throw;
        trouble.message = "the run of " + task.endpoint->path + " could not be recorded: " + trouble.message;
        run_recorded(trouble);
    }
}

void SqlStore::insert_run(const syncer::Task &task, const syncer::RunResult &result) {
    const MemoryScope scope;
    const auto own = result.counts.find(task.endpoint->table);
    const syncer::RowCounts rows = own == result.counts.end() ? syncer::RowCounts() : own->second;
    Params params = key();
    params.text(task.endpoint->path)
        .text(std::string_view(syncer::name(result.kind)))
        .text(result.trigger)
        .text(std::string_view(syncer::name(result.status)))
        .instant(result.started_at)
        .instant(result.finished_at);
    for (const int64_t count :
         {static_cast<int64_t>(result.pages), result.received, rows.inserted, rows.updated, rows.unchanged,
          rows.deleted, static_cast<int64_t>(result.bytes), static_cast<int64_t>(result.retries)})
        params.integer(count);
    params.jsonb(syncer::rows_by_table(result.counts, catalogue())).jsonb(result.oddities.json());
    params.maybe_text(result.error.empty() ? std::nullopt : std::optional(result.error))
        .boolean(result.oddities.empty());
    if (brought_nothing(result) && repeat_run(*task.endpoint, params)) return;
    execute(R"(
        INSERT INTO kombo.sync_runs (integration_id, endpoint, kind, trigger, status, started_at, finished_at, pages,
            received, inserted, updated, unchanged, deleted, bytes, retries, rows_by_table, warnings, error)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
            CASE WHEN $19 THEN NULL ELSE $17 END, $18))",
            params);
}

/// Most scheduled deltas bring nothing: such runs of an endpoint, one after the other, share the row of the last one.
/// Returns whether there was a row to take; `params` are those of a new one.
bool SqlStore::repeat_run(const syncer::Endpoint &endpoint, const Params &params) {
    const Result last = execute(R"(
        SELECT r.id FROM kombo.sync_runs r
        WHERE r.id = (SELECT l.id FROM kombo.sync_runs l WHERE l.integration_id = $1 AND l.endpoint = $2
                      ORDER BY l.started_at DESC, l.id DESC LIMIT 1)
          AND (r.kind, r.trigger, r.status) = ('delta', 'schedule', 'ok') AND r.error IS NULL AND r.warnings IS NULL
          AND NOT jsonb_path_exists(r.rows_by_table, '$.* ? (@.inserted > 0 || @.updated > 0 || @.deleted > 0)')
        FOR UPDATE SKIP LOCKED)",
                                of(endpoint), Planning::ByKey);
    if (last.size() == 0) return false;
    Params of_row = params;
    of_row.integer(last.integer(0, 1));
    execute("UPDATE kombo.sync_runs r SET (kind, trigger, status, started_at, finished_at, pages, received, inserted, "
            "updated, unchanged, deleted, bytes, retries, rows_by_table, warnings, error, repeats) = ($3, $4, $5, $6, "
            "$7, $8, $9, $10, $11, $12, $13, $14, $15, $16, CASE WHEN $19 THEN NULL ELSE $17 END, $18, r.repeats + 1) "
            "WHERE r.integration_id = $1 AND r.endpoint = $2 AND r.id = $20",
            of_row);
    return true;
}

size_t prune_runs() {
    Params params;
    params.instant(kombo::current_timestamp() - std::chrono::minutes(settings::retention_minutes));
    // Another caller's transaction may have pruned the same rows and stay open: nobody waits for it, and a snapshot
    // from before it does not fail over it.
    if (IsolationUsesXactSnapshot()) return 0;
    execute("SELECT kombo_internal.prune_changes()");
    // The last run of an endpoint stays, however long ago: it says what became of it.
    return execute(R"(
        DELETE FROM kombo.sync_runs r WHERE r.id IN (
            SELECT o.id FROM kombo.sync_runs o
            WHERE o.finished_at < $1 AND (
                EXISTS (SELECT FROM kombo.sync_runs n WHERE n.integration_id = o.integration_id
                        AND n.endpoint = o.endpoint AND n.started_at > o.started_at)
                OR NOT EXISTS (SELECT FROM kombo.integrations i WHERE i.integration_id = o.integration_id))
            LIMIT 1000 FOR UPDATE SKIP LOCKED))",
                   params)
        .size();
}

} // namespace pg
