#include "pg/worker/worker_process.h"

#include "pg/shared/segment.h"

#include <algorithm>

namespace pg::launcher {

namespace {

using namespace std::chrono_literals;

/// A worker that lives for so long has got over what ended the one before it.
constexpr auto settled_after = 10s;
constexpr auto shortest_delay = 1s;
constexpr auto longest_delay = 60s;
/// How often a start is tried that had no free worker slot, or a database that somebody is about to drop or copy.
constexpr auto slot_retry = 5s;
constexpr auto database_retry = 1s;

BackgroundWorker describe(Oid database, int number) {
    BackgroundWorker worker = {};
    snprintf(worker.bgw_name, BGW_MAXLEN, "kombo_sync worker %d", number);
    strlcpy(worker.bgw_type, "kombo_sync worker", BGW_MAXLEN);
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART; // whether it is still wanted is the launcher's to know
    strlcpy(worker.bgw_library_name, "kombo_sync", sizeof worker.bgw_library_name);
    strlcpy(worker.bgw_function_name, "kombo_sync_worker_main", BGW_MAXLEN);
    const shared::Assignment assignment{database, number};
    memcpy(worker.bgw_extra, &assignment, sizeof assignment);
    worker.bgw_notify_pid = MyProcPid;
    return worker;
}

/// How often workers left the database of their own accord.
uint64_t departures_from(Oid database) {
    const shared::Locked lock(LW_SHARED);
    for (const auto &served : shared::segment().databases)
        if (served.name[0] != '\0' && served.oid == database) return served.departures;
    return 0;
}

} // namespace

void WorkerProcess::want(bool wanted) {
    if (wanted_ && !wanted) terminate();
    wanted_ = wanted;
}

void WorkerProcess::terminate() {
    if (handle_) guard([&] { TerminateBackgroundWorker(handle_.get()); });
}

bool WorkerProcess::manage(Clock::time_point now) {
    if (handle_) {
        pid_t pid = 0;
        const BgwHandleStatus status = guard([&] { return GetBackgroundWorkerPid(handle_.get(), &pid); });
        if (status == BGWH_STOPPED) {
            ended(now);
            return true;
        }
        if (status == BGWH_STARTED && now - started_at_ >= settled_after) {
            delay_ = 0s;
            trouble_.clear();
        }
        return false;
    }
    if (wanted_ && now >= start_at_) start(now);
    return false;
}

std::optional<Clock::time_point> WorkerProcess::due() const {
    if (!handle_) return wanted_ ? std::optional(start_at_) : std::nullopt;
    if (delay_ > 0s || !trouble_.empty()) return std::max(started_at_ + settled_after, Clock::now() + 100ms);
    return std::nullopt;
}

void WorkerProcess::start(Clock::time_point now) {
    if (!shared::database_is_free(database_)) {
        start_at_ = now + database_retry;
        hinder("the database is being dropped, renamed, moved or copied", "its workers come back when that is done",
               false);
        return;
    }
    departures_ = departures_from(database_);
    BackgroundWorker worker = describe(database_, number_);
    BackgroundWorkerHandle *handle = nullptr;
    const bool registered = guard([&] {
        MemoryContextSwitchTo(TopMemoryContext);
        return RegisterDynamicBackgroundWorker(&worker, &handle);
    });
    if (!registered) {
        start_at_ = now + slot_retry;
        hinder("no background worker slot is free",
               "raise max_worker_processes (now " + std::to_string(max_worker_processes) + ") and restart the server",
               true);
        return;
    }
    handle_.reset(handle);
    started_at_ = now;
    if (delay_ == 0s) trouble_.clear();
}

void WorkerProcess::ended(Clock::time_point now) {
    handle_.reset();
    const bool left = departures_from(database_) != departures_;
    const bool settled = left || now - started_at_ >= settled_after;
    delay_ = settled ? Clock::duration(0s) : std::min<Clock::duration>(delay_ * 2 + shortest_delay, longest_delay);
    start_at_ = now + std::max<Clock::duration>(delay_, shortest_delay);
    if (settled) trouble_.clear();
    if (delay_ > shortest_delay)
        hinder("worker " + std::to_string(number_) + " ended soon after its start, more than once",
               "the server's log says why; it is started again within a minute", true);
}

void WorkerProcess::hinder(std::string trouble, std::string remedy, bool told) {
    trouble_ = std::move(trouble);
    remedy_ = std::move(remedy);
    told_ = told;
}

} // namespace pg::launcher
