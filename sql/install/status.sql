-- What to look at first: kombo.sync_status, a row per subscribed list, and kombo.integration_status, a row per
-- integration.

-- The facts, without words. Whoever sees the views below needs no right to this one.
CREATE VIEW kombo_internal.list_states AS
    WITH worker AS MATERIALIZED (SELECT * FROM kombo.worker_state()),
    -- A full fetch that gives way to a delta has a line of its own: the delta's is the one that moves.
    progress AS MATERIALIZED (
        SELECT DISTINCT ON (p.integration_id, p.endpoint) p.*
        FROM kombo.sync_progress p ORDER BY p.integration_id, p.endpoint, p.phase = 'yielding', p.started_at),
    limits AS MATERIALIZED (
        SELECT f.srvname AS server, l.until
        FROM kombo_internal.rate_limits() l JOIN pg_catalog.pg_foreign_server f ON f.oid = l.server),
    requested AS MATERIALIZED (
        SELECT r.integration_id, r.endpoint, count(*) FILTER (WHERE NOT r.waits) AS pending,
               min(r.requested_at) FILTER (WHERE NOT r.waits) AS since,
               min(r.not_before) FILTER (WHERE r.waits) AS again_at
        FROM (SELECT q.*, coalesce(q.not_before > now(), false) AS waits FROM kombo.sync_requests q) r
        WHERE r.endpoint IS NOT NULL GROUP BY r.integration_id, r.endpoint),
    parked AS MATERIALIZED (
        SELECT j.integration_id, j.endpoint, count(*) AS records
        FROM kombo.rejected_records j GROUP BY j.integration_id, j.endpoint),
    made AS MATERIALIZED (SELECT d.table_name FROM kombo.data_tables d),
    -- Who has the lock of an integration without fetching anything: a session in its transaction, or one that is
    -- prepared, which has no process.
    holder AS MATERIALIZED (
        SELECT l.classid::bigint << 32 | l.objid::bigint AS lock_key, l.pid
        FROM pg_catalog.pg_locks l
        WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 3
          AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
          AND NOT EXISTS (SELECT FROM kombo.sync_progress p WHERE p.pid = l.pid)
          -- A worker keeps the lock between two fetches. Its pid is in the library's words.
          AND NOT EXISTS (SELECT FROM worker w
                          WHERE w.state = 'running'
                            AND l.pid::text = ANY (string_to_array(substring(w.reason, '^pids? ([0-9, ]+)'), ', '))))
    SELECT s.*,
           CASE WHEN s.system_identifier IS DISTINCT FROM here.system_identifier
                  OR s.database_oid IS DISTINCT FROM here.database_oid THEN 'restored'
                WHEN s.paused_at IS NOT NULL THEN 'paused'
                WHEN NOT s.server_exists OR NOT s.table_exists THEN 'failed'
                WHEN s.last_status IN ('failed', 'waiting', 'unavailable') THEN s.last_status
                WHEN s.held IS NOT NULL THEN 'held'
                WHEN s.refused IS NOT NULL AND s.rejected > 0 THEN 'rejecting'
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
                CASE WHEN s.pending > 0 THEN 'tried again soon'
                     -- A function failed, and nobody has asked the worker.
                     WHEN s.scheduled THEN 'tried again by the schedule' ELSE 'not tried again by itself' END) END
               AS again
    FROM (
        SELECT i.integration_id, i.server, i.category, i.added_at, i.paused_at, i.paused_by, i.pause_reason,
               i.system_identifier, i.database_oid, i.data_expired_at,
               i.next_attempt_at AS integration_next_attempt_at,
               e.path AS endpoint, e.table_name, m.table_name IS NOT NULL AS table_exists,
               st.watermark, st.last_status, st.last_success_at, st.last_full_at, st.last_error, st.held, st.refused,
               -- That it passes is no advice.
               CASE WHEN st.last_hint !~ '^Sync again' THEN rtrim(st.last_hint, '.') END AS hint,
               coalesce(st.failures, 0) AS failures, st.next_attempt_at, st.full_started_at,
               p.kind, p.phase, p.pages, p.rows AS records, p.blocked_by,
               coalesce(r.pending, 0) AS pending, r.since AS requested_since, r.again_at AS asked_again_at,
               coalesce(j.records, 0) AS rejected,
               CASE WHEN r.pending > 0 AND h.lock_key IS NOT NULL THEN coalesce(h.pid, 0) END AS held_by,
               w.state = 'running' AS served, 'Kombo does not know this integration' AS unknown,
               -- An endpoint that another implies has its watermark moved without a run of its own.
               greatest(st.last_success_at, st.watermark) AS fresh_at,
               wanted.expected, wanted.expected * 1.1 AS allowed,
               st.watermark IS NULL OR wanted.delta_interval IS NOT NULL AS scheduled,
               EXISTS (SELECT FROM pg_catalog.pg_foreign_server f WHERE f.srvname = i.server) AS server_exists,
               -- Only those wait that have something to ask for.
               CASE WHEN i.paused_at IS NULL AND (r.pending > 0 OR p.phase IS NOT NULL)
                    THEN l.until END AS limited_until
        FROM kombo.integrations i
        JOIN kombo.endpoints e ON e.category = i.category
        CROSS JOIN worker w
        LEFT JOIN made m ON m.table_name = e.table_name
        LEFT JOIN kombo.subscriptions o ON o.integration_id = i.integration_id AND o.endpoint = e.path
        LEFT JOIN kombo.sync_state st ON st.integration_id = i.integration_id AND st.endpoint = e.path
        LEFT JOIN progress p ON p.integration_id = i.integration_id AND p.endpoint = e.path
        LEFT JOIN requested r ON r.integration_id = i.integration_id AND r.endpoint = e.path
        LEFT JOIN parked j ON j.integration_id = i.integration_id AND j.endpoint = e.path
        LEFT JOIN holder h ON h.lock_key = hashtextextended('kombo_sync:' || i.integration_id, 0)
        LEFT JOIN limits l ON l.server = i.server
        CROSS JOIN LATERAL (
            SELECT least(CASE WHEN o.endpoint IS NULL THEN coalesce(e.delta_interval, e.full_interval, '1 day')
                              ELSE coalesce(o.delta_interval, o.full_interval, '1 day') END, '100 years') AS expected,
                   CASE WHEN o.endpoint IS NULL THEN e.delta_interval ELSE o.delta_interval END AS delta_interval)
            wanted
        WHERE coalesce(o.enabled, e.enabled)
    ) s CROSS JOIN kombo_internal.this_database() here;
