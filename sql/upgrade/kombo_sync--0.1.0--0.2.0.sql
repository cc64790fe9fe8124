\echo Use "ALTER EXTENSION kombo_sync UPDATE" to load this file. \quit
SET LOCAL search_path = pg_catalog, pg_temp;
-- Columns of tables that 0.1.0 has already; all else is in the install parts, which follow.

ALTER TABLE kombo.integrations
    ADD COLUMN next_attempt_at timestamptz,
    ADD COLUMN data_expired_at timestamptz,
    ADD COLUMN checked_at      timestamptz;

ALTER TABLE kombo.sync_state
    ADD COLUMN attempts        integer NOT NULL DEFAULT 0,
    ADD COLUMN full_started_at timestamptz,
    ADD COLUMN full_watermark  timestamptz,
    ADD COLUMN full_query      text,
    ADD COLUMN full_cursor     text,
    ADD COLUMN full_cursor_at  timestamptz,
    ADD COLUMN full_progress   jsonb;

-- The catalogue: which endpoints Kombo has, which models they show, which fields a model has, and how
-- nested records unfold. The library knows no endpoint by name; a new one is rows in these tables.

DO $$
BEGIN
    IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'kombo_sync needs a UTF8 database'
            USING ERRCODE = 'feature_not_supported',
                  DETAIL = pg_catalog.format('The encoding of database "%s" is %s, which cannot hold every text that '
                                             'Kombo sends.',
                                             pg_catalog.current_database(), pg_catalog.getdatabaseencoding()),
                  HINT = 'Use a database made with CREATE DATABASE ... ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;
    -- Its owner could replace what is in it.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
                   WHERE n.nspname = 'kombo' AND (r.rolsuper OR r.rolname = CURRENT_USER)) THEN
        RAISE EXCEPTION 'schema "kombo" belongs to an ordinary role'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Rename or drop that schema, or give it to a superuser with ALTER SCHEMA kombo OWNER TO.';
    END IF;
END
$$;

COMMENT ON SCHEMA kombo IS 'kombo_sync: data tables, catalogue, configuration and state';

