-- What the background worker is asked to do: kombo.request_sync, and the schedule. There is no worker here, so that
-- everything stays asked for.
\set SHOW_CONTEXT never
CREATE ROLE regress_kombo_operator;
CREATE ROLE regress_kombo_nobody;
CREATE SERVER kombo_eu FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.kombo.dev/v1');
CREATE SERVER kombo_us FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.us.kombo.dev/v1');
SET client_min_messages = warning;
SELECT kombo.grant_operator('regress_kombo_operator');
RESET client_min_messages;
GRANT USAGE ON FOREIGN SERVER kombo_eu TO regress_kombo_operator;

-- Nothing to sync is nothing wrong.
SELECT kombo.request_sync();
SELECT kombo_internal.request_due();

SELECT kombo.add_integration('personio:one', 'kombo_eu', 'HRIS');
SELECT kombo.add_integration('personio:two', 'kombo_us', 'HRIS');
SELECT kombo.request_sync('personio:one');
SELECT integration_id, endpoint, kind, trigger, requested_at <= now() AS requested, server, unknown_model
FROM kombo.sync_requests ORDER BY id;
TRUNCATE kombo.sync_requests;
SET client_min_messages = error;

-- Models and paths, as with the functions that sync at once: what another endpoint brings is not asked for.
SELECT kombo.request_sync('personio:one', 'full', ARRAY['hris_employees', 'hris_employments', '/hris/groups']);
SELECT kombo.request_sync('personio:one', what => ARRAY['hris_teams']);
SELECT kombo.request_sync(what => ARRAY['hris_absences'], kind => 'full');
-- A model that no delta of its carriers shows makes a full fetch of them.
INSERT INTO kombo.endpoint_models (endpoint, model, role, delta)
    VALUES ('/hris/absences', 'hris_moods', 'carried', false);
SELECT kombo.request_sync('personio:one', what => ARRAY['hris_moods']);
DELETE FROM kombo.endpoint_models WHERE model = 'hris_moods';
SELECT integration_id, endpoint, kind, trigger FROM kombo.sync_requests ORDER BY id;
TRUNCATE kombo.sync_requests;
RESET client_min_messages;
INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled) VALUES ('personio:one', '/hris/timesheets', false);
SELECT kombo.request_sync('personio:one', what => ARRAY['hris_timesheets']);
SELECT kombo.request_sync('personio:one', what => ARRAY['/hris/timesheets']);

-- Bad input.
SELECT kombo.request_sync('personio:one', 'integration');
SELECT kombo.request_sync('personio:one', NULL);
SELECT kombo.request_sync('personio:one', 'delta', ARRAY['hris_unicorns']);
SELECT kombo.request_sync(NULL, 'delta', ARRAY['hris_unicorns']);
SELECT kombo.request_sync('personio:one', 'delta', ARRAY['hris_employees', NULL]);
SELECT kombo.request_sync('personio:three');
BEGIN READ ONLY;
SELECT kombo.request_sync('personio:one');
ROLLBACK;
SELECT count(*) FROM kombo.sync_requests;

-- An operator's pause and a restored copy are respected; what kombo_sync paused or put off is tried at once.
SET client_min_messages = error;
SELECT kombo.pause('personio:one', 'audit');
UPDATE kombo.integrations SET system_identifier = 1 WHERE integration_id = 'personio:two';
SELECT kombo.request_sync();
SELECT kombo.request_sync('personio:one');
SELECT kombo.request_sync('personio:two');
SELECT kombo.resume(NULL);
UPDATE kombo.integrations SET paused_at = now(), paused_by = 'kombo_sync', pause_reason = 'the key was refused',
    next_attempt_at = now() + interval '1 day';
INSERT INTO kombo.sync_state (integration_id, endpoint, last_status, attempts, next_attempt_at) VALUES
    ('personio:one', '/hris/employees', 'failed', 3, now() + interval '1 hour'),
    ('personio:one', '/hris/absences', 'unavailable', 1, now() + interval '1 day'),
    ('personio:two', '/hris/employees', 'failed', 3, now() + interval '1 hour');
SELECT kombo.request_sync('personio:one', what => ARRAY['/hris/employees']);
SELECT integration_id, paused_by, next_attempt_at > now() AS later FROM kombo.integrations ORDER BY integration_id;
SELECT integration_id, endpoint, last_status, attempts, next_attempt_at > now() AS later
FROM kombo.sync_state ORDER BY integration_id, endpoint;
SELECT kombo.request_sync(what => ARRAY['/hris/groups']);
SELECT integration_id, endpoint FROM kombo.sync_requests ORDER BY id;
SELECT kombo.resume(NULL);
SELECT DISTINCT attempts, next_attempt_at FROM kombo.sync_state;
TRUNCATE kombo.sync_requests, kombo.sync_state;
RESET client_min_messages;

