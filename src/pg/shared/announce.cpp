#include "pg/shared/announce.h"

#include "pg/base/log_throttle.h"
#include "pg/base/settings.h"

namespace pg {

namespace {
constexpr double full_enough = 0.9;
}

void announce(const std::string &integration_id, const std::string &endpoint, const syncer::RunResult &result) {
    if (!settings::notify) return;
    int64_t changed = 0;
    for (const auto &[table, rows] : result.counts) changed += rows.inserted + rows.updated + rows.deleted;
    if (changed == 0) return;
    const double usage = guard([] { return DatumGetFloat8(OidFunctionCall0(F_PG_NOTIFICATION_QUEUE_USAGE)); });
    if (usage > full_enough)
        return log_warning("the queue of NOTIFY is nearly full: kombo_sync does not add to it", "54000",
                           "A session that listens has been in one transaction for long.",
                           "pg_notification_queue_usage() tells how full; end that transaction.");
    const std::string payload = "{\"integration_id\": " + syncer::json_quote(integration_id) +
                                ", \"endpoint\": " + syncer::json_quote(endpoint) +
                                ", \"changed\": " + std::to_string(changed) + "}";
    guard([&] { Async_Notify("kombo_sync", payload.c_str()); });
}

} // namespace pg
