-- The catalogue and the data tables that are made from it.
\set SHOW_CONTEXT never
CREATE ROLE regress_kombo_other;
CREATE ROLE regress_kombo_super SUPERUSER;

-- The tables of the HRIS category, their keys and their indexes.
SELECT d.table_name, d.owner,
       (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = d.relation AND a.attnum > 0) AS columns,
       (SELECT string_agg(a.attname, ', ' ORDER BY array_position(i.indkey::smallint[], a.attnum))
        FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = d.relation AND i.indisprimary) AS primary_key,
       (SELECT string_agg(a.attname, ', ' ORDER BY a.attname) FROM pg_index i
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[1]
        WHERE i.indrelid = d.relation AND NOT i.indisprimary) AS indexed_after_integration_id
FROM kombo.data_tables d ORDER BY d.table_name;

-- They are ordinary tables, and only their keys are NOT NULL.
SELECT d.table_name AS is_member_of_an_extension FROM kombo.data_tables d
JOIN pg_depend p ON p.classid = 'pg_class'::regclass AND p.objid = d.relation AND p.deptype = 'e';
SELECT d.table_name, a.attname AS not_null_outside_the_key
FROM kombo.data_tables d JOIN pg_attribute a ON a.attrelid = d.relation AND a.attnum > 0 AND a.attnotnull
WHERE NOT EXISTS (SELECT FROM pg_index i
                  WHERE i.indrelid = d.relation AND i.indisprimary AND a.attnum = ANY (i.indkey));

-- Each table and column says what it is.
SELECT d.table_name, a.attname AS without_comment
FROM kombo.data_tables d JOIN pg_attribute a ON a.attrelid = d.relation AND a.attnum > 0
WHERE col_description(d.relation, a.attnum) IS NULL OR obj_description(d.relation, 'pg_class') IS NULL;
SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type, col_description(a.attrelid, a.attnum) AS comment
FROM pg_attribute a WHERE a.attrelid = 'kombo.hris_teams'::regclass AND a.attnum > 0 ORDER BY a.attnum;
SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type, col_description(a.attrelid, a.attnum) AS comment
FROM pg_attribute a WHERE a.attrelid = 'kombo.hris_join_employees_teams'::regclass AND a.attnum > 0 ORDER BY a.attnum;

-- Calling it again makes nothing.
SELECT kombo.create_tables('HRIS');
SELECT kombo.create_tables('HRIS', owner => 'regress_kombo_owner');

-- Bad input.
SELECT kombo.create_tables(NULL);
SELECT kombo.create_tables('PAYROLL');
SELECT kombo.create_tables('HRIS', owner => 'regress_kombo_nobody');
SELECT kombo.create_tables('HRIS', owner => '1'::oid::regrole);

-- Another owner gets all tables.
BEGIN;
ALTER TABLE kombo.hris_skills OWNER TO regress_kombo_super;
SELECT kombo.create_tables('HRIS', owner => 'regress_kombo_other');
SELECT owner, count(*) > 1 AS has_all FROM kombo.data_tables GROUP BY owner;
ROLLBACK;

-- A table of somebody else's that has the name of a data table, and one of ours that lost its key.
BEGIN;
DROP TABLE kombo.hris_skills;
CREATE TABLE kombo.hris_skills (id integer);
ALTER TABLE kombo.hris_skills OWNER TO regress_kombo_owner;
SELECT kombo.create_tables('HRIS');
ROLLBACK;
BEGIN;
ALTER TABLE kombo.hris_skills DROP CONSTRAINT hris_skills_pkey;
SELECT kombo.create_tables('HRIS');
ROLLBACK;

-- A dropped table comes back, and is fetched in full.
BEGIN;
DROP TABLE kombo.hris_teams;
SELECT kombo.create_tables('HRIS');
SELECT relation, owner FROM kombo.data_tables WHERE table_name = 'hris_teams';
ROLLBACK;

-- The owners have to agree.
BEGIN;
ALTER TABLE kombo.hris_teams OWNER TO regress_kombo_other;
SAVEPOINT different;
SELECT kombo_internal.sync_role();
ROLLBACK TO different;
SELECT kombo.create_tables('HRIS');
ROLLBACK;

-- Something else of that name is in the way.
BEGIN;
DROP TABLE kombo.hris_teams;
CREATE VIEW kombo.hris_teams AS SELECT 1 AS id;
SELECT kombo.create_tables('HRIS');
ROLLBACK;

