#pragma once

#include "pg/functions/patience.h"
#include "pg/shared/shared.h"
#include "syncer/failure.h"
#include "syncer/runner.h"

namespace pg {

/// Puts the rows that a sync function returns into its tuplestore, and tells the caller what went wrong.
class Reporter : public syncer::Observer {
public:
    Reporter(ReturnSetInfo *result, std::string integration_id, Patience &patience);

    void begins(const syncer::Task &task) override;

    /// For kombo.sync_progress; with kombo_sync.show_progress on also a NOTICE once a second.
    void progress(const syncer::Task &task, const syncer::RunResult &so_far) override;

    void ended(const syncer::Task &task, const syncer::RunResult &run) override;

    /// The integration's sync could not begin: a row without an endpoint, and a WARNING.
    void not_begun(syncer::Kind kind, const syncer::Failure &failure);

private:
    using Clock = std::chrono::steady_clock;

    void put(const std::string &endpoint, const syncer::RunResult &run, const syncer::RowCounts &rows);
    void warn(const std::string &endpoint, const syncer::RunResult &run);
    void warn_of_parked(const syncer::Task &task, const syncer::RunResult &run);

    ReturnSetInfo *result_;
    std::string integration_id_;
    Patience &patience_;
    Clock::time_point last_notice_;
    std::unique_ptr<shared::Progress> line_; ///< of kombo.sync_progress
};

} // namespace pg
