#include "pg/shared/segment.h"

/// The shared memory itself, and the workers' places in it.
namespace pg::shared {

namespace {

Segment *the_segment = nullptr;
WorkerSlot *own_slot = nullptr;

shmem_request_hook_type next_request_hook = nullptr;
shmem_startup_hook_type next_startup_hook = nullptr;

void request() {
    RequestAddinShmemSpace(sizeof(Segment));
    RequestNamedLWLockTranche("kombo_sync", 1);
}

/// Again after a crash: then everything in it begins anew.
void create() {
    bool found = false;
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    the_segment = static_cast<Segment *>(ShmemInitStruct("kombo_sync", sizeof(Segment), &found));
    if (!found) {
        memset(static_cast<void *>(the_segment), 0, sizeof(Segment));
        the_segment->lock = &GetNamedLWLockTranche("kombo_sync")->lock;
        pg_atomic_init_u64(&the_segment->launcher_changes, 0);
        for (WorkerSlot &slot : the_segment->workers) {
            pg_atomic_init_u64(&slot.work, 0);
            pg_atomic_init_u64(&slot.configuration, 0);
            pg_atomic_init_u64(&slot.seen_at, 0);
            pg_atomic_init_u64(&slot.waits, 0);
        }
    }
    LWLockRelease(AddinShmemInitLock);
}

void on_request() {
    entry([] {
        if (next_request_hook) guard([] { next_request_hook(); });
        guard(request);
    });
}

void on_startup() {
    entry([] {
        if (next_startup_hook) guard([] { next_startup_hook(); });
        guard(create);
    });
}

/// A worker that does not come back for so long, from a trigger say, is done without.
constexpr uint64_t lost_after_ms = 5000;

uint64_t now_ms() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

bool is_lost(WorkerSlot &slot, uint64_t now) {
    return pg_atomic_read_u64(&slot.seen_at) + lost_after_ms <= now;
}

void tell(WorkerSlot &slot, bool configuration) {
    if (configuration) pg_atomic_fetch_add_u64(&slot.configuration, 1);
    pg_atomic_fetch_add_u64(&slot.work, 1);
    SetLatch(slot.latch);
}

/// Returns whether there are any. With the lock.
bool wake_workers(Oid database, bool configuration) {
    bool served = false;
    for (WorkerSlot &slot : segment().workers) {
        if (slot.pid == 0 || slot.database != database) continue;
        tell(slot, configuration);
        served = true;
    }
    return served;
}

void free_worker_slot(int, Datum) {
    const Locked lock(LW_EXCLUSIVE);
    own_slot->pid = 0;
    wake_workers(own_slot->database, false); // its share is theirs
    own_slot = nullptr;
    if (segment().launcher_latch) SetLatch(segment().launcher_latch);
}

} // namespace

bool available() {
    return the_segment != nullptr;
}

Segment &segment() {
    return *the_segment;
}

void define() {
    if (!process_shared_preload_libraries_in_progress) return;
    next_request_hook = shmem_request_hook;
    shmem_request_hook = on_request;
    next_startup_hook = shmem_startup_hook;
    shmem_startup_hook = on_startup;
}

void take_worker_slot(Oid database, int number) {
    if (!available() || own_slot) return;
    {
        const Locked lock(LW_EXCLUSIVE);
        for (WorkerSlot &slot : segment().workers) {
            if (slot.pid != 0) continue;
            slot.pid = MyProcPid;
            slot.database = database;
            slot.number = number;
            slot.latch = MyLatch;
            slot.since = GetCurrentTimestamp();
            slot.works = true;
            put(slot.trouble, "");
            put(slot.remedy, "");
            pg_atomic_write_u64(&slot.work, 0);
            pg_atomic_write_u64(&slot.configuration, 0);
            pg_atomic_write_u64(&slot.seen_at, now_ms());
            pg_atomic_write_u64(&slot.waits, 0);
            wake_workers(database, false);
            own_slot = &slot;
            break;
        }
    }
    if (!own_slot)
        raise(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, "too many background workers of kombo_sync",
              "There are places for " + std::to_string(worker_slots) + ".",
              "Set kombo_sync.workers lower, or kombo_sync.databases shorter.");
    guard([] { before_shmem_exit(free_worker_slot, 0); });
}

bool is_worker() {
    return own_slot != nullptr;
}

syncer::Share take_part() {
    if (!own_slot) return {};
    const uint64_t now = now_ms();
    pg_atomic_write_u64(&own_slot->seen_at, now);
    std::vector<int> there;
    there.reserve(worker_slots);
    const Locked lock(LW_SHARED);
    for (WorkerSlot &slot : segment().workers)
        if (slot.pid != 0 && slot.database == own_slot->database && !is_lost(slot, now)) there.push_back(slot.number);
    return {own_slot->number, std::move(there)};
}

void report_trouble(bool works, const std::string &trouble, const std::string &remedy) {
    if (!own_slot) return;
    // Only this process writes there.
    if (own_slot->works == works && trouble.compare(0, sizeof own_slot->trouble - 1, own_slot->trouble) == 0) return;
    const Locked lock(LW_EXCLUSIVE);
    if (own_slot->works != works || !works) own_slot->since = GetCurrentTimestamp();
    own_slot->works = works;
    put(own_slot->trouble, trouble);
    put(own_slot->remedy, remedy);
}

ChangeCounts change_counts() {
    if (!own_slot) return {};
    return {pg_atomic_read_u64(&own_slot->work), pg_atomic_read_u64(&own_slot->configuration)};
}

bool database_is_free(Oid database) {
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, database, 0);
    return guard([&] {
        // What a session takes while it connects; who waits for a database to be left holds a lock that keeps it out.
        if (LockAcquire(&tag, RowExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL) return false;
        LockRelease(&tag, RowExclusiveLock, true);
        return true;
    });
}

bool database_is_wanted() {
    if (database_is_free(MyDatabaseId)) return true;
    if (!own_slot) return false;
    const Locked lock(LW_EXCLUSIVE);
    for (ServedDatabase &database : segment().databases)
        if (database.name[0] != '\0' && database.oid == MyDatabaseId) ++database.departures;
    return false;
}

void wake(Oid database, bool configuration) {
    if (!available()) return;
    const Locked lock(LW_SHARED);
    if (wake_workers(database, configuration) || !configuration || !segment().launcher_latch) return;
    pg_atomic_fetch_add_u64(&segment().launcher_changes, 1);
    SetLatch(segment().launcher_latch);
}

void wake_one(Oid database) {
    if (!available()) return;
    const uint64_t now = now_ms();
    const Locked lock(LW_SHARED);
    const auto fitness = [&](WorkerSlot &slot) {
        return is_lost(slot, now) ? 0 : pg_atomic_read_u64(&slot.waits) == 0 ? 1 : 2;
    };
    WorkerSlot *chosen = nullptr;
    for (WorkerSlot &slot : segment().workers)
        if (slot.pid != 0 && slot.database == database && (!chosen || fitness(slot) > fitness(*chosen))) chosen = &slot;
    if (chosen) tell(*chosen, false);
}

void report_waiting(bool waits) {
    if (own_slot) pg_atomic_write_u64(&own_slot->waits, waits ? 1 : 0);
}

bool any_worker(Oid database) {
    if (!available()) return false;
    const Locked lock(LW_SHARED);
    for (const WorkerSlot &slot : segment().workers)
        if (slot.pid != 0 && slot.database == database) return true;
    return false;
}

} // namespace pg::shared
