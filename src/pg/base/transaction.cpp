#include "pg/base/transaction.h"

#include "pg/base/citus.h"
#include "pg/base/role.h"
#include "pg/base/spi.h"

namespace pg {

void (*after_rollback)() = nullptr;

void in_transaction(const std::function<void()> &body) {
    MemoryContext outer = CurrentMemoryContext;
    try {
        guard([] {
            SetCurrentStatementStartTimestamp();
            StartTransactionCommand();
            // A transaction block: without one Citus commits each statement on the node by itself.
            BeginTransactionBlock();
            CommitTransactionCommand();
            StartTransactionCommand();
            PushActiveSnapshot(GetTransactionSnapshot());
        });
        body();
        guard([] {
            PopActiveSnapshot();
            EndTransactionBlock(false);
            CommitTransactionCommand();
        });
    } catch (const std::exception &) {
        guard([] { AbortOutOfAnyTransaction(); });
        MemoryContextSwitchTo(outer);
        if (after_rollback) after_rollback();
        throw;
    }
    MemoryContextSwitchTo(outer);
    guard([] { pgstat_report_stat(false); });
}

void as_sync_role(Oid role, const std::function<void()> &body) {
    in_transaction([&] {
        const Spi spi;
        const SyncRole as(role);
        if (as.beside_citus()) citus::propagate_lock_timeout();
        body();
    });
}

} // namespace pg
