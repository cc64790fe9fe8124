#include "pg/base/settings.h"
#include "pg/base/spi.h"
#include "pg/store/store.h"

namespace pg {

size_t prune_runs() {
    Params params;
    params.instant(kombo::current_timestamp() - std::chrono::minutes(settings::retention_minutes));
    // Another caller's transaction may have pruned the same rows and stay open: nobody waits for it, and a snapshot
    // from before it does not fail over it.
    if (IsolationUsesXactSnapshot()) return 0;
    return execute("DELETE FROM kombo.sync_runs r WHERE r.id IN (SELECT o.id FROM kombo.sync_runs o "
                   "WHERE o.finished_at < $1 LIMIT 1000 FOR UPDATE SKIP LOCKED)",
                   params)
        .size();
}

} // namespace pg