-- An operator needs USAGE on the server.
SET ROLE regress_kombo_operator;
SELECT kombo.request_sync('personio:one', what => ARRAY['hris_teams']);
SELECT kombo.request_sync('personio:two');
SELECT kombo.request_sync(what => ARRAY['hris_teams']);
SELECT integration_id, endpoint FROM kombo.sync_requests ORDER BY id;
INSERT INTO kombo.sync_requests (integration_id, kind, trigger) VALUES ('personio:two', 'integration', 'sql');
SET ROLE regress_kombo_nobody;
SELECT kombo.request_sync('personio:one');
RESET ROLE;
TRUNCATE kombo.sync_requests;

-- What was never fetched is due at once, and the state of an integration that Kombo was not asked about; once.
SELECT kombo_internal.request_due() > now() AS next;
SELECT kind, trigger, count(*), count(DISTINCT endpoint) AS endpoints, count(DISTINCT integration_id) AS integrations
FROM kombo.sync_requests GROUP BY kind, trigger ORDER BY kind;
SELECT kombo_internal.request_due() > now() AS next;
SELECT count(*) FROM kombo.sync_requests;

-- A tenth early at most, always by the same; an endpoint that another brings along waits a tenth longer.
CREATE FUNCTION pg_temp.fetched(ago interval, full_ago interval DEFAULT '1 hour') RETURNS void LANGUAGE sql AS $$
    TRUNCATE kombo.sync_requests, kombo.sync_state;
    UPDATE kombo.integrations SET checked_at = now();
    INSERT INTO kombo.sync_state (integration_id, endpoint, watermark, last_success_at, last_full_at)
    SELECT i.integration_id, e.path, now() - ago, now() - ago, now() - full_ago
    FROM kombo.integrations i, kombo.endpoints e WHERE e.category = i.category;
$$;
CREATE FUNCTION pg_temp.due(OUT next interval, OUT requests bigint, OUT deltas bigint, OUT fulls bigint)
LANGUAGE plpgsql AS $$
BEGIN
    next := date_trunc('hour', kombo_internal.request_due() - now());
    SELECT count(*), count(*) FILTER (WHERE kind = 'delta'), count(*) FILTER (WHERE kind = 'full')
    INTO requests, deltas, fulls FROM kombo.sync_requests;
END
$$;
SELECT pg_temp.fetched('1 hour');
SELECT * FROM pg_temp.due();
SELECT pg_temp.fetched('2 hours 41 minutes');
SELECT requests FROM pg_temp.due();
SELECT pg_temp.fetched('3 hours');
SELECT * FROM pg_temp.due();
SELECT e.path AS not_yet FROM kombo.endpoints e
WHERE e.category = 'HRIS' AND e.enabled
  AND NOT EXISTS (SELECT FROM kombo.sync_requests r WHERE r.endpoint = e.path) ORDER BY e.path;
SELECT pg_temp.fetched('3 hours 19 minutes');
SELECT * FROM pg_temp.due();
-- A full fetch brings what a delta would.
SELECT pg_temp.fetched('4 hours', '7 days');
SELECT * FROM pg_temp.due();
SELECT pg_temp.fetched('1 hour', '6 days 7 hours');
SELECT * FROM pg_temp.due();
SELECT pg_temp.fetched('1 hour', '6 days 18 hours');
SELECT deltas, fulls BETWEEN 1 AND 25 AS some_fulls FROM pg_temp.due();
-- What is asked for is not asked for again, whoever asked.
SELECT pg_temp.fetched('4 hours', '7 days');
INSERT INTO kombo.sync_requests (integration_id, endpoint, kind, trigger)
    SELECT integration_id, endpoint, 'full', 'sql' FROM kombo.sync_state;
SELECT deltas, fulls FROM pg_temp.due();

-- A subscription has its own intervals; NULL is for those who schedule by other means.
INSERT INTO kombo.subscriptions (integration_id, endpoint, full_interval, delta_interval)
SELECT i.integration_id, e.path, NULL, NULL FROM kombo.integrations i JOIN kombo.endpoints e USING (category)
ON CONFLICT (integration_id, endpoint) DO UPDATE SET full_interval = NULL, delta_interval = NULL, enabled = true;
SELECT pg_temp.fetched('4 hours', '7 days');
SELECT * FROM pg_temp.due();
UPDATE kombo.subscriptions SET delta_interval = '178000000 years', full_interval = '178000000 years';
SELECT requests FROM pg_temp.due();
UPDATE kombo.subscriptions SET delta_interval = '4 hours' WHERE endpoint = '/hris/groups';
SELECT requests FROM pg_temp.due();
-- A first fetch is due nevertheless.
UPDATE kombo.subscriptions SET delta_interval = NULL, full_interval = NULL;
UPDATE kombo.sync_state SET watermark = NULL WHERE endpoint = '/hris/groups';
TRUNCATE kombo.sync_requests;
SELECT deltas, fulls FROM pg_temp.due();

