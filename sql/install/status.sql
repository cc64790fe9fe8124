-- The view to look at first.

CREATE VIEW kombo.sync_status AS
    SELECT NULL::text AS integration_id, NULL::text AS endpoint, 'no worker' AS state, NULL::timestamptz AS since,
           'no background worker runs: this version has none' AS reason,
           'nothing syncs by itself: call kombo.kombo_sync_delta and kombo.kombo_sync_full, or have pg_cron call them'
               AS next,
           NULL::timestamptz AS watermark, NULL::timestamptz AS last_success_at, NULL::timestamptz AS last_full_at,
           NULL::integer AS failures, NULL::bigint AS rejected
    UNION ALL
    SELECT it.integration_id, it.endpoint, it.state,
           CASE it.state WHEN 'restored' THEN NULL
                         WHEN 'paused' THEN it.paused_at
                         WHEN 'fresh' THEN it.fresh_at
                         WHEN 'behind' THEN it.fresh_at + it.allowed
                         WHEN 'never synced' THEN it.added_at
                         WHEN 'held' THEN it.last_full_at
                         ELSE coalesce((SELECT min(r.started_at) FROM kombo.sync_runs r
                                        WHERE r.integration_id = it.integration_id AND r.endpoint = it.endpoint
                                          AND r.status = it.state
                                          AND r.started_at > coalesce(it.last_success_at, '-infinity')),
                                       it.last_success_at) END,
           CASE it.state WHEN 'restored' THEN 'this database is a copy: the integration was enabled in another one'
                         WHEN 'paused' THEN concat_ws(': ', 'paused by ' || it.paused_by, it.pause_reason)
                         WHEN 'failed' THEN CASE WHEN it.server_exists THEN it.last_error
                              ELSE format('server "%s" does not exist', it.server) END
                         WHEN 'waiting' THEN coalesce(it.last_error, 'Kombo has not finished its own first sync of the '
                                                                     'integration')
                         WHEN 'unavailable' THEN coalesce(it.last_error, 'the tool or its settings lack this model')
                         WHEN 'held' THEN it.held
                         WHEN 'never synced' THEN 'no fetch has succeeded yet'
                         WHEN 'behind' THEN format('the last success is older than %s', it.expected) END,
           CASE it.state WHEN 'restored'
                              THEN format('to let this copy call Kombo: SELECT kombo.resume(%L)', it.integration_id)
                         WHEN 'paused' THEN format('SELECT kombo.resume(%L)', it.integration_id)
                         WHEN 'failed' THEN CASE WHEN it.server_exists
                              THEN format('once the cause is gone: SELECT * FROM kombo.kombo_sync_delta(%L, ARRAY[%L])',
                                          it.integration_id, it.endpoint)
                              ELSE format('make the server again, or SELECT kombo.remove_integration(%L)',
                                          it.integration_id) END
                         WHEN 'waiting' THEN format('later: SELECT * FROM kombo.kombo_sync_delta(%L)',
                                               it.integration_id)
                         WHEN 'unavailable' THEN 'enable the model at Kombo, or set enabled to false in '
                                                 'kombo.subscriptions'
                         WHEN 'held' THEN format('if so many rows are really gone: SELECT kombo.accept_sweep(%L, %L), '
                                                 'then SELECT * FROM kombo.kombo_sync_full(%L, ARRAY[%L])',
                                                 it.integration_id, it.endpoint, it.integration_id, it.endpoint)
                         WHEN 'never synced' THEN format('SELECT * FROM kombo.kombo_sync_full(%L)', it.integration_id)
                         WHEN 'behind' THEN format('SELECT * FROM kombo.kombo_sync_delta(%L)', it.integration_id) END,
           it.watermark, it.last_success_at, it.last_full_at, it.failures,
           (SELECT count(*) FROM kombo.rejected_records j
            WHERE j.integration_id = it.integration_id AND j.endpoint = it.endpoint)
    FROM (
        SELECT s.*,
               CASE WHEN s.system_identifier IS DISTINCT FROM here.system_identifier
                      OR s.database_oid IS DISTINCT FROM here.database_oid THEN 'restored'
                    WHEN s.paused_at IS NOT NULL THEN 'paused'
                    WHEN NOT s.server_exists THEN 'failed'
                    WHEN s.last_status IN ('failed', 'waiting', 'unavailable') THEN s.last_status
                    WHEN s.held IS NOT NULL THEN 'held'
                    WHEN s.fresh_at IS NULL THEN 'never synced'
                    WHEN s.fresh_at + s.allowed < now() THEN 'behind'
                    ELSE 'fresh' END AS state
        FROM (
            SELECT i.*, e.path AS endpoint, st.watermark, st.last_status, st.last_success_at, st.last_full_at,
                   st.last_error, st.held, coalesce(st.failures, 0) AS failures,
                   -- An endpoint that another implies has its watermark moved without a run of its own.
                   greatest(st.last_success_at, st.watermark) AS fresh_at,
                   wanted.expected, wanted.expected * 1.1 AS allowed,
                   EXISTS (SELECT FROM pg_catalog.pg_foreign_server f WHERE f.srvname = i.server) AS server_exists
            FROM kombo.integrations i
            JOIN kombo.endpoints e ON e.category = i.category
            LEFT JOIN kombo.subscriptions o ON o.integration_id = i.integration_id AND o.endpoint = e.path
            LEFT JOIN kombo.sync_state st ON st.integration_id = i.integration_id AND st.endpoint = e.path
            CROSS JOIN LATERAL (
                SELECT CASE WHEN o.endpoint IS NULL THEN coalesce(e.delta_interval, e.full_interval, '1 day')
                            ELSE coalesce(o.delta_interval, o.full_interval, '1 day') END AS expected) wanted
            WHERE coalesce(o.enabled, e.enabled)
        ) s CROSS JOIN kombo.this_database() here
    ) it
    ORDER BY integration_id NULLS FIRST, endpoint;
COMMENT ON VIEW kombo.sync_status IS
    'Per integration and subscribed endpoint: is it up to date, why not, and what to do. The row without integration '
    'is about the background worker.';
COMMENT ON COLUMN kombo.sync_status.integration_id IS 'the integration; NULL: the row is about the background worker';
COMMENT ON COLUMN kombo.sync_status.endpoint IS 'path of the endpoint';
COMMENT ON COLUMN kombo.sync_status.state IS
    'fresh, behind (older than the endpoint''s interval and a tenth), never synced, failed, held, waiting, '
    'unavailable, paused or restored';
COMMENT ON COLUMN kombo.sync_status.since IS 'since when it has been so, where that is known';
COMMENT ON COLUMN kombo.sync_status.reason IS 'why it is so';
COMMENT ON COLUMN kombo.sync_status.next IS 'what to do';
COMMENT ON COLUMN kombo.sync_status.watermark IS 'start of the last successful fetch: everything older is here';
COMMENT ON COLUMN kombo.sync_status.last_success_at IS 'when the last successful fetch finished';
COMMENT ON COLUMN kombo.sync_status.last_full_at IS 'when the last successful full fetch finished';
COMMENT ON COLUMN kombo.sync_status.failures IS 'failed runs since the last success';
COMMENT ON COLUMN kombo.sync_status.rejected IS
    'records that the database refused and that are parked in kombo.rejected_records';
