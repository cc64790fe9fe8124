#include "pg/functions/reporter.h"

#include "pg/base/memory.h"
#include "pg/base/settings.h"
#include "pg/base/spi.h"
#include "pg/shared/announce.h"

namespace pg {

Reporter::Reporter(ReturnSetInfo *result, std::string integration_id, Patience &patience)
    : result_(result), integration_id_(std::move(integration_id)), patience_(patience), last_notice_(Clock::now()) {}

void Reporter::begins(const syncer::Task &task) {
    line_ = std::make_unique<shared::Progress>(integration_id_, task.endpoint->path, syncer::name(task.kind),
                                               task.trigger.c_str());
}

void Reporter::progress(const syncer::Task &task, const syncer::RunResult &so_far) {
    line_->update(shared::ProgressPhase::Fetching, so_far.pages, so_far.received, so_far.bytes);
    if (!settings::show_progress || Clock::now() - last_notice_ < std::chrono::seconds(1)) return;
    last_notice_ = Clock::now();
    const std::string text = integration_id_ + " " + task.endpoint->path + ": page " + std::to_string(so_far.pages) +
                             ", " + std::to_string(so_far.received) + " records";
    guard([&] { ereport(NOTICE, errmsg_internal("%s", text.c_str())); });
}

void Reporter::ended(const syncer::Task &task, const syncer::RunResult &run) {
    line_.reset();
    if (run.status == syncer::Status::Failed && run.sqlstate == "55P03") patience_.met_lock();
    patience_.reconsider();
    announce(integration_id_, task.endpoint->path, run);
    const auto found = run.counts.find(task.endpoint->table);
    const syncer::RowCounts rows = found == run.counts.end() ? syncer::RowCounts() : found->second;
    put(task.endpoint->path, run, rows);
    if (!run.error.empty() && !run.follows_another) warn(task.endpoint->path, run);
    if (run.parked > 0) warn_of_parked(task, run);
}

void Reporter::not_begun(syncer::Kind kind, const syncer::Failure &failure) {
    syncer::RunResult run;
    run.status = failure.status;
    run.kind = kind;
    run.started_at = run.finished_at = kombo::current_timestamp();
    run.sqlstate = failure.sqlstate;
    run.error = failure.message;
    run.detail = failure.detail;
    run.hint = failure.hint;
    put("", run, {});
    warn("", run);
}

void Reporter::put(const std::string &endpoint, const syncer::RunResult &run, const syncer::RowCounts &rows) {
    const MemoryScope scope;
    Datum values[13] = {text_datum(integration_id_),
                        text_datum(endpoint),
                        text_datum(syncer::name(run.kind)),
                        text_datum(syncer::name(run.status)),
                        Int32GetDatum(run.pages),
                        Int64GetDatum(run.received),
                        Int64GetDatum(rows.inserted),
                        Int64GetDatum(rows.updated),
                        Int64GetDatum(rows.unchanged),
                        Int64GetDatum(rows.deleted),
                        TimestampTzGetDatum(to_timestamptz(run.started_at)),
                        TimestampTzGetDatum(to_timestamptz(run.finished_at)),
                        text_datum(run.error)};
    bool nulls[13] = {};
    nulls[1] = endpoint.empty();
    nulls[12] = run.error.empty();
    guard([&] { tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls); });
}

void Reporter::warn(const std::string &endpoint, const syncer::RunResult &run) {
    const int code = run.sqlstate.empty() ? ERRCODE_WARNING : sqlstate_code(run.sqlstate);
    const std::string what =
        endpoint.empty() ? "\"" + integration_id_ + "\"" : endpoint + " of \"" + integration_id_ + "\"";
    const std::string message = std::string(syncer::name(run.status)) + ": sync of " + what + ": " + run.error;
    guard([&] {
        ereport(WARNING, errcode(code), errmsg_internal("%s", message.c_str()),
                run.detail.empty() ? 0 : errdetail_internal("%s", run.detail.c_str()),
                run.hint.empty() ? 0 : errhint("%s", run.hint.c_str()));
    });
}

void Reporter::warn_of_parked(const syncer::Task &task, const syncer::RunResult &run) {
    const std::string message = std::to_string(run.parked) + (run.parked == 1 ? " record of " : " records of ") +
                                task.endpoint->path + " of \"" + integration_id_ + "\" could not be stored";
    guard([&] {
        ereport(WARNING, errcode(ERRCODE_WARNING), errmsg_internal("%s", message.c_str()),
                errhint("kombo.rejected_records has what was refused and why; the next full sync tries it again."));
    });
}

} // namespace pg