-- What backs off is not due before its time, and the operator's pause and a restored copy are left alone.
DELETE FROM kombo.subscriptions;
SELECT pg_temp.fetched('4 hours');
UPDATE kombo.sync_state SET next_attempt_at = now() + interval '90 minutes';
SELECT * FROM pg_temp.due();
UPDATE kombo.sync_state SET next_attempt_at = now() - interval '1 minute';
SELECT kombo.pause('personio:one');
SELECT requests > 0 AS some FROM pg_temp.due();
SELECT DISTINCT integration_id, kind FROM kombo.sync_requests;
UPDATE kombo.integrations SET database_oid = 1;
TRUNCATE kombo.sync_requests;
SELECT kombo_internal.request_due();
SELECT kombo.resume(NULL);
-- Nor one whose server is gone.
ALTER SERVER kombo_eu RENAME TO kombo_fr;
SELECT kombo_internal.request_due() > now() AS next;
SELECT DISTINCT integration_id FROM kombo.sync_requests;
ALTER SERVER kombo_fr RENAME TO kombo_eu;
-- What kombo_sync paused is asked about when its time has come.
SELECT pg_temp.fetched('4 hours');
UPDATE kombo.integrations SET paused_at = now(), paused_by = 'kombo_sync',
    next_attempt_at = now() + interval '90 minutes';
SELECT * FROM pg_temp.due();
UPDATE kombo.integrations SET next_attempt_at = now() - interval '1 minute' WHERE integration_id = 'personio:one';
SELECT * FROM pg_temp.due();
SELECT integration_id, endpoint, kind, trigger FROM kombo.sync_requests WHERE kind = 'integration';
SELECT kombo.resume(NULL);
-- The state of every integration is asked for daily.
SELECT pg_temp.fetched('1 minute');
UPDATE kombo.integrations SET checked_at = now() - interval '1 day' WHERE integration_id = 'personio:one';
SELECT requests FROM pg_temp.due();
SELECT integration_id, endpoint, kind, trigger FROM kombo.sync_requests;
-- A clock that was wrong does not put off anything for long.
SELECT pg_temp.fetched('-10 years', '-10 years');
UPDATE kombo.integrations SET checked_at = now() + interval '10 years';
UPDATE kombo.sync_state SET last_status = 'failed', next_attempt_at = now() + CASE endpoint
    WHEN '/hris/groups' THEN interval '1 day' WHEN '/hris/employees' THEN interval '2 days' END;
SELECT * FROM pg_temp.due();
SELECT kombo_internal.heed_clock();
SELECT * FROM pg_temp.due();
SELECT endpoint, next_attempt_at > now() AS waits FROM kombo.sync_state WHERE next_attempt_at IS NOT NULL
ORDER BY integration_id, endpoint;
-- A wait after a failure is as long by the new clock.
SELECT kombo_internal.heed_clock('2 hours');
SELECT DISTINCT ceil(extract(epoch FROM next_attempt_at - now()) / 3600) AS hours FROM kombo.sync_state
WHERE endpoint = '/hris/groups';
SELECT (SELECT count(*) FROM kombo.sync_state WHERE last_success_at > now() OR last_full_at > now()) AS state,
    (SELECT count(*) FROM kombo.integrations WHERE checked_at > now()) AS integrations;

-- New columns are filled by a full fetch; one that is under way began without them.
SELECT pg_temp.fetched('1 minute', '1 minute');
UPDATE kombo.sync_state SET full_started_at = now(), full_watermark = now(), full_query = 'page_size=250',
    full_cursor = 'abc', full_cursor_at = now(), full_progress = '{}'
WHERE endpoint IN ('/hris/groups', '/hris/absences');
INSERT INTO kombo.sync_seen (integration_id, endpoint, batch, hashes)
SELECT integration_id, endpoint, 1, '\x0123456789abcdef' FROM kombo.sync_state WHERE full_started_at IS NOT NULL;
BEGIN;
INSERT INTO kombo.fields (table_name, column_name, type, json_key) VALUES ('hris_absences', 'mood', 'text', 'mood');
SELECT kombo.create_tables('HRIS');
SELECT endpoint, watermark IS NULL AS anew, full_cursor FROM kombo.sync_state
WHERE watermark IS NULL OR full_started_at IS NOT NULL ORDER BY integration_id, endpoint;
SELECT integration_id, endpoint FROM kombo.sync_seen ORDER BY integration_id;
SELECT kombo_internal.request_due() > now() AS next;
SELECT integration_id, endpoint, kind, trigger FROM kombo.sync_requests ORDER BY id;
ROLLBACK;

-- Requests go with their integration.
SELECT kombo_internal.request_due() > now() AS next;
SELECT kombo.remove_integration('personio:one');
SELECT DISTINCT integration_id FROM kombo.sync_requests;
SELECT kombo.remove_integration('personio:two');
SELECT (SELECT count(*) FROM kombo.sync_requests) AS requests, (SELECT count(*) FROM kombo.sync_seen) AS seen;

DROP SERVER kombo_eu, kombo_us;
DROP OWNED BY regress_kombo_operator;
DROP ROLE regress_kombo_operator, regress_kombo_nobody;
