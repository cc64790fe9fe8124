#pragma once

#include "kombo/rate_budget.h"
#include "pg/shared/shared.h"

/// The layout of the shared memory, for the files behind shared.h and for the launcher.
namespace pg::shared {

constexpr int worker_slots = 64;
constexpr int served_databases = 64;
constexpr int progress_lines = 256;
constexpr int rate_budgets = 64;
constexpr int limited_servers = 256;

/// A running worker. `pid` 0: free.
struct WorkerSlot {
    int pid;
    Oid database;
    int number;
    Latch *latch;
    bool works;
    TimestampTz since; ///< that it works, or does not
    char trouble[500];
    char remedy[500];
    pg_atomic_uint64 work;
    pg_atomic_uint64 configuration;
    pg_atomic_uint64 seen_at; ///< when it last took part; the monotonic clock in ms
    pg_atomic_uint64 waits;   ///< 1: it has nothing to do
};

/// A database of kombo_sync.databases as the launcher reports it. Name empty: free.
struct ServedDatabase {
    char name[NAMEDATALEN];
    Oid oid;
    int workers; ///< that are to run
    TimestampTz since;
    char trouble[500];
    char remedy[500];
    uint64_t departures; ///< workers that left because the database is to be dropped, renamed or copied
};

struct ProgressLine {
    int pid; ///< 0: free
    Oid database;
    char integration[256];
    char endpoint[128];
    char kind[16];
    char trigger[16];
    ProgressPhase phase;
    int pages;
    int64_t rows;
    uint64_t bytes;
    int blocked_by;
    TimestampTz started_at;
};

struct KeyBudget {
    uint64_t key;
    int64_t used_at; ///< 0: free; the monotonic clock in ms, which all processes of a host share
    kombo::RateBudget budget;
};

/// Whose requests have met the limit of a key. `key` 0: free.
struct LimitedServer {
    Oid database;
    Oid server;
    uint64_t key;
};

struct Segment {
    LWLock *lock; ///< of all below but the atomics
    int launcher_pid;
    Latch *launcher_latch;
    pg_atomic_uint64 launcher_changes; ///< how often a database said that workers may be wanted there now
    WorkerSlot workers[worker_slots];
    ServedDatabase databases[served_databases];
    ProgressLine lines[progress_lines];
    KeyBudget budgets[rate_budgets];
    LimitedServer limited[limited_servers];
    int next_limited; ///< whose place is taken when none is free
};

/// Only where available().
Segment &segment();

/// Holds the segment's lock while it lives. Nothing that raises may be called meanwhile.
class Locked {
public:
    explicit Locked(LWLockMode mode) { LWLockAcquire(segment().lock, mode); }
    ~Locked() { LWLockRelease(segment().lock); }
    Locked(const Locked &) = delete;
    Locked &operator=(const Locked &) = delete;
};

/// Copies text into a field, cut to its size between characters.
template <size_t size> void put(char (&field)[size], std::string_view text) {
    const int whole = static_cast<int>(std::min<size_t>(text.size(), 10000));
    const auto length = static_cast<size_t>(pg_mbcliplen(text.data(), whole, static_cast<int>(size) - 1));
    memcpy(field, text.data(), length);
    field[length] = '\0';
}

} // namespace pg::shared
