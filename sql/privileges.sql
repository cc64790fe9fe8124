-- Who may do what. Nothing is granted to PUBLIC; each kind of role has its own grant function.
\set SHOW_CONTEXT never
CREATE ROLE regress_kombo_reader;
CREATE ROLE regress_kombo_operator;
CREATE ROLE regress_kombo_writer;
CREATE ROLE regress_kombo_nobody;
CREATE SERVER kombo_eu FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.kombo.dev/v1');
CREATE SERVER kombo_us FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.us.kombo.dev/v1');

SELECT kombo.grant_reader('regress_kombo_reader');
SELECT kombo.grant_webhook_writer('regress_kombo_writer');
SELECT kombo.grant_operator('regress_kombo_operator');
GRANT USAGE ON FOREIGN SERVER kombo_eu TO regress_kombo_operator;
SELECT kombo.grant_reader(NULL);
SELECT kombo.grant_webhook_writer('1'::oid::regrole);
SELECT kombo.grant_operator(NULL);

-- Rows: S(elect), I(nsert), U(pdate), D(elete); small where only some columns are meant.
CREATE FUNCTION pg_temp.rights(role text, relation regclass) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(CASE WHEN has_table_privilege(role, relation, p) THEN upper(left(p, 1))
                           WHEN has_any_column_privilege(role, relation, p) THEN lower(left(p, 1))
                           ELSE '-' END, '' ORDER BY n)
    FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) WITH ORDINALITY u (p, n)
$$;
CREATE FUNCTION pg_temp.rights_and_delete(role text, relation regclass) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.rights(role, relation)
        || CASE WHEN has_table_privilege(role, relation, 'DELETE') THEN 'D' ELSE '-' END
$$;
SELECT c.relname AS relation,
       pg_temp.rights_and_delete('regress_kombo_owner', c.oid) AS sync_role,
       pg_temp.rights_and_delete('regress_kombo_reader', c.oid) AS reader,
       pg_temp.rights_and_delete('regress_kombo_operator', c.oid) AS operator,
       pg_temp.rights_and_delete('regress_kombo_writer', c.oid) AS webhook_writer,
       pg_temp.rights_and_delete('regress_kombo_nobody', c.oid) AS nobody
FROM pg_class c
WHERE c.relnamespace IN ('kombo'::regnamespace, 'kombo_internal'::regnamespace) AND c.relkind IN ('r', 'v')
  AND (c.relname NOT LIKE 'hris%' OR c.relname = 'hris_employees')
ORDER BY c.relname;
SELECT a.attname AS column_of_the_inbox,
       has_column_privilege('regress_kombo_writer', a.attrelid, a.attname, 'INSERT') AS insert,
       has_column_privilege('regress_kombo_writer', a.attrelid, a.attname, 'SELECT') AS select
FROM pg_attribute a WHERE a.attrelid = 'kombo.webhook_inbox'::regclass AND a.attnum > 0 ORDER BY a.attnum;
SELECT p.oid::regprocedure AS function,
       has_function_privilege('regress_kombo_owner', p.oid, 'EXECUTE') AS sync_role,
       has_function_privilege('regress_kombo_reader', p.oid, 'EXECUTE') AS reader,
       has_function_privilege('regress_kombo_operator', p.oid, 'EXECUTE') AS operator,
       has_function_privilege('regress_kombo_writer', p.oid, 'EXECUTE') AS webhook_writer,
       has_function_privilege('regress_kombo_nobody', p.oid, 'EXECUTE') AS nobody
FROM pg_proc p WHERE p.pronamespace IN ('kombo'::regnamespace, 'kombo_internal'::regnamespace)
ORDER BY p.oid::regprocedure::text;

-- A reader sees data and status ...
SET ROLE regress_kombo_reader;
SELECT count(*) FROM kombo.hris_employees;
SELECT integration_id, state FROM kombo.sync_status;
SELECT kombo.add_integration('personio:one', 'kombo_eu', 'HRIS');
RESET ROLE;
-- ... that of tables made later, too.
BEGIN;
DROP TABLE kombo.hris_teams;
SELECT kombo.create_tables('HRIS');
SELECT role, has_table_privilege(role, 'kombo.hris_teams', 'SELECT') AS may_read
FROM unnest(ARRAY['regress_kombo_reader', 'regress_kombo_operator', 'regress_kombo_writer']) role;
ROLLBACK;

-- An operator runs integrations on the servers that he was given, and sees no data.
SET ROLE regress_kombo_operator;
SELECT kombo.add_integration('personio:one', 'kombo_eu', 'HRIS');
SELECT kombo.add_integration('personio:two', 'kombo_us', 'HRIS');
INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled) VALUES ('personio:one', '/hris/timesheets', false);
SELECT kombo.pause('personio:one', 'maintenance');
SELECT kombo.resume('personio:one');
SELECT count(*) > 0 AS has_status FROM kombo.sync_status WHERE integration_id = 'personio:one';
SELECT count(*) FROM kombo.hris_employees;
SELECT count(*) FROM kombo.rejected_records;
UPDATE kombo.integrations SET server = 'kombo_us';
SELECT kombo.create_tables('HRIS');
SELECT kombo.remove_integration('personio:one', purge => true);
SELECT kombo.remove_integration('personio:one');
RESET ROLE;
-- The tables have to be there.
BEGIN;
DROP TABLE kombo.hris_teams;
SET ROLE regress_kombo_operator;
SELECT kombo.add_integration('personio:one', 'kombo_eu', 'HRIS');
ROLLBACK;

-- A front end inserts webhooks and learns their id.
SET ROLE regress_kombo_writer;
INSERT INTO kombo.webhook_inbox (body, signature) VALUES ('{}', 'abc') RETURNING id > 0 AS has_id;
INSERT INTO kombo.webhook_inbox (body, signature, status) VALUES ('{}', 'abc', 'done');
SELECT body FROM kombo.webhook_inbox;
UPDATE kombo.webhook_inbox SET body = '';
DELETE FROM kombo.webhook_inbox;
INSERT INTO kombo.webhook_inbox (body) VALUES (repeat('x', 1048576));
\set VERBOSITY terse
INSERT INTO kombo.webhook_inbox (body) VALUES (repeat('x', 1048577));
\set VERBOSITY default
RESET ROLE;
SELECT status, length(body) FROM kombo.webhook_inbox ORDER BY id;

-- Somebody else does nothing.
SET ROLE regress_kombo_nobody;
SELECT count(*) FROM kombo.sync_status;
SELECT kombo.pause('personio:one');
RESET ROLE;

TRUNCATE kombo.webhook_inbox;
DROP OWNED BY regress_kombo_reader, regress_kombo_operator, regress_kombo_writer;
DROP ROLE regress_kombo_reader, regress_kombo_operator, regress_kombo_writer, regress_kombo_nobody;
DROP SERVER kombo_eu, kombo_us;
