#pragma once

#include "syncer/run.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace syncer {

/// Is told how far a run has come: when it begins, after each page, and when it has ended.
class Observer {
public:
    virtual ~Observer() = default;
    /// The first page is about to be waited for.
    virtual void begins(const Task &task) = 0;
    virtual void progress(const Task &task, const RunResult &so_far) = 0;
    /// A run has ended and is recorded.
    virtual void ended(const Task &task, const RunResult &result) = 0;
};

/// Runs the tasks of one integration, one after the other. The first page of the next endpoint is requested before the
/// last page of the current one is written.
class Runner {
public:
    Runner(const Catalogue &catalogue, States states, std::string integration_id, Connection &connection,
           Waiter &waiter, Store &store, Observer &observer, Settings settings);

    /// Each endpoint runs in a subtransaction of its own: what fails leaves nothing behind and does not stop the
    /// others, except where the failure is the whole integration's (key refused, host out of reach, first sync not
    /// done): then the rest ends alike without a request. Interrupts and timeouts go through.
    void run(const std::vector<Task> &tasks);

    /// True if Kombo has given any endpoint what was asked of it.
    bool succeeded_once() const { return latest_watermark_.has_value(); }

private:
    std::unique_ptr<Run> open(const Task &task);
    RunResult drive(const Task &task, std::unique_ptr<Run> opened, const std::function<void()> &prefetch);
    void wait_until_ready(Run &run);
    void report(const Task &task, RunResult &result);
    void note(const Task &task, RunResult &result);

    const Catalogue &catalogue_;
    States states_;
    std::string integration_id_;
    Connection &connection_;
    Waiter &waiter_;
    Store &store_;
    Observer &observer_;
    Settings settings_;
    std::optional<RunResult> stopped_by_;
    std::optional<kombo::Timestamp> latest_watermark_;
};

} // namespace syncer
