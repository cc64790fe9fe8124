#pragma once

#include "pg/worker/worker_process.h"

namespace pg::launcher {

/// A database of kombo_sync.databases as the launcher found it.
struct Database {
    std::string name;
    Oid oid = InvalidOid; ///< InvalidOid: no worker can run in it, for the reason in `trouble`
    int workers = 0;      ///< that are to run
    std::string trouble;
    std::string remedy;
    bool told = true; ///< whether the log is to have it; what passes by itself is for sync_status alone
};

/// The workers that have to run, those that do, and what is in the way.
class ServedDatabases {
public:
    /// Reads settings and pg_database anew; workers that are not wanted any more are terminated.
    void look();
    /// Starts the workers that are due. True if one has ended.
    bool manage();
    /// Tells kombo.sync_status, and the log, how it stands.
    void report();
    /// Terminates all.
    void dismiss();

    /// True if manage() would start one.
    bool start_is_due() const;
    /// The time at which manage() has something to do even if no worker reports anything.
    std::optional<Clock::time_point> due() const;

private:
    void settle_processes();
    void add_troubles_of_processes();
    void publish() const;
    void tell();

    std::vector<Database> databases_;
    std::vector<WorkerProcess> processes_;
    std::map<std::string, Clock::time_point> told_; ///< what the log has, and when
    std::vector<std::string> standing_;             ///< troubles that were there at the last report
};

} // namespace pg::launcher
