#include "pg/account/lock_holder.h"
#include "pg/base/log_throttle.h"
#include "pg/base/memory.h"
#include "pg/base/spi.h"
#include "pg/base/transaction.h"
#include "pg/shared/announce.h"
#include "pg/store/statements.h"
#include "pg/worker/dispatcher.h"
#include "syncer/exceptions.h"
#include "syncer/retry.h"

#include <algorithm>
#include <random>

/// The dispatcher's database side.
namespace pg {

namespace {

using namespace std::chrono_literals;
using syncer::Clock;

double jitter() {
    static std::minstd_rand random{std::random_device()()};
    return std::uniform_real_distribution<double>(0, 1)(random);
}

shared::ProgressPhase phase_of(const syncer::Run &run) {
    switch (run.phase()) {
    case syncer::Run::Phase::Sweeping:
    case syncer::Run::Phase::Removing:
        return shared::ProgressPhase::Sweeping;
    default:
        return shared::ProgressPhase::Writing;
    }
}

void report_activity(const std::string &integration_id, const syncer::Run &run) {
    const std::string text =
        integration_id + " " + run.task().endpoint->path + " page " + std::to_string(run.result().pages + 1);
    guard([&] { pgstat_report_activity(STATE_RUNNING, text.c_str()); });
}

/// So that plans are right before autovacuum gets to the tables: those that have no statistics, or that this run has at
/// least doubled.
void analyze(const syncer::Table &table, int64_t inserted) {
    constexpr int64_t worth_it = 1000;
    const std::string name = statements::qualified(table);
    const int64_t known =
        execute("SELECT c.reltuples::bigint FROM pg_class c WHERE c.oid = $1::regclass", Params().text(name))
            .integer(0, 1);
    if (known >= 0 && inserted < std::max(known, worth_it)) return;
    const std::string statement = "ANALYZE " + name;
    guard([&] {
        // A small sample is soon taken, and enough for whoever looks rows up by key; autovacuum takes a better one.
        set_config_option("default_statistics_target", "10", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                          false);
        const int code = SPI_execute(statement.c_str(), false, 0);
        if (code < 0) elog(ERROR, "could not run a statement: %s", SPI_result_code_string(code));
    });
}

/// A step that takes longer is ended: a trigger that sleeps, say, would hold up everybody.
constexpr auto step_limit = 20s;

/// So often a step is put off for a lock, some four minutes in all, before its endpoint counts as failed.
constexpr int most_postponements = 12;

/// Ends what runs longer than step_limit, as statement_timeout does in a session.
class StepLimit {
public:
    StepLimit() {
        enable_timeout_after(STATEMENT_TIMEOUT, static_cast<int>(std::chrono::milliseconds(step_limit).count()));
    }
    ~StepLimit() { disable_timeout(STATEMENT_TIMEOUT, false); }
    StepLimit(const StepLimit &) = delete;
    StepLimit &operator=(const StepLimit &) = delete;
};

/// Of the requests that a failed fetch saw one of each kind is enough to try it again.
void thin_out(const std::vector<int64_t> &ids) {
    execute(R"(
        DELETE FROM kombo.sync_requests r WHERE r.id = ANY ($1) AND EXISTS (
            SELECT FROM kombo.sync_requests n
            WHERE n.id = ANY ($1) AND n.id > r.id AND n.integration_id = r.integration_id
              AND n.endpoint IS NOT DISTINCT FROM r.endpoint AND n.kind = r.kind AND n.trigger = r.trigger
              AND n.unknown_model IS NOT DISTINCT FROM r.unknown_model
              AND n.attempt = r.attempt AND n.updated_after IS NOT DISTINCT FROM r.updated_after))",
            Params().integers(ids));
}

} // namespace

