-- Who may do what. Nothing is granted to PUBLIC; each kind of role has its own grant function.
\set SHOW_CONTEXT never
CREATE ROLE regress_kombo_reader;
CREATE ROLE regress_kombo_operator;
CREATE ROLE regress_kombo_writer;
CREATE ROLE regress_kombo_consumer;
CREATE ROLE regress_kombo_server_owner;
CREATE ROLE regress_kombo_nobody;
CREATE SERVER kombo_eu FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.kombo.dev/v1');
CREATE SERVER kombo_us FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.us.kombo.dev/v1');

SELECT kombo.grant_reader('regress_kombo_reader');
SELECT kombo.grant_webhook_writer('regress_kombo_writer');
SELECT kombo.grant_operator('regress_kombo_operator');
SELECT kombo.grant_consumer('regress_kombo_consumer');
GRANT USAGE ON FOREIGN SERVER kombo_eu TO regress_kombo_operator;
GRANT USAGE ON FOREIGN DATA WRAPPER kombo_sync TO regress_kombo_server_owner;
ALTER SERVER kombo_us OWNER TO regress_kombo_server_owner;
SELECT kombo.grant_reader(NULL);
SELECT kombo.grant_webhook_writer('1'::oid::regrole);
SELECT kombo.grant_operator(NULL);

-- Every object of the extension and every column, by role. Superusers may do everything and are left out.
CREATE TEMP TABLE roles (n int, kind text, role text);
INSERT INTO roles VALUES (1, 'sync role', 'regress_kombo_owner'), (2, 'reader', 'regress_kombo_reader'),
    (3, 'operator', 'regress_kombo_operator'), (4, 'webhook writer', 'regress_kombo_writer'),
    (5, 'consumer', 'regress_kombo_consumer'), (6, 'server owner', 'regress_kombo_server_owner'),
    (7, 'nobody', 'regress_kombo_nobody');
-- As \dp has them, r(ead), a(ppend), w(rite), d(elete), D (truncate), x (references), t(rigger); of a sequence r, w and
-- U(sage). In brackets: of some columns only, which follow.
CREATE FUNCTION pg_temp.rights(role text, relation oid) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(CASE
               WHEN c.relkind = 'S' THEN CASE WHEN has_sequence_privilege(role, c.oid, p) THEN l END
               WHEN has_table_privilege(role, c.oid, p) THEN l
               WHEN p IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') AND has_any_column_privilege(role, c.oid, p)
               THEN '(' || l || ')' END, '' ORDER BY o), '')
    FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'USAGE'],
                            ARRAY['r', 'a', 'w', 'd', 'D', 'x', 't', 'U']) WITH ORDINALITY u (p, l, o)
    WHERE c.oid = relation AND (c.relkind = 'S') = (p = 'USAGE' OR c.relkind = 'S' AND p IN ('SELECT', 'UPDATE'))
$$;
SELECT CASE WHEN d.relation IS NULL THEN c.relname::text COLLATE "C" ELSE '(data tables)' END AS name,
       pg_temp.rights('regress_kombo_owner', c.oid) AS sync_role,
       pg_temp.rights('regress_kombo_reader', c.oid) AS reader,
       pg_temp.rights('regress_kombo_operator', c.oid) AS operator,
       pg_temp.rights('regress_kombo_writer', c.oid) AS webhook_writer,
       pg_temp.rights('regress_kombo_consumer', c.oid) AS consumer,
       pg_temp.rights('regress_kombo_server_owner', c.oid) AS server_owner,
       pg_temp.rights('regress_kombo_nobody', c.oid) AS nobody
FROM pg_class c LEFT JOIN kombo.data_tables d ON d.relation = c.oid
WHERE c.relnamespace IN ('kombo'::regnamespace, 'kombo_internal'::regnamespace) AND c.relkind NOT IN ('i', 'I', 'c')
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1;
SELECT r.kind AS role, c.relname AS relation, lower(p) AS may,
       string_agg(a.attname, ', ' ORDER BY a.attnum) AS columns
FROM roles r CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) p
JOIN pg_class c ON c.relnamespace IN ('kombo'::regnamespace, 'kombo_internal'::regnamespace)
    AND c.relkind NOT IN ('i', 'I', 'c', 'S')
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE has_column_privilege(r.role, c.oid, a.attnum, p) AND NOT has_table_privilege(r.role, c.oid, p)
GROUP BY r.n, r.kind, c.relname, p ORDER BY r.n, c.relname COLLATE "C", p;
SELECT p.oid::regprocedure AS function,
       (SELECT string_agg(r.kind, ', ' ORDER BY r.n) FROM roles r
        WHERE has_function_privilege(r.role, p.oid, 'EXECUTE')) AS may_call