CREATE TABLE IF NOT EXISTS kombo.endpoints (
    path            text PRIMARY KEY CHECK (path ~ '^/[^[:space:]?#]+$'),
    category        text NOT NULL CHECK (category <> ''),
    table_name      text NOT NULL CHECK (octet_length(table_name) BETWEEN 1 AND 63),
    enabled         boolean NOT NULL DEFAULT true,
    paginated       boolean NOT NULL DEFAULT true,
    incremental     boolean NOT NULL DEFAULT true,
    on_missing      text NOT NULL DEFAULT 'mark' CHECK (on_missing IN ('mark', 'delete', 'keep')),
    full_interval   interval DEFAULT '7 days' CHECK (full_interval > '0'),
    delta_interval  interval DEFAULT '3 hours' CHECK (delta_interval > '0'),
    status          text NOT NULL DEFAULT 'stable'
        CHECK (status IN ('stable', 'open_beta', 'closed_beta', 'deprecated')),
    comment         text,
    shipped         boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE kombo.endpoints IS
    'Catalogue: the list endpoints of Kombo''s API. Rows of your own are welcome and are dumped; shipped ones are not.';
COMMENT ON COLUMN kombo.endpoints.path IS 'path below the server''s base_url, such as /hris/employees';
COMMENT ON COLUMN kombo.endpoints.category IS 'Kombo''s category of integrations that has this endpoint, such as HRIS';
COMMENT ON COLUMN kombo.endpoints.table_name IS 'table of schema kombo that the records of the list go to';
COMMENT ON COLUMN kombo.endpoints.enabled IS 'whether an integration without a row in kombo.subscriptions fetches it';
COMMENT ON COLUMN kombo.endpoints.paginated IS 'whether the endpoint takes cursor and page_size';
COMMENT ON COLUMN kombo.endpoints.incremental IS
    'whether the endpoint takes updated_after and include_deleted; one that does not is always fetched in full';
COMMENT ON COLUMN kombo.endpoints.on_missing IS
    'what a full sync does with a row that Kombo no longer returns: mark (set remote_deleted_at), delete or keep';
COMMENT ON COLUMN kombo.endpoints.full_interval IS 'time between scheduled full fetches; NULL: none';
COMMENT ON COLUMN kombo.endpoints.delta_interval IS 'time between scheduled delta fetches; NULL: none';
COMMENT ON COLUMN kombo.endpoints.status IS
    'how ripe Kombo calls the endpoint: stable, open_beta, closed_beta or deprecated';
COMMENT ON COLUMN kombo.endpoints.comment IS 'what a record of the list is; becomes the comment of the table';
COMMENT ON COLUMN kombo.endpoints.shipped IS
    'whether the row came with the extension (and is therefore left out of dumps)';

CREATE TABLE IF NOT EXISTS kombo.endpoint_models (
    endpoint        text NOT NULL REFERENCES kombo.endpoints ON DELETE CASCADE,
    model           text NOT NULL CHECK (model <> ''),
    role            text NOT NULL CHECK (role IN ('own', 'implied', 'carried')),
    delta           boolean NOT NULL DEFAULT true,
    shipped         boolean NOT NULL DEFAULT false,
    PRIMARY KEY (endpoint, model)
);
COMMENT ON TABLE kombo.endpoint_models IS 'Catalogue: which of Kombo''s changed models an endpoint shows';
COMMENT ON COLUMN kombo.endpoint_models.endpoint IS 'path of the endpoint';
COMMENT ON COLUMN kombo.endpoint_models.model IS
    'name of the model, as in the changed_models of a data-changed webhook';
COMMENT ON COLUMN kombo.endpoint_models.role IS
    'own: the endpoint to ask for this model; implied: complete and with every field in this endpoint, too; carried: '
    'in parts, or by link';
COMMENT ON COLUMN kombo.endpoint_models.delta IS 'whether a delta fetch of this endpoint shows a change of this model';
COMMENT ON COLUMN kombo.endpoint_models.shipped IS
    'whether the row came with the extension (and is therefore left out of dumps)';

CREATE TABLE IF NOT EXISTS kombo.fields (
    table_name      text NOT NULL CHECK (octet_length(table_name) BETWEEN 1 AND 63),
    column_name     text NOT NULL CHECK (octet_length(column_name) BETWEEN 1 AND 63),
    type            text NOT NULL
        CHECK (type IN ('text', 'boolean', 'numeric', 'date', 'time', 'timestamptz', 'jsonb')),
    json_key        text CHECK (json_key <> ''),
    key             boolean NOT NULL DEFAULT false,
    "position"      integer NOT NULL DEFAULT 0,
    comment         text,
    shipped         boolean NOT NULL DEFAULT false,
    PRIMARY KEY (table_name, column_name),
    CONSTRAINT fields_column_is_not_implicit CHECK (column_name NOT IN ('integration_id', 'id', 'changed_at',
        'remote_deleted_at', 'custom_fields', 'remote_data', 'extra', 'synced_at'))
);
COMMENT ON TABLE kombo.fields IS
    'Catalogue: the columns of the data tables and where in a record their values are. Every model table has '
    'integration_id, id, changed_at, remote_deleted_at, custom_fields, remote_data, extra and synced_at besides; a '
    'table with key fields is a join table and has integration_id, extra and synced_at besides.';
COMMENT ON COLUMN kombo.fields.table_name IS 'table of schema kombo';
COMMENT ON COLUMN kombo.fields.column_name IS 'column of that table';
COMMENT ON COLUMN kombo.fields.type IS 'SQL type of the column, which says how the value is decoded';
COMMENT ON COLUMN kombo.fields.json_key IS
    'key in the record; dotted (reviewee.id) for a key of a nested object; NULL for the column of a join table that '
    'holds the parent''s id';
COMMENT ON COLUMN kombo.fields.key IS 'whether the column is part of a join table''s primary key';
COMMENT ON COLUMN kombo.fields."position" IS
    'order of the columns within the table, and of the keys within the primary key';
COMMENT ON COLUMN kombo.fields.comment IS 'what the value is, with its unit; becomes the comment of the column';
COMMENT ON COLUMN kombo.fields.shipped IS
    'whether the row came with the extension (and is therefore left out of dumps)';

CREATE TABLE IF NOT EXISTS kombo.nested_records (
    endpoint        text NOT NULL REFERENCES kombo.endpoints ON DELETE CASCADE,
    json_path       text NOT NULL CHECK (json_path <> ''),
    relation        text NOT NULL CHECK (relation IN ('owned', 'linked', 'join', 'copy')),
    table_name      text NOT NULL CHECK (octet_length(table_name) BETWEEN 1 AND 63),
    parent_column   text CHECK (parent_column <> ''),
    shipped         boolean NOT NULL DEFAULT false,
    PRIMARY KEY (endpoint, json_path, relation),
    CONSTRAINT nested_records_owned_and_join_name_the_parent_column
        CHECK (relation NOT IN ('owned', 'join') OR parent_column IS NOT NULL)
);
COMMENT ON TABLE kombo.nested_records IS
    'Catalogue: records that come nested in the records of an endpoint, and the tables they unfold to';
COMMENT ON COLUMN kombo.nested_records.endpoint IS 'path of the endpoint';
COMMENT ON COLUMN kombo.nested_records.json_path IS
    'where the records are: keys joined by dots, lists and objects alike, such as groups or skills.skill';
COMMENT ON COLUMN kombo.nested_records.relation IS
    'owned: a list complete with each parent; linked: has an endpoint of its own; join: the list is a set of links; '
    'copy: repeats what has its own row elsewhere';
COMMENT ON COLUMN kombo.nested_records.table_name IS 'table of schema kombo that the records go to';
COMMENT ON COLUMN kombo.nested_records.parent_column IS
    'owned and join: the column of that table that holds the id of the parent';
COMMENT ON COLUMN kombo.nested_records.shipped IS
    'whether the row came with the extension (and is therefore left out of dumps)';

CREATE TABLE IF NOT EXISTS kombo.excluded_fields (
    table_name      text NOT NULL,
    column_name     text NOT NULL,
    excluded_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (table_name, column_name)
);
COMMENT ON TABLE kombo.excluded_fields IS
    'Fields that are kept out of this database for good; add to it with kombo.exclude_field';
COMMENT ON COLUMN kombo.excluded_fields.table_name IS 'table of schema kombo';
COMMENT ON COLUMN kombo.excluded_fields.column_name IS 'column of that table, which stays NULL';
COMMENT ON COLUMN kombo.excluded_fields.excluded_at IS 'when it was excluded';

SELECT pg_catalog.pg_extension_config_dump('kombo.endpoints', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('kombo.endpoint_models', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('kombo.fields', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('kombo.nested_records', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('kombo.excluded_fields', '');

CREATE OR REPLACE VIEW kombo.data_tables AS
    SELECT named.table_name, c.oid::regclass AS relation, c.relowner::regrole AS owner
    FROM (SELECT table_name FROM kombo.endpoints
          UNION SELECT table_name FROM kombo.nested_records
          UNION SELECT table_name FROM kombo.fields) AS named
    JOIN pg_class c ON c.relname = named.table_name AND c.relnamespace = 'kombo'::regnamespace
    WHERE c.relkind IN ('r', 'p')
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');
COMMENT ON VIEW kombo.data_tables IS 'The tables of the catalogue that exist in this database';
COMMENT ON COLUMN kombo.data_tables.table_name IS 'name as in the catalogue';
COMMENT ON COLUMN kombo.data_tables.relation IS 'the table';
COMMENT ON COLUMN kombo.data_tables.owner IS 'its owner';

CREATE OR REPLACE FUNCTION kombo.is_member(table_name text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
                   WHERE c.relnamespace = 'kombo'::regnamespace AND c.relname = $1 AND d.deptype = 'e')
$$;
COMMENT ON FUNCTION kombo.is_member(text) IS 'Whether the table of that name in schema kombo belongs to an extension.';

CREATE OR REPLACE FUNCTION kombo.table_columns(table_name text)
    RETURNS TABLE (column_name text, definition text, comment text, is_key boolean, is_reference boolean,
                   ordinal integer)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    WITH own AS (
        SELECT f.column_name, f.type, f.comment, f.key,
               (100 + row_number() OVER (ORDER BY NOT f.key, f."position", f.column_name))::integer AS ordinal
        FROM kombo.fields f WHERE f.table_name = $1
    ), every_table AS (
        SELECT column_name, type, comment, key, ordinal FROM (VALUES
            ('integration_id', 'text', true, 1, true, 'Kombo integration that the row belongs to.'),
            ('id', 'text', true, 2, false, 'Kombo''s id of the record, unique within the integration and this table.'),
            ('changed_at', 'timestamptz', false, 10001, false,
             'When Kombo last saw this record''s own properties change.'),
            ('remote_deleted_at', 'timestamptz', false, 10002, false,
             'When the record was found to be gone from the source; NULL: it is there.'),
            ('custom_fields', 'jsonb', false, 10003, false, 'Fields that were mapped for this integration, by name.'),
            ('remote_data', 'jsonb', false, 10004, false, 'Raw data of the source system, where Kombo passes it on.'),
            ('extra', 'jsonb', false, 10005, true,
             'What was sent without having a column here, or did not fit it, by key.'),
            ('synced_at', 'timestamptz', false, 10006, true, 'When this row last changed in this database.')
        ) AS v (column_name, type, key, ordinal, of_joins, comment)
        WHERE of_joins OR NOT EXISTS (SELECT FROM own WHERE own.key)
    )
    SELECT e.column_name, e.type || CASE WHEN e.key THEN ' NOT NULL' ELSE '' END, e.comment, e.key, false, e.ordinal
    FROM every_table e
    UNION ALL
    SELECT o.column_name, o.type || CASE WHEN o.key THEN ' NOT NULL' ELSE '' END, o.comment, o.key,
           o.column_name = 'remote_id' OR (o.key AND o.ordinal > 101)
               OR (NOT o.key AND o.type = 'text' AND o.column_name LIKE '%\_id' AND o.column_name <> 'tax_id'), o.ordinal
    FROM own o
    ORDER BY 6
$$;
COMMENT ON FUNCTION kombo.table_columns(text) IS
    'The columns that a data table of that name has by the catalogue, in order; is_reference: readers look rows up by '
    'it, so it gets an index.';

CREATE OR REPLACE FUNCTION kombo.table_comment(table_name text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(
        (SELECT e.comment FROM kombo.endpoints e WHERE e.table_name = $1
         ORDER BY e.status <> 'stable', NOT e.enabled, e.path LIMIT 1),
        (SELECT CASE WHEN bool_or(n.relation = 'join') THEN 'Links' ELSE 'Records' END
             || ' that come nested in ' || string_agg(DISTINCT format('%s (%s)', n.endpoint, n.json_path), ', ')
         FROM kombo.nested_records n WHERE n.table_name = $1))
$$;
COMMENT ON FUNCTION kombo.table_comment(text) IS 'What the table of that name holds, by the catalogue.';

CREATE OR REPLACE FUNCTION kombo.check_catalogue(category text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    valid text := (SELECT string_agg(DISTINCT e.category, ', ') FROM kombo.endpoints e);
    wrong text;
BEGIN
    IF check_catalogue.category IS NULL THEN
        RAISE EXCEPTION 'category must not be null' USING ERRCODE = 'null_value_not_allowed',
            HINT = format('Categories of the catalogue are: %s.', valid);
    ELSIF NOT EXISTS (SELECT FROM kombo.endpoints e WHERE e.category = check_catalogue.category) THEN
        RAISE EXCEPTION 'category "%" is not in the catalogue', check_catalogue.category
            USING ERRCODE = 'invalid_parameter_value',
            HINT = format('Categories of the catalogue are: %s.', valid);
    END IF;
    SELECT string_agg(problem, E'\n' ORDER BY problem) INTO wrong FROM (
        SELECT format('Endpoint "%s" fills table "%s", which belongs to the extension.', e.path, e.table_name)
               AS problem
        FROM kombo.endpoints e
        WHERE e.category = check_catalogue.category AND kombo.is_member(e.table_name)
        UNION ALL
        SELECT format('Endpoint "%s" fills join table "%s"; its own table must have no key fields.',
                      e.path, e.table_name)
        FROM kombo.endpoints e
        WHERE e.category = check_catalogue.category
          AND EXISTS (SELECT FROM kombo.fields f WHERE f.table_name = e.table_name AND f.key)
        UNION ALL
        SELECT format('Nested records "%s" of endpoint "%s" go to table "%s", %s.',
            n.json_path, n.endpoint, n.table_name,
            CASE WHEN kombo.is_member(n.table_name) THEN 'which belongs to the extension'
                 WHEN n.relation = 'join' AND NOT shape.has_keys THEN 'which has no key fields'
                 WHEN n.relation <> 'join' AND shape.has_keys THEN 'which has key fields and takes joins only'
                 ELSE format('which has no field "%s" for the parent''s id', n.parent_column) END)
        FROM kombo.nested_records n
        JOIN kombo.endpoints e ON e.path = n.endpoint AND e.category = check_catalogue.category
        CROSS JOIN LATERAL (SELECT coalesce(bool_or(f.key), false) AS has_keys,
                                   coalesce(bool_or(f.column_name = n.parent_column), false) AS has_parent
                            FROM kombo.fields f WHERE f.table_name = n.table_name) shape
        WHERE kombo.is_member(n.table_name)
           OR (n.relation = 'join') <> shape.has_keys
           OR (n.relation IN ('owned', 'join') AND NOT shape.has_parent)) AS problems;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'catalogue rows of category "%" are wrong', check_catalogue.category
            USING ERRCODE = 'invalid_object_definition', DETAIL = wrong,
                  HINT = 'Correct the rows of kombo.endpoints, kombo.nested_records and kombo.fields.';
    END IF;
END
$$;
COMMENT ON FUNCTION kombo.check_catalogue(text) IS
    'Raises on a category that is NULL or unknown, and on rows of its catalogue that contradict each other.';
-- Configuration and state: integrations, their subscriptions, watermarks, requests, runs, parked records, inbox.

CREATE TABLE IF NOT EXISTS kombo.integrations (
    integration_id      text PRIMARY KEY,
    server              text NOT NULL,
    category            text NOT NULL,
    tool                text,
    added_at            timestamptz NOT NULL DEFAULT now(),
    paused_at           timestamptz,
    paused_by           text,
    pause_reason        text,
    next_attempt_at     timestamptz,
    data_expired_at     timestamptz,
    checked_at          timestamptz,
    system_identifier   bigint,
    database_oid        oid,
    CONSTRAINT integrations_paused_at_with_paused_by CHECK ((paused_at IS NULL) = (paused_by IS NULL))
);
COMMENT ON TABLE kombo.integrations IS
    'The Kombo integrations that are copied to this database; see kombo.add_integration';
COMMENT ON COLUMN kombo.integrations.integration_id IS
    'Kombo''s id of the integration, such as personio:CBNMt7dSNCzBdnRTx87dev4E';
COMMENT ON COLUMN kombo.integrations.server IS 'foreign server with the address and key to fetch it with';
COMMENT ON COLUMN kombo.integrations.category IS
    'Kombo''s category of the integration, such as HRIS; says which endpoints it has';
COMMENT ON COLUMN kombo.integrations.tool IS
    'the HR system behind the integration, such as personio; NULL where Kombo was not asked';
COMMENT ON COLUMN kombo.integrations.added_at IS 'when it was added';
COMMENT ON COLUMN kombo.integrations.paused_at IS 'since when it is paused; NULL: it is not';
COMMENT ON COLUMN kombo.integrations.paused_by IS
    'who paused it: operator (kombo.pause), which only kombo.resume ends; or kombo_sync, by itself, until an attempt '
    'succeeds';
COMMENT ON COLUMN kombo.integrations.pause_reason IS 'why it is paused';
COMMENT ON COLUMN kombo.integrations.next_attempt_at IS 'when a pause by kombo_sync is put to the test again';
COMMENT ON COLUMN kombo.integrations.data_expired_at IS
    'since when Kombo calls its copy of the data out of date, as after a change of filters; NULL: it does not';
COMMENT ON COLUMN kombo.integrations.checked_at IS 'when Kombo last told the state of the integration; NULL: never yet';
COMMENT ON COLUMN kombo.integrations.system_identifier IS
    'system identifier of the cluster it was enabled in; in a restored copy it differs from the present one';
COMMENT ON COLUMN kombo.integrations.database_oid IS
    'oid of the database it was enabled in; in a restored copy it differs from the present one';

CREATE TABLE IF NOT EXISTS kombo.subscriptions (
    integration_id  text NOT NULL REFERENCES kombo.integrations ON DELETE CASCADE,
    endpoint        text NOT NULL REFERENCES kombo.endpoints,
    enabled         boolean NOT NULL DEFAULT true,
    full_interval   interval DEFAULT '7 days',
    delta_interval  interval DEFAULT '3 hours',
    on_missing      text,
    purge_after     interval,
    PRIMARY KEY (integration_id, endpoint)
);
COMMENT ON TABLE kombo.subscriptions IS
    'What an integration does otherwise than kombo.endpoints has it: a row overrides the endpoint''s enabled, '
    'intervals and on_missing';
COMMENT ON COLUMN kombo.subscriptions.integration_id IS 'the integration';
COMMENT ON COLUMN kombo.subscriptions.endpoint IS 'path of an endpoint of the integration''s category';
COMMENT ON COLUMN kombo.subscriptions.enabled IS 'whether the endpoint is fetched';
COMMENT ON COLUMN kombo.subscriptions.full_interval IS 'time between scheduled full fetches; NULL: none';
COMMENT ON COLUMN kombo.subscriptions.delta_interval IS 'time between scheduled delta fetches; NULL: none';
COMMENT ON COLUMN kombo.subscriptions.on_missing IS
    'what a full sync does with a row that Kombo no longer returns: mark, delete or keep; NULL: as the endpoint has it';
COMMENT ON COLUMN kombo.subscriptions.purge_after IS
    'age at which rows with remote_deleted_at are deleted; NULL: never';

CREATE OR REPLACE FUNCTION kombo.check_subscription() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its_category text := (SELECT i.category FROM kombo.integrations i WHERE i.integration_id = NEW.integration_id);
    valid text := (SELECT string_agg(e.path, ', ' ORDER BY e.path)
                   FROM kombo.endpoints e WHERE e.category = its_category);
    endpoint_category text := (SELECT e.category FROM kombo.endpoints e WHERE e.path = NEW.endpoint);
BEGIN
    IF NEW.integration_id IS NULL OR NEW.endpoint IS NULL THEN
        RAISE EXCEPTION 'a subscription needs an integration and an endpoint' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Give integration_id and endpoint, such as ''/hris/employees''.';
    ELSIF its_category IS NULL THEN
        RAISE EXCEPTION 'integration "%" does not exist', NEW.integration_id USING ERRCODE = 'undefined_object',
            HINT = 'Add it with kombo.add_integration first; kombo.integrations lists those that exist.';
    ELSIF endpoint_category IS NULL THEN
        RAISE EXCEPTION 'endpoint "%" does not exist', NEW.endpoint USING ERRCODE = 'undefined_object',
            HINT = format('Endpoints of category %s are: %s.', its_category, valid);
    ELSIF endpoint_category <> its_category THEN
        RAISE EXCEPTION 'endpoint "%" is of another category than integration "%"', NEW.endpoint, NEW.integration_id
            USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('The endpoint is of category %s, the integration of category %s.',
                            endpoint_category, its_category),
            HINT = format('Endpoints of category %s are: %s.', its_category, valid);
    ELSIF NEW.full_interval <= '0' OR NEW.delta_interval <= '0' OR NEW.purge_after <= '0' THEN
        RAISE EXCEPTION 'intervals of a subscription must be positive' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('full_interval is %s, delta_interval is %s, purge_after is %s.',
                            coalesce(NEW.full_interval::text, 'NULL'), coalesce(NEW.delta_interval::text, 'NULL'),
                            coalesce(NEW.purge_after::text, 'NULL')),
            HINT = 'Use NULL for an interval that is not wanted.';
    ELSIF NEW.on_missing NOT IN ('mark', 'delete', 'keep') THEN
        RAISE EXCEPTION 'on_missing of a subscription cannot be "%"', NEW.on_missing
            USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Use mark, delete or keep, or NULL for what the endpoint has.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION kombo.check_subscription() IS
    'Trigger of kombo.subscriptions: raises on an unknown integration or endpoint, an endpoint of another category, an '
    'interval that is not positive, and an on_missing that is none.';
CREATE OR REPLACE TRIGGER check_subscription BEFORE INSERT OR UPDATE ON kombo.subscriptions
    FOR EACH ROW EXECUTE FUNCTION kombo.check_subscription();
COMMENT ON TRIGGER check_subscription ON kombo.subscriptions IS 'refuses what cannot work, with a hint';

CREATE TABLE IF NOT EXISTS kombo.sync_state (
    integration_id  text NOT NULL REFERENCES kombo.integrations ON DELETE CASCADE,
    endpoint        text NOT NULL,
    watermark       timestamptz,
    last_status     text,
    last_success_at timestamptz,
    last_full_at    timestamptz,
    failures        integer NOT NULL DEFAULT 0,
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    last_error      text,
    held            text,
    accept_sweep    boolean NOT NULL DEFAULT false,
    full_started_at timestamptz,
    full_watermark  timestamptz,
    full_query      text,
    full_cursor     text,
    full_cursor_at  timestamptz,
    full_progress   jsonb,
    PRIMARY KEY (integration_id, endpoint)
);
COMMENT ON TABLE kombo.sync_state IS 'How far each endpoint of each integration has come';
COMMENT ON COLUMN kombo.sync_state.integration_id IS 'the integration';
COMMENT ON COLUMN kombo.sync_state.endpoint IS 'path of the endpoint';
COMMENT ON COLUMN kombo.sync_state.watermark IS
    'start of the last successful fetch; the next delta asks for what changed since; NULL: the next one is a full';
COMMENT ON COLUMN kombo.sync_state.last_status IS 'status of the last run: ok, failed, held, waiting or unavailable';
COMMENT ON COLUMN kombo.sync_state.last_success_at IS 'when the last successful fetch finished';
COMMENT ON COLUMN kombo.sync_state.last_full_at IS 'when the last successful full fetch finished';
COMMENT ON COLUMN kombo.sync_state.held IS
    'the sweep that the fuse held back in the last full fetch, in words; NULL: none';
COMMENT ON COLUMN kombo.sync_state.failures IS 'failed runs since the last success';
COMMENT ON COLUMN kombo.sync_state.attempts IS
    'runs since the last success, whatever kept them from one: the more, the longer until the next';
COMMENT ON COLUMN kombo.sync_state.next_attempt_at IS
    'before this time no attempt is made by itself; NULL: no back-off';
COMMENT ON COLUMN kombo.sync_state.last_error IS 'error of the last run that failed; NULL after a success';
COMMENT ON COLUMN kombo.sync_state.accept_sweep IS
    'whether the next full may sweep more rows than the fuse allows, once; see kombo.accept_sweep';
COMMENT ON COLUMN kombo.sync_state.full_started_at IS
    'when the full fetch that is under way sent its first request; NULL: none is under way';
COMMENT ON COLUMN kombo.sync_state.full_watermark IS
    'what the watermark becomes when that full fetch is done; where there is none yet, deltas use it meanwhile';
COMMENT ON COLUMN kombo.sync_state.full_query IS 'the filters of its requests: every page must repeat them';
COMMENT ON COLUMN kombo.sync_state.full_cursor IS
    'cursor of the page that it goes on with; empty: all pages are here and the sweep is left to do';
COMMENT ON COLUMN kombo.sync_state.full_cursor_at IS 'when Kombo gave that cursor';
COMMENT ON COLUMN kombo.sync_state.full_progress IS 'what it counted so far';

CREATE TABLE IF NOT EXISTS kombo.sync_seen (
    integration_id  text NOT NULL REFERENCES kombo.integrations ON DELETE CASCADE,
    endpoint        text NOT NULL,
    batch           integer NOT NULL,
    hashes          bytea NOT NULL,
    PRIMARY KEY (integration_id, endpoint, batch)
) WITH (toast_tuple_target = 4080);
COMMENT ON TABLE kombo.sync_seen IS
    'Which records the full fetches that are under way have returned: their sweeps take the others';
COMMENT ON COLUMN kombo.sync_seen.integration_id IS 'the integration';
COMMENT ON COLUMN kombo.sync_seen.endpoint IS 'path of the endpoint';
COMMENT ON COLUMN kombo.sync_seen.batch IS 'number of the batch that was written together';
COMMENT ON COLUMN kombo.sync_seen.hashes IS 'hashes of the ids in that batch, 8 bytes each';

-- No foreign key: an integration that is to be registered is not there yet.
CREATE TABLE IF NOT EXISTS kombo.sync_requests (
    id              bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    integration_id  text NOT NULL,
    endpoint        text,
    kind            text NOT NULL CHECK (kind IN ('delta', 'full', 'integration')),
    trigger         text NOT NULL CHECK (trigger IN ('webhook', 'schedule', 'sql')),
    requested_at    timestamptz NOT NULL DEFAULT now(),
    server          text,
    unknown_model   text,
    CONSTRAINT sync_requests_fetch_names_an_endpoint CHECK ((endpoint IS NULL) = (kind = 'integration'))
);
COMMENT ON TABLE kombo.sync_requests IS
    'What the background worker is asked to do: rows are appended, and a run that succeeds deletes those that it saw '
    'when it began';
COMMENT ON COLUMN kombo.sync_requests.id IS 'number of the request';
COMMENT ON COLUMN kombo.sync_requests.integration_id IS 'the integration';
COMMENT ON COLUMN kombo.sync_requests.endpoint IS 'path of the endpoint to fetch; NULL where kind is integration';
COMMENT ON COLUMN kombo.sync_requests.kind IS
    'delta, full, or integration: ask Kombo for the state of the integration';
COMMENT ON COLUMN kombo.sync_requests.trigger IS
    'what asked for it: webhook, schedule or sql (kombo.request_sync)';
COMMENT ON COLUMN kombo.sync_requests.requested_at IS 'when it was asked for';
COMMENT ON COLUMN kombo.sync_requests.server IS
    'server to register the integration with, where it is not added yet (option auto_register)';
COMMENT ON COLUMN kombo.sync_requests.unknown_model IS
    'changed model that the catalogue does not know, on whose account every subscribed endpoint is asked for';

CREATE TABLE IF NOT EXISTS kombo.sync_runs (
    id              bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    integration_id  text NOT NULL,
    endpoint        text NOT NULL,
    kind            text NOT NULL,
    trigger         text NOT NULL,
    status          text,
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    pages           integer NOT NULL DEFAULT 0,
    received        bigint NOT NULL DEFAULT 0,
    inserted        bigint NOT NULL DEFAULT 0,
    updated         bigint NOT NULL DEFAULT 0,
    unchanged       bigint NOT NULL DEFAULT 0,
    deleted         bigint NOT NULL DEFAULT 0,
    rows_by_table   jsonb,
    bytes           bigint NOT NULL DEFAULT 0,
    retries         integer NOT NULL DEFAULT 0,
    warnings        jsonb,
    error           text
);
CREATE INDEX IF NOT EXISTS sync_runs_finished_at_idx ON kombo.sync_runs (finished_at);
CREATE INDEX IF NOT EXISTS sync_runs_endpoint_idx ON kombo.sync_runs (integration_id, endpoint, started_at DESC);
COMMENT ON TABLE kombo.sync_runs IS 'History: one row per run of an endpoint';
COMMENT ON COLUMN kombo.sync_runs.id IS 'number of the run';
COMMENT ON COLUMN kombo.sync_runs.integration_id IS 'the integration, which may have been removed since';
COMMENT ON COLUMN kombo.sync_runs.endpoint IS 'path of the endpoint';
COMMENT ON COLUMN kombo.sync_runs.kind IS 'what was done: delta or full';
COMMENT ON COLUMN kombo.sync_runs.trigger IS 'what asked for it: sql, webhook or schedule';
COMMENT ON COLUMN kombo.sync_runs.status IS 'ok, failed, held, waiting or unavailable';
COMMENT ON COLUMN kombo.sync_runs.started_at IS 'when it started';
COMMENT ON COLUMN kombo.sync_runs.finished_at IS 'when it finished; NULL while it runs';
COMMENT ON COLUMN kombo.sync_runs.pages IS 'pages fetched';
COMMENT ON COLUMN kombo.sync_runs.received IS 'records of the endpoint''s own list, repeats included';
COMMENT ON COLUMN kombo.sync_runs.inserted IS 'rows inserted into the endpoint''s own table';
COMMENT ON COLUMN kombo.sync_runs.updated IS
    'rows updated in the endpoint''s own table, tombstones from Kombo included';
COMMENT ON COLUMN kombo.sync_runs.unchanged IS 'rows of the endpoint''s own table that were equal to what was sent';
COMMENT ON COLUMN kombo.sync_runs.deleted IS 'rows of the endpoint''s own table that the sweep marked or removed';
COMMENT ON COLUMN kombo.sync_runs.rows_by_table IS
    'the same counts for every table that was written: {"table": {"inserted": n, ...}}';
COMMENT ON COLUMN kombo.sync_runs.bytes IS 'bytes received on the wire';
COMMENT ON COLUMN kombo.sync_runs.retries IS 'requests that were repeated';
COMMENT ON COLUMN kombo.sync_runs.warnings IS
    'what was odd about the data, counted: unknown keys, values that did not fit their column, characters that were '
    'replaced';
COMMENT ON COLUMN kombo.sync_runs.error IS 'why it failed';

CREATE TABLE IF NOT EXISTS kombo.rejected_records (
    id              bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    integration_id  text NOT NULL REFERENCES kombo.integrations ON DELETE CASCADE,
    endpoint        text NOT NULL,
    record_id       text,
    record          jsonb,
    sqlstate        text,
    error           text,
    rejected_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS rejected_records_record_idx ON kombo.rejected_records (integration_id, endpoint, record_id);
COMMENT ON TABLE kombo.rejected_records IS
    'Records that the database refused (a constraint or trigger of yours, a record without id); the next full fetch '
    'tries them again';
COMMENT ON COLUMN kombo.rejected_records.id IS 'number of the row';
COMMENT ON COLUMN kombo.rejected_records.integration_id IS 'the integration';
COMMENT ON COLUMN kombo.rejected_records.endpoint IS 'path of the endpoint that returned the record';
COMMENT ON COLUMN kombo.rejected_records.record_id IS 'Kombo''s id of the record; NULL where it has none';
COMMENT ON COLUMN kombo.rejected_records.record IS 'the record as sent, without excluded fields: personal data';
COMMENT ON COLUMN kombo.rejected_records.sqlstate IS 'SQLSTATE of the error';
COMMENT ON COLUMN kombo.rejected_records.error IS 'message of the error';
COMMENT ON COLUMN kombo.rejected_records.rejected_at IS 'when it was refused';

CREATE TABLE IF NOT EXISTS kombo.webhook_inbox (
    id              bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    received_at     timestamptz NOT NULL DEFAULT now(),
    body            text NOT NULL CONSTRAINT webhook_inbox_body_is_at_most_1_mb CHECK (octet_length(body) <= 1048576),
    signature       text,
    status          text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'done', 'ignored', 'rejected')),
    webhook_id      text,
    webhook_type    text,
    integration_id  text,
    error           text,
    processed_at    timestamptz
);
CREATE INDEX IF NOT EXISTS webhook_inbox_new_idx ON kombo.webhook_inbox (id) WHERE status = 'new';
CREATE INDEX IF NOT EXISTS webhook_inbox_done_idx ON kombo.webhook_inbox (webhook_id) WHERE status = 'done';
CREATE INDEX IF NOT EXISTS webhook_inbox_judged_idx ON kombo.webhook_inbox (processed_at) WHERE status <> 'new';
COMMENT ON TABLE kombo.webhook_inbox IS
    'Kombo''s webhooks as a front end received them: it inserts body and signature, nothing else';
COMMENT ON COLUMN kombo.webhook_inbox.id IS 'number of the row';
COMMENT ON COLUMN kombo.webhook_inbox.received_at IS 'when it was inserted';
COMMENT ON COLUMN kombo.webhook_inbox.body IS 'raw body of the request, at most 1048576 bytes';
COMMENT ON COLUMN kombo.webhook_inbox.signature IS 'value of the header X-Kombo-Signature';
COMMENT ON COLUMN kombo.webhook_inbox.status IS
    'new, done, ignored (nothing here wants it) or rejected (error says why)';
COMMENT ON COLUMN kombo.webhook_inbox.webhook_id IS 'Kombo''s id of the webhook';
COMMENT ON COLUMN kombo.webhook_inbox.webhook_type IS 'Kombo''s type of the webhook, such as data-changed';
COMMENT ON COLUMN kombo.webhook_inbox.integration_id IS 'the integration it is about';
COMMENT ON COLUMN kombo.webhook_inbox.error IS 'why it was rejected or ignored';
COMMENT ON COLUMN kombo.webhook_inbox.processed_at IS 'when it was judged';

SELECT pg_catalog.pg_extension_config_dump('kombo.integrations', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.subscriptions', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.sync_state', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.sync_seen', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.sync_requests', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.sync_requests_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.sync_runs', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.sync_runs_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.rejected_records', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.rejected_records_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.webhook_inbox', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.webhook_inbox_id_seq', '');
-- What the library provides: the foreign data wrapper that holds address and key, the sync functions,
-- the calls that ask Kombo something, and the check of what Kombo sends by itself.

CREATE OR REPLACE FUNCTION kombo.interface_number() RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS 'SELECT 2';
COMMENT ON FUNCTION kombo.interface_number() IS
    'Number of the interface between these SQL objects and the library; the library raises where it expects another.';

CREATE OR REPLACE FUNCTION kombo.kombo_sync_validator(options text[], catalog oid) RETURNS void
    AS 'MODULE_PATHNAME', 'kombo_sync_validator' LANGUAGE c STRICT
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION kombo.kombo_sync_validator(text[], oid) IS
    'Checks the options of servers and user mappings; raises on an unknown one, naming the valid ones, and on a bad '
    'value.';

COMMENT ON FOREIGN DATA WRAPPER kombo_sync IS
    'Kombo API accounts: a server holds the address, the user mapping of its owner (else of PUBLIC) the key.';

CREATE OR REPLACE FUNCTION kombo.kombo_sync_delta(integration_id text DEFAULT NULL, what text[] DEFAULT NULL)
    RETURNS TABLE (integration_id text, endpoint text, kind text, status text, pages integer,
                   received bigint, inserted bigint, updated bigint, unchanged bigint, deleted bigint,
                   started_at timestamptz, finished_at timestamptz, error text)
    AS 'MODULE_PATHNAME', 'kombo_sync_delta' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION kombo.kombo_sync_delta(text, text[]) IS
    'Fetches what changed since the last successful fetch. integration_id: NULL means all; what: changed models or '
    'endpoint paths, NULL means everything subscribed. One row per endpoint. An endpoint that fails is a row with '
    'status failed and a WARNING; raises on unknown names, without user mapping, while paused, read-only.';

CREATE OR REPLACE FUNCTION kombo.kombo_sync_full(integration_id text DEFAULT NULL, what text[] DEFAULT NULL)
    RETURNS TABLE (integration_id text, endpoint text, kind text, status text, pages integer,
                   received bigint, inserted bigint, updated bigint, unchanged bigint, deleted bigint,
                   started_at timestamptz, finished_at timestamptz, error text)
    AS 'MODULE_PATHNAME', 'kombo_sync_full' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION kombo.kombo_sync_full(text, text[]) IS
    'Fetches everything, repairs what differs, and marks or removes what Kombo no longer has. Parameters, rows and '
    'errors as kombo.kombo_sync_delta.';

CREATE OR REPLACE FUNCTION kombo.request_sync(integration_id text DEFAULT NULL, kind text DEFAULT 'delta',
                                   what text[] DEFAULT NULL) RETURNS integer
    AS 'MODULE_PATHNAME', 'request_sync' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION kombo.request_sync(text, text, text[]) IS
    'Has the background worker sync as soon as the transaction commits, and returns how many endpoints it asked for. '
    'integration_id: NULL means all; kind: delta or full; what: changed models or endpoint paths, NULL means '
    'everything subscribed. Raises as the functions that sync at once, and on another kind; warns where no worker serves this '
    'database.';

CREATE OR REPLACE FUNCTION kombo.execute_as_sync_role(statement text) RETURNS bigint
    AS 'MODULE_PATHNAME', 'execute_as_sync_role' LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION kombo.execute_as_sync_role(text) IS
    'Runs a statement that changes data tables as their owner, in a security-restricted context, and returns the rows '
    'changed: triggers on the tables do not get the rights of a superuser who calls. For members of that role.';

CREATE OR REPLACE FUNCTION kombo.check_connection(server text) RETURNS text
    AS 'MODULE_PATHNAME', 'check_connection' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION kombo.check_connection(text) IS
    'Asks Kombo whether the key of a server is valid and returns the id of the environment it belongs to. Needs USAGE '
    'on the server; raises on every network or API error.';

CREATE OR REPLACE FUNCTION kombo.integration_info(server text, integration_id text) RETURNS jsonb
    AS 'MODULE_PATHNAME', 'integration_info' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION kombo.integration_info(text, text) IS
    'What Kombo says about an integration (tool, category, state). Needs USAGE on the server; raises on every network '
    'or API error.';

CREATE OR REPLACE FUNCTION kombo.verify_webhook(body text, signature text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'verify_webhook' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION kombo.verify_webhook(text, text) IS
    'Whether the signature (header X-Kombo-Signature) of a webhook''s raw body is by a webhook secret of any server, for '
    'front ends that answer 401 themselves; false where either is NULL. Raises only where there is not one secret to '
    'verify with; one that cannot be read is a WARNING.';
-- The data tables: ordinary tables, made from the catalogue for a sync role, and fields kept out of them.

CREATE OR REPLACE FUNCTION kombo.sync_role() RETURNS regrole
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owners regrole[] := (SELECT array_agg(DISTINCT d.owner) FROM kombo.data_tables d);
BEGIN
    IF cardinality(owners) > 1 THEN
        RAISE EXCEPTION 'data tables of kombo_sync have different owners'
            USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = (SELECT string_agg(format('%s owns %s.', o.owner, o.tables), ' ' ORDER BY o.owner::text)
                      FROM (SELECT d.owner, string_agg(d.table_name, ', ' ORDER BY d.table_name) AS tables
                            FROM kombo.data_tables d GROUP BY d.owner) o),
            HINT = 'Give all of them to one role with ALTER TABLE ... OWNER TO, then run kombo.create_tables again.';
    END IF;
    RETURN owners[1];
END
$$;
COMMENT ON FUNCTION kombo.sync_role() IS
    'The role that all syncing runs as: the owner of the data tables; NULL while there are none. Raises where they '
    'have different owners.';

CREATE OR REPLACE FUNCTION kombo.lock_integrations() RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('kombo_sync:' || i.integration_id, 0))
    FROM (SELECT integration_id FROM kombo.integrations ORDER BY integration_id) i
$$;
COMMENT ON FUNCTION kombo.lock_integrations() IS
    'Waits for the running syncs of all integrations and keeps new ones out until the transaction ends.';

CREATE OR REPLACE FUNCTION kombo.create_tables(category text, owner regrole DEFAULT NULL) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    settled regrole;
    new_owner regrole;
    present regclass;
    present_kind "char";
    present_owner regrole;
    made integer := 0;
    changed text[] := '{}';
    touched text[];
    its_name text;
    col record;
    reader regrole;
BEGIN
    PERFORM kombo.check_catalogue(create_tables.category);
    IF owner IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = owner) THEN
        RAISE EXCEPTION 'role with OID % does not exist', owner::oid USING ERRCODE = 'undefined_object',
            HINT = 'Name an existing role, best one that is neither a superuser nor used for anything else.';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('kombo_sync:create_tables', 0));
    settled := kombo.sync_role();
    IF owner <> settled THEN
        RAISE EXCEPTION 'data tables belong to role "%", not to "%"',
            (SELECT rolname FROM pg_roles WHERE oid = settled), (SELECT rolname FROM pg_roles WHERE oid = owner)
            USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Leave out owner, or give all data tables to the other role with ALTER TABLE ... OWNER TO first.';
    END IF;
    new_owner := coalesce(settled, owner, (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user)::regrole);
    PERFORM kombo.warn_of_superuser(new_owner);

    FOR its_name IN
        SELECT e.table_name FROM kombo.endpoints e WHERE e.category = create_tables.category
        UNION
        SELECT n.table_name FROM kombo.nested_records n JOIN kombo.endpoints e ON e.path = n.endpoint
        WHERE e.category = create_tables.category ORDER BY 1
    LOOP
        SELECT c.oid, c.relkind, c.relowner INTO present, present_kind, present_owner
        FROM pg_class c WHERE c.relnamespace = 'kombo'::regnamespace AND c.relname = its_name;
        IF present IS NULL THEN
            EXECUTE format('CREATE TABLE kombo.%I (%s, PRIMARY KEY (%s))', its_name,
                (SELECT string_agg(format('%I %s', c.column_name, c.definition), ', ' ORDER BY c.ordinal)
                 FROM kombo.table_columns(its_name) c),
                (SELECT string_agg(quote_ident(c.column_name), ', ' ORDER BY c.ordinal)
                 FROM kombo.table_columns(its_name) c WHERE c.is_key));
            made := made + 1;
            changed := changed || its_name;
        ELSIF present_kind NOT IN ('r', 'p') OR present_owner <> new_owner THEN
            RAISE EXCEPTION '"kombo.%" is in the way of a data table', its_name USING ERRCODE = 'duplicate_table',
                DETAIL = CASE WHEN present_kind IN ('r', 'p') THEN format('It belongs to role %s.', present_owner)
                              ELSE 'It is not a table.' END,
                HINT = 'Rename it or move it to another schema.';
        END IF;

        FOR col IN SELECT c.*, a.attname IS NULL AS missing FROM kombo.table_columns(its_name) c
                   LEFT JOIN pg_attribute a ON a.attrelid = present AND a.attname = c.column_name AND NOT a.attisdropped
                   ORDER BY c.ordinal
        LOOP
            IF col.missing AND present IS NOT NULL THEN
                EXECUTE format('ALTER TABLE kombo.%I ADD COLUMN %I %s', its_name, col.column_name, col.definition);
                changed := changed || its_name;
            END IF;
            IF col.missing THEN
                EXECUTE format('COMMENT ON COLUMN kombo.%I.%I IS %L', its_name, col.column_name, col.comment);
                IF col.is_reference THEN
                    EXECUTE format('CREATE INDEX ON kombo.%I (integration_id, %I)', its_name, col.column_name);
                END IF;
            END IF;
        END LOOP;

        IF present IS NULL THEN
            EXECUTE format('COMMENT ON TABLE kombo.%I IS %L', its_name, kombo.table_comment(its_name));
            EXECUTE format('ALTER TABLE kombo.%I OWNER TO %s', its_name, new_owner);
            FOR reader IN SELECT r.reader FROM kombo.readers() r LOOP
                EXECUTE format('GRANT SELECT ON kombo.%I TO %s', its_name, reader);
            END LOOP;
        END IF;
    END LOOP;

    PERFORM kombo.grant_sync_role(new_owner);
    -- What is stored was fetched without the new columns: only a full fetch brings their values. A running sync does
    -- not know of them, and would put its watermark back.
    IF changed <> '{}' THEN
        PERFORM kombo.lock_integrations();
    END IF;
    -- So is every page that a full fetch under way has written.
    touched := ARRAY(
        SELECT e.path FROM kombo.endpoints e WHERE e.table_name = ANY (changed)
        UNION SELECT n.endpoint FROM kombo.nested_records n
        WHERE n.table_name = ANY (changed) AND n.relation <> 'copy');
    UPDATE kombo.sync_state s SET watermark = NULL, full_started_at = NULL, full_watermark = NULL, full_query = NULL,
           full_cursor = NULL, full_cursor_at = NULL, full_progress = NULL
    WHERE s.endpoint = ANY (touched) AND (s.watermark IS NOT NULL OR s.full_started_at IS NOT NULL);
    DELETE FROM kombo.sync_seen s WHERE s.endpoint = ANY (touched);
    PERFORM kombo.wake(true);
    RETURN made;
END
$$;
COMMENT ON FUNCTION kombo.create_tables(text, regrole) IS
    'Makes the tables of a category (and columns added to the catalogue since) and returns how many it made. owner: '
    'the sync role, settled by the first call; NULL means that role, else the caller. Never drops or retypes a column; '
    'what was added is filled by the full fetch that it asks for. Raises on an unknown category, another owner than '
    'the settled one, wrong catalogue rows, and a name that is taken.';

CREATE OR REPLACE FUNCTION kombo.warn_of_superuser(owner regrole) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = owner) THEN
        RAISE WARNING 'data tables belong to superuser %', owner USING
            DETAIL = 'Syncing runs as the owner of the data tables, and so do triggers on them.',
            HINT = 'Make a role for it and give it the tables with ALTER TABLE ... OWNER TO, or pass owner to '
                   'kombo.create_tables before there are any.';
    END IF;
END
$$;
COMMENT ON FUNCTION kombo.warn_of_superuser(regrole) IS
    'Warns if the role is a superuser, as the sync role should not be.';

CREATE OR REPLACE FUNCTION kombo.check_excludable(table_name text, column_name text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    tables text[] := (SELECT array_agg(t.table_name ORDER BY t.table_name)
                      FROM (SELECT e.table_name FROM kombo.endpoints e
                            UNION SELECT n.table_name FROM kombo.nested_records n) t);
    columns text[] := (SELECT array_agg(c.column_name ORDER BY c.ordinal)
                       FROM kombo.table_columns(check_excludable.table_name) c
                       WHERE NOT c.is_key
                         AND c.column_name NOT IN ('changed_at', 'remote_deleted_at', 'extra', 'synced_at'));
    choice text := coalesce('Columns that can be excluded are: ' || array_to_string(columns, ', ') || '.',
                            'No column of this table can be excluded.');
BEGIN
    IF check_excludable.table_name IS NULL OR check_excludable.column_name IS NULL THEN
        RAISE EXCEPTION 'table and column must not be null' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Name both, as in SELECT kombo.exclude_field(''hris_employees'', ''ssn'').';
    ELSIF check_excludable.table_name <> ALL (tables) THEN
        RAISE EXCEPTION 'table "%" is not in the catalogue', check_excludable.table_name
            USING ERRCODE = 'undefined_table',
            HINT = format('Tables of the catalogue are: %s.', array_to_string(tables, ', '));
    ELSIF check_excludable.column_name = ANY (columns) THEN
        RETURN;
    ELSIF EXISTS (SELECT FROM kombo.table_columns(check_excludable.table_name) c
                  WHERE c.column_name = check_excludable.column_name) THEN
        RAISE EXCEPTION 'column "%" of table "%" cannot be excluded',
            check_excludable.column_name, check_excludable.table_name USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'Keys, and the columns that syncing itself needs, have to stay.', HINT = choice;
    ELSE
        RAISE EXCEPTION 'table "%" has no field "%"', check_excludable.table_name, check_excludable.column_name
            USING ERRCODE = 'undefined_column', HINT = choice;
    END IF;
END
$$;
COMMENT ON FUNCTION kombo.check_excludable(text, text) IS
    'Raises unless the catalogue has that field and syncing can do without it.';

CREATE OR REPLACE FUNCTION kombo.erase_field(table_name text, column_name text, keys text[]) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
#variable_conflict use_column
DECLARE
    relation regclass := (SELECT d.relation FROM kombo.data_tables d WHERE d.table_name = erase_field.table_name);
    assignments text[] := '{}';
    conditions text[] := '{}';
    erased bigint := 0;
    columns text[] := (SELECT array_agg(a.attname) FROM pg_attribute a
                       WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped);
BEGIN
    IF erase_field.column_name = ANY (columns) THEN
        assignments := assignments || format('%I = NULL', erase_field.column_name);
        conditions := conditions || format('%I IS NOT NULL', erase_field.column_name);
    END IF;
    IF 'extra' = ANY (columns) AND cardinality(keys) > 0 THEN
        assignments := assignments || format('extra = nullif(%s, ''{}'')',
            (SELECT 'extra - ' || quote_literal(keys) || '::text[]'
                        || string_agg(format(' #- %L', string_to_array(k, '.')), '') FROM unnest(keys) k));
        conditions := conditions || (
            SELECT string_agg(format('extra ? %L OR extra #> %L IS NOT NULL', k, string_to_array(k, '.')), ' OR ')
            FROM unnest(keys) k);
    END IF;
    IF cardinality(assignments) > 0 THEN
        erased := kombo.execute_as_sync_role(
            format('UPDATE kombo.%I SET %s%s WHERE %s', table_name, array_to_string(assignments, ', '),
                   CASE WHEN 'synced_at' = ANY (columns) THEN ', synced_at = now()' END,
                   array_to_string(conditions, ' OR ')));
    END IF;
    RETURN erased;
END
$$;
COMMENT ON FUNCTION kombo.erase_field(text, text, text[]) IS
    'Sets a column NULL (NULL: none) and takes keys out of extra in the stored rows of a data table, if there is one; '
    'returns the rows changed.';

CREATE OR REPLACE FUNCTION kombo.exclude_field(table_name text, column_name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
#variable_conflict use_column
DECLARE
    target text := exclude_field.table_name;
    field text := exclude_field.column_name;
    field_key text := coalesce((SELECT f.json_key FROM kombo.fields f
                                WHERE f.table_name = target AND f.column_name = field), field);
    raw text[];
    nest record;
    its_name text;
    erased bigint;
    dropped bigint;
BEGIN
    PERFORM kombo.check_excludable(target, field);
    -- A running sync decided what to write before it could know of this.
    PERFORM kombo.lock_integrations();

    erased := kombo.erase_field(target, field, ARRAY[field_key]);
    INSERT INTO kombo.excluded_fields (table_name, column_name) VALUES (target, field) ON CONFLICT DO NOTHING;

    -- Where nested records did not unfold, they lie whole in the extra of the row that they came in.
    FOR nest IN
        SELECT n.endpoint, n.json_path, e.table_name AS list_table, split_part(n.json_path, '.', 1) AS first_key,
               outer_record.table_name AS outer_table, regexp_replace(n.json_path, '^.*\.', '') AS last_key
        FROM kombo.nested_records n
        JOIN kombo.endpoints e ON e.path = n.endpoint
        LEFT JOIN kombo.nested_records outer_record ON outer_record.endpoint = n.endpoint
            AND outer_record.json_path = regexp_replace(n.json_path, '\.[^.]*$', '')
            AND outer_record.json_path <> n.json_path
        WHERE n.table_name = target
    LOOP
        PERFORM kombo.erase_field(nest.list_table, NULL, ARRAY[nest.first_key]);
        IF nest.outer_table IS NOT NULL THEN
            PERFORM kombo.erase_field(nest.outer_table, NULL, ARRAY[nest.last_key]);
        END IF;
    END LOOP;

    -- The raw data of the record, and of every record that this one comes nested in, may repeat the value.
    SELECT array_agg(DISTINCT t.table_name ORDER BY t.table_name) INTO raw FROM (
        SELECT target AS table_name
        UNION SELECT e.table_name FROM kombo.endpoints e JOIN kombo.nested_records n ON n.endpoint = e.path
              WHERE n.table_name = target) t
    WHERE field <> 'remote_data'
      AND EXISTS (SELECT FROM kombo.table_columns(t.table_name) c WHERE c.column_name = 'remote_data');
    FOREACH its_name IN ARRAY coalesce(raw, '{}') LOOP
        PERFORM kombo.erase_field(its_name, 'remote_data', ARRAY['remote_data']);
        INSERT INTO kombo.excluded_fields (table_name, column_name) VALUES (its_name, 'remote_data')
        ON CONFLICT DO NOTHING;
    END LOOP;

    DELETE FROM kombo.rejected_records r WHERE r.endpoint IN (
        SELECT e.path FROM kombo.endpoints e WHERE e.table_name = target
        UNION SELECT n.endpoint FROM kombo.nested_records n WHERE n.table_name = target);
    GET DIAGNOSTICS dropped = ROW_COUNT;

    RAISE NOTICE '"%" of table "%" is excluded from now on', field, target USING
        DETAIL = concat_ws(' ', format('Rows erased in: %s; rejected records deleted: %s.', erased, dropped),
                           'Excluded with it, as it may repeat the value: '
                               || (SELECT string_agg(t || '.remote_data', ', ') FROM unnest(raw) t) || '.'),
        HINT = 'Columns custom_fields and integration_fields, views and tables of yours were not searched; backups, '
               'and dead rows until the next VACUUM, still have the value.';
END
$$;
COMMENT ON FUNCTION kombo.exclude_field(text, text) IS
    'Keeps a field out of this database for good, and erases it where it is stored: in its column, in extra, in '
    'remote_data (which is excluded whole), in parked records. table_name, column_name: as in kombo.fields, or '
    'custom_fields or remote_data. Waits for syncs that run. To have it back, delete the rows of kombo.excluded_fields '
    'and run a full sync. Raises on an unknown table or column and on keys.';
-- What an operator does with integrations: add, remove, pause, resume, accept a sweep.

CREATE OR REPLACE FUNCTION kombo.this_database() RETURNS TABLE (system_identifier bigint, database_oid oid)
    LANGUAGE sql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.system_identifier, d.oid FROM pg_control_system() c, pg_database d WHERE d.datname = current_database()
$$;
COMMENT ON FUNCTION kombo.this_database() IS
    'What tells this database from a restored copy of it: the system identifier of the cluster and the oid of the '
    'database.';

CREATE OR REPLACE FUNCTION kombo.check_integration_server() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT (SELECT has_server_privilege(s.oid, 'USAGE') FROM pg_foreign_server s WHERE s.srvname = NEW.server) THEN
        RAISE EXCEPTION 'permission denied for foreign server %', NEW.server USING ERRCODE = 'insufficient_privilege',
            HINT = format('Its owner can give it: GRANT USAGE ON FOREIGN SERVER %I TO %I.', NEW.server, current_user);
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION kombo.check_integration_server() IS
    'Trigger of kombo.integrations: raises where the user may not use the server. One that does not exist passes, so '
    'that a dump restores.';
CREATE OR REPLACE TRIGGER check_integration_server BEFORE INSERT OR UPDATE OF server ON kombo.integrations
    FOR EACH ROW EXECUTE FUNCTION kombo.check_integration_server();
COMMENT ON TRIGGER check_integration_server ON kombo.integrations IS
    'an integration can be given only to a server that the user may use';

CREATE OR REPLACE FUNCTION kombo.add_integration(integration_id text, server text, category text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    new_id text := add_integration.integration_id;
    its_server text := add_integration.server;
    its_category text := add_integration.category;
    its_tool text;
    info jsonb;
    asked_at timestamptz;
    servers text := (SELECT string_agg(quote_ident(s.srvname), ', ' ORDER BY s.srvname) FROM pg_foreign_server s
                     JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE w.fdwname = 'kombo_sync');
    categories text := (SELECT string_agg(DISTINCT e.category, ', ') FROM kombo.endpoints e);
BEGIN
    IF new_id IS NULL OR its_server IS NULL THEN
        RAISE EXCEPTION 'integration_id and server must not be null' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Call it as in SELECT kombo.add_integration(''personio:...'', server => ''kombo_eu'').';
    ELSIF new_id = '' OR new_id <> btrim(new_id) OR new_id ~ '[[:cntrl:]]' OR length(new_id) > 200 THEN
        RAISE EXCEPTION 'invalid integration id' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'It is empty, longer than 200 characters, or has control characters or white space around it.',
            HINT = 'Copy the id from Kombo''s dashboard; it looks like personio:CBNMt7dSNCzBdnRTx87dev4E.';
    ELSIF EXISTS (SELECT FROM kombo.integrations i WHERE i.integration_id = new_id) THEN
        RAISE EXCEPTION 'integration "%" already exists', new_id USING ERRCODE = 'duplicate_object',
            HINT = 'See kombo.integrations; to begin anew, call kombo.remove_integration first.';
    ELSIF NOT EXISTS (SELECT FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
                      WHERE w.fdwname = 'kombo_sync' AND s.srvname = its_server) THEN
        RAISE EXCEPTION 'server "%" is not a server of foreign data wrapper kombo_sync', its_server
            USING ERRCODE = 'undefined_object',
            HINT = coalesce('Servers of kombo_sync are: ' || servers || '.',
                            'There is none; make one with CREATE SERVER ... FOREIGN DATA WRAPPER kombo_sync OPTIONS '
                            '(base_url ''https://api.kombo.dev/v1'').');
    ELSIF NOT has_server_privilege(its_server, 'USAGE') THEN
        RAISE EXCEPTION 'permission denied for foreign server %', its_server USING ERRCODE = 'insufficient_privilege',
            HINT = format('Its owner can give it: GRANT USAGE ON FOREIGN SERVER %I TO %I.', its_server, current_user);
    END IF;
    IF its_category IS NULL THEN
        info := kombo.integration_info(its_server, new_id);
        asked_at := now();
        its_category := info ->> 'category';
        its_tool := coalesce(info #>> '{tool,id}', info ->> 'tool');
    END IF;
    IF NOT EXISTS (SELECT FROM kombo.endpoints e WHERE e.category = its_category) THEN
        RAISE EXCEPTION 'category "%" is not in the catalogue', its_category USING ERRCODE = 'invalid_parameter_value',
            HINT = format('Categories of the catalogue are: %s.', categories);
    END IF;

    PERFORM kombo.provide_tables(its_category);
    INSERT INTO kombo.integrations (integration_id, server, category, tool, checked_at, system_identifier, database_oid)
    SELECT new_id, its_server, its_category, its_tool, asked_at, t.system_identifier, t.database_oid
    FROM kombo.this_database() t;
END
$$;
COMMENT ON FUNCTION kombo.add_integration(text, text, text) IS
    'Begins to copy an integration. integration_id: Kombo''s id; server: a server of wrapper kombo_sync, USAGE on '
    'which is needed; category: NULL means that Kombo is asked. Makes the tables of the category where they are '
    'missing. A background worker fetches it at once. Raises on a bad or repeated id, an unknown server or category, '
    'and, where Kombo is asked, on every network or API error.';

CREATE OR REPLACE FUNCTION kombo.provide_tables(category text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (
        SELECT FROM (SELECT e.table_name FROM kombo.endpoints e WHERE e.category = provide_tables.category
                     UNION SELECT n.table_name FROM kombo.nested_records n JOIN kombo.endpoints e ON e.path = n.endpoint
                     WHERE e.category = provide_tables.category) t
        WHERE NOT EXISTS (SELECT FROM kombo.data_tables d WHERE d.table_name = t.table_name)) THEN
        PERFORM kombo.warn_of_superuser(kombo.sync_role());
        -- The tables may be older than the extension, which was dropped and made again.
        IF has_function_privilege('kombo.grant_sync_role(regrole)', 'EXECUTE') THEN
            PERFORM kombo.grant_sync_role(kombo.sync_role());
        END IF;
    ELSIF has_function_privilege('kombo.create_tables(text, regrole)', 'EXECUTE') THEN
        PERFORM kombo.create_tables(provide_tables.category);
    ELSE
        RAISE EXCEPTION 'tables of category "%" are missing', provide_tables.category
            USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('Have a superuser run SELECT kombo.create_tables(%L, owner => ...) first.',
                          provide_tables.category);
    END IF;
END
$$;
COMMENT ON FUNCTION kombo.provide_tables(text) IS
    'Makes the tables of a category where they are missing; raises where the user may not; warns if their owner is a '
    'superuser.';

CREATE OR REPLACE FUNCTION kombo.check_integration(integration_id text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    present text := (SELECT string_agg(i.integration_id, ', ' ORDER BY i.integration_id)
                     FROM (SELECT i.integration_id FROM kombo.integrations i ORDER BY 1 LIMIT 20) i);
BEGIN
    IF check_integration.integration_id IS NULL THEN
        RAISE EXCEPTION 'integration_id must not be null' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Name an integration of kombo.integrations.';
    ELSIF NOT EXISTS (SELECT FROM kombo.integrations i WHERE i.integration_id = check_integration.integration_id) THEN
        RAISE EXCEPTION 'integration "%" does not exist', check_integration.integration_id
            USING ERRCODE = 'undefined_object',
            HINT = coalesce('Integrations here are: ' || present || '.',
                            'There is none yet; add it with kombo.add_integration.');
    END IF;
END
$$;
COMMENT ON FUNCTION kombo.check_integration(text) IS
    'Raises on an integration that is NULL or unknown, naming those that exist.';

CREATE OR REPLACE FUNCTION kombo.remove_integration(integration_id text, purge boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off SET lock_timeout = '10s'
AS $$
#variable_conflict use_column
DECLARE
    old_id text := remove_integration.integration_id;
    tab record;
    purged bigint;
    total bigint := 0;
BEGIN
    PERFORM kombo.check_integration(old_id);
    IF purge IS NULL THEN
        RAISE EXCEPTION 'purge must not be null' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Use true to delete the rows of the integration, too, and false to keep them.';
    END IF;
    BEGIN -- The background worker gives the lock up when somebody waits for it.
        PERFORM pg_advisory_xact_lock(hashtextextended('kombo_sync:' || old_id, 0));
    EXCEPTION WHEN lock_not_available THEN
        RAISE EXCEPTION 'integration "%" is being synced by another session', old_id USING ERRCODE = 'object_in_use',
            HINT = 'Call it again when that session is done, or cancel that session first.';
    END;
    IF purge THEN
        FOR tab IN SELECT d.relation, d.owner FROM kombo.data_tables d ORDER BY d.table_name LOOP
            IF NOT pg_has_role(tab.owner, 'USAGE') THEN
                RAISE EXCEPTION 'permission denied for table %', tab.relation USING ERRCODE = 'insufficient_privilege',
                    HINT = format('Rows are deleted by a member of role %s, which owns the tables, or by a superuser; '
                                  'without purge the integration can be removed all the same.', tab.owner);
            END IF;
            purged := kombo.execute_as_sync_role(format('DELETE FROM %s WHERE integration_id = %L', tab.relation,
                                                        old_id));
            total := total + purged;
        END LOOP;
        DELETE FROM kombo.sync_runs r WHERE r.integration_id = old_id;
        RAISE NOTICE 'rows deleted: %', total;
    END IF;
    DELETE FROM kombo.sync_requests r WHERE r.integration_id = old_id;
    DELETE FROM kombo.integrations i WHERE i.integration_id = old_id;
END
$$;
COMMENT ON FUNCTION kombo.remove_integration(text, boolean) IS
    'Ends an integration: its subscriptions, state, requests and parked records go; its rows stay unless purge is '
    'true, when its run history goes, too. Raises on an unknown integration, where another session goes on syncing it for 10 '
    'seconds, and where the user may not delete the rows.';

CREATE OR REPLACE FUNCTION kombo.pause(integration_id text, reason text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM kombo.check_integration(pause.integration_id);
    UPDATE kombo.integrations i
    SET paused_at = now(), paused_by = 'operator', pause_reason = reason, next_attempt_at = NULL
    WHERE i.integration_id = pause.integration_id;
END
$$;
COMMENT ON FUNCTION kombo.pause(text, text) IS
    'Stops all syncing of an integration until kombo.resume; no webhook and no retry overrules it. reason: shown in '
    'kombo.sync_status. Raises on an unknown integration.';

CREATE OR REPLACE FUNCTION kombo.resume(integration_id text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF resume.integration_id IS NOT NULL THEN
        PERFORM kombo.check_integration(resume.integration_id);
    END IF;
    UPDATE kombo.integrations i SET paused_at = NULL, paused_by = NULL, pause_reason = NULL, next_attempt_at = NULL,
           system_identifier = t.system_identifier, database_oid = t.database_oid
    FROM kombo.this_database() t WHERE i.integration_id = coalesce(resume.integration_id, i.integration_id);
    UPDATE kombo.sync_state s SET failures = 0, attempts = 0, next_attempt_at = NULL
    WHERE s.integration_id = coalesce(resume.integration_id, s.integration_id)
      AND (s.failures > 0 OR s.attempts > 0 OR s.next_attempt_at IS NOT NULL);
END
$$;
COMMENT ON FUNCTION kombo.resume(text) IS
    'Ends every pause, every back-off, and the state restored, after which this database fetches the integration. '
    'NULL: all integrations. Raises on an unknown one.';

CREATE OR REPLACE FUNCTION kombo.accept_sweep(integration_id text, endpoint text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM kombo.check_integration(accept_sweep.integration_id);
    UPDATE kombo.sync_state s SET accept_sweep = true
    WHERE s.integration_id = accept_sweep.integration_id AND s.endpoint = accept_sweep.endpoint;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'endpoint "%" of integration "%" has not been synced',
            accept_sweep.endpoint, accept_sweep.integration_id USING ERRCODE = 'undefined_object',
            HINT = coalesce('Endpoints that have been synced are: ' ||
                (SELECT string_agg(s.endpoint, ', ' ORDER BY s.endpoint) FROM kombo.sync_state s
                 WHERE s.integration_id = accept_sweep.integration_id) || '.',
                'None of its endpoints has been synced yet.');
    END IF;
END
$$;
COMMENT ON FUNCTION kombo.accept_sweep(text, text) IS
    'Lets the next full fetch of an endpoint pass the fuse once, however many rows it removes. Raises on an unknown '
    'integration or an endpoint that was never synced.';
-- The schedule: what falls due by itself.

-- Without statistics the planner takes thousands of rows for one and compares each with each: hence no nested loops.
CREATE OR REPLACE FUNCTION kombo.request_due() RETURNS timestamptz
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan SET enable_nestloop = off SET jit = off
AS $$
DECLARE
    mine boolean := pg_try_advisory_xact_lock(hashtextextended('kombo_sync:request_due', 0));
    integrations text[];
    endpoints text[];
    kinds text[];
    next_due timestamptz;
BEGIN
    -- Each comes early by up to a tenth of its interval, always by the same, so that what once ran together spreads.
    WITH integration AS MATERIALIZED (
        SELECT i.integration_id, i.category, i.paused_by IS NOT NULL AS suspended,
               -- A clock that was put back must not leave anything waiting for what was then the future.
               CASE WHEN i.checked_at > now() THEN now() ELSE i.checked_at END AS checked_at,
               interval '1 day' * (1 - (hashtextextended(i.integration_id, 0) & 1023) / 10240.0::float8) AS daily,
               CASE WHEN i.paused_by IS NOT NULL THEN i.next_attempt_at END AS not_before
        FROM kombo.integrations i
        JOIN kombo.this_database() here ON here.system_identifier = i.system_identifier
                                       AND here.database_oid = i.database_oid
        JOIN pg_foreign_server f ON f.srvname = i.server
        JOIN pg_foreign_data_wrapper w ON w.oid = f.srvfdw AND w.fdwname = 'kombo_sync'
        WHERE i.paused_by IS DISTINCT FROM 'operator'
    ), subscribed AS MATERIALIZED (
        SELECT i.integration_id, e.path AS endpoint, i.not_before,
               (hashtextextended(i.integration_id || e.path, 0) & 1023) / 10240.0::float8 AS early,
               -- Longer ones would leave the range of timestamptz, and take all others with them.
               least(CASE WHEN o.endpoint IS NULL THEN e.full_interval ELSE o.full_interval END, '100 years') AS full_i,
               least(CASE WHEN o.endpoint IS NULL THEN e.delta_interval ELSE o.delta_interval END, '100 years')
                   AS delta_i
        FROM integration i
        JOIN kombo.endpoints e ON e.category = i.category
        LEFT JOIN kombo.subscriptions o ON o.integration_id = i.integration_id AND o.endpoint = e.path
        WHERE coalesce(o.enabled, e.enabled)
    ), implied AS (
        SELECT DISTINCT s.integration_id, own.endpoint
        FROM kombo.endpoint_models own
        JOIN kombo.endpoint_models other ON other.model = own.model AND other.role = 'implied'
        JOIN subscribed s ON s.endpoint = other.endpoint
        WHERE own.role = 'own' AND own.endpoint <> other.endpoint
    ), pending AS (
        SELECT r.integration_id, r.endpoint, bool_or(r.kind = 'full') AS is_full
        FROM kombo.sync_requests r GROUP BY r.integration_id, r.endpoint
    ), endpoint AS (
        SELECT s.integration_id, s.endpoint, s.full_i * (1 - s.early) AS full_i,
               -- The other's delta brings its rows, too: its own turn comes only where that fails to.
               s.delta_i * CASE WHEN m.endpoint IS NULL THEN 1 - s.early ELSE 1.1 END AS delta_i,
               least(coalesce(st.last_full_at, st.last_success_at, st.watermark), now()) AS full_since,
               least(coalesce(st.last_success_at, st.watermark), now()) AS delta_since,
               st.watermark IS NULL AS is_new, greatest(s.not_before, st.next_attempt_at) AS not_before,
               coalesce(p.is_full, false) AS full_pending, p.endpoint IS NOT NULL AS pending
        FROM subscribed s
        LEFT JOIN implied m ON m.integration_id = s.integration_id AND m.endpoint = s.endpoint
        LEFT JOIN kombo.sync_state st ON st.integration_id = s.integration_id AND st.endpoint = s.endpoint
        LEFT JOIN pending p ON p.integration_id = s.integration_id AND p.endpoint = s.endpoint
    ), falls AS (
        SELECT e.integration_id, e.endpoint, 'full' AS kind, e.full_pending OR e.is_new AND e.pending AS pending,
               CASE WHEN e.is_new THEN least(e.full_i, e.delta_i) ELSE e.full_i END AS every, e.not_before,
               CASE WHEN e.is_new THEN '-infinity' ELSE e.full_since + e.full_i END AS due
        FROM endpoint e
        UNION ALL
        SELECT e.integration_id, e.endpoint, 'delta', e.pending OR coalesce(e.full_since + e.full_i <= now(), false),
               e.delta_i, e.not_before, e.delta_since + e.delta_i
        FROM endpoint e WHERE NOT e.is_new
        UNION ALL
        SELECT i.integration_id, NULL, 'integration',
               p.integration_id IS NOT NULL, i.daily, i.not_before,
               CASE WHEN i.suspended OR i.checked_at IS NULL THEN '-infinity' ELSE i.checked_at + i.daily END
        FROM integration i
        LEFT JOIN pending p ON p.integration_id = i.integration_id AND p.endpoint IS NULL
    ), due AS (
        SELECT f.integration_id, f.endpoint, f.kind, f.every, f.pending, t.due,
               mine AND NOT f.pending AND t.due <= now() AS is_new
        FROM falls f CROSS JOIN LATERAL (SELECT greatest(f.due, f.not_before) AS due) t
        WHERE f.due IS NOT NULL
    )
    SELECT array_agg(d.integration_id ORDER BY d.integration_id, d.endpoint) FILTER (WHERE d.is_new),
           array_agg(d.endpoint ORDER BY d.integration_id, d.endpoint) FILTER (WHERE d.is_new),
           array_agg(d.kind ORDER BY d.integration_id, d.endpoint) FILTER (WHERE d.is_new),
           -- What is asked for is due again when it has run: not before its interval is over.
           min(CASE WHEN d.pending OR d.due <= now() THEN now() + d.every ELSE d.due END)
    INTO integrations, endpoints, kinds, next_due
    FROM due d;

    -- Nothing is written for nothing: it would wake the worker.
    IF integrations IS NOT NULL THEN
        INSERT INTO kombo.sync_requests (integration_id, endpoint, kind, trigger)
        SELECT u.integration_id, u.endpoint, u.kind, 'schedule'
        FROM unnest(integrations, endpoints, kinds) AS u (integration_id, endpoint, kind);
    END IF;
    RETURN next_due;
END
$$;
COMMENT ON FUNCTION kombo.request_due() IS
    'Appends to kombo.sync_requests what is due by the intervals of kombo.endpoints and kombo.subscriptions and not '
    'asked for yet, a first full fetch of what was never fetched, and once a day the question for the state of each '
    'integration. Returns when something falls due next; NULL: never. The background worker calls it; of two that do '
    'at once, one appends.';
-- The background worker as seen from SQL: what wakes it, what it does right now, whether there is one.

CREATE OR REPLACE FUNCTION kombo.wake_worker() RETURNS trigger
    AS 'MODULE_PATHNAME', 'wake_worker' LANGUAGE c
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION kombo.wake_worker() IS
    'Trigger that wakes the background worker when the transaction commits; argument configuration: what it has read '
    'of configuration and catalogue is no longer true. Without a worker it does nothing.';

CREATE OR REPLACE FUNCTION kombo.wake(configuration boolean) RETURNS void
    AS 'MODULE_PATHNAME', 'wake_workers' LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION kombo.wake(boolean) IS
    'Wakes the background worker when the transaction commits. configuration: it is to read configuration and catalogue '
    'anew.';

CREATE OR REPLACE TRIGGER wake_worker AFTER INSERT ON kombo.webhook_inbox
    FOR EACH STATEMENT EXECUTE FUNCTION kombo.wake_worker();
CREATE OR REPLACE TRIGGER wake_worker AFTER INSERT ON kombo.sync_requests
    FOR EACH STATEMENT EXECUTE FUNCTION kombo.wake_worker();
-- What the worker itself notes there, such as when Kombo was last asked, is no news to it.
CREATE OR REPLACE TRIGGER wake_worker AFTER INSERT OR DELETE OR
    UPDATE OF integration_id, server, category, paused_at, paused_by, system_identifier, database_oid
    ON kombo.integrations
    FOR EACH STATEMENT EXECUTE FUNCTION kombo.wake_worker('configuration');
CREATE OR REPLACE TRIGGER wake_worker AFTER INSERT OR UPDATE OR DELETE ON kombo.subscriptions
    FOR EACH STATEMENT EXECUTE FUNCTION kombo.wake_worker('configuration');
CREATE OR REPLACE TRIGGER wake_worker AFTER INSERT OR UPDATE OR DELETE ON kombo.endpoints
    FOR EACH STATEMENT EXECUTE FUNCTION kombo.wake_worker('configuration');
CREATE OR REPLACE TRIGGER wake_worker AFTER INSERT OR UPDATE OR DELETE ON kombo.endpoint_models
    FOR EACH STATEMENT EXECUTE FUNCTION kombo.wake_worker('configuration');
CREATE OR REPLACE TRIGGER wake_worker AFTER INSERT OR UPDATE OR DELETE ON kombo.fields
    FOR EACH STATEMENT EXECUTE FUNCTION kombo.wake_worker('configuration');
CREATE OR REPLACE TRIGGER wake_worker AFTER INSERT OR UPDATE OR DELETE ON kombo.nested_records
    FOR EACH STATEMENT EXECUTE FUNCTION kombo.wake_worker('configuration');
CREATE OR REPLACE TRIGGER wake_worker AFTER INSERT OR UPDATE OR DELETE ON kombo.excluded_fields
    FOR EACH STATEMENT EXECUTE FUNCTION kombo.wake_worker('configuration');
COMMENT ON TRIGGER wake_worker ON kombo.webhook_inbox IS 'a webhook is judged as soon as it is committed';
COMMENT ON TRIGGER wake_worker ON kombo.sync_requests IS 'a request is begun as soon as it is committed';
COMMENT ON TRIGGER wake_worker ON kombo.integrations IS 'the worker follows every change at once';
COMMENT ON TRIGGER wake_worker ON kombo.subscriptions IS 'the worker follows every change at once';
COMMENT ON TRIGGER wake_worker ON kombo.endpoints IS 'the worker follows every change at once';
COMMENT ON TRIGGER wake_worker ON kombo.endpoint_models IS 'the worker follows every change at once';
COMMENT ON TRIGGER wake_worker ON kombo.fields IS 'the worker follows every change at once';
COMMENT ON TRIGGER wake_worker ON kombo.nested_records IS 'the worker follows every change at once';
COMMENT ON TRIGGER wake_worker ON kombo.excluded_fields IS 'the worker follows every change at once';

CREATE OR REPLACE FUNCTION kombo.worker_state(OUT state text, OUT since timestamptz, OUT reason text, OUT next text)
    AS 'MODULE_PATHNAME', 'worker_state' LANGUAGE c STRICT VOLATILE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION kombo.worker_state() IS
    'Whether a background worker serves this database (running, not working or no worker), since when, why not, and '
    'what to do; the first row of kombo.sync_status.';

CREATE OR REPLACE FUNCTION kombo.progress()
    RETURNS TABLE (pid integer, integration_id text, endpoint text, kind text, trigger text, phase text, pages integer,
                   "rows" bigint, bytes bigint, rows_per_second bigint, started_at timestamptz, blocked_by integer)
    AS 'MODULE_PATHNAME', 'progress' LANGUAGE c STRICT VOLATILE PARALLEL RESTRICTED ROWS 10
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION kombo.progress() IS 'The rows of kombo.sync_progress, from shared memory.';

CREATE OR REPLACE VIEW kombo.sync_progress AS SELECT * FROM kombo.progress();
COMMENT ON VIEW kombo.sync_progress IS
    'What is being fetched right now, of this database: live, although the transactions are not committed. Empty where '
    'the library is not in shared_preload_libraries.';
COMMENT ON COLUMN kombo.sync_progress.pid IS 'process that fetches: a worker, or a session that called a function';
COMMENT ON COLUMN kombo.sync_progress.integration_id IS 'the integration';
COMMENT ON COLUMN kombo.sync_progress.endpoint IS 'path of the endpoint';
COMMENT ON COLUMN kombo.sync_progress.kind IS 'delta or full';
COMMENT ON COLUMN kombo.sync_progress.trigger IS 'what asked for it: webhook, schedule or sql';
COMMENT ON COLUMN kombo.sync_progress.phase IS
    'starting, fetching (waits for Kombo), writing, locked (waits for a lock of another session), sweeping (looks for '
    'what Kombo no longer has), confirming (asks Kombo about that), or yielding (gives way to a delta of the same '
    'endpoint)';
COMMENT ON COLUMN kombo.sync_progress.pages IS 'pages so far';
COMMENT ON COLUMN kombo.sync_progress.rows IS 'records so far';
COMMENT ON COLUMN kombo.sync_progress.bytes IS 'bytes received on the wire so far';
COMMENT ON COLUMN kombo.sync_progress.rows_per_second IS 'records a second since it started';
COMMENT ON COLUMN kombo.sync_progress.started_at IS 'when it started';
COMMENT ON COLUMN kombo.sync_progress.blocked_by IS 'pid of the session whose lock it waits for; NULL: none';
-- Who may do what: readers, webhook front ends, operators, and the sync role itself.

CREATE OR REPLACE FUNCTION kombo.readers() RETURNS TABLE (reader regrole)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- Operators see the status as well, but no parked records: whoever has both was made a reader.
    SELECT acl.grantee::regrole
    FROM pg_class c, aclexplode(c.relacl) acl
    WHERE c.oid IN ('kombo.sync_status'::regclass, 'kombo.rejected_records'::regclass)
      AND acl.privilege_type = 'SELECT' AND acl.grantee <> c.relowner AND acl.grantee <> 0
    GROUP BY acl.grantee HAVING count(DISTINCT c.oid) = 2
$$;
COMMENT ON FUNCTION kombo.readers() IS 'The roles that kombo.grant_reader was called for.';

CREATE OR REPLACE FUNCTION kombo.check_role(role regrole) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF role IS NULL THEN
        RAISE EXCEPTION 'role must not be null' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Name an existing role.';
    ELSIF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = role) THEN
        RAISE EXCEPTION 'role with OID % does not exist', role::oid USING ERRCODE = 'undefined_object',
            HINT = 'Name an existing role.';
    END IF;
END
$$;
COMMENT ON FUNCTION kombo.check_role(regrole) IS 'Raises on a role that is NULL or does not exist.';

CREATE OR REPLACE FUNCTION kombo.grant_sync_role(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM kombo.check_role(role);
    -- An owner of the tables who adds a column cannot grant himself what he has already.
    IF has_schema_privilege(role, 'kombo', 'USAGE') AND has_table_privilege(role, 'kombo.sync_seen', 'DELETE')
       AND has_function_privilege(role, 'kombo.request_due()', 'EXECUTE') THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA kombo TO %s', role);
    EXECUTE format('GRANT SELECT ON kombo.endpoints, kombo.endpoint_models, kombo.fields, kombo.nested_records, '
                   'kombo.excluded_fields, kombo.data_tables, kombo.integrations, kombo.subscriptions TO %s', role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON kombo.sync_state, kombo.sync_seen, kombo.sync_runs, '
                   'kombo.rejected_records TO %s', role);
    EXECUTE format('GRANT UPDATE (tool, paused_at, paused_by, pause_reason, next_attempt_at, data_expired_at, '
                   'checked_at) ON kombo.integrations TO %s', role);
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON kombo.sync_requests TO %s', role);
    EXECUTE format('GRANT SELECT, UPDATE, DELETE ON kombo.webhook_inbox TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION kombo.sync_role(), kombo.this_database(), kombo.interface_number(), '
                   'kombo.request_due(), kombo.wake(boolean) TO %s', role);
END
$$;
COMMENT ON FUNCTION kombo.grant_sync_role(regrole) IS
    'Gives the owner of the data tables what syncing needs of catalogue, state, requests and inbox; create_tables '
    'calls it.';

CREATE OR REPLACE FUNCTION kombo.grant_reader(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation regclass;
BEGIN
    PERFORM kombo.check_role(role);
    EXECUTE format('GRANT USAGE ON SCHEMA kombo TO %s', role);
    EXECUTE format('GRANT SELECT ON kombo.endpoints, kombo.endpoint_models, kombo.fields, kombo.nested_records, '
                   'kombo.excluded_fields, kombo.data_tables, kombo.integrations, kombo.subscriptions, '
                   'kombo.sync_state, kombo.sync_requests, kombo.sync_runs, kombo.rejected_records, '
                   'kombo.sync_status, kombo.sync_progress TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION kombo.sync_role(), kombo.this_database(), kombo.worker_state(), '
                   'kombo.progress() TO %s', role);
    FOR relation IN SELECT d.relation FROM kombo.data_tables d LOOP
        EXECUTE format('GRANT SELECT ON %s TO %s', relation, role);
    END LOOP;
END
$$;
COMMENT ON FUNCTION kombo.grant_reader(regrole) IS
    'Lets a role read the data (parked records included: they are data), the catalogue and the status; tables made '
    'later, too.';

CREATE OR REPLACE FUNCTION kombo.grant_webhook_writer(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM kombo.check_role(role);
    EXECUTE format('GRANT USAGE ON SCHEMA kombo TO %s', role);
    EXECUTE format('GRANT INSERT (body, signature), SELECT (id) ON kombo.webhook_inbox TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION kombo.verify_webhook(text, text) TO %s', role);
END
$$;
COMMENT ON FUNCTION kombo.grant_webhook_writer(regrole) IS
    'Lets the front end that receives webhooks verify them, insert them (body, signature) and learn their id, and '
    'nothing else.';

CREATE OR REPLACE FUNCTION kombo.grant_operator(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM kombo.check_role(role);
    EXECUTE format('GRANT USAGE ON SCHEMA kombo TO %s', role);
    EXECUTE format('GRANT SELECT ON kombo.endpoints, kombo.endpoint_models, kombo.fields, kombo.nested_records, '
                   'kombo.excluded_fields, kombo.data_tables, kombo.sync_runs, kombo.sync_status, kombo.sync_progress '
                   'TO %s', role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON kombo.integrations, kombo.subscriptions TO %s', role);
    EXECUTE format('GRANT SELECT, UPDATE ON kombo.sync_state TO %s', role);
    EXECUTE format('GRANT SELECT, DELETE ON kombo.sync_requests TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION '
                   'kombo.kombo_sync_delta(text, text[]), kombo.kombo_sync_full(text, text[]), '
                   'kombo.request_sync(text, text, text[]), '
                   'kombo.check_connection(text), kombo.integration_info(text, text), '
                   'kombo.add_integration(text, text, text), kombo.remove_integration(text, boolean), '
                   'kombo.pause(text, text), kombo.resume(text), kombo.accept_sweep(text, text), '
                   -- and what these and the view call
                   'kombo.check_integration(text), kombo.provide_tables(text), kombo.warn_of_superuser(regrole), '
                   'kombo.execute_as_sync_role(text), kombo.sync_role(), kombo.this_database(), '
                   'kombo.interface_number(), kombo.worker_state(), kombo.progress(), kombo.wake(boolean) TO %s', role);
    RAISE NOTICE 'role % needs USAGE on the servers whose integrations it is to run', role USING
        HINT = format('The owner of a server gives it: GRANT USAGE ON FOREIGN SERVER ... TO %s.', role);
END
$$;
COMMENT ON FUNCTION kombo.grant_operator(regrole) IS
    'Lets a role run and request syncs, add, pause, resume and remove integrations, change subscriptions and see the '
    'status, but no data. USAGE on the servers is their owner''s to give.';
-- The view to look at first.

CREATE OR REPLACE VIEW kombo.sync_status AS
    WITH worker AS MATERIALIZED (SELECT * FROM kombo.worker_state()),
    -- A full fetch that gives way to a delta has a line of its own: the delta's is the one that moves.
    progress AS MATERIALIZED (
        SELECT DISTINCT ON (p.integration_id, p.endpoint) p.*
        FROM kombo.sync_progress p ORDER BY p.integration_id, p.endpoint, p.phase = 'yielding', p.started_at),
    requested AS MATERIALIZED (
        SELECT r.integration_id, r.endpoint, count(*) AS pending, min(r.requested_at) AS since
        FROM kombo.sync_requests r WHERE r.endpoint IS NOT NULL GROUP BY r.integration_id, r.endpoint)
    SELECT NULL::text AS integration_id, NULL::text AS endpoint, w.state, w.since, w.reason, w.next,
           NULL::timestamptz AS watermark, NULL::timestamptz AS last_success_at, NULL::timestamptz AS last_full_at,
           NULL::integer AS failures, NULL::bigint AS rejected,
           (SELECT count(*) FROM kombo.webhook_inbox n WHERE n.status = 'new') AS pending
    FROM worker w
    UNION ALL
    SELECT it.integration_id, it.endpoint, it.state,
           CASE it.state WHEN 'restored' THEN NULL
                         WHEN 'paused' THEN it.paused_at
                         WHEN 'fresh' THEN it.fresh_at
                         WHEN 'behind' THEN it.fresh_at + it.allowed
                         WHEN 'never synced' THEN it.added_at
                         WHEN 'held' THEN it.last_full_at
                         ELSE coalesce((SELECT min(r.started_at) FROM kombo.sync_runs r
                                        WHERE r.integration_id = it.integration_id AND r.endpoint = it.endpoint
                                          AND r.status = it.state
                                          AND r.started_at > coalesce(it.last_success_at, '-infinity')),
                                       it.last_success_at) END,
           nullif(concat_ws('; ',
               CASE it.state WHEN 'restored' THEN 'this database is a copy: the integration was enabled in another one'
                             WHEN 'paused' THEN concat_ws(': ', 'paused by ' || it.paused_by, it.pause_reason)
                             WHEN 'failed' THEN CASE WHEN it.server_exists THEN it.last_error
                                  ELSE format('server "%s" does not exist', it.server) END
                             WHEN 'waiting' THEN coalesce(it.last_error, 'Kombo has not finished its own first sync of '
                                                                         'the integration')
                             WHEN 'unavailable' THEN coalesce(it.last_error, 'the tool or its settings lack this model')
                             WHEN 'held' THEN it.held
                             WHEN 'never synced' THEN 'no fetch has succeeded yet'
                             WHEN 'behind' THEN format('the last success is older than %s', it.expected) END,
               CASE WHEN it.state NOT IN ('restored', 'paused') THEN
                    'Kombo calls its own copy out of date since ' || date_trunc('second', it.data_expired_at) END,
               CASE WHEN it.blocked_by IS NOT NULL THEN format('waits for a lock that pid %s holds', it.blocked_by)
                    WHEN it.state IN ('restored', 'paused', 'fresh') OR NOT it.server_exists THEN NULL
                    WHEN it.phase IS NOT NULL
                         THEN format('a %s fetch is under way: page %s, %s records', it.kind, it.pages, it.records)
                    WHEN it.full_started_at IS NOT NULL
                         THEN format('a full fetch began at %s', date_trunc('second', it.full_started_at))
                    WHEN it.pending > 0
                         THEN format('asked for at %s', date_trunc('second', it.requested_since)) END), ''),
           CASE WHEN it.state = 'restored'
                     THEN format('to let this copy call Kombo: SELECT kombo.resume(%L)', it.integration_id)
                WHEN it.state = 'paused' AND it.paused_by = 'operator' OR it.state = 'paused' AND NOT it.served
                     THEN format('SELECT kombo.resume(%L)', it.integration_id)
                WHEN it.state = 'paused'
                     THEN format('%s; at once: SELECT kombo.resume(%L)', it.again, it.integration_id)
                WHEN it.state = 'failed' AND NOT it.server_exists
                     THEN format('make the server again, or SELECT kombo.remove_integration(%L)', it.integration_id)
                WHEN it.blocked_by IS NOT NULL
                     THEN format('it goes on once pid %s ends its transaction; to end it: SELECT '
                                 'pg_terminate_backend(%s)', it.blocked_by, it.blocked_by)
                WHEN it.state = 'held'
                     THEN format('if so many rows are really gone: SELECT kombo.accept_sweep(%L, %L), then %s',
                                 it.integration_id, it.endpoint, it.call_full)
                WHEN it.state = 'unavailable'
                     THEN concat_ws('; ', 'enable the model at Kombo, or set enabled to false in kombo.subscriptions',
                                    it.again)
                WHEN it.state IN ('failed', 'waiting') AND it.served
                     THEN format('%s; at once: SELECT kombo.resume(%L)', it.again, it.integration_id)
                WHEN it.state = 'failed' THEN format('once the cause is gone: %s', it.call_delta)
                WHEN it.state = 'waiting' THEN format('later: %s', it.call_delta)
                WHEN it.state IN ('never synced', 'behind') AND it.phase IS NOT NULL THEN 'nothing to do: it is at work'
                WHEN it.state IN ('never synced', 'behind') AND it.served AND (it.pending > 0 OR it.scheduled)
                     THEN 'nothing to do: the worker fetches it'
                WHEN it.state = 'never synced' THEN it.call_full
                WHEN it.state = 'behind' THEN it.call_delta END,
           it.watermark, it.last_success_at, it.last_full_at, it.failures,
           (SELECT count(*) FROM kombo.rejected_records j
            WHERE j.integration_id = it.integration_id AND j.endpoint = it.endpoint),
           it.pending
    FROM (
        SELECT s.*,
               CASE WHEN s.system_identifier IS DISTINCT FROM here.system_identifier
                      OR s.database_oid IS DISTINCT FROM here.database_oid THEN 'restored'
                    WHEN s.paused_at IS NOT NULL THEN 'paused'
                    WHEN NOT s.server_exists THEN 'failed'
                    WHEN s.last_status IN ('failed', 'waiting', 'unavailable') THEN s.last_status
                    WHEN s.held IS NOT NULL THEN 'held'
                    -- A delta may run while the first full fetch is under way.
                    WHEN s.fresh_at IS NULL OR s.watermark IS NULL AND s.last_full_at IS NULL THEN 'never synced'
                    WHEN s.fresh_at + s.allowed < now() THEN 'behind'
                    ELSE 'fresh' END AS state,
               -- Of several things to wait for the last: an integration that is paused holds back all its endpoints.
               CASE WHEN s.served THEN coalesce('tried again at ' || date_trunc('second', greatest(
                    s.next_attempt_at, CASE WHEN s.paused_at IS NOT NULL THEN s.integration_next_attempt_at END)),
                    'tried again soon') END AS again
        FROM (
            SELECT i.integration_id, i.server, i.added_at, i.paused_at, i.paused_by, i.pause_reason,
                   i.system_identifier, i.database_oid, i.data_expired_at,
                   i.next_attempt_at AS integration_next_attempt_at,
                   e.path AS endpoint, st.watermark, st.last_status, st.last_success_at, st.last_full_at,
                   st.last_error, st.held, coalesce(st.failures, 0) AS failures, st.next_attempt_at, st.full_started_at,
                   p.kind, p.phase, p.pages, p.rows AS records, p.blocked_by,
                   coalesce(r.pending, 0) AS pending, r.since AS requested_since,
                   w.state = 'running' AS served,
                   -- An endpoint that another implies has its watermark moved without a run of its own.
                   greatest(st.last_success_at, st.watermark) AS fresh_at,
                   wanted.expected, wanted.expected * 1.1 AS allowed,
                   st.watermark IS NULL OR wanted.delta_interval IS NOT NULL AS scheduled,
                   CASE WHEN w.state = 'running'
                        THEN format('SELECT kombo.request_sync(%L)', i.integration_id)
                        WHEN st.last_status = 'failed'
                        THEN format('SELECT * FROM kombo.kombo_sync_delta(%L, ARRAY[%L])', i.integration_id, e.path)
                        ELSE format('SELECT * FROM kombo.kombo_sync_delta(%L)', i.integration_id) END AS call_delta,
                   CASE WHEN w.state = 'running'
                        THEN format('SELECT kombo.request_sync(%L, ''full'', ARRAY[%L])', i.integration_id, e.path)
                        WHEN st.held IS NOT NULL
                        THEN format('SELECT * FROM kombo.kombo_sync_full(%L, ARRAY[%L])', i.integration_id, e.path)
                        ELSE format('SELECT * FROM kombo.kombo_sync_full(%L)', i.integration_id) END AS call_full,
                   EXISTS (SELECT FROM pg_catalog.pg_foreign_server f WHERE f.srvname = i.server) AS server_exists
            FROM kombo.integrations i
            JOIN kombo.endpoints e ON e.category = i.category
            CROSS JOIN worker w
            LEFT JOIN kombo.subscriptions o ON o.integration_id = i.integration_id AND o.endpoint = e.path
            LEFT JOIN kombo.sync_state st ON st.integration_id = i.integration_id AND st.endpoint = e.path
            LEFT JOIN progress p ON p.integration_id = i.integration_id AND p.endpoint = e.path
            LEFT JOIN requested r ON r.integration_id = i.integration_id AND r.endpoint = e.path
            CROSS JOIN LATERAL (
                SELECT CASE WHEN o.endpoint IS NULL THEN coalesce(e.delta_interval, e.full_interval, '1 day')
                            ELSE coalesce(o.delta_interval, o.full_interval, '1 day') END AS expected,
                       CASE WHEN o.endpoint IS NULL THEN e.delta_interval ELSE o.delta_interval END AS delta_interval)
                wanted
            WHERE coalesce(o.enabled, e.enabled)
        ) s CROSS JOIN kombo.this_database() here
    ) it
    ORDER BY integration_id NULLS FIRST, endpoint;
COMMENT ON VIEW kombo.sync_status IS
    'Per integration and subscribed endpoint: is it up to date, why not, and what to do. The row without integration '
    'is about the background worker.';
COMMENT ON COLUMN kombo.sync_status.integration_id IS 'the integration; NULL: the row is about the background worker';
COMMENT ON COLUMN kombo.sync_status.endpoint IS 'path of the endpoint';
COMMENT ON COLUMN kombo.sync_status.state IS
    'fresh, behind (older than the endpoint''s interval and a tenth), never synced, failed, held, waiting, '
    'unavailable, paused or restored; of the background worker: running, not working or no worker';
COMMENT ON COLUMN kombo.sync_status.since IS 'since when it has been so, where that is known';
COMMENT ON COLUMN kombo.sync_status.reason IS 'why it is so, and how far a fetch that is under way has come';
COMMENT ON COLUMN kombo.sync_status.next IS 'what happens next, or what to do';
COMMENT ON COLUMN kombo.sync_status.watermark IS 'start of the last successful fetch: everything older is here';
COMMENT ON COLUMN kombo.sync_status.last_success_at IS 'when the last successful fetch finished';
COMMENT ON COLUMN kombo.sync_status.last_full_at IS 'when the last successful full fetch finished';
COMMENT ON COLUMN kombo.sync_status.failures IS 'failed runs since the last success';
COMMENT ON COLUMN kombo.sync_status.rejected IS
    'records that the database refused and that are parked in kombo.rejected_records';
COMMENT ON COLUMN kombo.sync_status.pending IS
    'requests in kombo.sync_requests that wait for the worker; in its own row the webhooks that do';

-- What roles may do: they were granted what 0.1.0 had.

DO $$
DECLARE
    shipped pg_init_privs[];
    its_name regprocedure;
    somebody record;
BEGIN
    -- New functions are nobody's to call. Those that were there keep what was granted and revoked since.
    FOR its_name IN
        SELECT p.oid::regprocedure
        FROM pg_depend d JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
        JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
        WHERE d.deptype = 'e' AND e.extname = 'kombo_sync' AND p.proacl IS NULL
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', its_name);
    END LOOP;

    shipped := ARRAY(SELECT i FROM pg_init_privs i);
    PERFORM kombo.grant_sync_role(o.owner) FROM (SELECT DISTINCT owner FROM kombo.data_tables) o;
    PERFORM kombo.grant_reader(r.reader) FROM kombo.readers() r;
    PERFORM kombo.grant_operator(acl.grantee::regrole)
    FROM pg_proc p, aclexplode(p.proacl) acl
    WHERE p.oid IN ('kombo.add_integration(text, text, text)'::regprocedure, 'kombo.pause(text, text)'::regprocedure,
                    'kombo.kombo_sync_full(text, text[])'::regprocedure)
      AND acl.grantee NOT IN (p.proowner, 0)
    GROUP BY acl.grantee HAVING count(DISTINCT p.oid) = 3;
    -- Whoever sees the status calls these with it.
    FOR somebody IN
        SELECT DISTINCT CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END AS name
        FROM pg_class c, aclexplode(c.relacl) acl
        WHERE c.oid = 'kombo.sync_status'::regclass AND acl.privilege_type = 'SELECT' AND acl.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION kombo.worker_state(), kombo.progress() TO %s', somebody.name);
    END LOOP;

    -- PostgreSQL takes what an extension's script grants for what the extension comes with, and leaves that out of dumps.
    -- These grants are the administrator's.
    DELETE FROM pg_init_privs i WHERE NOT i = ANY (shipped);
    INSERT INTO pg_init_privs
    SELECT s.* FROM unnest(shipped) s
    WHERE NOT EXISTS (SELECT FROM pg_init_privs i
                      WHERE (i.objoid, i.classoid, i.objsubid) = (s.objoid, s.classoid, s.objsubid));
END
$$;