/// The catalogue says nothing usable of the endpoint: the others go on.
void Dispatcher::cannot_fetch(IntegrationSync &sync, const Unfetchable &error) {
    syncer::Task task;
    task.endpoint = error.endpoint;
    syncer::RunResult result;
    result.status = syncer::Status::Failed;
    result.error = error.what();
    result.hint = error.hint;
    result.next_attempt_at = syncer::next_attempt(result, sync.states().at(task.endpoint->path).attempts + 1, jitter(),
                                                  kombo::current_timestamp());
    as_sync_role(role_, [&] {
        sync.store().failed(task, result);
        sync.refresh();
    });
    log_warning("sync of " + task.endpoint->path + " of \"" + sync.id() + "\" failed: " + result.error, error.sqlstate,
                error.detail, error.hint, result.error);
}

bool Dispatcher::step() {
    const auto now = Clock::now();
    IntegrationSync *sync = nullptr;
    ActiveFetch *fetch = nullptr;
    for (const auto &[id, candidate] : syncs_) {
        if (candidate->check && candidate->check->ready()) {
            step_check(*candidate);
            return true;
        }
        for (const auto &ready : candidate->fetches) {
            if (!ready->run->ready() || ready->step_not_before > now) continue;
            if (fetch && fetch->rank(sync->turn) <= ready->rank(candidate->turn)) continue;
            sync = candidate.get();
            fetch = ready.get();
        }
    }
    if (!fetch) return false;
    pass_over(*fetch, now);
    const std::string id = sync->id();
    step_fetch(*sync, *fetch);
    close_if_idle(id);
    return true;
}

/// Makes everything wait once more that could go on and is less urgent than this step.
void Dispatcher::pass_over(ActiveFetch &next, Time now) {
    for (const auto &[id, sync] : syncs_)
        for (const auto &other : sync->fetches)
            if (other->urgency > next.urgency && (other->run->ready() || other->run->wants_to_send(now)))
                ++other->passed_over;
    next.passed_over = 0;
}

void Dispatcher::step_fetch(IntegrationSync &sync, ActiveFetch &fetch) {
    syncer::Run &run = *fetch.run;
    const Time began = Clock::now();
    const bool first_full =
        run.task().kind == syncer::Kind::Full && !sync.states().at(run.task().endpoint->path).last_full_at;
    fetch.show(phase_of(run));
    report_activity(sync.id(), run);
    try {
        write_step(sync, fetch, first_full);
    } catch (const std::exception &) {
        return step_failed(sync, fetch, std::current_exception(), describe_trouble(), began);
    }
    run.committed();
    hindrances_.erase(sync.id());
    fetch.blocked_by = fetch.lock_failures = 0;
    fetch.step_not_before = Clock::time_point::min();
    if (run.phase() != syncer::Run::Phase::Ended) return fetch.show(shared::ProgressPhase::Fetching);
    const syncer::RunResult result = run.result();
    const std::string path = run.task().endpoint->path;
    const auto requests = run.task().requests;
    ended(sync, fetch);
    agenda_.remove(requests);
    // In transactions of their own: what they meet is no fault of the fetch.
    if (const auto trouble = contain([&] { after_run(sync, path, result, first_full); }))
        log_warning("after the sync of " + path + " of \"" + sync.id() + "\": " + trouble->message, trouble->sqlstate,
                    trouble->detail, trouble->hint);
}

void Dispatcher::write_step(IntegrationSync &sync, ActiveFetch &fetch, bool first_full) {
    syncer::Run &run = *fetch.run;
    const StepLimit limit;
    as_sync_role(role_, [&] {
        const MemoryScope memory;
        if (run.task().kind == syncer::Kind::Full) guard([] { ForceSyncCommit(); }); // a crash repeats one page at most
        // An accepted sweep, or a subscription that was switched off while the pages came.
        if (run.phase() == syncer::Run::Phase::Sweeping) sync.refresh();
        run.step();
        // Deltas of the endpoint ask from where it began, as soon as that is known.
        if (first_full && run.phase() == syncer::Run::Phase::Fetching) sync.refresh();
    });
}

