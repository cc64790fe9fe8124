#include "pg/account/integration.h"

#include "pg/base/memory.h"
#include "pg/base/spi.h"

namespace pg {

std::vector<Integration> load_integrations(const std::optional<std::string> &integration_id) {
    Params params;
    params.integer(static_cast<int64_t>(GetSystemIdentifier())).datum(OIDOID, ObjectIdGetDatum(MyDatabaseId));
    if (integration_id) params.text(*integration_id);
    const Result rows = execute(std::string(R"(
        SELECT i.integration_id, i.server, i.category, i.paused_by = 'operator', i.paused_by = 'kombo_sync',
            i.pause_reason, (i.system_identifier, i.database_oid) IS DISTINCT FROM ($1, $2), i.next_attempt_at,
            i.data_expired_at
        FROM kombo.integrations i)") +
                                    (integration_id ? " WHERE i.integration_id = $3" : " ORDER BY i.integration_id"),
                                params, integration_id ? Planning::ByKey : Planning::Usual);
    std::vector<Integration> integrations;
    for (uint64_t i = 0; i < rows.size(); ++i)
        integrations.push_back({rows.text(i, 1), rows.text(i, 2), rows.text(i, 3), rows.boolean(i, 4),
                                rows.boolean(i, 5), rows.text(i, 6), rows.boolean(i, 7), rows.instant(i, 8),
                                rows.instant(i, 9)});
    return integrations;
}

void end_suspension(const std::string &integration_id) {
    execute("UPDATE kombo.integrations i SET paused_at = NULL, paused_by = NULL, pause_reason = NULL, "
            "next_attempt_at = NULL WHERE i.paused_by = 'kombo_sync' AND i.integration_id = $1",
            Params().text(integration_id));
}

void take_pending_requests(const std::string &integration_id, syncer::Task &task) {
    Params params;
    params.text(integration_id).text(task.endpoint->path).boolean(task.kind == syncer::Kind::Full);
    // A repeated request may have to reach further back.
    const Result rows = execute("SELECT r.id, r.trigger = 'webhook' FROM kombo.sync_requests r WHERE "
                                "r.integration_id = $1 AND r.endpoint = $2 AND r.attempt = 0 AND "
                                "(r.kind = 'delta' OR ($3 AND r.kind = 'full'))",
                                params);
    for (uint64_t i = 0; i < rows.size(); ++i) {
        task.requests.push_back(rows.integer(i, 1));
        task.of_webhook = task.of_webhook || rows.boolean(i, 2);
    }
}

void delete_requests(const std::vector<int64_t> &ids) {
    if (ids.empty()) return;
    Params params;
    params.integers(ids);
    execute("DELETE FROM kombo.sync_requests r WHERE r.id = ANY ($1)", params, Planning::ByKey);
}

} // namespace pg