-- A superuser as owner works, but is warned of.
BEGIN;
DROP TABLE kombo.hris_absence_types, kombo.hris_absences, kombo.hris_employee_document_categories,
    kombo.hris_employee_skill_proficiency_ratings, kombo.hris_employees, kombo.hris_employments,
    kombo.hris_join_employees_teams, kombo.hris_join_staffing_entities_groups,
    kombo.hris_join_staffing_entities_legal_entities, kombo.hris_join_staffing_entities_locations,
    kombo.hris_join_staffing_entities_skills, kombo.hris_legal_entities, kombo.hris_locations,
    kombo.hris_performance_review_cycles, kombo.hris_performance_reviews, kombo.hris_skill_proficiency_scales,
    kombo.hris_skills, kombo.hris_staffing_entities, kombo.hris_teams, kombo.hris_time_off_balances,
    kombo.hris_timesheets;
SET ROLE regress_kombo_super;
SELECT kombo.create_tables('HRIS') > 0 AS made;
SELECT kombo_internal.sync_role();
ROLLBACK;

-- A new endpoint is rows: here with an owned list, a linked record and a join.
BEGIN;
INSERT INTO kombo.endpoints (path, category, table_name, comment)
    VALUES ('/zoo/keepers', 'ZOO', 'zoo_keepers', 'People who feed animals.');
INSERT INTO kombo.fields (table_name, column_name, type, json_key, key, position, comment) VALUES
    ('zoo_keepers', 'name', 'text', 'name', false, 1, 'Name of the keeper.'),
    ('zoo_keepers', 'house_id', 'text', 'house.id', false, 2, 'House that the keeper works in.'),
    ('zoo_shifts', 'keeper_id', 'text', NULL, false, 1, 'Keeper who works the shift.'),
    ('zoo_shifts', 'hours', 'numeric', 'hours', false, 2, 'Length, in hours.'),
    ('zoo_houses', 'remote_id', 'text', 'remote_id', false, 1, 'Id of the house in the zoo''s own system.'),
    ('zoo_join_keepers_animals', 'animal_id', 'text', 'id', true, 2, 'Animal that is fed.'),
    ('zoo_join_keepers_animals', 'keeper_id', 'text', NULL, true, 1, 'Keeper who feeds it.'),
    ('zoo_join_keepers_animals', 'meals', 'numeric', 'meals', false, 3, 'Meals per day.'),
    ('zoo_animals', 'Latin name', 'text', 'latin_name', false, 1, 'Name that needs quotes.');
INSERT INTO kombo.nested_records (endpoint, json_path, relation, table_name, parent_column) VALUES
    ('/zoo/keepers', 'shifts', 'owned', 'zoo_shifts', 'keeper_id'),
    ('/zoo/keepers', 'house', 'linked', 'zoo_houses', NULL),
    ('/zoo/keepers', 'animals', 'join', 'zoo_join_keepers_animals', 'keeper_id'),
    ('/zoo/keepers', 'animals', 'linked', 'zoo_animals', NULL);
SELECT kombo.create_tables('ZOO');
\d kombo.zoo_keepers
\d kombo.zoo_join_keepers_animals
SELECT relation, owner, obj_description(relation, 'pg_class') AS comment FROM kombo.data_tables
WHERE table_name LIKE 'zoo%' ORDER BY table_name;

-- A field that is added later gets its column, and asks for a full fetch of what fills it.
CREATE SERVER zoo FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.kombo.dev/v1');
SELECT kombo.add_integration('zoo:1', 'zoo', 'ZOO');
INSERT INTO kombo.sync_state (integration_id, endpoint, watermark) VALUES ('zoo:1', '/zoo/keepers', '2026-01-01');
SELECT kombo.create_tables('ZOO');
SELECT watermark IS NULL AS full_fetch FROM kombo.sync_state;
ALTER TABLE kombo.zoo_shifts ADD COLUMN mine text;
INSERT INTO kombo.fields (table_name, column_name, type, json_key, position, comment)
    VALUES ('zoo_shifts', 'animal_id', 'text', 'animal_id', 3, 'Animal that was fed.');
SELECT kombo.create_tables('ZOO');
\d kombo.zoo_shifts
SELECT col_description('kombo.zoo_shifts'::regclass, attnum) FROM pg_attribute
WHERE attrelid = 'kombo.zoo_shifts'::regclass AND attname = 'animal_id';
SELECT watermark IS NULL AS full_fetch FROM kombo.sync_state;
ROLLBACK;

