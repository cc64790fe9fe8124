#include "sync/run.h"

#include "sync/error.h"
#include "sync/failure.h"
#include "sync/fetch.h"
#include "sync/watermark.h"

namespace syncer {

namespace {

/// Filters of a task's list, as far as the endpoint takes them.
kombo::Query filters_of(const Task &task, int page_size) {
    kombo::Query query;
    if (task.endpoint->paginated) query.add("page_size", std::to_string(page_size));
    // Kombo API reference: without include_deleted the deletions are hidden, from deltas too.
    if (task.endpoint->incremental) query.add_flag("include_deleted", true);
    if (task.updated_after) query.add("updated_after", kombo::format_timestamp(*task.updated_after));
    return query;
}

void take_statistics(RunResult &result, const PageStream &stream) {
    result.pages = stream.pages();
    result.bytes += stream.bytes();
    result.retries += stream.retries();
}

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
    std::unique_ptr<PageStream> stream;
    for (size_t i = 0; i < tasks.size(); ++i) {
        const Task &task = tasks[i];
        if (stopped_by_ || !task.endpoint->missing_table.empty()) {
            RunResult result = like(stopped_by_ ? *stopped_by_ : without_table(task), task);
            result.follows_another = stopped_by_.has_value();
            report(task, result);
            stream.reset();
            continue;
        }
        if (!stream) stream = open(task);
        std::unique_ptr<PageStream> following;
        prefetch_ = [&] {
            if (following || i + 1 == tasks.size() || !tasks[i + 1].endpoint->missing_table.empty()) return;
            following = open(tasks[i + 1]);
            following->begin();
        };
        RunResult result = run_task(task, *stream);
        report(task, result);
        stream = std::move(following);
    }
}

std::unique_ptr<PageStream> Runner::open(const Task &task) {
    return std::make_unique<PageStream>(connection_, waiter_, task.endpoint->path, integration_id_,
                                        filters_of(task, connection_.page_size));
}

RunResult Runner::run_task(const Task &task, PageStream &stream) {
    RunResult result;
    result.kind = task.kind;
    result.started_at = kombo::current_timestamp();
    const auto attempt = [&] {
        Fetch fetch(catalogue_, states_, task, store_, settings_, result);
        while (const auto arrived = stream.next()) {
            if (stream.ended()) prefetch_();
            fetch.take(*arrived);
            result.pages = stream.pages();
            observer_.progress(task, result);
        }
        const auto confirm = [&](const std::vector<std::string> &ids) {
            Task asked = task;
            asked.updated_after.reset();
            return std::make_unique<PageStream>(connection_, waiter_, task.endpoint->path, integration_id_,
                                                filters_of(asked, connection_.page_size).add_list("ids", ids));
        };
        // The first page was asked for ahead, while the endpoint before was still being written.
        if (task.kind == Kind::Full && !fetch.sweep(*stream.first_requested_at(), confirm)) {
            result.status = Status::Held;
            result.sqlstate = "55000";
            result.hint = "If Kombo is right, SELECT kombo.accept_sweep(integration_id, endpoint) lets the next full "
                          "sync remove them.";
        }
        fetch.purge();
        if (task.kind == Kind::Full) store_.unpark_before(*task.endpoint, result.started_at);
        take_statistics(result, stream);
        result.finished_at = kombo::current_timestamp();
        // Kombo's clock shows whole seconds: this fetch may seem to have begun before an earlier one of the run, though
        // it began after it, and then what that one implies would not be left out of the next delta.
        const kombo::Timestamp watermark = advance(latest_watermark_, *stream.started(settings_.overlap));
        store_.succeeded(task, states_, result, watermark);
        latest_watermark_ = watermark;
    };
    try {
        store_.in_subtransaction(attempt);
    } catch (const std::exception &) {
        const Failure failure = explain(std::current_exception()); // throws again what must go through
        const auto started_at = result.started_at;
        result = RunResult();
        result.kind = task.kind;
        result.started_at = started_at;
        take_statistics(result, stream);
        result.status = failure.status;
        result.sqlstate = failure.sqlstate;
        result.error = failure.message;
        result.detail = failure.detail;
        result.hint = failure.hint;
        if (failure.of_integration) stopped_by_ = result;
    }
    return result;
}

void Runner::report(const Task &task, RunResult &result) {
    result.finished_at = kombo::current_timestamp();
    if (result.status != Status::Ok && result.status != Status::Held) store_.failed(task, result);
    store_.record_run(task, result);
    observer_.ended(task, result);
}

} // namespace syncer
