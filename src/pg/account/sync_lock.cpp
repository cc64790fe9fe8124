#include "pg/account/sync_lock.h"

#include "pg/base/entry_points.h"
#include "pg/base/memory.h"
#include "pg/base/role.h"
#include "pg/base/spi.h"
#include "pg/base/transaction.h"

#include <set>

namespace pg {

namespace {

/// In pg_locks: 1 and 2 are those of pg_advisory_lock().
constexpr uint16 our_locks = 3;

int64_t key_of(const std::string &name) {
    const MemoryScope scope;
    return guard([&] {
        const Datum text = PointerGetDatum(cstring_to_text(("kombo_sync:" + name).c_str()));
        return DatumGetInt64(DirectFunctionCall2Coll(hashtextextended, C_COLLATION_OID, text, Int64GetDatum(0)));
    });
}

LOCKTAG tag_of(const std::string &name) {
    LOCKTAG tag;
    const auto bits = static_cast<uint64>(key_of(name));
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(bits >> 32), static_cast<uint32>(bits), our_locks);
    tag.locktag_lockmethodid = DEFAULT_LOCKMETHOD;
    return tag;
}

bool acquire(const LOCKTAG &tag, bool for_session, bool wait) {
    return guard([&] { return LockAcquire(&tag, ExclusiveLock, for_session, !wait) != LOCKACQUIRE_NOT_AVAIL; });
}

bool acquired_again(const LOCKTAG &tag) {
    try {
        return acquire(tag, true, false);
    } catch (const Error &) {
        return false;
    }
}

std::set<SessionLock *> &held() {
    static std::set<SessionLock *> locks;
    return locks;
}

/// PostgreSQL drops a session's locks of this method with its transaction, and at the end of the process only if one is
/// open. What is left behind would be the next process's that gets the same place in shared memory.
void drop_all(int, Datum) {
    for (const SessionLock *lock : held()) lock->drop();
}

} // namespace

bool lock_for_transaction(const std::string &name, bool wait) {
    return acquire(tag_of(name), false, wait);
}

bool is_free(const std::string &name) {
    const LOCKTAG tag = tag_of(name);
    if (!acquire(tag, false, false)) return false;
    LockRelease(&tag, ExclusiveLock, false);
    return true;
}

std::string holder_of(const std::string &name) {
    // Only a catalog is read.
    const SyncRole as(BOOTSTRAP_SUPERUSERID);
    const Result found = execute(R"(
        SELECT l.pid::text FROM pg_locks l
        WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 3
            AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
            AND (l.classid::bigint << 32 | l.objid::bigint) = $1)",
                                 Params().integer(key_of(name)));
    if (found.size() == 0) return {};
    return found.null(0, 1) ? "a prepared transaction" : "pid " + found.text(0, 1);
}

std::unique_ptr<SessionLock> SessionLock::try_acquire(const std::string &name) {
    const LOCKTAG tag = tag_of(name);
    if (!acquire(tag, true, false)) return nullptr;
    return std::unique_ptr<SessionLock>(new SessionLock(tag));
}

SessionLock::SessionLock(const LOCKTAG &tag) : tag_(tag) {
    held().insert(this);
    if (after_rollback) return;
    after_rollback = &SessionLock::take_again;
    guard([] { before_shmem_exit(drop_all, 0); });
}

SessionLock::~SessionLock() {
    held().erase(this);
    drop();
}

void SessionLock::drop() const {
    if (!lost_) LockRelease(&tag_, ExclusiveLock, true);
}

bool SessionLock::wanted() const {
    return !lost_ && guard([&] { return LockHasWaiters(&tag_, ExclusiveLock, true); });
}

/// The rollback of a transaction drops all locks of this method, also those of the session. One that cannot be taken
/// again is lost, be it that somebody has it, or that the lock table is full.
void SessionLock::take_again() {
    for (SessionLock *lock : held())
        if (!lock->lost_) lock->lost_ = !acquired_again(lock->tag_);
}

} // namespace pg

PG_ENTRY(take_lock, {
    const char *name = pg::guard([&] { return text_to_cstring(PG_GETARG_TEXT_PP(0)); });
    PG_RETURN_BOOL(pg::lock_for_transaction(name, PG_GETARG_BOOL(1)));
})