-- Rows that cannot be right are refused when they come in ...
BEGIN;
INSERT INTO kombo.endpoints (path, category, table_name) VALUES ('/zoo/keepers', 'ZOO', 'zoo_keepers');
SAVEPOINT bad;
INSERT INTO kombo.endpoints (path, category, table_name) VALUES ('zoo', 'ZOO', 'zoo_keepers');
ROLLBACK TO bad;
INSERT INTO kombo.endpoints (path, category, table_name, on_missing) VALUES ('/zoo', 'ZOO', 'zoo_keepers', 'forget');
ROLLBACK TO bad;
INSERT INTO kombo.fields (table_name, column_name, type) VALUES ('zoo_keepers', 'name', 'money');
ROLLBACK TO bad;
INSERT INTO kombo.fields (table_name, column_name, type) VALUES ('zoo_keepers', 'synced_at', 'timestamptz');
ROLLBACK TO bad;
INSERT INTO kombo.nested_records (endpoint, json_path, relation, table_name)
    VALUES ('/zoo/keepers', 'shifts', 'owned', 'zoo_shifts');
ROLLBACK TO bad;

-- ... and those that contradict each other when tables are made from them.
INSERT INTO kombo.endpoints (path, category, table_name) VALUES ('/zoo/secrets', 'ZOO', 'integrations');
INSERT INTO kombo.fields (table_name, column_name, type, key) VALUES ('zoo_feeds', 'keeper_id', 'text', true);
INSERT INTO kombo.endpoints (path, category, table_name) VALUES ('/zoo/feeds', 'ZOO', 'zoo_feeds');
INSERT INTO kombo.nested_records (endpoint, json_path, relation, table_name, parent_column) VALUES
    ('/zoo/keepers', 'shifts', 'owned', 'zoo_shifts', 'keeper_id'),
    ('/zoo/keepers', 'state', 'linked', 'sync_state', NULL),
    ('/zoo/keepers', 'feeds', 'linked', 'zoo_feeds', NULL),
    ('/zoo/keepers', 'animals', 'join', 'zoo_animals', 'keeper_id'),
    ('/zoo/keepers', 'house.keys', 'owned', 'zoo_shifts', 'keeper_id'),
    ('/zoo/keepers', 'boss', 'linked', 'zoo_keepers', 'boss_id');
INSERT INTO kombo.fields (table_name, column_name, type, json_key, fallback_keys) VALUES
    ('zoo_keepers', 'changed_at', 'timestamptz', 'changed_at', '{}'),
    ('zoo_keepers', 'street', 'text', 'address..street', '{}'),
    ('zoo_keepers', 'city', 'text', 'city', '{.city}');
INSERT INTO kombo.fields (table_name, column_name, type, json_key)
    SELECT 'zoo_animals', 'field_' || n, 'text', 'field_' || n FROM generate_series(1, 252) n;
SELECT kombo.create_tables('ZOO');
ROLLBACK;

-- An object without an id, values that come in several places and from its depth, and a join table with a list.
BEGIN;
INSERT INTO kombo.endpoints (path, category, table_name) VALUES
    ('/zoo/keepers', 'ZOO', 'zoo_keepers'), ('/zoo/feedings', 'ZOO', 'zoo_join_keepers_animals');
INSERT INTO kombo.fields (table_name, column_name, type, json_key, fallback_keys, key, position) VALUES
    ('zoo_keepers', 'house_id', 'text', 'house_id', '{work.house.id}', false, 1),
    ('zoo_keepers', 'since', 'date', 'work.contract.since', '{}', false, 2),
    ('zoo_houses', 'name', 'text', 'name', '{}', false, 1),
    ('zoo_join_keepers_animals', 'keeper_id', 'text', 'keeper_id', '{}', true, 1),
    ('zoo_join_keepers_animals', 'animal_id', 'text', 'id', '{animal_id}', true, 2),
    ('zoo_join_keepers_animals', 'id', 'text', 'id', '{}', false, 3),
    ('zoo_join_keepers_animals', 'changed_at', 'timestamptz', 'changed_at', '{}', false, 4),
    ('zoo_join_keepers_animals', 'remote_deleted_at', 'timestamptz', 'remote_deleted_at', '{}', false, 5);
INSERT INTO kombo.nested_records (endpoint, json_path, relation, table_name, parent_column) VALUES
    ('/zoo/keepers', 'work', 'part', 'zoo_keepers', NULL),
    ('/zoo/keepers', 'work.house', 'linked', 'zoo_houses', NULL),
    ('/zoo/keepers', 'work.animals', 'join', 'zoo_join_keepers_animals', 'keeper_id');
SELECT kombo.create_tables('ZOO');
\d kombo.zoo_join_keepers_animals
ROLLBACK;

DROP ROLE regress_kombo_other, regress_kombo_super;
