-- kombo.sync_status: one row per subscribed endpoint, in words, and what to do.
\set SHOW_CONTEXT never
\x on
CREATE SERVER kombo_eu FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.kombo.dev/v1');

-- Without shared_preload_libraries there is no worker, and that comes first.
SELECT * FROM kombo.sync_status;
SELECT * FROM kombo.sync_progress;
-- Waking nobody is no error.
SELECT kombo_internal.wake(true);

SELECT kombo.add_integration('personio:one', 'kombo_eu', 'HRIS');
\x off
SELECT endpoint, state, failures, rejected FROM kombo.sync_status
WHERE integration_id = 'personio:one' ORDER BY endpoint;

-- One endpoint in each state.
INSERT INTO kombo.sync_state (integration_id, endpoint, last_status, last_success_at, watermark, failures,
                              last_error) VALUES
    ('personio:one', '/hris/absence-types', 'ok', now() - interval '2 hours', now() - interval '2 hours', 0, NULL),
    ('personio:one', '/hris/absences', 'ok', now() - interval '5 hours', now() - interval '5 hours', 0, NULL),
    ('personio:one', '/hris/employees', 'failed', now() - interval '5 hours', now() - interval '5 hours', 2,
     'connection refused'),
    ('personio:one', '/hris/groups', 'ok', now(), now(), 0, NULL),
    ('personio:one', '/hris/locations', 'waiting', NULL, NULL, 0, NULL),
    ('personio:one', '/hris/legal-entities', 'unavailable', NULL, NULL, 0, NULL),
    -- implied by /hris/employees: its watermark moves without runs of its own
    ('personio:one', '/hris/employments', 'ok', now() - interval '9 days', now(), 0, NULL);
UPDATE kombo.sync_state SET held = 'the sweep of 20 of 31 live rows was held back', last_full_at = now()
    WHERE endpoint = '/hris/groups';
INSERT INTO kombo.sync_runs (integration_id, endpoint, kind, trigger, status, started_at) VALUES
    ('personio:one', '/hris/employees', 'delta', 'sql', 'failed', now() - interval '2 hours'),
    ('personio:one', '/hris/employees', 'delta', 'sql', 'failed', now() - interval '1 hour');
INSERT INTO kombo.rejected_records (integration_id, endpoint, record_id)
    VALUES ('personio:one', '/hris/groups', '1'), ('personio:one', '/hris/groups', '2');
INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled, full_interval, delta_interval) VALUES
    ('personio:one', '/hris/timesheets', false, NULL, NULL), ('personio:one', '/hris/teams', true, NULL, NULL);
SELECT endpoint, state, date_trunc('minute', now() - since) AS for, failures, rejected FROM kombo.sync_status
WHERE integration_id = 'personio:one' ORDER BY endpoint;
\x on
SELECT DISTINCT ON (state) state, endpoint, reason, next FROM kombo.sync_status
WHERE integration_id = 'personio:one' ORDER BY state, endpoint;
\x off

-- One row for the integration: its worst list decides.
\x on
SELECT state, endpoint, reason, next, lists, fresh, data_as_of, rejected, pending FROM kombo.integration_status;
\x off

-- "Behind" follows the intervals of the subscription, with a tenth to spare.
INSERT INTO kombo.subscriptions (integration_id, endpoint, delta_interval)
    VALUES ('personio:one', '/hris/absences', '6 hours');
SELECT state FROM kombo.sync_status WHERE endpoint = '/hris/absences';
UPDATE kombo.subscriptions SET delta_interval = '4 hours 40 minutes' WHERE endpoint = '/hris/absences';
SELECT state FROM kombo.sync_status WHERE endpoint = '/hris/absences';
UPDATE kombo.subscriptions SET delta_interval = '4 hours' WHERE endpoint = '/hris/absences';
SELECT state FROM kombo.sync_status WHERE endpoint = '/hris/absences';

-- What is asked for, how far a full fetch has come, and what Kombo says of its own data.
INSERT INTO kombo.sync_requests (integration_id, endpoint, kind, trigger, requested_at) VALUES
    ('personio:one', '/hris/absences', 'delta', 'webhook', '2026-01-02 03:04:05+00'),
    ('personio:one', '/hris/absences', 'full', 'sql', '2026-01-02 03:04:06.789+00'),
    ('personio:one', NULL, 'integration', 'schedule', now());
UPDATE kombo.sync_state SET full_started_at = '2026-01-02 03:04:05.678+00' WHERE endpoint = '/hris/employees';
SET timezone = 'UTC';
SELECT endpoint, state, reason, pending FROM kombo.sync_status
WHERE endpoint IN ('/hris/absences', '/hris/employees') ORDER BY endpoint;
UPDATE kombo.integrations SET data_expired_at = '2026-01-02 03:04:05.678+00';
SELECT endpoint, state, reason FROM kombo.sync_status WHERE endpoint = '/hris/absence-types';
UPDATE kombo.integrations SET data_expired_at = NULL;
RESET timezone;
INSERT INTO kombo.webhook_inbox (body, signature) VALUES ('{}', 'none');
SELECT state, pending FROM kombo.sync_status WHERE integration_id IS NULL;
DELETE FROM kombo.webhook_inbox;

-- Without a worker nobody tries again by himself what kombo_sync has paused.
UPDATE kombo.integrations SET paused_at = now(), paused_by = 'kombo_sync', pause_reason = 'the key was refused',
    next_attempt_at = now();
SELECT DISTINCT state, reason, next FROM kombo.sync_status WHERE integration_id IS NOT NULL;
SELECT kombo.resume('personio:one');

-- A pause and a restored copy come before all that; a server that is gone is said.
SELECT kombo.pause('personio:one', 'moving house');
SELECT DISTINCT state, reason FROM kombo.sync_status WHERE integration_id IS NOT NULL;
UPDATE kombo.integrations SET system_identifier = 1;
SELECT DISTINCT state, reason FROM kombo.sync_status WHERE integration_id IS NOT NULL;
SELECT kombo.resume(NULL);
DROP SERVER kombo_eu;
SELECT DISTINCT state, reason, next FROM kombo.sync_status WHERE integration_id IS NOT NULL;

SELECT kombo.remove_integration('personio:one', purge => true);
