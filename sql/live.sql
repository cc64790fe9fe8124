-- Foreign tables that answer live: how they are made, and which conditions of a query become filters of the request.
-- Nothing is asked here: EXPLAIN shows what would be.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE SERVER kombo_eu FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.kombo.dev/v1');
CREATE SCHEMA live;

-- Options.
CREATE FOREIGN TABLE live.bad (id text) SERVER kombo_eu;
CREATE FOREIGN TABLE live.bad (id text) SERVER kombo_eu OPTIONS (endpoint 'hris/groups');
CREATE FOREIGN TABLE live.bad (id text) SERVER kombo_eu OPTIONS (endpoint '/hris/groups', page_size '251');
CREATE FOREIGN TABLE live.bad (id text) SERVER kombo_eu OPTIONS (endpoint '/hris/groups', on_error 'retry');
CREATE FOREIGN TABLE live.bad (id text) SERVER kombo_eu OPTIONS (endpoint '/hris/groups', integration_id '');
CREATE FOREIGN TABLE live.bad (id text) SERVER kombo_eu OPTIONS (endpoint '/hris/groups', api_key 'secret');
ALTER SERVER kombo_eu OPTIONS (ADD endpoint '/hris/groups');
CREATE FOREIGN TABLE live.unknown (id text) SERVER kombo_eu OPTIONS (endpoint '/hris/unicorns');
SELECT * FROM live.unknown;
DROP FOREIGN TABLE live.unknown;

\set VERBOSITY terse
IMPORT FOREIGN SCHEMA payroll FROM SERVER kombo_eu INTO live;
\set VERBOSITY default
IMPORT FOREIGN SCHEMA hris FROM SERVER kombo_eu INTO live OPTIONS (endpoint '/hris/groups');
IMPORT FOREIGN SCHEMA hris FROM SERVER kombo_eu INTO live OPTIONS (integration_id 'personio:one');
SELECT c.relname, array_to_string(t.ftoptions, ', ') FROM pg_class c JOIN pg_foreign_table t ON t.ftrelid = c.oid
ORDER BY c.relname;
\pset format aligned
\pset tuples_only off
\d live.hris_teams
\pset format unaligned
\pset tuples_only on

-- What would be asked: the request, and the filter that is checked here all the same.
CREATE FUNCTION pg_temp.asked(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
        IF line ~ 'Filter|Kombo' THEN
            RETURN NEXT replace(ltrim(line), '(InitPlan 1).col1', '$0'); -- its name since 17
        END IF;
        EXIT WHEN line ~ 'One-Time Filter: false'; -- since 18 nothing is below it
    END LOOP;
END
$$;
SELECT pg_temp.asked('SELECT * FROM live.hris_teams');
SELECT pg_temp.asked('SELECT * FROM live.hris_teams LIMIT 10');
SELECT pg_temp.asked('SELECT * FROM live.hris_teams ORDER BY name LIMIT 10');
SELECT pg_temp.asked($$SELECT * FROM live.hris_teams WHERE id = 'a'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_teams WHERE id IN ('a', 'b') AND type = 'TEAM'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_teams WHERE remote_id = ANY ('{x,y}')$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_teams WHERE changed_at > '2024-01-31 12:00:00.1234+00'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_teams WHERE remote_deleted_at IS NULL$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_teams WHERE name LIKE 'Eng%r\_s' AND name LIKE '%'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_employees WHERE groups @> '[{"id": "g"}]'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_employees WHERE work_email = 'a@b.c' AND employment_status = 'LEAVE'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_absences
                       WHERE employee_id = 'e' AND start_date >= '2024-01-01' AND end_date < '2024-02-01'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_timesheets
                       WHERE started_at >= '2024-01-01 00:00+00' AND ended_at < '2024-02-01 00:00+00'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_performance_reviews WHERE reviewee_id = 'e' AND type = 'PEER'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_skills WHERE id = 's'$$);

-- What is not sent: another meaning, a value that Kombo would refuse or read otherwise, an unknown one.
SELECT pg_temp.asked($$SELECT * FROM live.hris_employees WHERE employment_status = 'RETIRED'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_employees WHERE employment_status <> 'ACTIVE'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_employees WHERE id = 'a,b'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_employees WHERE id = 'a' OR work_email = 'b'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_employees WHERE lower(work_email) = 'a@b.c'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_teams WHERE name ILIKE '%eng%'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_absences WHERE start_date >= '2024-01-01'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_employees WHERE id = random()::text$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_teams WHERE id = 'a' AND id = 'b'$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_teams WHERE integration_id = 'personio:two'$$);

-- Values that are known when the query runs.
PREPARE one (text) AS SELECT * FROM live.hris_teams WHERE id = $1;
SELECT pg_temp.asked($$EXECUTE one ('a')$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_teams WHERE id = (SELECT max(x) FROM (VALUES ('a')) v (x))$$);
SELECT pg_temp.asked($$SELECT * FROM live.hris_teams WHERE changed_at > '-infinity'$$);

-- Without a fixed integration: those that a condition names, else all that are registered for the server.
IMPORT FOREIGN SCHEMA hris LIMIT TO (hris_locations) FROM SERVER kombo_eu INTO live OPTIONS (page_size '50');
DROP FOREIGN TABLE live.hris_locations;
IMPORT FOREIGN SCHEMA hris LIMIT TO (hris_locations) FROM SERVER kombo_eu INTO live OPTIONS (page_size '50');
SELECT pg_temp.asked($$SELECT * FROM live.hris_locations WHERE integration_id IN ('personio:one', 'personio:two')$$);
SELECT * FROM live.hris_locations;
SET client_min_messages = error;
SELECT kombo.add_integration('personio:' || n, 'kombo_eu', 'HRIS') FROM generate_series(1, 7) n;
RESET client_min_messages;
SELECT pg_temp.asked('SELECT * FROM live.hris_locations');

-- The key is that of whoever reads.
CREATE ROLE regress_kombo_reader;
GRANT USAGE ON SCHEMA live TO regress_kombo_reader;
GRANT SELECT ON live.hris_locations TO regress_kombo_reader;
SET ROLE regress_kombo_reader;
SELECT * FROM live.hris_locations;
SELECT * FROM live.hris_teams;
RESET ROLE;
DROP OWNED BY regress_kombo_reader;
DROP ROLE regress_kombo_reader;

-- A query that cannot change anything.
INSERT INTO live.hris_teams (id) VALUES ('x');
UPDATE live.hris_teams SET name = 'x';
DELETE FROM live.hris_teams;
SELECT * FROM live.hris_teams TABLESAMPLE system (1);

\pset format aligned
\pset tuples_only off
SET client_min_messages = error;
SELECT count(kombo.remove_integration(integration_id)) FROM kombo.integrations;
DROP SCHEMA live CASCADE;
DROP SERVER kombo_eu;