FROM pg_proc p WHERE p.pronamespace IN ('kombo'::regnamespace, 'kombo_internal'::regnamespace)
ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT r.kind AS role,
       concat_ws(', ', CASE WHEN has_schema_privilege(r.role, 'kombo', 'USAGE') THEN 'kombo' END,
                 CASE WHEN has_schema_privilege(r.role, 'kombo_internal', 'USAGE') THEN 'kombo_internal' END)
           AS uses_schemas,
       has_schema_privilege(r.role, 'kombo', 'CREATE') OR has_schema_privilege(r.role, 'kombo_internal', 'CREATE')
           AS creates_in_them,
       has_foreign_data_wrapper_privilege(r.role, 'kombo_sync', 'USAGE') AS uses_wrapper,
       (SELECT string_agg(s.srvname, ', ' ORDER BY s.srvname) FROM pg_foreign_server s
        WHERE has_server_privilege(r.role, s.oid, 'USAGE')) AS uses_servers
FROM roles r ORDER BY r.n;
-- What would be a way around all that: objects of others, grants to PUBLIC, rights of the owner, rights to come, and
-- names that the caller decides about.
SELECT pg_describe_object(o.classid, o.objid, 0) AS object_of_somebody_else, o.owner
FROM (SELECT 'pg_class'::regclass AS classid, c.oid AS objid, c.relowner::regrole::text AS owner FROM pg_class c
      LEFT JOIN kombo.data_tables d ON d.relation = c.oid
      WHERE c.relnamespace::regnamespace::text IN ('kombo', 'kombo_internal') AND c.relkind NOT IN ('i', 'I')
        AND d.relation IS NULL
      UNION ALL SELECT 'pg_proc'::regclass, p.oid, p.proowner::regrole::text FROM pg_proc p
      WHERE p.pronamespace::regnamespace::text IN ('kombo', 'kombo_internal')
      UNION ALL SELECT 'pg_type'::regclass, t.oid, t.typowner::regrole::text FROM pg_type t
      LEFT JOIN kombo.data_tables d ON d.relation = t.typrelid OR d.relation = (
          SELECT e.typrelid FROM pg_type e WHERE e.oid = t.typelem)
      WHERE t.typnamespace::regnamespace::text IN ('kombo', 'kombo_internal') AND d.relation IS NULL
      UNION ALL SELECT 'pg_namespace'::regclass, n.oid, n.nspowner::regrole::text FROM pg_namespace n
      WHERE n.nspname IN ('kombo', 'kombo_internal')) o
JOIN pg_roles r ON r.rolname = o.owner WHERE NOT r.rolsuper;
SELECT pg_describe_object(o.classid, o.objid, 0) AS object_of_public
FROM (SELECT 'pg_class'::regclass AS classid, oid AS objid, relacl AS acl, relnamespace AS schema FROM pg_class
      UNION ALL SELECT 'pg_class'::regclass, attrelid, attacl, c.relnamespace
      FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
      UNION ALL SELECT 'pg_proc'::regclass, oid, coalesce(proacl, acldefault('f', proowner)), pronamespace FROM pg_proc
      UNION ALL SELECT 'pg_namespace'::regclass, oid, nspacl, oid FROM pg_namespace
      UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, w.fdwacl, n.oid
      FROM pg_foreign_data_wrapper w, pg_namespace n WHERE n.nspname = 'kombo'
      UNION ALL SELECT 'pg_foreign_server'::regclass, s.oid, s.srvacl, n.oid
      FROM pg_foreign_server s, pg_namespace n WHERE n.nspname = 'kombo') o, aclexplode(o.acl) acl
WHERE o.schema::regnamespace::text IN ('kombo', 'kombo_internal') AND acl.grantee = 0;
SELECT p.oid::regprocedure AS security_definer FROM pg_proc p
WHERE p.pronamespace IN ('kombo'::regnamespace, 'kombo_internal'::regnamespace) AND p.prosecdef ORDER BY 1;
SELECT defaclnamespace::regnamespace AS default_privileges, defaclacl FROM pg_default_acl;
-- Not row_digest: it looks nothing up, and a setting would be set and reset for each row.
SELECT p.oid::regprocedure AS search_path_of_the_caller FROM pg_proc p
WHERE p.pronamespace IN ('kombo'::regnamespace, 'kombo_internal'::regnamespace) AND p.prosqlbody IS NULL
  AND p.oid <> 'kombo_internal.row_digest'::regproc
  AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(p.proconfig, '{}')) ORDER BY 1;
SELECT pg_describe_object(classid, objid, 0) AS resolved_by_the_users_search_path
FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'kombo_sync')
  AND classid IN ('pg_cast'::regclass, 'pg_operator'::regclass, 'pg_event_trigger'::regclass, 'pg_language'::regclass,
                  'pg_opclass'::regclass, 'pg_conversion'::regclass, 'pg_ts_config'::regclass, 'pg_rewrite'::regclass);

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
DROP SERVER kombo_eu, kombo_us;
DROP OWNED BY regress_kombo_reader, regress_kombo_operator, regress_kombo_writer, regress_kombo_consumer,
    regress_kombo_server_owner;
DROP ROLE regress_kombo_reader, regress_kombo_operator, regress_kombo_writer, regress_kombo_consumer,
    regress_kombo_server_owner, regress_kombo_nobody;
