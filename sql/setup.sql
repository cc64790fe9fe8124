-- Installing kombo_sync: what CREATE EXTENSION needs and makes. All other tests use what this one leaves.
\set SHOW_CONTEXT never
SET client_min_messages = error;
DROP DATABASE IF EXISTS regress_kombo_ascii;
DROP ROLE IF EXISTS regress_kombo_owner, regress_kombo_other, regress_kombo_super, regress_kombo_reader,
    regress_kombo_operator, regress_kombo_writer, regress_kombo_nobody;
RESET client_min_messages;
SELECT current_database() AS regression_database \gset

-- A database that cannot hold every text is refused.
CREATE DATABASE regress_kombo_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C';
\c regress_kombo_ascii
CREATE EXTENSION kombo_sync;
\c :regression_database
DROP DATABASE regress_kombo_ascii;

CREATE EXTENSION kombo_sync;
SELECT e.extversion, n.nspname, e.extrelocatable
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'kombo_sync';

-- Everything is in one schema, described, and granted to nobody.
SELECT pg_describe_object(d.classid, d.objid, 0) AS without_comment
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'kombo_sync'
WHERE d.deptype = 'e' AND obj_description(d.objid, d.classid::regclass::name) IS NULL
  AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = d.objid AND c.relkind = 'S')
  -- From PostgreSQL 17 on the types of rows, and of arrays of these, are members, too.
  AND NOT EXISTS (SELECT FROM pg_type t
                  WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid AND (t.typrelid <> 0 OR t.typelem <> 0));

SELECT c.relname, a.attname AS without_comment
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'kombo'::regnamespace AND c.relkind IN ('r', 'v') AND col_description(c.oid, a.attnum) IS NULL;

SELECT p.oid::regprocedure AS open_to_everybody
FROM pg_proc p
WHERE p.pronamespace IN ('kombo'::regnamespace, 'kombo_internal'::regnamespace)
  AND has_function_privilege('public', p.oid, 'EXECUTE');

-- As a foreign key would it acts as the owner of the tables.
SELECT p.oid::regprocedure AS acts_as_its_owner
FROM pg_proc p WHERE p.pronamespace IN ('kombo'::regnamespace, 'kombo_internal'::regnamespace) AND p.prosecdef;
SELECT c.relname AS open_to_everybody FROM pg_class c, aclexplode(c.relacl) acl
WHERE c.relnamespace IN ('kombo'::regnamespace, 'kombo_internal'::regnamespace) AND acl.grantee = 0;

-- Configuration and state are dumped, and of the catalogue what the user added.
SELECT c.config::regclass AS dumped, c.condition
FROM pg_extension e, unnest(e.extconfig, e.extcondition) AS c (config, condition)
WHERE e.extname = 'kombo_sync' ORDER BY c.config::regclass::text;

-- The role that the other tests give the data tables to.
CREATE ROLE regress_kombo_owner;
SELECT kombo_internal.sync_role();
SELECT kombo.create_tables('HRIS', owner => 'regress_kombo_owner');
SELECT kombo_internal.sync_role();
