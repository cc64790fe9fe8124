#include "pg/account/altered_columns.h"
#include "pg/account/connection.h"
#include "pg/account/options.h"
#include "pg/account/version_check.h"
#include "pg/base/entry_points.h"
#include "pg/base/log_throttle.h"
#include "pg/base/role.h"
#include "pg/base/settings.h"
#include "pg/base/spi.h"
#include "pg/base/transaction.h"
#include "pg/shared/shared.h"
#include "pg/worker/dispatcher.h"
#include "pg/worker/inbox.h"
#include "pg/worker/poll.h"

/// The background worker: one event loop that listens to its latch, to the clock and to the network. All work is rows
/// of kombo.sync_requests; what arrives in the inbox, and what the schedule says, becomes such rows first.
namespace pg {

namespace {

using namespace std::chrono_literals;
using syncer::Clock;

/// A key or an address may have changed: set by the invalidation of a cached server or user mapping.
bool key_changed = true;

void note_key_change(Datum, int, uint32) {
    key_changed = true;
}

/// Between two transactions there is nothing that pg_cancel_backend() could end.
template <typename Body> void unless_cancelled(Body &&body) {
    try {
        body();
    } catch (const Error &error) {
        if (error.sqlstate() != "57014") throw;
    }
}

class Worker {
public:
    [[noreturn]] void run();

private:
    bool work();
    /// Something beside the fetches that may meet a lock or an error of its own: then it is tried again in a while, and
    /// the fetches go on.
    struct Chore {
        Clock::time_point not_before = Clock::now();
    };
    template <typename Body> void attempt(Chore &chore, Body &&body);

    void hear_news();
    void tick();
    void look();
    bool installed_as_before();
    void start();
    void idle_because(const std::string &trouble, const std::string &remedy);
    void look_at_keys();
    void try_new_key();
    void judge();
    void schedule();
    void prune();
    void trouble(const std::string &message, const std::string &sqlstate, const std::string &detail,
                 const std::string &hint);
    void wait(bool busy);

