#include "pg/account/sync_requests.h"

#include "pg/account/sync_lock.h"
#include "pg/base/role.h"
#include "pg/base/spi.h"

#include <set>

/// Rows of kombo.sync_requests.
namespace pg {

NewRequest to_new_request(const syncer::PlannedRequest &request, const std::string &trigger) {
    NewRequest row;
    row.integration_id = request.integration_id;
    row.endpoint = request.endpoint;
    row.kind = request.endpoint ? syncer::name(request.kind) : "integration";
    row.trigger = trigger;
    row.server = request.server;
    row.unknown_model = request.unknown_model;
    return row;
}

bool nobody_syncs(const NewRequest &request) {
    return is_free(request.integration_id);
}

std::vector<NewRequest> append_requests(const std::vector<NewRequest> &requests, const NoneTaken &none_taken) {
    if (requests.empty()) return {};
    std::vector<std::string> integrations, endpoints, kinds, triggers, servers, models, foldable;
    for (const NewRequest &request : requests) {
        integrations.push_back(request.integration_id);
        endpoints.push_back(request.endpoint.value_or(""));
        kinds.push_back(request.kind);
        triggers.push_back(request.trigger);
        servers.push_back(request.server);
        models.push_back(request.unknown_model);
        foldable.emplace_back(none_taken(request) ? "t" : "f");
    }
    const Result rows = execute(
        R"(
        INSERT INTO kombo.sync_requests AS s (integration_id, endpoint, kind, trigger, server, unknown_model)
        SELECT r.integration_id, nullif(r.endpoint, ''), r.kind, r.trigger, nullif(r.server, ''), nullif(r.model, '')
        FROM unnest($1, $2, $3, $4, $5, $6, $7) AS r (integration_id, endpoint, kind, trigger, server, model, foldable)
        WHERE r.foldable = 'f' OR NOT EXISTS (
            SELECT FROM kombo.sync_requests w
            WHERE w.integration_id = r.integration_id AND w.endpoint IS NOT DISTINCT FROM nullif(r.endpoint, '')
              AND w.kind = r.kind AND w.trigger = r.trigger AND w.server IS NOT DISTINCT FROM nullif(r.server, '')
              AND w.unknown_model IS NOT DISTINCT FROM nullif(r.model, '') AND w.not_before IS NULL
              -- A full fetch that is resumed answers only what it was begun for.
              AND NOT EXISTS (SELECT FROM kombo.sync_state f
                              WHERE f.integration_id = w.integration_id AND f.endpoint = w.endpoint
                                AND f.full_started_at BETWEEN w.requested_at AND now()))
        RETURNING s.id, s.integration_id, s.endpoint, s.kind, s.trigger, s.server, s.unknown_model, s.requested_at)",
        Params()
            .texts(integrations)
            .texts(endpoints)
            .texts(kinds)
            .texts(triggers)
            .texts(servers)
            .texts(models)
            .texts(foldable),
        Planning::ByKey);
    std::vector<NewRequest> appended;
    for (uint64_t i = 0; i < rows.size(); ++i)
        appended.push_back({rows.integer(i, 1), rows.text(i, 2), rows.maybe(i, 3), rows.text(i, 4), rows.text(i, 5),
                            rows.text(i, 6), rows.text(i, 7), rows.instant(i, 8).value_or(kombo::Timestamp())});
    return appended;
}

void past_sequences(const std::function<void()> &body) {
    try {
        return subtransaction(body);
    } catch (const Error &error) {
        const char *schema = error.data()->schema_name;
        const char *constraint = error.data()->constraint_name;
        const std::string primary_key = constraint ? constraint : "";
        if (error.sqlstate() != "23505" || !schema || std::string(schema) != "kombo" || primary_key.size() < 5 ||
            primary_key.compare(primary_key.size() - 5, 5, "_pkey") != 0)
            throw;
    }
    {
        const SyncRole owner_of_everything(BOOTSTRAP_SUPERUSERID);
        execute("SELECT kombo_internal.advance_sequences()");
    }
    body();
}

