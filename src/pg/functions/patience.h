#pragma once

#include "pg/base/guard.h"

namespace pg {

/// The time that a call of a sync function waits for locks if lock_timeout is 0: some seconds, and once
/// a session has kept its lock for longer, hardly at all. Otherwise a call over all integrations might never end.
class Patience {
public:
    Patience();
    ~Patience();
    Patience(const Patience &) = delete;
    Patience &operator=(const Patience &) = delete;

    /// A lock was not to be had. May be called in a subtransaction.
    void met_lock() { met_lock_ = true; }

    /// To be called outside of subtransactions, at whose end settings are what they were.
    void reconsider();

private:
    int level_;
    bool ours_;
    bool met_lock_ = false;
};

} // namespace pg