    std::unique_ptr<Dispatcher> dispatcher_; ///< while the extension is there and fits
    Installed installed_;
    Oid role_ = InvalidOid;
    shared::News heard_;
    bool look_ = true;    ///< at the queue
    bool restart_ = true; ///< or begin: the configuration may be another
    bool judge_ = false;  ///< the inbox has news
    bool unreported_ = false;
    std::optional<kombo::Timestamp> due_at_;
    bool schedule_ = false;
    bool new_key_ = false;       ///< what it may end is not ended yet
    std::optional<size_t> keys_; ///< hash of all addresses and keys
    Clock::time_point next_tick_ = Clock::now();
    Clock::time_point next_poll_ = Clock::now();
    Clock::time_point next_prune_ = Clock::now();
    Clock::time_point not_before_ = Clock::now(); ///< after an error
    Chore judging_;
    Chore scheduling_;
    Chore pruning_;
    Chore new_keys_;
    LatchWaiter waiter_;
};

void Worker::run() {
    MemoryContext loop =
        guard([] { return AllocSetContextCreate(TopMemoryContext, "kombo_sync worker", ALLOCSET_DEFAULT_SIZES); });
    for (;;) {
        MemoryContextSwitchTo(loop);
        MemoryContextReset(loop);
        unless_cancelled([] { guard([] { CHECK_FOR_INTERRUPTS(); }); });
        if (ConfigReloadPending) {
            ConfigReloadPending = false;
            guard([] { ProcessConfigFile(PGC_SIGHUP); });
            next_poll_ = Clock::now();
        }
        hear_news();
        bool busy = false;
        try {
            if (Clock::now() >= next_tick_) tick();
            if (Clock::now() >= not_before_) busy = work();
        } catch (const syncer::DatabaseError &error) {
            trouble(error.message(), error.sqlstate(), error.detail(), error.hint());
        } catch (const syncer::InvalidRequest &error) {
            trouble(error.what(), error.sqlstate, error.detail, error.hint);
        }
        unless_cancelled([&] { wait(busy); });
    }
}

void Worker::hear_news() {
    const shared::News news = shared::news();
    if (news.work != heard_.work) look_ = true;
    if (news.configuration != heard_.configuration) look_ = restart_ = true;
    heard_ = news;
}

void Worker::tick() {
    next_tick_ = Clock::now() + 1s;
    if (!shared::database_is_wanted()) proc_exit(0); // the launcher starts it again when the database is free
    if (dispatcher_) dispatcher_->tend();
}

/// Returns whether there is more to do at once.
bool Worker::work() {
    if (Clock::now() >= next_poll_) {
        next_poll_ = Clock::now() + std::chrono::milliseconds(settings::poll_interval_ms);
        look_ = true;
    }
    if (look_) look();
    if (!dispatcher_) return false;
    if (std::exchange(key_changed, false)) look_at_keys();
    if (new_key_) attempt(new_keys_, [&] { try_new_key(); });
    if (judge_) attempt(judging_, [&] { judge(); });
    if (schedule_ || (due_at_ && *due_at_ <= kombo::current_timestamp())) attempt(scheduling_, [&] { schedule(); });
    if (Clock::now() >= next_prune_) attempt(pruning_, [&] { prune(); });
    dispatcher_->exchange();
    return dispatcher_->step() || look_ || (judge_ && Clock::now() >= judging_.not_before);
}

template <typename Body> void Worker::attempt(Chore &chore, Body &&body) {
    if (Clock::now() < chore.not_before) return;
    chore.not_before = Clock::now();
    try {
        body();
    } catch (const Error &error) {
        if (!is_conflict(error)) throw;
        chore.not_before = Clock::now() + 2s;
    }
}

/// Whether the extension is the one that the dispatcher was made for.
bool Worker::installed_as_before() {
    Installed now;
    in_transaction([&] { now = installed_extension(); });
    return std::exchange(installed_, now) == now;
}

void Worker::look() {
    look_ = false;
    if (!installed_as_before()) {
        dispatcher_.reset();
        restart_ = true;
    }
    if (!restart_) in_transaction([&] { restart_ = columns_altered(); });
    if (restart_) start();
    restart_ = false; // not before: what throws is tried again
    if (!dispatcher_) return;
    std::set<int64_t> ids;
    bool complete = false;
    in_transaction([&] {
        judge_ = inbox_has_news();
        complete = read_requests([&](const syncer::Queued &request) {
            ids.insert(request.id);
            dispatcher_->agenda().add(request);
        });
    });
    if (complete)
        dispatcher_->agenda().keep_only(ids);
    else
        next_poll_ = std::min(next_poll_, Clock::now() + 1s);
}

/// Makes the dispatcher, or has it read the configuration again; or says why it cannot work.
void Worker::start() {
    if (!OidIsValid(installed_.oid))
        return idle_because("the extension is not installed in this database",
                            "CREATE EXTENSION kombo_sync, or take the database out of kombo_sync.databases");
    int64_t found = 0;
    Oid role = InvalidOid;
    in_transaction([&] {
        const Spi spi;
        const SyncRole as(BOOTSTRAP_SUPERUSERID);
        found = found_interface();
        if (found == interface_number) role = find_sync_role();
    });
    if (found != interface_number) {
        idle_because("the library kombo_sync and the extension's SQL objects are of different versions",
                     interface_remedy(found));
        return;
    }
    if (!OidIsValid(role))
        return idle_because("there are no data tables yet",
                            "SELECT kombo.create_tables('HRIS', owner => '...'), then kombo.add_integration");
    shared::say("");
    if (!dispatcher_ || role != role_) dispatcher_ = std::make_unique<Dispatcher>(role);
    role_ = role;
    dispatcher_->reload();
    schedule_ = true;
}

void Worker::idle_because(const std::string &trouble, const std::string &remedy) {
    dispatcher_.reset();
    judge_ = false;
    due_at_.reset();
    shared::say(trouble, remedy);
}

/// Pauses and back-offs that another key, or another address, may end.
/// The invalidation may be of something else: caches are reset as a whole, too, when there is much of it.
void Worker::look_at_keys() {
    std::string all;
    in_transaction([&] {
        for (const Server &server : all_servers()) {
            all += server.name + " " + server.base_url + " " + server.http.ca_file + " " + server.http.proxy + " " +
                   std::to_string(server.page_size) + " " + std::to_string(server.http.request_timeout.count()) + " ";
            try {
                all += api_key(server);
            } catch (const syncer::InvalidRequest &) {
                all += "none";
            }
        }
    });
    const size_t hash = std::hash<std::string>()(all);
    if (std::exchange(keys_, hash) == hash) return;
    dispatcher_->close_all();
    new_key_ = true;
}

void Worker::try_new_key() {
    const Params now = Params().instant(kombo::current_timestamp());
    as_sync_role(role_, [&] {
        execute("UPDATE kombo.integrations i SET next_attempt_at = $1 "
                "WHERE i.paused_by = 'kombo_sync' AND i.next_attempt_at > $1",
                now);
        execute("UPDATE kombo.sync_state s SET next_attempt_at = NULL "
                "WHERE s.last_status = 'failed' AND s.next_attempt_at > $1",
                now);
    });
    new_key_ = false;
    look_ = restart_ = true; // what was put off, and what is due
}

void Worker::judge() {
    Judged judged;
    as_sync_role(role_, [&] {
        judged = judge_inbox([&](const std::string &category) -> const syncer::Catalogue & {
            return *dispatcher_->catalogue_of(category);
        });
    });
    for (const NewRequest &request : judged.requests)
        dispatcher_->agenda().add({request.id, request.integration_id, request.endpoint.value_or(""),
                                   request.kind == "full", request.trigger, request.server, request.unknown_model,
                                   request.requested_at});
    dispatcher_->read_again(judged.revived);
    judge_ = judged.more;
    unreported_ = true;
}

void Worker::schedule() {
    as_sync_role(role_, [&] { due_at_ = execute("SELECT kombo.request_due()").instant(0, 1); });
    // The clock may have gone on meanwhile, and another worker may be at it.
    if (due_at_) due_at_ = std::max(*due_at_, kombo::current_timestamp() + 1s);
    schedule_ = false;
    look_ = true;
    scheduling_.not_before = Clock::now() + 100ms; // many integrations may be added one by one
}

void Worker::prune() {
    size_t pruned = 0;
    as_sync_role(role_, [&] { pruned = std::max(prune_inbox(), prune_runs()); });
    const auto interval = std::clamp<std::chrono::minutes>(std::chrono::minutes(settings::retention_minutes) / 30, 1min,
                                                           std::chrono::hours(24));
    next_prune_ = Clock::now() + (pruned >= 1000 ? std::chrono::seconds(1) : std::chrono::seconds(interval));
}

/// An error that no fetch is to blame for. Where the extension was dropped under the worker's feet it is none.
void Worker::trouble(const std::string &message, const std::string &sqlstate, const std::string &detail,
                     const std::string &hint) {
    not_before_ = Clock::now() + 1s;
    look_ = restart_ = true; // the sync role, say, may be another
    try {
        if (!installed_as_before()) {
            dispatcher_.reset();
            not_before_ = Clock::now();
            return;
        }
    } catch (const syncer::DatabaseError &) {
        // what is told below is the cause
    }
    complain("kombo_sync worker: " + message, sqlstate, detail, hint);
}

/// The network goes on also while there is work: then it is only looked at.
void Worker::wait(bool busy) {
    if (busy) return session_transfers().look();
    if (dispatcher_ && dispatcher_->idle() && std::exchange(unreported_, false))
        guard([] { pgstat_report_stat(true); });
    guard([] { pgstat_report_activity(STATE_IDLE, nullptr); });
    auto until = std::min(next_tick_, std::max(next_poll_, not_before_));
    if (dispatcher_) {
        if (const auto wake_at = dispatcher_->wake_at()) until = std::min(until, *wake_at);
        if (judge_) until = std::min(until, judging_.not_before);
        if (schedule_) until = std::min(until, scheduling_.not_before);
        if (due_at_)
            until = std::min(until, Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                       *due_at_ - kombo::current_timestamp()));
    }
    waiter_.wait(session_transfers(), until);
}

/// Database- and role-level settings reach workers; these must not.
void pin_session(int number) {
    const std::pair<const char *, std::string> pinned[] = {
        {"application_name", "kombo_sync worker " + std::to_string(number)},
        {"default_transaction_isolation", "read committed"},
        {"default_transaction_read_only", "off"},
        {"default_transaction_deferrable", "off"},
        {"session_replication_role", "origin"},
        {"row_security", "off"},
        {"search_path", "pg_catalog, pg_temp"},
        {"statement_timeout", "0"},
        {"idle_in_transaction_session_timeout", "0"},
        // A crash may take the last commits back, each of them whole: rows go with the watermark that says they are
        // here, a judged webhook with what it asked for. So the same is done again, and the loop waits for no disk and
        // no standby. Only the pages of a full fetch are worth a wait for the disk.
        {"synchronous_commit", "off"},
        // Whoever holds a lock makes one batch wait, which is tried again, and not the loop.
        {"lock_timeout", "200ms"}};
    guard([&] {
        for (const auto &[name, value] : pinned) SetConfigOption(name, value.c_str(), PGC_SUSET, PGC_S_OVERRIDE);
    });
}

void worker_main() {
    shared::Assignment assignment{};
    std::memcpy(&assignment, MyBgworkerEntry->bgw_extra, sizeof assignment);
    shared::take_worker_slot(assignment.database, assignment.number);
    guard([&] { BackgroundWorkerInitializeConnectionByOid(assignment.database, InvalidOid, 0); });
    pin_session(assignment.number);
    guard([] {
        CacheRegisterSyscacheCallback(USERMAPPINGOID, note_key_change, 0);
        CacheRegisterSyscacheCallback(FOREIGNSERVEROID, note_key_change, 0);
    });
    Worker().run();
}

} // namespace
} // namespace pg

#pragma GCC visibility push(default)
extern "C" void kombo_sync_worker_main(Datum);
#pragma GCC visibility pop

void kombo_sync_worker_main(Datum) {
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    pg::entry([] { pg::worker_main(); });
}
