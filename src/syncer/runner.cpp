#include "syncer/runner.h"

#include "syncer/exceptions.h"
#include "syncer/failure.h"

namespace syncer {

namespace {

/// The result of an endpoint for which no request is made.
RunResult without_request(const Task &task) {
    RunResult result;
    result.kind = task.kind;
    result.started_at = result.finished_at = kombo::current_timestamp();
    return result;
}

RunResult without_request(const Task &task, const Failure &failure) {
    RunResult result = without_request(task);
    result.status = failure.status;
    result.sqlstate = failure.sqlstate;
    result.error = failure.message;
    result.detail = failure.detail;
    result.hint = failure.hint;
    return result;
}

/// One endpoint has shown that the next ones would fail alike.
RunResult like(const RunResult &first, const Task &task) {
    RunResult result = without_request(task);
    result.status = first.status;
    result.follows_another = true;
    result.sqlstate = first.sqlstate;
    result.error = first.error;
    result.detail = first.detail;
    result.hint = first.hint;
    return result;
}

} // namespace

Runner::Runner(const Catalogue &catalogue, States states, std::string integration_id, Connection &connection,
               Waiter &waiter, Store &store, Observer &observer, Settings settings)
    : catalogue_(catalogue), states_(std::move(states)), integration_id_(std::move(integration_id)),
      connection_(connection), waiter_(waiter), store_(store), observer_(observer), settings_(settings) {}

void Runner::run(const std::vector<Task> &tasks) {
    std::unique_ptr<Run> run;
    for (size_t i = 0; i < tasks.size(); ++i) {
        const Task &task = tasks[i];
        std::unique_ptr<Run> following;
        const auto prefetch = [&] {
            if (following || i + 1 == tasks.size()) return;
            try {
                following = open(tasks[i + 1]);
                following->send();
            } catch (const InvalidRequest &) { // it is told when its turn comes
            }
        };
        RunResult result = stopped_by_ ? like(*stopped_by_, task) : drive(task, std::move(run), prefetch);
        report(task, result);
        run = std::move(following);
    }
}

std::unique_ptr<Run> Runner::open(const Task &task) {
    return std::make_unique<Run>(catalogue_, states_, task, integration_id_, connection_, store_, settings_,
                                 Durability::AtOnce);
}

/// `opened`: null where it was not opened before.
RunResult Runner::drive(const Task &task, std::unique_ptr<Run> opened, const std::function<void()> &prefetch) {
    try {
        if (!opened) opened = open(task);
    } catch (const InvalidRequest &) {
        return without_request(task, explain(std::current_exception()));
    }
    Run &run = *opened;
    const auto attempt = [&] {
        // Otherwise what the earlier one implies might not be left out of the next delta.
        run.began_after(latest_watermark_);
        observer_.begins(run.task());
        while (run.phase() != Run::Phase::Ended) {
            wait_until_ready(run);
            if (run.list_ended()) prefetch();
            run.step();
            run.committed();
            observer_.progress(run.task(), run.result());
        }
    };
    try {
        store_.in_subtransaction(attempt);
        latest_watermark_ = run.watermark();
        return run.result();
    } catch (const std::exception &) {
        RunResult result = run.failed(std::current_exception()); // throws again what must go through
        if (result.of_integration) stopped_by_ = result;
        return result;
    }
}

void Runner::wait_until_ready(Run &run) {
    while (true) {
        const auto now = Clock::now();
        run.poll(now);
        if (run.wants_to_send(now)) run.send();
        if (!run.ready())
            waiter_.wait(connection_.transfers, run.wake_at());
        else if (!run.wants_to_send(now)) // answered within the sending, it lets the page that follows be asked for
            return;
    }
}

void Runner::report(const Task &task, RunResult &result) {
    if (result.status != Status::Ok && result.status != Status::Held) {
        result.finished_at = kombo::current_timestamp();
        note(task, result);
    }
    states_.at(task.endpoint->path).unavailable = result.status == Status::Unavailable;
    observer_.ended(task, result);
}

/// A result that cannot be stored is reported all the same, and undoes nothing of the others.
void Runner::note(const Task &task, RunResult &result) {
    try {
        store_.in_subtransaction([&] {
            store_.failed(task, result);
            store_.record_run(task, result);
        });
    } catch (const std::exception &) {
        const Failure failure = explain(std::current_exception()); // throws again what must go through
        if (failure.message != result.error) result.error += "; this could not be noted: " + failure.message;
        if (result.hint.empty()) result.hint = failure.hint;
    }
}

} // namespace syncer
