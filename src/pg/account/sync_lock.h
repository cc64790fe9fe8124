#pragma once

#include "pg/base/guard.h"

/// Locks by name that only this library takes and drops. That of an integration has its id for a name: whoever has it
/// is the only one to sync the integration. In pg_locks they are advisory locks with objsubid 3, which no SQL function
/// gives: they belong to another lock method than those of pg_advisory_lock(), which therefore neither takes them nor,
/// with pg_advisory_unlock_all(), drops them.
namespace pg {

/// Takes a lock until the transaction ends. False: somebody else has it. With `wait` it is waited for, as long as
/// lock_timeout allows. Throws Error.
bool lock_for_transaction(const std::string &name, bool wait);

/// True if nobody has it at this moment.
bool is_free(const std::string &name);

/// The holder of the lock, in words: "pid 123", or "a prepared transaction"; empty if there is none. In a transaction.
std::string holder_of(const std::string &name);

/// A lock that the session has beyond the end of a transaction.
class SessionLock {
public:
    /// nullptr where somebody else has it. Needs no transaction.
    static std::unique_ptr<SessionLock> try_acquire(const std::string &name);
    ~SessionLock();
    SessionLock(const SessionLock &) = delete;
    SessionLock &operator=(const SessionLock &) = delete;

    /// True if somebody waits for it.
    bool wanted() const;

    /// True if somebody else got it when a transaction was rolled back.
    bool lost() const { return lost_; }

    /// Drops it when the process ends, which then has no further use for the object.
    void drop() const;

private:
    explicit SessionLock(const LOCKTAG &tag);
    static void take_again();

    LOCKTAG tag_;
    bool lost_ = false;
};

} // namespace pg
