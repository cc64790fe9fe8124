#include "pg/account/altered_columns.h"
#include "pg/account/connection.h"
#include "pg/account/lock_holder.h"
#include "pg/account/options.h"
#include "pg/base/citus.h"
#include "pg/base/contain.h"
#include "pg/base/entry_points.h"
#include "pg/base/log_throttle.h"
#include "pg/base/role.h"
#include "pg/base/settings.h"
#include "pg/base/spi.h"
#include "pg/base/transaction.h"
#include "pg/base/version_check.h"
#include "pg/shared/shared.h"
#include "pg/worker/clock_watch.h"
#include "pg/worker/direct_reads.h"
#include "pg/worker/dispatcher.h"
#include "pg/worker/inbox.h"
#include "pg/worker/known_servers.h"
#include "pg/worker/queue.h"
#include "syncer/retry.h"

#include <algorithm>
#include <cstring>

/// The background worker: one event loop that listens to its latch, to the clock and to the network. All work is rows
/// of kombo.sync_requests; what arrives in the inbox, and what the schedule says, becomes such rows first.
namespace pg {

namespace {

using namespace std::chrono_literals;
using syncer::Clock;

/// A key or an address may have changed: set by the invalidation of a cached server or user mapping.
bool key_changed = true;

void note_key_change(Datum, compat::CacheId, uint32) {
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

/// Something that the worker does beside the fetches. Where it fails, it alone is put off, longer each time; the
/// fetches and the other chores go on.
struct Chore {
    const char *name; ///< as in "NAME fails"
    std::function<bool()> due;
    std::function<void()> run;
    Clock::duration pause{0}; ///< between two times
    Clock::time_point not_before = Clock::now();
    Clock::time_point failing_since{};
    int failures = 0; ///< in a row
    std::optional<Trouble> trouble{};
    std::string told{}; ///< of it, in words; empty: nothing

    bool ready(Clock::time_point now) const { return now >= not_before && due(); }

    /// An error that stays is told of; a lock that is not to be had only when it lasts.
    bool worth_telling(Clock::time_point now) const {
        return trouble && (!trouble->passing() || now - failing_since >= tell_of_lock_after);
    }
};

class Worker {
public:
    Worker();
    [[noreturn]] void run();

private:
    bool work();
    void do_chores();
    void failed(Chore &chore, const Trouble &trouble);
    void report();

    void reload();
    void check_for_changes();
    void tick();
    void take_part();
    void read_queue();
    bool installed_as_before();
    bool note_if_gone();
    void start();
    void idle_because(const std::string &trouble, const std::string &remedy);
    void look_at_keys();
    void try_new_key();
    void judge();
    void ask(const NewRequest &request);
    void keep_unstored(const Judged &judged, const std::vector<int64_t> &put_off);
    void schedule();
    void prune_webhooks();
    void prune_history();
    void wait(bool busy);

    std::unique_ptr<Dispatcher> dispatcher_; ///< while the extension is there and fits
    Installed installed_;
    Oid role_ = InvalidOid;
    shared::ChangeCounts heard_;
    syncer::Share share_; ///< what this worker looks after
    Queue queue_;
    bool queue_changed_ = true;  ///< at the queue
    bool config_changed_ = true; ///< or begin: the configuration may be another
    bool inbox_changed_ = false; ///< the inbox has news
    bool unreported_ = false;
    bool read_only_ = false;                 ///< by the setting: nothing is to be written
    std::optional<kombo::Timestamp> due_at_; ///< what the schedule has next
    bool schedule_changed_ = false;
    KnownServers servers_;
    ClockWatch clock_;
    Clock::time_point next_tick_ = Clock::now();
    Clock::time_point next_poll_ = Clock::now();
    Clock::time_point next_webhook_prune_ = Clock::now();
    Clock::time_point next_run_prune_ = Clock::now();
    int64_t pruned_to_ = 0; ///< id in the inbox, where there is more
    /// A webhook that is judged and cannot be marked so.
    struct Unstored {
        int failures = 0;
        Clock::time_point not_before;
        std::string why;
    };
    std::map<int64_t, Unstored> unstored_; ///< by id in the inbox
    std::string idle_reason_;              ///< why there is no dispatcher
    std::string idle_remedy_;
    std::vector<Chore> chores_;
    LatchWaiter waiter_;
};

Worker::Worker() {
    const auto schedule_is_due = [this] {
        return share_.leads() && (schedule_changed_ || (due_at_ && *due_at_ <= kombo::current_timestamp()));
    };
    const auto prune_is_due = [this](Clock::time_point next) { return share_.leads() && Clock::now() >= next; };
    // The first one makes the dispatcher, which all others need.
    chores_ = {
        {"reading requests and configuration", [this] { return queue_changed_; }, [this] { read_queue(); }},
        {"reading keys", [] { return key_changed; }, [this] { look_at_keys(); }},
        {"trying another key", [this] { return servers_.changed(); }, [this] { try_new_key(); }},
        {"judging webhooks", [this] { return inbox_changed_; }, [this] { judge(); }},
        {"heeding the clock", [this] { return share_.leads() && clock_.changed(); }, [this] { clock_.heed(role_); }},
        // Many integrations may be added one by one.
        {"the schedule", schedule_is_due, [this] { schedule(); }, 100ms},
        {"deleting old webhooks", [=] { return prune_is_due(next_webhook_prune_); }, [this] { prune_webhooks(); }},
        {"deleting old run records", [=] { return prune_is_due(next_run_prune_); }, [this] { prune_history(); }}};
}

void Worker::run() {
    MemoryContext loop =
        guard([] { return AllocSetContextCreate(TopMemoryContext, "kombo_sync worker", ALLOCSET_DEFAULT_SIZES); });
    for (;;) {
        MemoryContextSwitchTo(loop);
        MemoryContextReset(loop);
        unless_cancelled([] { guard([] { CHECK_FOR_INTERRUPTS(); }); });
        if (ConfigReloadPending) reload();
        check_for_changes();
        bool busy = false;
        const auto trouble = contain([&] {
            if (Clock::now() >= next_tick_) tick();
            busy = work();
        });
        if (trouble)
            log_warning("kombo_sync worker: " + trouble->message, trouble->sqlstate, trouble->detail, trouble->hint);
        unless_cancelled([&] { wait(busy); });
    }
}

void Worker::reload() {
    ConfigReloadPending = false;
    guard([] { ProcessConfigFile(PGC_SIGHUP); });
    // Of the database's own settings a session hears nothing after its start. What is pinned stays as it is.
    in_transaction([] {
        guard([] {
            Relation settings = table_open(DbRoleSettingRelationId, AccessShareLock);
            ApplySetting(GetActiveSnapshot(), MyDatabaseId, InvalidOid, settings, PGC_S_DATABASE);
            table_close(settings, AccessShareLock);
        });
    });
    next_poll_ = Clock::now();
    // A setting that was removed from the database's settings stays in force until a new process starts.
    if (std::exchange(read_only_, DefaultXactReadOnly) && read_only_) proc_exit(0);
}

void Worker::check_for_changes() {
    const shared::ChangeCounts news = shared::change_counts();
    if (news.work != heard_.work) {
        queue_changed_ = true;
        take_part();
    }
    if (news.configuration != heard_.configuration) queue_changed_ = config_changed_ = true;
    heard_ = news;
}

void Worker::tick() {
    next_tick_ = Clock::now() + 1s;
    if (clock_.look()) {
        queue_changed_ = config_changed_ = true;
        queue_.forget();
    }
    if (!shared::database_is_wanted()) proc_exit(0); // the launcher starts it again when the database is free
    take_part();
    if (dispatcher_) dispatcher_->release_idle();
}

/// Takes over another worker's share from the queue at once; one worker alone runs the schedule.
void Worker::take_part() {
    syncer::Share share = shared::take_part();
    if (share == share_) return;
    share_ = std::move(share);
    queue_changed_ = true;
    queue_.forget();
    schedule_changed_ = share_.leads();
    due_at_.reset();
}

/// Returns whether there is more to do at once.
bool Worker::work() {
    if (queue_.due_at && *queue_.due_at <= kombo::current_timestamp()) {
        queue_.due_at.reset();
        next_poll_ = std::min(next_poll_, queue_.whole_read_at());
    }
    if (Clock::now() >= next_poll_) {
        next_poll_ = Clock::now() + std::chrono::milliseconds(settings::poll_interval_ms);
        queue_changed_ = true;
    }
    do_chores();
    report();
    if (!dispatcher_) return false;
    dispatcher_->exchange();
    if (dispatcher_->step()) return true;
    const auto now = Clock::now();
    return std::any_of(chores_.begin(), chores_.end(), [&](const Chore &chore) { return chore.ready(now); });
}

void Worker::do_chores() {
    for (Chore &chore : chores_) {
        if (!dispatcher_ && &chore != &chores_.front()) return;
        if (!chore.ready(Clock::now())) continue;
        if (const auto trouble = contain(chore.run)) {
            failed(chore, *trouble);
        } else {
            chore.not_before = Clock::now() + chore.pause;
            chore.failures = 0;
            chore.trouble.reset();
            chore.told.clear();
        }
    }
}

/// An extension that was dropped while the worker ran is no trouble.
void Worker::failed(Chore &chore, const Trouble &trouble) {
    if (note_if_gone()) return;
    const auto now = Clock::now();
    if (chore.failures++ == 0) chore.failing_since = now;
    chore.not_before = now + (trouble.passing() ? Clock::duration(2s)
                                                : Clock::duration(syncer::back_off(chore.failures, 1s, 1min, 0)));
    chore.trouble = trouble;
    if (!trouble.passing()) config_changed_ = queue_changed_ = true; // the sync role, say, may be another
    if (trouble.sqlstate == "23505")                                 // a sequence may be behind its table
        contain(
            [&] { as_sync_role(BOOTSTRAP_SUPERUSERID, [] { execute("SELECT kombo_internal.advance_sequences()"); }); });
    if (!chore.worth_telling(now)) return;
    chore.told = std::string(chore.name) + " fails: " + with_locker(trouble);
    log_warning("kombo_sync worker: " + chore.told, trouble.sqlstate, trouble.detail, trouble.hint);
}

/// Tells kombo.sync_status what does not work.
void Worker::report() {
    if (!dispatcher_ && !idle_reason_.empty()) return shared::report_trouble(false, idle_reason_, idle_remedy_);
    std::string told, remedy;
    const auto add = [&](const std::string &trouble, const std::string &its_remedy) {
        told += (told.empty() ? "" : "; ") + trouble;
        if (remedy.empty()) remedy = its_remedy;
    };
    for (const Chore &chore : chores_)
        if (!chore.told.empty())
            add(chore.told, chore.trouble->hint.empty() ? chore.trouble->detail : chore.trouble->hint);
    if (!unstored_.empty())
        add(std::to_string(unstored_.size()) + " webhooks cannot be marked as judged: " + unstored_.begin()->second.why,
            "look for a constraint or trigger on kombo.webhook_inbox and kombo.sync_requests");
    if (const auto trouble = dispatcher_ ? dispatcher_->trouble() : std::nullopt) add(trouble->first, trouble->second);
    if (!told.empty() && remedy.empty()) remedy = "it is tried again by itself; the server's log has the details";
    shared::report_trouble(dispatcher_ != nullptr, told, remedy);
}

/// Whether the extension is the one that the dispatcher was made for. Notes altered data tables in the same
/// transaction.
bool Worker::installed_as_before() {
    Installed now;
    in_transaction([&] {
        now = installed_extension();
        if (now == installed_ && !config_changed_) config_changed_ = columns_altered();
    });
    return std::exchange(installed_, now) == now;
}

/// Whether it is not the same any more; then read_queue() begins anew.
bool Worker::note_if_gone() {
    bool gone = false;
    contain([&] { in_transaction([&] { gone = !(installed_extension() == installed_); }); });
    if (gone) queue_changed_ = true;
    return gone;
}

void Worker::read_queue() {
    if (!installed_as_before()) {
        dispatcher_.reset();
        config_changed_ = true;
    }
    if (DefaultXactReadOnly) {
        read_only_ = config_changed_ = true;
        queue_changed_ = false;
        return idle_because("default_transaction_read_only is on",
                            "the worker writes nothing meanwhile; to let it go on: ALTER SYSTEM, or ALTER DATABASE, "
                            "RESET default_transaction_read_only; SELECT pg_reload_conf()");
    }
    // Its hindrance may end without a message: by a grant, or by the commit of an upgrade whose message comes late.
    if (config_changed_ || !dispatcher_) start();
    config_changed_ = false; // not before: what throws is tried again
    if (!dispatcher_) {
        queue_changed_ = false;
        return;
    }
    bool all = false;
    in_transaction([&] {
        inbox_changed_ = inbox_has_news();
        all = queue_.read(dispatcher_->agenda(), share_);
    });
    queue_changed_ = false;
    if (all)
        dispatcher_->keep_only(share_);
    else
        next_poll_ = std::min(next_poll_, queue_.whole_read_at());
}

/// Makes the dispatcher, or has it read the configuration again; or says why it cannot work.
void Worker::start() {
    if (!OidIsValid(installed_.oid))
        return idle_because("the extension is not installed in this database",
                            "CREATE EXTENSION kombo_sync, or take the database out of kombo_sync.databases");
    int64_t found = 0;
    bool on_node = false;
    Oid role = InvalidOid;
    Lack lack;
    try {
        in_transaction([&] {
            const Spi spi;
            const SyncRole as(BOOTSTRAP_SUPERUSERID);
            on_node = citus::on_node();
            if (on_node) return;
            found = found_interface();
            if (found == interface_number) role = owner_of_tables();
            if (OidIsValid(role)) lack = find_lack(role);
        });
    } catch (const Error &error) {
        if (error.sqlstate() != "55000") throw;
        return idle_because(error.message(), error.hint()); // the tables have several owners
    }
    if (on_node) return idle_because(citus::node_problem, citus::node_remedy);
    if (found != interface_number) {
        idle_because("the library kombo_sync and the extension's SQL objects are of different versions",
                     interface_remedy(found));
        return;
    }
    if (!OidIsValid(role))
        return idle_because("there are no data tables yet",
                            "SELECT kombo.create_tables('HRIS', owner => '...'), then kombo.add_integration");
    if (!lack.problem.empty()) return idle_because(lack.problem, lack.remedy);
    idle_reason_.clear();
    if (!dispatcher_ || role != role_) {
        dispatcher_ = std::make_unique<Dispatcher>(
            role,
            Dispatcher::Surroundings{[this] { return shared::change_counts().configuration != heard_.configuration; },
                                     [this] { return note_if_gone(); }});
        queue_.forget();
    }
    role_ = role;
    dispatcher_->reload();
    schedule_changed_ = true;
}

void Worker::idle_because(const std::string &trouble, const std::string &remedy) {
    dispatcher_.reset();
    inbox_changed_ = false;
    due_at_.reset();
    queue_.due_at.reset();
    idle_reason_ = trouble;
    idle_remedy_ = remedy;
}

/// Pauses and back-offs that another key, or another address, may end: those of the server's own integrations.
/// The invalidation may be of something else: caches are reset as a whole, too, when there is much of it.
void Worker::look_at_keys() {
    key_changed = false; // before it is read: another change is another reason
    bool changed = false;
    in_transaction([&] { changed = servers_.look(); });
    if (changed) dispatcher_->close_all();
}

void Worker::try_new_key() {
    as_sync_role(role_, [&] { servers_.end_waits(); });
    servers_.waits_have_ended();
    queue_changed_ = config_changed_ = true; // what was put off, and what is due
}

void Worker::judge() {
    std::vector<int64_t> put_off;
    for (const auto &[id, kept] : unstored_)
        if (kept.not_before > Clock::now()) put_off.push_back(id);
    Judged judged;
    as_sync_role(role_, [&] {
        judged = judge_inbox(
            [&](const std::string &category) -> const syncer::Catalogue & {
                return *dispatcher_->catalogue_of(category);
            },
            [&](const NewRequest &request) { return dispatcher_->none_taken(request); }, put_off);
    });
    for (const NewRequest &request : judged.requests) ask(request);
    keep_unstored(judged, put_off);
    dispatcher_->read_again(judged.revived);
    if (!std::all_of(judged.revived.begin(), judged.revived.end(), [&](const auto &id) { return share_.has(id); }))
        shared::wake(MyDatabaseId, true); // whoever looks after them is to read them again
    inbox_changed_ = judged.more;
    unreported_ = true;
}

/// Those that are rows and another worker's it finds in the queue.
void Worker::ask(const NewRequest &request) {
    if (request.id > 0 && !share_.has(request.integration_id)) return;
    dispatcher_->agenda().add({request.id, request.integration_id, request.endpoint.value_or(""),
                               request.kind == "full", request.trigger, request.server, request.unknown_model,
                               request.requested_at, std::nullopt, std::nullopt});
}

/// Marks of webhooks that could not be written are retried later; their requests are made once.
void Worker::keep_unstored(const Judged &judged, const std::vector<int64_t> &put_off) {
    for (auto kept = unstored_.begin(); kept != unstored_.end();) {
        const bool tried = !std::binary_search(put_off.begin(), put_off.end(), kept->first);
        kept = tried && judged.unstored.count(kept->first) == 0 ? unstored_.erase(kept) : std::next(kept);
    }
    for (const auto &[id, why] : judged.unstored) {
        Unstored &kept = unstored_[id];
        const auto requests = judged.not_requested.find(id);
        if (kept.failures == 0 && requests != judged.not_requested.end())
            for (const NewRequest &request : requests->second) ask(request);
        kept.not_before = Clock::now() + syncer::back_off(++kept.failures, 5s, 5min, 0);
        kept.why = why;
        log_warning("kombo_sync worker: a webhook cannot be marked as judged: " + why, "55000",
                    "It is row " + std::to_string(id) + " of kombo.webhook_inbox.", "", why);
    }
}

void Worker::schedule() {
    as_sync_role(role_, [&] { due_at_ = execute("SELECT kombo_internal.request_due()").instant(0, 1); });
    // The clock may have gone on meanwhile, and another worker may be at it.
    if (due_at_) due_at_ = std::max(*due_at_, kombo::current_timestamp() + 1s);
    schedule_changed_ = false;
    queue_changed_ = true;
}

/// When to look again for what is past kombo_sync.retention; at once where there is more.
Clock::time_point next_prune(bool more) {
    const auto interval = std::clamp<std::chrono::minutes>(std::chrono::minutes(settings::retention_minutes) / 30, 1min,
                                                           std::chrono::hours(24));
    return Clock::now() + (more ? std::chrono::seconds(1) : std::chrono::seconds(interval));
}

void Worker::prune_webhooks() {
    Pruned pruned;
    as_sync_role(role_, [&] { pruned = prune_inbox(pruned_to_); });
    pruned_to_ = pruned.more_after.value_or(0);
    next_webhook_prune_ = next_prune(pruned.more_after.has_value());
    if (pruned.kept > 0)
        log_warning("kombo_sync worker: " + std::to_string(pruned.kept) +
                        " webhooks past kombo_sync.retention cannot be deleted: " + pruned.why,
                    "55000", "", "Something refers to rows of kombo.webhook_inbox.", pruned.why);
}

void Worker::prune_history() {
    size_t pruned = 0;
    as_sync_role(role_, [&] { pruned = prune_runs(); });
    next_run_prune_ = next_prune(pruned >= 1000);
}

/// The network goes on also while there is work: then it is only looked at.
void Worker::wait(bool busy) {
    if (busy) return session_transfers().look();
    if (dispatcher_ && dispatcher_->idle() && std::exchange(unreported_, false))
        guard([] { pgstat_report_stat(true); });
    guard([] { pgstat_report_activity(STATE_IDLE, nullptr); });
    auto until = std::min(next_tick_, next_poll_);
    if (dispatcher_) {
        if (const auto wake_at = dispatcher_->wake_at()) until = std::min(until, *wake_at);
        for (const Chore &chore : chores_)
            if (chore.due()) until = std::min(until, chore.not_before);
        for (const auto &due : {due_at_, queue_.due_at})
            if (due)
                until = std::min(until, Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                           *due - kombo::current_timestamp()));
    }
    shared::report_waiting(true);
    waiter_.wait(session_transfers(), until);
    shared::report_waiting(false);
}

/// Database- and role-level settings reach workers; these must not. (default_transaction_read_only does: whoever sets
/// it wants nothing written.)
void pin_session(int number) {
    const std::pair<const char *, std::string> pinned[] = {
        {"application_name", "kombo_sync worker " + std::to_string(number)},
        {"default_transaction_isolation", "read committed"},
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
        // A lock of another session makes one batch wait, which is retried, and not the loop.
        {"lock_timeout", "200ms"}};
    guard([&] {
        if (compat::has_transaction_timeout) SetConfigOption("transaction_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
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