void Dispatcher::after_run(IntegrationSync &sync, const std::string &path, const syncer::RunResult &result,
                           bool first_full) {
    as_sync_role(role_, [&] {
        if (pending_of(sync.id()) || !sync.idle()) sync.refresh(); // otherwise it is closed
        announce(sync.id(), path, result);
    });
    if (!first_full) return;
    for (const auto &[table, rows] : result.counts)
        if (rows.inserted > 0)
            as_sync_role(role_, [&, table = table, inserted = rows.inserted] {
                analyze(sync.catalogue().tables[table], inserted);
            });
}

/// Retries a failure that may pass, but not for ever.
void Dispatcher::step_failed(IntegrationSync &sync, ActiveFetch &fetch, std::exception_ptr caught,
                             const Trouble &trouble, Time began) {
    const bool too_long = trouble.sqlstate == "57014" && Clock::now() - began >= step_limit;
    if (trouble.passing() && !too_long && fetch.lock_failures < most_postponements)
        return postpone(sync, fetch, trouble);
    const auto stuck = [](const std::string &message, const std::string &detail, const std::string &hint) {
        return std::make_exception_ptr(syncer::InvalidRequest(message, detail, hint, "55000"));
    };
    if (too_long)
        caught =
            stuck("writing took longer than " + std::to_string(step_limit.count()) + " s", "",
                  "Look for a slow trigger or constraint on the tables of " + fetch.run->task().endpoint->path + ".");
    else if (trouble.passing())
        caught = stuck(trouble.message, trouble.detail,
                       "It was tried " + std::to_string(fetch.lock_failures + 1) +
                           " times: look for a session that keeps a lock, or a trigger that raises this error.");
    came_to_nothing(sync, fetch, caught);
}

void Dispatcher::ended(IntegrationSync &sync, ActiveFetch &fetch) {
    sync.standing.doubtful = false;
    sync.drop(fetch);
}

/// The batch is kept and written later; only this fetch waits.
void Dispatcher::postpone(IntegrationSync &sync, ActiveFetch &fetch, const Trouble &trouble) {
    fetch.step_not_before = Clock::now() + syncer::back_off(++fetch.lock_failures, 500ms, 30s, jitter());
    fetch.blocked_by = 0;
    if (trouble.sqlstate == "55P03")
        contain([&] {
            in_transaction([&] {
                const Spi spi;
                fetch.blocked_by = lock_holder(sync.catalogue(), *fetch.run->task().endpoint);
            });
        });
    fetch.show(shared::ProgressPhase::Locked);
}

void Dispatcher::came_to_nothing(IntegrationSync &sync, ActiveFetch &fetch, const std::exception_ptr &caught) {
    syncer::RunResult result = fetch.run->failed(caught);
    const std::string path = fetch.run->task().endpoint->path;
    // A cursor that Kombo no longer takes is no lasting error: the list is begun anew.
    if (fetch.run->cursor_refused()) result.lasting = false;
    result.next_attempt_at =
        syncer::next_attempt(result, sync.states().at(path).attempts + 1, jitter(), kombo::current_timestamp());
    if (const auto trouble = contain([&] { as_sync_role(role_, [&] { write_failure(sync, fetch, result); }); })) {
        // It cannot be noted now, and would be fetched again and again if it were forgotten.
        if (!trouble->passing() && !surroundings_.gone()) {
            Hindrance &hindrance = hindrances_[sync.id()];
            hindrance.message = "the failed sync of " + path + " cannot be noted: " + trouble->message;
            hindrance.hint = trouble->hint;
            log_warning("sync of " + path + " of \"" + sync.id() + "\" failed: " + result.error +
                            "; this cannot be noted: " + trouble->message,
                        trouble->sqlstate, trouble->detail, trouble->hint);
        }
        return postpone(sync, fetch, *trouble);
    }
    if (result.status == syncer::Status::Failed)
        log_warning("sync of " + path + " of \"" + sync.id() + "\" failed: " + result.error, result.sqlstate,
                    result.detail, result.hint, result.of_integration ? sync.server() + result.error : "");
    if (result.of_integration) {
        sync.standing.doubtful = true;
        // The others would end alike, and each would count.
        auto &fetches = sync.fetches;
        fetches.erase(
            std::remove_if(fetches.begin(), fetches.end(), [&](const auto &other) { return other.get() != &fetch; }),
            fetches.end());
    }
    if (result.sqlstate == "42501") shared::wake(MyDatabaseId, true); // the tables may belong to another role now
    if (result.sqlstate == "08001")
        shared::block_key(sync.account().key, 1s); // the others of this server would wait in vain, too
    const std::string id = sync.id();
    const bool of_server = result.of_server;
    sync.drop(fetch);
    if (of_server) close(id);
}

