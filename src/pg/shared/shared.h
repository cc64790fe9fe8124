#pragma once

#include "pg/base/guard.h"
#include "syncer/share.h"

/// The messages of launcher, workers and sessions to one another in shared memory. Without shared_preload_libraries
/// there is none: then nothing here raises, and what it says is that nobody is there.
namespace pg::shared {

/// True if this server was started with the library in shared_preload_libraries.
bool available();

/// Asks for the shared memory; to be called from _PG_init, once the settings are defined.
/// Does nothing where the library is loaded later than the server's start.
void define();

/// The launcher's word to a worker that it starts, in bgw_extra.
struct Assignment {
    Oid database;
    int number; ///< from 1
};

/// Takes a worker's place, which wake() and kombo.sync_status find it by; it is freed when the process ends, however
/// that is. A worker calls it once, before it connects. Throws Error where no place is free.
void take_worker_slot(Oid database, int number);

/// True if this process is a worker.
bool is_worker();

/// The integrations that this worker looks after, now that it takes part: of those of its database that are there and
/// took part lately. To be asked about once a second; whenever a worker comes or goes, the others are woken.
syncer::Share take_part();

/// Sets what kombo.sync_status reports of this worker: whether it works; if not, why; if so, what part of its work it
/// cannot do ("": none); and what to do about that. Both without secrets, at most 500 bytes; cheap to repeat.
void report_trouble(bool works, const std::string &trouble, const std::string &remedy = {});

/// Counts of the messages to this worker: new work, and changes to configuration or catalogue.
struct ChangeCounts {
    uint64_t work = 0;
    uint64_t configuration = 0;
};
ChangeCounts change_counts();

/// True if this worker may stay connected. False: somebody is about to drop, rename or move the database, or copies it
/// as a template, and waits (5 s at most) for all connections to go. The worker then ends at once with proc_exit(0);
/// the launcher starts it again when the database is free. Needs no transaction. To be asked at least once a second.
bool database_is_wanted();

/// The same of any database, for the launcher.
bool database_is_free(Oid database);

/// Tells every worker of the database of new work (and of a change to the configuration), and sets their latches. If
/// there is none, a change to the configuration has the launcher look whether there should be.
/// Raises nothing: safe in a transaction callback.
void wake(Oid database, bool configuration);

/// Tells one worker of the database that the inbox has news: one that waits, if there is one. It is found by the others
/// whenever they look. Raises nothing.
void wake_one(Oid database);

/// Sets whether this worker waits and has nothing else to do.
void report_waiting(bool waits);

/// True if a worker serves the database.
bool any_worker(Oid database);

/// The limit that Kombo reports for an API key: so many requests remain of `limit` until `reset` from now.
struct Limit {
    int64_t limit;
    int64_t remaining;
    std::chrono::milliseconds reset;
};

/// An API key, as a hash of it and base_url, and the server of this database that it is used for.
struct Account {
    uint64_t key;
    Oid server;
};

/// Notes an answer, and what it said of the key's budget, if anything.
void note_answer(const Account &account, const std::optional<Limit> &limit);

/// Notes a 429, and how long it asks to wait. No request with this key for so long, minutes at most; then one tries.
void note_refusal(const Account &account, const std::optional<Limit> &limit, std::chrono::milliseconds demand);

/// No request with this key for so long.
void block_key(uint64_t key, std::chrono::milliseconds wait);

/// Takes one request from the key's budget: nullopt = go, otherwise how long to wait before asking again. `urgent` ones
/// (webhook deltas) may use the last tenth of the limit as well.
std::optional<std::chrono::milliseconds> take_request(const Account &account, bool urgent);

/// A limit that requests of a server of this database wait for.
struct RateLimit {
    Oid server;
    std::chrono::milliseconds wait; ///< until it ends
    bool refused;                   ///< Kombo has answered 429, and nothing else since
};
std::vector<RateLimit> rate_limits();

/// Ends the wait of the server's requests for a limit, if there is one: the next one tries. Returns whether there was.
bool lift_limit(Oid server);

/// The activity of a fetch.
enum class ProgressPhase : uint8_t {
    Starting,   ///< no page is here yet
    Fetching,   ///< waits for Kombo
    Writing,    ///< writes a batch
    Locked,     ///< waits for a lock of somebody else
    Sweeping,   ///< looks for what Kombo no longer has
    Confirming, ///< asks Kombo for what the sweep would take
    Yielding,   ///< gives way to a delta of the same endpoint
    Limited     ///< waits for the end of a rate limit
};

/// One line of kombo.sync_progress while the object lives. Of no effect without shared memory or when all lines are
/// taken. Lines of a process that ends are freed with it.
class Progress {
public:
    /// `kind`: delta or full. `trigger`: webhook, schedule or sql.
    Progress(const std::string &integration, const std::string &endpoint, const char *kind, const char *trigger);
    ~Progress();
    Progress(const Progress &) = delete;
    Progress &operator=(const Progress &) = delete;

    /// So far, in all. `blocked_by`: pid of the session that holds the lock, 0 for none.
    void update(ProgressPhase phase, int pages, int64_t rows, uint64_t bytes, int blocked_by = 0);

private:
    int line_ = -1;
};

} // namespace pg::shared
