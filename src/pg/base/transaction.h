#pragma once

#include "pg/base/guard.h"

#include <functional>

namespace pg {

/// Called after a transaction of in_transaction() was rolled back; null: nothing is. Must not throw.
extern void (*after_rollback)();

/// Runs `body` in a transaction of the worker's own: committed if it returns, rolled back if it throws (which goes on).
/// Statistics of what it did are reported afterwards, so that autovacuum sees the tables which only a worker writes.
void in_transaction(const std::function<void()> &body);

/// The same with an SPI connection, as the sync role, in a memory context that goes with it.
void as_sync_role(Oid role, const std::function<void()> &body);

} // namespace pg
