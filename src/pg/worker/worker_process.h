#pragma once

#include "pg/base/guard.h"

namespace pg::launcher {

using Clock = std::chrono::steady_clock;

/// A worker that is to run, or that is being ended.
class WorkerProcess {
public:
    WorkerProcess(Oid database, int number) : database_(database), number_(number) {}

    Oid database() const { return database_; }
    int number() const { return number_; }
    bool wanted() const { return wanted_; }
    bool running() const { return handle_ != nullptr; }
    const std::string &trouble() const { return trouble_; }
    const std::string &remedy() const { return remedy_; }
    bool told() const { return told_; }

    /// Sets whether the process has to run; one that is not wanted any more is terminated.
    void want(bool wanted);
    /// Notes its end, starts it when it is due. True if it ended.
    bool manage(Clock::time_point now);
    /// The time at which manage() has something to do even if the worker reports nothing.
    std::optional<Clock::time_point> due() const;
    void terminate();

private:
    void start(Clock::time_point now);
    void ended(Clock::time_point now);
    void hinder(std::string trouble, std::string remedy, bool told);

    struct Free {
        void operator()(BackgroundWorkerHandle *handle) const { pfree(handle); }
    };
    Oid database_;
    int number_;
    bool wanted_ = true;
    std::unique_ptr<BackgroundWorkerHandle, Free> handle_;
    Clock::time_point started_at_;
    Clock::time_point start_at_; ///< not before
    Clock::duration delay_{0};
    uint64_t departures_ = 0; ///< of workers of the database when this one started
    std::string trouble_;
    std::string remedy_;
    bool told_ = true;
};

} // namespace pg::launcher
