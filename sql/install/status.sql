-- The view to look at first.

CREATE VIEW kombo.sync_status AS
    WITH worker AS MATERIALIZED (SELECT * FROM kombo.worker_state()),
    -- A full fetch that gives way to a delta has a line of its own: the delta's is the one that moves.
    progress AS MATERIALIZED (
        SELECT DISTINCT ON (p.integration_id, p.endpoint) p.*
        FROM kombo.sync_progress p ORDER BY p.integration_id, p.endpoint, p.phase = 'yielding', p.started_at),
    limits AS MATERIALIZED (
        SELECT f.srvname AS server, l.until
        FROM kombo.rate_limits() l JOIN pg_catalog.pg_foreign_server f ON f.oid = l.server),
    requested AS MATERIALIZED (
        SELECT r.integration_id, r.endpoint, count(*) FILTER (WHERE NOT r.waits) AS pending,
               min(r.requested_at) FILTER (WHERE NOT r.waits) AS since,
               min(r.not_before) FILTER (WHERE r.waits) AS again_at
        FROM (SELECT q.*, coalesce(q.not_before > now(), false) AS waits FROM kombo.sync_requests q) r
        WHERE r.endpoint IS NOT NULL GROUP BY r.integration_id, r.endpoint),
    -- Who has the lock of an integration without fetching anything: a session in its transaction, or one that is
    -- prepared, which has no process.
    holder AS MATERIALIZED (
        SELECT l.classid::bigint << 32 | l.objid::bigint AS lock_key, l.pid
        FROM pg_catalog.pg_locks l
        WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 3
          AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
          AND NOT EXISTS (SELECT FROM kombo.sync_progress p WHERE p.pid = l.pid))
    SELECT NULL::text AS integration_id, NULL::text AS endpoint, w.state, w.since, w.reason, w.next,
           NULL::timestamptz AS watermark, NULL::timestamptz AS last_success_at, NULL::timestamptz AS last_full_at,
           NULL::integer AS failures, NULL::bigint AS rejected,
           (SELECT count(*) FROM kombo.webhook_inbox n WHERE n.status = 'new') AS pending
    FROM worker w
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
           nullif(concat_ws('; ',
               CASE it.state WHEN 'restored' THEN 'this database is a copy: the integration was enabled in another one'
                             WHEN 'paused' THEN concat_ws(': ', 'paused by ' || it.paused_by, it.pause_reason)
                             WHEN 'failed' THEN CASE WHEN it.server_exists THEN it.last_error
                                  ELSE format('server "%s" does not exist', it.server) END
                             WHEN 'waiting' THEN coalesce(it.last_error, 'Kombo has not finished its own first sync of '
                                                                         'the integration')
                             WHEN 'unavailable' THEN coalesce(it.last_error, 'the tool or its settings lack this model')
                             WHEN 'held' THEN it.held
                             WHEN 'rejecting' THEN it.refused
                             WHEN 'never synced' THEN 'no fetch has succeeded yet'
                             WHEN 'behind' THEN format('the last success is older than %s', it.expected) END,
               CASE WHEN it.state NOT IN ('restored', 'paused') THEN
                    'Kombo calls its own copy out of date since ' || date_trunc('second', it.data_expired_at) END,
               'waits for Kombo''s rate limit until ' || date_trunc('second', it.limited_until),
               CASE WHEN it.blocked_by IS NOT NULL THEN format('waits for a lock that pid %s holds', it.blocked_by)
                    WHEN it.held_by = 0 THEN 'a prepared transaction has synced it and is not ended'
                    WHEN it.held_by > 0 THEN format('pid %s has synced it in a transaction that is still open', it.held_by)
                    WHEN it.state IN ('restored', 'paused', 'fresh') OR NOT it.server_exists THEN NULL
                    WHEN it.phase IS NOT NULL
                         THEN format('a %s fetch is under way: page %s, %s records', it.kind, it.pages, it.records)
                    WHEN it.full_started_at IS NOT NULL
                         THEN format('a full fetch began at %s', date_trunc('second', it.full_started_at))
                    WHEN it.pending > 0
                         THEN format('asked for at %s', date_trunc('second', it.requested_since)) END,
               CASE WHEN it.state NOT IN ('restored', 'paused') THEN
                    'a webhook told of a change that no fetch has shown: asked again at '
                    || date_trunc('second', it.asked_again_at) END), ''),
           CASE WHEN it.state = 'restored'
                     THEN format('to let this copy call Kombo: SELECT kombo.resume(%L)', it.integration_id)
                WHEN it.state = 'paused' AND (it.paused_by = 'operator' OR NOT it.served AND NOT it.is_gone)
                     THEN format('SELECT kombo.resume(%L)', it.integration_id)
                WHEN it.is_gone
                     THEN concat_ws('; ', format('if it was deleted at Kombo, or connected anew under another id: SELECT '
                                                 'kombo.remove_integration(%L, purge => true)', it.integration_id),
                                    it.again, format('at once: SELECT kombo.resume(%L)', it.integration_id))
                WHEN it.state = 'paused'
                     THEN format('%s; at once: SELECT kombo.resume(%L)', it.again, it.integration_id)
                WHEN it.state = 'failed' AND NOT it.server_exists
                     THEN format('if the server was renamed: UPDATE kombo.integrations SET server = ''...'' WHERE server = '
                                 '%L; otherwise make the server again, or SELECT kombo.remove_integration(%L)',
                                 it.server, it.integration_id)
                WHEN it.blocked_by IS NOT NULL
                     THEN format('it goes on once pid %s ends its transaction; to end it: SELECT '
                                 'pg_terminate_backend(%s)', it.blocked_by, it.blocked_by)
                WHEN it.held_by = 0 THEN 'end that transaction: COMMIT PREPARED or ROLLBACK PREPARED, see pg_prepared_xacts'
                WHEN it.held_by > 0
                     THEN format('it goes on once pid %s ends its transaction; to end it: SELECT '
                                 'pg_terminate_backend(%s)', it.held_by, it.held_by)
                WHEN it.limited_until IS NOT NULL
                     THEN format('%s; at once: SELECT kombo.resume(%L)', coalesce(it.again, 'it goes on by itself'),
                                 it.integration_id)
                WHEN it.state = 'held'
                     THEN format('if so many rows are really gone: SELECT kombo.accept_sweep(%L, %L), then %s',
                                 it.integration_id, it.endpoint, it.call_full)
                WHEN it.state = 'rejecting'
                     THEN format('read the errors in kombo.rejected_records, remove their cause, then %s', it.call_full)
                WHEN it.state = 'unavailable'
                     THEN concat_ws('; ', 'enable the model at Kombo, or set enabled to false in kombo.subscriptions',
                                    it.again)
                WHEN it.state IN ('failed', 'waiting') AND it.served
                     THEN format('%s; at once: SELECT kombo.resume(%L)', it.again, it.integration_id)
                WHEN it.state = 'failed' THEN format('once the cause is gone: %s', it.call_delta)
                WHEN it.state = 'waiting' THEN format('later: %s', it.call_delta)
                WHEN it.state IN ('never synced', 'behind') AND it.phase IS NOT NULL THEN 'nothing to do: it is at work'
                WHEN it.state IN ('never synced', 'behind') AND it.served AND (it.pending > 0 OR it.scheduled)
                     THEN 'nothing to do: the worker fetches it'
                WHEN it.state = 'never synced' THEN it.call_full
                WHEN it.state = 'behind' THEN it.call_delta END,
           it.watermark, it.last_success_at, it.last_full_at, it.failures,
           (SELECT count(*) FROM kombo.rejected_records j
            WHERE j.integration_id = it.integration_id AND j.endpoint = it.endpoint),
           it.pending
    FROM (
        SELECT s.*,
               CASE WHEN s.system_identifier IS DISTINCT FROM here.system_identifier
                      OR s.database_oid IS DISTINCT FROM here.database_oid THEN 'restored'
                    WHEN s.paused_at IS NOT NULL THEN 'paused'
                    WHEN NOT s.server_exists THEN 'failed'
                    WHEN s.last_status IN ('failed', 'waiting', 'unavailable') THEN s.last_status
                    WHEN s.held IS NOT NULL THEN 'held'
                    WHEN s.refused IS NOT NULL
                         AND EXISTS (SELECT FROM kombo.rejected_records j
                                     WHERE j.integration_id = s.integration_id AND j.endpoint = s.endpoint)
                         THEN 'rejecting'
                    -- A delta may run while the first full fetch is under way.
                    WHEN s.fresh_at IS NULL OR s.watermark IS NULL AND s.last_full_at IS NULL THEN 'never synced'
                    WHEN s.fresh_at + s.allowed < now() THEN 'behind'
                    ELSE 'fresh' END AS state,
               -- In the library's words.
               CASE WHEN s.paused_at IS NULL THEN s.last_status = 'failed' AND s.last_error ~ s.unknown
                    ELSE s.paused_by = 'kombo_sync' AND s.pause_reason ~ s.unknown END AS is_gone,
               -- Of several things to wait for the last: an integration that is paused holds back all its endpoints.
               CASE WHEN s.served THEN coalesce('tried again at ' || date_trunc('second', greatest(
                    s.next_attempt_at, s.limited_until,
                    CASE WHEN s.paused_at IS NOT NULL THEN s.integration_next_attempt_at END)),
                    'tried again soon') END AS again
        FROM (
            SELECT i.integration_id, i.server, i.added_at, i.paused_at, i.paused_by, i.pause_reason,
                   i.system_identifier, i.database_oid, i.data_expired_at,
                   i.next_attempt_at AS integration_next_attempt_at,
                   e.path AS endpoint, st.watermark, st.last_status, st.last_success_at, st.last_full_at,
                   st.last_error, st.held, st.refused, coalesce(st.failures, 0) AS failures, st.next_attempt_at, st.full_started_at,
                   p.kind, p.phase, p.pages, p.rows AS records, p.blocked_by,
                   coalesce(r.pending, 0) AS pending, r.since AS requested_since, r.again_at AS asked_again_at,
                   CASE WHEN r.pending > 0 AND h.lock_key IS NOT NULL THEN coalesce(h.pid, 0) END AS held_by,
                   w.state = 'running' AS served, 'Kombo does not know this integration' AS unknown,
                   -- An endpoint that another implies has its watermark moved without a run of its own.
                   greatest(st.last_success_at, st.watermark) AS fresh_at,
                   wanted.expected, wanted.expected * 1.1 AS allowed,
                   st.watermark IS NULL OR wanted.delta_interval IS NOT NULL AS scheduled,
                   CASE WHEN w.state = 'running'
                        THEN format('SELECT kombo.request_sync(%L)', i.integration_id)
                        WHEN st.last_status = 'failed'
                        THEN format('SELECT * FROM kombo.kombo_sync_delta(%L, ARRAY[%L])', i.integration_id, e.path)
                        ELSE format('SELECT * FROM kombo.kombo_sync_delta(%L)', i.integration_id) END AS call_delta,
                   CASE WHEN w.state = 'running'
                        THEN format('SELECT kombo.request_sync(%L, ''full'', ARRAY[%L])', i.integration_id, e.path)
                        WHEN st.held IS NOT NULL
                        THEN format('SELECT * FROM kombo.kombo_sync_full(%L, ARRAY[%L])', i.integration_id, e.path)
                        ELSE format('SELECT * FROM kombo.kombo_sync_full(%L)', i.integration_id) END AS call_full,
                   EXISTS (SELECT FROM pg_catalog.pg_foreign_server f WHERE f.srvname = i.server) AS server_exists,
                   -- Only those wait that have something to ask for.
                   CASE WHEN i.paused_at IS NULL AND (r.pending > 0 OR p.phase IS NOT NULL)
                        THEN l.until END AS limited_until
            FROM kombo.integrations i
            JOIN kombo.endpoints e ON e.category = i.category
            CROSS JOIN worker w
            LEFT JOIN kombo.subscriptions o ON o.integration_id = i.integration_id AND o.endpoint = e.path
            LEFT JOIN kombo.sync_state st ON st.integration_id = i.integration_id AND st.endpoint = e.path
            LEFT JOIN progress p ON p.integration_id = i.integration_id AND p.endpoint = e.path
            LEFT JOIN requested r ON r.integration_id = i.integration_id AND r.endpoint = e.path
            LEFT JOIN holder h ON h.lock_key = hashtextextended('kombo_sync:' || i.integration_id, 0)
            LEFT JOIN limits l ON l.server = i.server
            CROSS JOIN LATERAL (
                SELECT least(CASE WHEN o.endpoint IS NULL THEN coalesce(e.delta_interval, e.full_interval, '1 day')
                                  ELSE coalesce(o.delta_interval, o.full_interval, '1 day') END, '100 years') AS expected,
                       CASE WHEN o.endpoint IS NULL THEN e.delta_interval ELSE o.delta_interval END AS delta_interval)
                wanted
            WHERE coalesce(o.enabled, e.enabled)
        ) s CROSS JOIN kombo.this_database() here
    ) it
    ORDER BY integration_id NULLS FIRST, endpoint;