void Dispatcher::write_failure(IntegrationSync &sync, ActiveFetch &fetch, const syncer::RunResult &result) {
    const syncer::Task &task = fetch.run->task();
    SqlStore &store = sync.store();
    store.failed(task, result);
    store.record_run(task, result);
    if (result.too_many_parked) store.unpark_since(*task.endpoint, result.started_at);
    // Records refused on earlier pages are no longer parked: the list is needed from its beginning.
    if ((fetch.run->cursor_refused() || result.too_many_parked) && task.kind == syncer::Kind::Full)
        store.forget_full(*task.endpoint);
    thin_out(task.requests);
    if (result.of_server) suspend_server(sync.server(), result.error);
    if (result.of_integration && !result.of_server) {
        // The others that are asked for would end alike: they wait with this one.
        const auto *pending = pending_of(sync.id());
        for (const auto &[key, wanted] : pending ? *pending : syncer::PendingFetches()) {
            const syncer::Endpoint *endpoint = sync.catalogue().find(key.first);
            if (!endpoint || endpoint == task.endpoint) continue;
            syncer::Task other;
            other.endpoint = endpoint;
            store.failed(other, result);
        }
    }
    // While a lock was waited for, somebody may have ended the back-off: what is written here would begin it again.
    if (surroundings_.outdated()) raise(ERRCODE_LOCK_NOT_AVAILABLE, "the configuration has changed");
    sync.refresh();
}

void Dispatcher::step_check(IntegrationSync &sync) {
    const IntegrationCheck &check = *sync.check;
    const std::string id = sync.id();
    const auto *pending = pending_of(id);
    const auto question = pending ? pending->find({"", false}) : syncer::PendingFetches::const_iterator();
    const std::string server = pending && question != pending->end() ? question->second.server : std::string();
    const auto requests = check.requests();
    const auto failure = check.failure();
    std::vector<Integration> rows;
    const auto trouble = contain([&] {
        as_sync_role(role_, [&] {
            check.settle(sync.row(), server);
            rows = load_integrations(id);
        });
    });
    if (trouble) {
        if (!surroundings_.gone())
            log_warning("the state of integration \"" + id + "\" could not be noted: " + trouble->message,
                        trouble->sqlstate, trouble->detail, trouble->hint);
        // It cannot be registered; the next webhook asks again.
        if (!sync.row() && !trouble->passing() &&
            !contain([&] { as_sync_role(role_, [&] { delete_requests(requests); }); }))
            agenda_.remove(requests);
        return check_failed(sync, trouble);
    }
    if (failure && (!failure->lasting || failure->of_server)) {
        log_warning("Kombo did not tell the state of integration \"" + id + "\": " + failure->message,
                    failure->sqlstate, failure->detail, failure->hint, failure->message);
        check_failed(sync);
        if (failure->of_server) close(id);
        return;
    }
    failed_checks_.erase(id);
    agenda_.remove(requests);
    sync.check.reset();
    sync.standing.question_not_before.reset();
    if (sync.accept(rows))
        close_if_idle(id);
    else
        close(id);
}

/// It is tried again in a while; the fetches of the integration go on.
void Dispatcher::check_failed(IntegrationSync &sync, const std::optional<Trouble> &unnoted) {
    FailedCheck &failed = failed_checks_[sync.id()];
    failed.unnoted = unnoted;
    failed.not_before = Clock::now() + syncer::back_off(++failed.count, 5s, 1h, jitter());
    sync.check.reset();
    take_failed_check(sync);
    const std::string id = sync.id();
    close_if_idle(id);
}

} // namespace pg