COMMENT ON VIEW kombo_internal.list_states IS 'The facts behind kombo.sync_status and kombo.integration_status.';

-- Bodies that are parsed here need no search_path, and the planner can do without a call.
CREATE FUNCTION kombo_internal.reason_of(list kombo_internal.list_states) RETURNS text
    LANGUAGE sql STABLE
    RETURN nullif(concat_ws('; ',
        CASE list.state
            WHEN 'restored' THEN 'this database is a copy: the integration was enabled in another one'
            WHEN 'paused' THEN concat_ws(': ', 'paused by ' || list.paused_by, list.pause_reason)
            WHEN 'failed' THEN
                CASE WHEN NOT list.server_exists THEN format('server "%s" does not exist', list.server)
                     WHEN NOT list.table_exists THEN format('table kombo.%I does not exist', list.table_name)
                     ELSE list.last_error END
            WHEN 'waiting' THEN
                coalesce(list.last_error, 'Kombo has not finished its own first sync of the integration')
            WHEN 'unavailable' THEN coalesce(list.last_error, 'the tool or its settings lack this model')
            WHEN 'held' THEN list.held
            WHEN 'rejecting' THEN list.refused
            WHEN 'never synced' THEN 'no fetch has succeeded yet'
            WHEN 'behind' THEN format('the last success is older than %s', list.expected) END,
        CASE WHEN list.rejected > 0 AND list.state NOT IN ('restored', 'paused', 'rejecting')
             THEN format('%s %s parked in kombo.rejected_records', list.rejected,
                         CASE list.rejected WHEN 1 THEN 'record is' ELSE 'records are' END) END,
        CASE WHEN list.state NOT IN ('restored', 'paused')
             THEN 'Kombo calls its own copy out of date since ' || date_trunc('second', list.data_expired_at) END,
        'waits for Kombo''s rate limit until ' || date_trunc('second', list.limited_until),
        CASE WHEN list.blocked_by IS NOT NULL THEN format('waits for a lock that pid %s holds', list.blocked_by)
             WHEN list.held_by = 0 THEN 'a prepared transaction has synced it and is not ended'
             WHEN list.held_by > 0 THEN format('pid %s has synced it in a transaction that is still open', list.held_by)
             WHEN list.state IN ('restored', 'paused', 'fresh') OR NOT list.server_exists THEN NULL
             WHEN list.phase IS NOT NULL
                  THEN format('a %s fetch is under way: page %s, %s records', list.kind, list.pages, list.records)
             WHEN list.full_started_at IS NOT NULL
                  THEN format('a full fetch began at %s', date_trunc('second', list.full_started_at))
             WHEN list.pending > 0 THEN format('asked for at %s', date_trunc('second', list.requested_since)) END,
        CASE WHEN list.state NOT IN ('restored', 'paused') THEN
             'a webhook told of a change that no fetch has shown: asked again at '
             || date_trunc('second', list.asked_again_at) END), '');