COMMENT ON VIEW kombo.sync_status IS
    'One row per integration and subscribed endpoint: whether it is up to date, why not, and what to do. The row '
    'without integration is about the background worker.';
COMMENT ON COLUMN kombo.sync_status.integration_id IS 'Integration. NULL: the row is about the background worker.';
COMMENT ON COLUMN kombo.sync_status.endpoint IS 'Path of the endpoint.';
COMMENT ON COLUMN kombo.sync_status.state IS
    'State of an endpoint: fresh, behind (older than its interval and a tenth), never synced, failed, held, rejecting '
    '(the database refused most of the records), waiting, unavailable, paused or restored. State of the background '
    'worker: running, not working or no worker.';
COMMENT ON COLUMN kombo.sync_status.since IS 'Since when it is in this state, if that is known.';
COMMENT ON COLUMN kombo.sync_status.reason IS 'Why it is in this state, and how far a running fetch has come.';
COMMENT ON COLUMN kombo.sync_status.next IS 'What happens next, or what to do.';
COMMENT ON COLUMN kombo.sync_status.watermark IS
    'Start of the last successful fetch. Every older change is stored here.';
COMMENT ON COLUMN kombo.sync_status.last_success_at IS 'When the last successful fetch finished.';
COMMENT ON COLUMN kombo.sync_status.last_full_at IS 'When the last successful full fetch finished.';
COMMENT ON COLUMN kombo.sync_status.failures IS 'Failed runs since the last success.';
COMMENT ON COLUMN kombo.sync_status.rejected IS 'Records in kombo.rejected_records, which the database refused.';
COMMENT ON COLUMN kombo.sync_status.pending IS
    'Requests in kombo.sync_requests that wait for the worker. In the worker''s own row: webhooks that wait.';
