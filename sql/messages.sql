-- What the sync functions and check_connection say to bad input. Everything here is known before the first request.
\set SHOW_CONTEXT never
CREATE ROLE regress_kombo_other;
CREATE ROLE regress_kombo_nobody;
GRANT USAGE ON FOREIGN DATA WRAPPER kombo_sync TO regress_kombo_other;
-- Should one of these calls send a request all the same, nobody listens there.
CREATE SERVER kombo_eu FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'http://127.0.0.1:1/v1', allow_http 'on');
ALTER SERVER kombo_eu OWNER TO regress_kombo_other;

-- Nothing to sync is nothing wrong.
SELECT * FROM kombo.kombo_sync_delta();
SELECT * FROM kombo.kombo_sync_full();

SELECT kombo.add_integration('personio:one', 'kombo_eu', 'HRIS');

-- No user mapping, so no key.
SELECT * FROM kombo.kombo_sync_delta('personio:one');
SELECT * FROM kombo.kombo_sync_full();
SELECT kombo.check_connection('kombo_eu');
SELECT kombo.integration_info('kombo_eu', 'personio:one');
-- That of the caller is not used: the credentials belong to the server.
CREATE USER MAPPING FOR CURRENT_USER SERVER kombo_eu OPTIONS (api_key 'secret');
SELECT kombo.check_connection('kombo_eu');
DROP USER MAPPING FOR CURRENT_USER SERVER kombo_eu;
-- A mapping without key, and one whose file is not there.
CREATE USER MAPPING FOR PUBLIC SERVER kombo_eu OPTIONS (webhook_secret 'secret');
SELECT kombo.check_connection('kombo_eu');
ALTER USER MAPPING FOR PUBLIC SERVER kombo_eu OPTIONS (ADD api_key_file '/nonexistent/kombo.key');
SELECT kombo.check_connection('kombo_eu');
ALTER USER MAPPING FOR PUBLIC SERVER kombo_eu OPTIONS (DROP api_key_file, ADD api_key 'secret');

-- Unknown names.
SELECT * FROM kombo.kombo_sync_delta('personio:two');
SELECT * FROM kombo.kombo_sync_full('');
SELECT * FROM kombo.kombo_sync_delta('personio:one', ARRAY['hris_unicorns']);
SELECT * FROM kombo.kombo_sync_full('personio:one', ARRAY['/hris/unicorns']);
SELECT * FROM kombo.kombo_sync_delta('personio:one', ARRAY['hris_employees', NULL]);
SELECT * FROM kombo.kombo_sync_delta('personio:one', ARRAY['']);
SELECT * FROM kombo.kombo_sync_delta('personio:one', '{}');
SELECT kombo.check_connection('kombo_us');
SELECT kombo.check_connection(NULL);
SELECT kombo.integration_info(NULL, NULL);

-- An endpoint that the operator switched off, and its model.
INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled) VALUES ('personio:one', '/hris/timesheets', false);
SELECT * FROM kombo.kombo_sync_full('personio:one', ARRAY['/hris/timesheets']);
SELECT * FROM kombo.kombo_sync_full('personio:one', ARRAY['hris_timesheets']);

-- The operator's pause.
SELECT kombo.pause('personio:one', 'audit');
SELECT * FROM kombo.kombo_sync_delta('personio:one');
SELECT * FROM kombo.kombo_sync_delta();
SELECT kombo.resume('personio:one');

-- A restored copy calls nobody by itself.
UPDATE kombo.integrations SET system_identifier = 1;
SELECT * FROM kombo.kombo_sync_delta();
SELECT kombo.resume(NULL);

-- A read-only transaction.
BEGIN READ ONLY;
SELECT * FROM kombo.kombo_sync_delta('personio:one');
ROLLBACK;

-- The tables have to be of one owner.
BEGIN;
ALTER TABLE kombo.hris_teams OWNER TO regress_kombo_nobody;
SELECT * FROM kombo.kombo_sync_full('personio:one', ARRAY['hris_teams']);
ROLLBACK;

-- The server has to be there, and the caller needs USAGE on it.
GRANT USAGE ON SCHEMA kombo TO regress_kombo_nobody;
GRANT EXECUTE ON FUNCTION kombo.kombo_sync_delta(text, text[]), kombo.check_connection(text),
    kombo.integration_info(text, text) TO regress_kombo_nobody;
SET ROLE regress_kombo_nobody;
SELECT * FROM kombo.kombo_sync_delta('personio:one');
SELECT * FROM kombo.kombo_sync_full('personio:one');
SELECT kombo.check_connection('kombo_eu');
SELECT kombo.integration_info('kombo_eu', 'personio:one');
RESET ROLE;
DROP USER MAPPING FOR PUBLIC SERVER kombo_eu;
DROP SERVER kombo_eu;
SELECT * FROM kombo.kombo_sync_delta('personio:one');

-- Nothing of all that left a trace.
SELECT count(*) FROM kombo.sync_runs;
SELECT count(*) FROM kombo.sync_state;

SELECT kombo.remove_integration('personio:one');
DROP OWNED BY regress_kombo_other, regress_kombo_nobody;
DROP ROLE regress_kombo_other, regress_kombo_nobody;
