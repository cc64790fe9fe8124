#include "pg/worker/launcher.h"

#include "pg/shared/segment.h"
#include "pg/worker/served_databases.h"

#include <algorithm>

namespace pg::launcher {

namespace {

using namespace std::chrono_literals;

/// How often it looks whether databases came, went or were renamed: nobody tells it, but CREATE EXTENSION and a new
/// integration.
constexpr auto look_interval = 10s;
/// After an error of the database it tries again after so long, and says the same one at most so often.
constexpr auto error_delay = 5s;
constexpr auto repeat_after = 60s;

class Launcher {
public:
    void run();
    void dismiss() { served_.dismiss(); }

private:
    void step();
    void recover(const Error &error);
    static void wait(Clock::time_point until);

    ServedDatabases served_;
    Clock::time_point look_at_;
    uint64_t changes_seen_ = 0;
    std::string last_error_;
    Clock::time_point last_error_at_;
};

void Launcher::run() {
    for (;;) {
        try {
            step();
        } catch (const Error &error) { // its workers go on meanwhile
            recover(error);
        }
    }
}

void Launcher::step() {
    guard([] { CHECK_FOR_INTERRUPTS(); });
    if (ConfigReloadPending) {
        ConfigReloadPending = false;
        guard([] { ProcessConfigFile(PGC_SIGHUP); });
        look_at_ = Clock::now();
    }
    const uint64_t news = pg_atomic_read_u64(&shared::segment().launcher_changes);
    if (std::exchange(changes_seen_, news) != news) look_at_ = Clock::now();
    // A worker often ends because its database does: it is looked for again before another is started.
    if (Clock::now() >= look_at_ || served_.start_is_due()) {
        served_.look();
        look_at_ = Clock::now() + look_interval;
    }
    if (served_.manage()) look_at_ = Clock::now();
    served_.report();
    wait(std::min(look_at_, served_.due().value_or(look_at_)));
}

void Launcher::recover(const Error &error) {
    guard([] { AbortOutOfAnyTransaction(); });
    const auto now = Clock::now();
    if (error.message() != last_error_ || now - last_error_at_ >= repeat_after) {
        last_error_ = error.message();
        last_error_at_ = now;
        guard([&] {
            ereport(WARNING, errcode(error.data()->sqlerrcode),
                    errmsg("kombo_sync launcher: %s", error.data()->message));
        });
    }
    look_at_ = now + error_delay;
    wait(look_at_);
}

void Launcher::wait(Clock::time_point until) {
    const auto timeout = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    guard([&] {
        WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, std::max<long>(0, timeout.count()),
                  PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
    });
}

/// The process's launcher; PostgreSQL ends a process without running destructors.
Launcher &launcher() {
    static Launcher only;
    return only;
}

/// The next launcher would not know the workers of this one.
void leave(int, Datum) {
    launcher().dismiss();
    const shared::Locked lock(LW_EXCLUSIVE);
    shared::segment().launcher_pid = 0;
    shared::segment().launcher_latch = nullptr;
    for (auto &database : shared::segment().databases) database.name[0] = '\0';
}

void prepare() {
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    MemoryContextSwitchTo(AllocSetContextCreate(TopMemoryContext, "kombo_sync launcher", ALLOCSET_DEFAULT_SIZES));
    pgstat_report_activity(STATE_IDLE, nullptr);
    before_shmem_exit(leave, 0);
    const shared::Locked lock(LW_EXCLUSIVE);
    shared::segment().launcher_pid = MyProcPid;
    shared::segment().launcher_latch = MyLatch;
}

} // namespace

void define() {
    // pg_upgrade starts the server to move catalogues: nobody is to write there.
    if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade) return;
    BackgroundWorker worker = {};
    strlcpy(worker.bgw_name, "kombo_sync launcher", BGW_MAXLEN);
    strlcpy(worker.bgw_type, "kombo_sync launcher", BGW_MAXLEN);
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = 5;
    strlcpy(worker.bgw_library_name, "kombo_sync", sizeof worker.bgw_library_name);
    strlcpy(worker.bgw_function_name, "kombo_sync_launcher_main", BGW_MAXLEN);
    guard([&] { RegisterBackgroundWorker(&worker); });
}

} // namespace pg::launcher

#pragma GCC visibility push(default)
extern "C" void kombo_sync_launcher_main(Datum);
#pragma GCC visibility pop

void kombo_sync_launcher_main(Datum) {
    pg::entry([] {
        pg::guard(pg::launcher::prepare);
        pg::launcher::launcher().run();
    });
}