REVOKE ALL ON FUNCTION kombo_internal.reason_of(kombo_internal.list_states) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.reason_of(kombo_internal.list_states) IS
    'Why the list is in its state, and how far a fetch that is under way has come; column reason of the status views.';

-- The call that fetches the list: kind is delta or full.
CREATE FUNCTION kombo_internal.call_of(list kombo_internal.list_states, kind text) RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE
        WHEN list.served AND kind = 'full'
            THEN format('SELECT kombo.request_sync(%L, ''full'', ARRAY[%L])', list.integration_id, list.endpoint)
        WHEN list.served THEN format('SELECT kombo.request_sync(%L)', list.integration_id)
        WHEN kind = 'full' AND list.held IS NOT NULL OR kind = 'delta' AND list.last_status = 'failed'
            THEN format('SELECT * FROM kombo.kombo_sync_%s(%L, ARRAY[%L])', kind, list.integration_id, list.endpoint)
        ELSE format('SELECT * FROM kombo.kombo_sync_%s(%L)', kind, list.integration_id) END;
REVOKE ALL ON FUNCTION kombo_internal.call_of(kombo_internal.list_states, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.call_of(kombo_internal.list_states, text) IS
    'The statement that fetches the list, for column next of the status views. kind: delta or full.';

CREATE FUNCTION kombo_internal.next_of(list kombo_internal.list_states) RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE
        WHEN list.state = 'restored'
            THEN format('to let this copy call Kombo: SELECT kombo.resume(%L)', list.integration_id)
        WHEN list.state = 'paused' AND (list.paused_by = 'operator' OR NOT list.served AND NOT list.is_gone)
            THEN format('SELECT kombo.resume(%L)', list.integration_id)
        WHEN list.is_gone
            THEN concat_ws('; ', format('if it was deleted at Kombo, or connected anew under another id: SELECT '
                                        'kombo.remove_integration(%L, purge => true)', list.integration_id),
                           list.again, format('at once: SELECT kombo.resume(%L)', list.integration_id))
        WHEN list.state = 'paused'
            THEN format('%s; at once: SELECT kombo.resume(%L)', list.again, list.integration_id)
        WHEN list.state = 'failed' AND NOT list.server_exists
            THEN format('if the server was renamed: UPDATE kombo.integrations SET server = ''...'' WHERE server = '
                        '%L; otherwise make the server again, or SELECT kombo.remove_integration(%L)',
                        list.server, list.integration_id)
        WHEN list.state = 'failed' AND NOT list.table_exists
            THEN format('SELECT kombo.create_tables(%L) makes it again; or set enabled to false in '
                        'kombo.subscriptions', list.category)
        WHEN list.blocked_by IS NOT NULL
            THEN format('it goes on once pid %s ends its transaction; to end it: SELECT pg_terminate_backend(%s)',
                        list.blocked_by, list.blocked_by)
        WHEN list.held_by = 0 THEN 'end that transaction: COMMIT PREPARED or ROLLBACK PREPARED, see pg_prepared_xacts'
        WHEN list.held_by > 0
            THEN format('it goes on once pid %s ends its transaction; to end it: SELECT pg_terminate_backend(%s)',
                        list.held_by, list.held_by)
        WHEN list.limited_until IS NOT NULL
            THEN format('%s; at once: SELECT kombo.resume(%L)', coalesce(list.again, 'it goes on by itself'),
                        list.integration_id)
        WHEN list.state = 'held'
            THEN format('if so many rows are really gone: SELECT kombo.accept_sweep(%L, %L), then %s',
                        list.integration_id, list.endpoint, kombo_internal.call_of(list, 'full'))
        WHEN list.state = 'rejecting'
            THEN format('read the errors in kombo.rejected_records, remove their cause, then %s',
                        kombo_internal.call_of(list, 'full'))
        WHEN list.state = 'unavailable'
            THEN concat_ws('; ', 'enable the model at Kombo, or set enabled to false in kombo.subscriptions',
                           list.again)
        WHEN list.state IN ('failed', 'waiting') AND list.served
            THEN concat_ws('; ', CASE list.state WHEN 'failed' THEN list.hint END, list.again,
                           'at once: ' || CASE WHEN list.pending > 0
                                               THEN format('SELECT kombo.resume(%L)', list.integration_id)
                                               ELSE kombo_internal.call_of(list, 'delta') END)
        WHEN list.state = 'failed'
            THEN concat_ws('; ', list.hint, format('once the cause is gone: %s', kombo_internal.call_of(list, 'delta')))
        WHEN list.state = 'waiting' THEN format('later: %s', kombo_internal.call_of(list, 'delta'))
        WHEN list.state IN ('never synced', 'behind') AND list.phase IS NOT NULL THEN 'nothing to do: it is at work'
        WHEN list.state IN ('never synced', 'behind') AND list.served AND (list.pending > 0 OR list.scheduled)
            THEN 'nothing to do: the worker fetches it'
        WHEN list.state = 'never synced' THEN kombo_internal.call_of(list, 'full')
        WHEN list.state = 'behind' THEN kombo_internal.call_of(list, 'delta')
        WHEN list.rejected > 0
            THEN format('read the errors in kombo.rejected_records, remove their cause; the next full fetch stores '
                        'them: %s', kombo_internal.call_of(list, 'full')) END;
REVOKE ALL ON FUNCTION kombo_internal.next_of(kombo_internal.list_states) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.next_of(kombo_internal.list_states) IS
    'What happens next to the list, or what to do; column next of the status views.';

CREATE VIEW kombo.sync_status AS
    SELECT NULL::text AS integration_id, NULL::text AS endpoint, w.state, w.since,
           concat_ws('; ', w.reason, CASE WHEN w.state = 'running' THEN coalesce(
               'last authentic webhook at ' || date_trunc('second', h.received_at),
               CASE WHEN h.any_webhook THEN 'none of the latest 10000 webhooks is authentic'
                    ELSE 'no webhook has come yet' END) END) AS reason,
           w.next,
           NULL::timestamptz AS watermark, NULL::timestamptz AS last_success_at, NULL::timestamptz AS last_full_at,
           NULL::integer AS failures, NULL::bigint AS rejected,
           (SELECT count(*) FROM kombo.webhook_inbox n WHERE n.status = 'new') AS pending
    FROM kombo.worker_state() w
    -- Whatever is sent to a front end, this reads no more than the end of the inbox.
    CROSS JOIN (SELECT max(i.received_at) FILTER (WHERE i.status IN ('done', 'ignored')) AS received_at,
                       count(*) > 0 AS any_webhook
                FROM (SELECT l.received_at, l.status FROM kombo.webhook_inbox l ORDER BY l.id DESC LIMIT 10000) i) h
    UNION ALL
    SELECT l.integration_id, l.endpoint, l.state,
           CASE l.state WHEN 'restored' THEN NULL
                        WHEN 'paused' THEN l.paused_at
                        WHEN 'fresh' THEN l.fresh_at
                        WHEN 'behind' THEN l.fresh_at + l.allowed
                        WHEN 'never synced' THEN l.added_at
                        WHEN 'held' THEN l.last_full_at
                        ELSE coalesce((SELECT min(r.started_at) FROM kombo.sync_runs r
                                       WHERE r.integration_id = l.integration_id AND r.endpoint = l.endpoint
                                         AND r.status = l.state
                                         AND r.started_at > coalesce(l.last_success_at, '-infinity')),
                                      l.last_success_at) END,
           kombo_internal.reason_of(l), kombo_internal.next_of(l),
           l.watermark, l.last_success_at, l.last_full_at, l.failures, l.rejected, l.pending
    FROM kombo_internal.list_states l
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

CREATE VIEW kombo.integration_status AS
    SELECT i.integration_id, i.server,
           CASE WHEN s.integration_id IS NULL THEN 'no lists' ELSE coalesce((s.worst).state, 'fresh') END AS state,
           (s.worst).endpoint AS endpoint, kombo_internal.reason_of(s.worst) AS reason,
           CASE WHEN s.integration_id IS NULL THEN 'every list of its category is switched off in kombo.subscriptions'
                ELSE kombo_internal.next_of(s.worst) END AS next,
           coalesce(s.lists, 0) AS lists, coalesce(s.fresh, 0) AS fresh, s.data_as_of, now() - s.data_as_of AS data_age,
           coalesce(s.rejected, 0)::bigint AS rejected, coalesce(s.pending, 0)::bigint AS pending
    FROM kombo.integrations i
    LEFT JOIN (
        SELECT l.integration_id, count(*) FILTER (WHERE l.state <> 'unavailable') AS lists,
               count(*) FILTER (WHERE l.state = 'fresh') AS fresh,
               CASE WHEN bool_and(l.fresh_at IS NOT NULL OR l.state = 'unavailable')
                    THEN min(l.fresh_at) FILTER (WHERE l.state <> 'unavailable') END AS data_as_of,
               sum(l.rejected) AS rejected, sum(l.pending) AS pending,
               -- A tool that lacks a model is no trouble: what it has decides. Most lists are fresh, and need no words.
               (array_agg(CASE WHEN l.state <> 'fresh' OR l.rejected > 0 THEN l END
                          ORDER BY array_position(ARRAY['restored', 'paused', 'failed', 'held', 'rejecting', 'waiting',
                                   'never synced', 'behind', 'fresh', 'unavailable'], l.state),
                                   l.rejected = 0, l.endpoint))[1] AS worst
        FROM kombo_internal.list_states l GROUP BY l.integration_id
    ) s ON s.integration_id = i.integration_id
    ORDER BY i.integration_id;
COMMENT ON VIEW kombo.integration_status IS
    'One row per integration: the state of its worst list, what to do about it, and how old its data are. '
    'kombo.sync_status has the row of each list.';
COMMENT ON COLUMN kombo.integration_status.integration_id IS 'Integration that the row is about.';
COMMENT ON COLUMN kombo.integration_status.server IS 'Server whose API key it is fetched with.';
COMMENT ON COLUMN kombo.integration_status.state IS
    'Worst state of its lists, in this order: restored, paused, failed, held, rejecting, waiting, never synced, '
    'behind, fresh; unavailable if the tool has none of the models; no lists if none is subscribed.';
COMMENT ON COLUMN kombo.integration_status.endpoint IS 'Path of a list in that state. NULL: all are fresh.';
COMMENT ON COLUMN kombo.integration_status.reason IS 'Why that list is in that state.';
COMMENT ON COLUMN kombo.integration_status.next IS 'What happens next to that list, or what to do.';
COMMENT ON COLUMN kombo.integration_status.lists IS 'Subscribed lists whose model the tool has.';
COMMENT ON COLUMN kombo.integration_status.fresh IS 'Number of these lists that are fresh.';
COMMENT ON COLUMN kombo.integration_status.data_as_of IS
    'Time of the oldest last success of its lists: every change before it is stored here. NULL: a list was never '
    'synced.';
COMMENT ON COLUMN kombo.integration_status.data_age IS 'Time since data_as_of.';
COMMENT ON COLUMN kombo.integration_status.rejected IS 'Records in kombo.rejected_records, which the database refused.';
COMMENT ON COLUMN kombo.integration_status.pending IS 'Requests in kombo.sync_requests that wait for the worker.';
