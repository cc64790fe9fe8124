#include "sync/runner.h"

namespace syncer {

namespace {

/// The error of the next endpoints when one has shown that they would fail alike.
RunResult like(const RunResult &first, const Task &task) {
    RunResult result;
    result.status = first.status;
    result.kind = task.kind;
    result.started_at = result.finished_at = kombo::current_timestamp();
    result.sqlstate = first.sqlstate;
    result.error = first.error;
    result.detail = first.detail;
    result.hint = first.hint;
    return result;
}

RunResult without_table(const Task &task) {
    RunResult result;
    result.status = Status::Failed;
    result.sqlstate = "42P01";
    result.error = "table kombo.\"" + task.endpoint->missing_table + "\" does not exist";
    result.hint = "SELECT kombo.create_tables('" + task.endpoint->category + "') makes what is missing.";
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
        if (stopped_by_ || !task.endpoint->missing_table.empty()) {
            RunResult result = like(stopped_by_ ? *stopped_by_ : without_table(task), task);
            result.follows_another = stopped_by_.has_value();
            report(task, result);
            run.reset();
            continue;
        }
        if (!run) run = open(task);
        std::unique_ptr<Run> following;
        const auto prefetch = [&] {
            if (following || i + 1 == tasks.size() || !tasks[i + 1].endpoint->missing_table.empty()) return;
            following = open(tasks[i + 1]);
            following->send();
        };
        RunResult result = drive(*run, prefetch);
        report(task, result);
        run = std::move(following);
    }
}

std::unique_ptr<Run> Runner::open(const Task &task) {
    return std::make_unique<Run>(catalogue_, states_, task, integration_id_, connection_, store_, settings_,
                                 Durability::AtOnce);
}

RunResult Runner::drive(Run &run, const std::function<void()> &prefetch) {
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
        run.notice(now);
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
        store_.failed(task, result);
        store_.record_run(task, result);
    }
    observer_.ended(task, result);
}

} // namespace syncer