void ask_again(const std::string &integration_id, const std::vector<int64_t> &requests, kombo::Timestamp asked_from) {
    Params params;
    params.text(integration_id).integers(requests).instant(asked_from).instant(kombo::current_timestamp());
    const char *statement = R"(
        INSERT INTO kombo.sync_requests
            (integration_id, endpoint, kind, trigger, requested_at, attempt, not_before, updated_after)
        SELECT $1, f.endpoint, 'delta', 'webhook', f.requested_at, f.attempt, $4 + f.pause, f.updated_after
        FROM (SELECT r.endpoint, r.attempt + 1 AS attempt, min(r.requested_at) AS requested_at,
                     CASE r.attempt WHEN 0 THEN interval '10 s' ELSE interval '50 s' END AS pause,
                     min(coalesce(r.updated_after, $3)) AS updated_after
              FROM kombo.sync_requests r
              WHERE r.id = ANY ($2) AND r.trigger = 'webhook' AND r.kind = 'delta' AND r.unknown_model IS NULL
                AND r.attempt < 2
              GROUP BY r.endpoint, r.attempt) f
        WHERE NOT EXISTS (SELECT FROM kombo.sync_requests w
                          WHERE w.integration_id = $1 AND w.endpoint = f.endpoint AND w.attempt = f.attempt
                            AND w.not_before BETWEEN $4 + f.pause / 2 AND $4 + f.pause
                            AND w.updated_after <= f.updated_after))";
    past_sequences([&] { execute(statement, params); });
}

bool ask_for_integration_again(const std::vector<int64_t> &requests) {
    const Result rows = execute(R"(
        INSERT INTO kombo.sync_requests
            (integration_id, kind, trigger, requested_at, server, attempt, not_before)
        SELECT r.integration_id, r.kind, r.trigger, min(r.requested_at), r.server, max(r.attempt) + 1,
            $2 + interval '5 s' * 2 ^ max(r.attempt)
        FROM kombo.sync_requests r WHERE r.id = ANY ($1)
        GROUP BY r.integration_id, r.kind, r.trigger, r.server HAVING max(r.attempt) < 4
        RETURNING true)",
                                Params().integers(requests).instant(kombo::current_timestamp()));
    return rows.size() > 0;
}

std::vector<std::string> end_back_off(const std::vector<std::string> &integration_ids,
                                      const std::vector<NewRequest> &requests, std::optional<kombo::Timestamp> at) {
    std::vector<std::string> integrations, endpoints;
    for (const NewRequest &request : requests) {
        integrations.push_back(request.integration_id);
        endpoints.push_back(request.endpoint.value_or(""));
    }
    std::set<std::string> revived;
    const auto note = [&](const Result &rows) {
        for (uint64_t i = 0; i < rows.size(); ++i) revived.insert(rows.text(i, 1));
    };
    Params ids;
    ids.texts(integration_ids).instant(at);
    // Written only where there is something to change: even an UPDATE of no row tells the worker of a new
    // configuration.
    const Result suspended = execute(R"(
        SELECT i.integration_id FROM kombo.integrations i
        WHERE i.integration_id = ANY ($1) AND i.paused_by = 'kombo_sync'
            AND i.next_attempt_at > coalesce($2, now()))",
                                     ids);
    if (suspended.size() > 0)
        note(execute(R"(
            UPDATE kombo.integrations u SET next_attempt_at = coalesce($2, now())
            FROM (SELECT i.integration_id FROM kombo.integrations i
                  WHERE i.integration_id = ANY ($1) AND i.paused_by = 'kombo_sync'
                    AND i.next_attempt_at > coalesce($2, now())
                  FOR UPDATE SKIP LOCKED) f
            WHERE u.integration_id = f.integration_id RETURNING u.integration_id)",
                     ids));
    Params params;
    params.texts(integration_ids).texts(integrations).texts(endpoints).instant(at);
    note(execute(R"(
        UPDATE kombo.sync_state u SET next_attempt_at = $4
        FROM (SELECT s.integration_id, s.endpoint FROM kombo.sync_state s
              WHERE s.integration_id = ANY ($1) AND s.next_attempt_at > coalesce($4, now())
                AND (s.last_status IS DISTINCT FROM 'unavailable' OR EXISTS (
                        SELECT FROM unnest($2, $3) AS r (integration_id, endpoint)
                        WHERE r.integration_id = s.integration_id AND r.endpoint IN (s.endpoint, '')))
              FOR UPDATE SKIP LOCKED) f
        WHERE u.integration_id = f.integration_id AND u.endpoint = f.endpoint RETURNING u.integration_id)",
                 params));
    return {revived.begin(), revived.end()};
}

} // namespace pg
