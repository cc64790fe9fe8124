-- Integrations and their subscriptions.
\set SHOW_CONTEXT never
CREATE SERVER kombo_eu FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.kombo.dev/v1');
CREATE ROLE regress_kombo_other;
GRANT USAGE ON FOREIGN DATA WRAPPER kombo_sync TO regress_kombo_other;
ALTER SERVER kombo_eu OWNER TO regress_kombo_other;
CREATE FOREIGN DATA WRAPPER regress_kombo_fdw;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER regress_kombo_fdw;

-- With the category given, nobody is asked.
SELECT kombo.add_integration('personio:one', server => 'kombo_eu', category => 'HRIS');
SELECT integration_id, server, category, tool, paused_at,
       system_identifier = (SELECT system_identifier FROM pg_control_system()) AS of_this_cluster,
       database_oid = (SELECT oid FROM pg_database WHERE datname = current_database()) AS of_this_database
FROM kombo.integrations;

-- Bad input.
SELECT kombo.add_integration('personio:one', 'kombo_eu', 'HRIS');
SELECT kombo.add_integration(NULL, 'kombo_eu', 'HRIS');
SELECT kombo.add_integration('personio:two', NULL, 'HRIS');
SELECT kombo.add_integration('', 'kombo_eu', 'HRIS');
SELECT kombo.add_integration(' personio:two', 'kombo_eu', 'HRIS');
SELECT kombo.add_integration(E'personio:\ntwo', 'kombo_eu', 'HRIS');
SELECT kombo.add_integration(repeat('x', 201), 'kombo_eu', 'HRIS');
SELECT kombo.add_integration('personio:two', 'kombo_us', 'HRIS');
SELECT kombo.add_integration('personio:two', 'elsewhere', 'HRIS');
SELECT kombo.add_integration('personio:two', 'kombo_eu', 'PAYROLL');
-- Without category Kombo would be asked, which needs a key.
SELECT kombo.add_integration('personio:two', 'kombo_eu');

-- Subscriptions override what the endpoint has.
INSERT INTO kombo.subscriptions (integration_id, endpoint, delta_interval, purge_after)
    VALUES ('personio:one', '/hris/employees', '1 hour', '90 days'), ('personio:one', '/hris/teams', NULL, NULL);
SELECT * FROM kombo.subscriptions ORDER BY endpoint;
UPDATE kombo.subscriptions SET enabled = false WHERE endpoint = '/hris/teams';

INSERT INTO kombo.subscriptions (integration_id, endpoint) VALUES ('personio:two', '/hris/employees');
INSERT INTO kombo.subscriptions (integration_id, endpoint) VALUES ('personio:one', '/hris/unicorns');
INSERT INTO kombo.subscriptions (integration_id, endpoint) VALUES ('personio:one', NULL);
INSERT INTO kombo.subscriptions (integration_id, endpoint) VALUES (NULL, '/hris/employees');
INSERT INTO kombo.subscriptions (integration_id, endpoint, full_interval)
    VALUES ('personio:one', '/hris/absences', '0');
INSERT INTO kombo.subscriptions (integration_id, endpoint, on_missing)
    VALUES ('personio:one', '/hris/absences', 'forget');
UPDATE kombo.subscriptions SET purge_after = '-1 day' WHERE endpoint = '/hris/employees';
BEGIN;
INSERT INTO kombo.endpoints (path, category, table_name) VALUES ('/zoo/keepers', 'ZOO', 'zoo_keepers');
INSERT INTO kombo.subscriptions (integration_id, endpoint) VALUES ('personio:one', '/zoo/keepers');
ROLLBACK;

-- The operator's pause.
SELECT kombo.pause('personio:one', 'audit');
SELECT integration_id, paused_at IS NOT NULL AS paused, paused_by, pause_reason FROM kombo.integrations;
SELECT DISTINCT state, reason, next FROM kombo.sync_status WHERE integration_id = 'personio:one';
INSERT INTO kombo.sync_state (integration_id, endpoint, last_status, failures, next_attempt_at)
    VALUES ('personio:one', '/hris/employees', 'failed', 3, now() + interval '1 hour');
SELECT kombo.resume('personio:one');
SELECT integration_id, paused_at, paused_by, pause_reason FROM kombo.integrations;
SELECT failures, next_attempt_at FROM kombo.sync_state;
SELECT kombo.pause('personio:two');
SELECT kombo.pause(NULL);
SELECT kombo.resume('personio:two');

-- A restored copy does not sync until it is resumed.
UPDATE kombo.integrations SET system_identifier = 1;
SELECT DISTINCT state, reason, next FROM kombo.sync_status WHERE integration_id = 'personio:one';
SELECT kombo.resume(NULL);
UPDATE kombo.integrations SET database_oid = 1;
SELECT DISTINCT state, reason, next FROM kombo.sync_status WHERE integration_id = 'personio:one';
SELECT kombo.resume('personio:one');
SELECT count(*) AS restored FROM kombo.sync_status WHERE state = 'restored';

-- Letting a held sweep pass.
SELECT kombo.accept_sweep('personio:one', '/hris/employees');
SELECT endpoint, accept_sweep FROM kombo.sync_state;
SELECT kombo.accept_sweep('personio:one', '/hris/absences');
SELECT kombo.accept_sweep('personio:two', '/hris/employees');
SELECT kombo.accept_sweep(NULL, NULL);

-- Removing an integration keeps its rows ...
INSERT INTO kombo.hris_teams (integration_id, id, name) VALUES ('personio:one', '1', 'Sales'), ('other', '1', 'Sales');
INSERT INTO kombo.sync_runs (integration_id, endpoint, kind, trigger, started_at)
    VALUES ('personio:one', '/hris/groups', 'full', 'sql', now());
INSERT INTO kombo.rejected_records (integration_id, endpoint, record_id) VALUES ('personio:one', '/hris/groups', '2');
SELECT kombo.remove_integration('personio:two');
SELECT kombo.remove_integration(NULL);
SELECT kombo.remove_integration('personio:one', purge => NULL);
SELECT kombo.remove_integration('personio:one');
SELECT (SELECT count(*) FROM kombo.integrations) AS integrations,
       (SELECT count(*) FROM kombo.subscriptions) AS subscriptions,
       (SELECT count(*) FROM kombo.sync_state) AS states, (SELECT count(*) FROM kombo.rejected_records) AS rejected,
       (SELECT count(*) FROM kombo.sync_runs) AS runs, (SELECT count(*) FROM kombo.hris_teams) AS rows;

-- ... unless they are to be purged.
SELECT kombo.add_integration('personio:one', 'kombo_eu', 'HRIS');
SELECT kombo.remove_integration('personio:one', purge => true);
SELECT integration_id, name FROM kombo.hris_teams;
SELECT count(*) FROM kombo.sync_runs;

DELETE FROM kombo.hris_teams;
DROP SERVER kombo_eu, elsewhere;
DROP FOREIGN DATA WRAPPER regress_kombo_fdw;
DROP OWNED BY regress_kombo_other;
DROP ROLE regress_kombo_other;
