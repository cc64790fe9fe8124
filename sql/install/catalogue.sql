-- The catalogue: which endpoints Kombo has, which models they show, which fields a model has, and how
-- nested records unfold. The library knows no endpoint by name; a new one is rows in these tables.

DO $$
DECLARE
    trap text;
    found text;
BEGIN
    IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'kombo_sync needs a UTF8 database'
            USING ERRCODE = 'feature_not_supported',
                  DETAIL = pg_catalog.format('The encoding of database "%s" is %s, which cannot hold every text that '
                                             'Kombo sends.',
                                             pg_catalog.current_database(), pg_catalog.getdatabaseencoding()),
                  HINT = 'Use a database made with CREATE DATABASE ... ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;
    -- A role that owns objects in the schema, or may create some, could lay a trap for a superuser.
    SELECT string_agg(DISTINCT pg_catalog.format('role %s %s', r.rolname, t.may), '; ') INTO trap
    FROM (SELECT n.nspowner AS role, 'owns it' AS may FROM pg_catalog.pg_namespace n WHERE n.nspname = 'kombo'
          UNION ALL
          SELECT acl.grantee, 'may create objects in it'
          FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) acl
          WHERE n.nspname = 'kombo' AND acl.privilege_type = 'CREATE'
            -- With Citus the owner of the data tables may. To a new node Citus brings the schema before the tables.
            AND NOT (acl.grantee <> 0
                     AND EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = 'citus')
                     AND (pg_catalog.current_setting('application_name') LIKE 'citus\_internal %'
                          OR EXISTS (SELECT FROM pg_catalog.pg_class c
                                     WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
                                       AND c.relowner = acl.grantee)))
          UNION ALL
          SELECT s.refobjid, 'owns ' || pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
          FROM pg_catalog.pg_depend d
          JOIN pg_catalog.pg_namespace n ON n.oid = d.refobjid AND n.nspname = 'kombo'
          JOIN pg_catalog.pg_shdepend s ON (s.classid, s.objid) = (d.classid, d.objid) AND s.deptype = 'o'
              AND s.dbid = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database())
          WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
            -- Data tables outlive the extension.
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c
                            WHERE c.oid = d.objid AND c.relkind IN ('r', 'p', 'i', 'I', 'S'))
         ) t
    LEFT JOIN pg_catalog.pg_authid a ON a.oid = t.role
    CROSS JOIN LATERAL (SELECT coalesce(a.rolname, 'PUBLIC') AS rolname) r
    WHERE a.rolsuper IS DISTINCT FROM true;
    IF trap IS NOT NULL THEN
        RAISE EXCEPTION 'schema "kombo" is not safe to install an extension in'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = pg_catalog.format('In schema "kombo": %s.', trap),
                  HINT = 'Drop or rename that schema. If it holds data tables that you want to keep: a superuser must '
                         'own it, nobody else may create in it (REVOKE CREATE ON SCHEMA kombo), and all but tables '
                         'must be moved out of it.';
    END IF;
    SELECT string_agg(pg_catalog.format('Role %s owns %s.', t.owner, t.tables), ' ' ORDER BY t.owner) INTO found
    FROM (SELECT c.relowner::pg_catalog.regrole::text AS owner,
                 string_agg(pg_catalog.quote_ident(c.relname), ', ' ORDER BY c.relname) AS tables
          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'kombo'
          WHERE c.relkind IN ('r', 'p') AND pg_catalog.to_regclass('kombo.endpoints') IS NULL -- and not an upgrade
          GROUP BY c.relowner) t;
    IF found IS NOT NULL THEN
        RAISE WARNING 'there are tables in schema "kombo" already' USING
            DETAIL = found,
            HINT = 'They are taken for data tables, and all syncing will run as their owner. If you do not expect '
                   'them, drop the extension and look at them first. What kombo.grant_reader, kombo.grant_operator and '
                   'kombo.grant_webhook_writer gave went with the extension: call them again.';
    END IF;
END
$$;

COMMENT ON SCHEMA kombo IS 'kombo_sync: data tables, catalogue, configuration and state';

CREATE SCHEMA kombo_internal;
COMMENT ON SCHEMA kombo_internal IS
    'kombo_sync: functions that its views, triggers and workers call. They are not for users and may change at any '
    'time.';

CREATE TABLE kombo.endpoints (
    path            text PRIMARY KEY,
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
    shipped         boolean NOT NULL DEFAULT false,
    edited          text[] NOT NULL DEFAULT '{}',
    -- It becomes part of a URL.
    CONSTRAINT endpoints_path_check CHECK (path ~ '^/[^\u0001-\u0020\u007f-\u009f[:space:]?#]+$'
        AND path !~ '(^|/)\.{1,2}(/|$)' AND length(path) <= 200)
);
COMMENT ON TABLE kombo.endpoints IS
    'Catalogue: the list endpoints of Kombo''s API. Rows of your own are welcome and are dumped; shipped ones are not.';
COMMENT ON COLUMN kombo.endpoints.path IS 'Path below the server''s base_url, such as /hris/employees.';
COMMENT ON COLUMN kombo.endpoints.category IS 'Kombo''s category of integrations that has this endpoint, such as HRIS.';
COMMENT ON COLUMN kombo.endpoints.table_name IS 'Table of schema kombo that the records of the list go to.';
COMMENT ON COLUMN kombo.endpoints.enabled IS 'Whether an integration without a row in kombo.subscriptions fetches it.';
COMMENT ON COLUMN kombo.endpoints.paginated IS 'Whether the endpoint takes cursor and page_size.';
COMMENT ON COLUMN kombo.endpoints.incremental IS
    'Whether the endpoint takes updated_after and include_deleted. One that does not is always fetched in full.';
COMMENT ON COLUMN kombo.endpoints.on_missing IS
    'What a full fetch does with a row that Kombo no longer returns: mark (set remote_deleted_at), delete or keep.';
COMMENT ON COLUMN kombo.endpoints.full_interval IS 'Time between scheduled full fetches. NULL: none are scheduled.';
COMMENT ON COLUMN kombo.endpoints.delta_interval IS 'Time between scheduled delta fetches. NULL: none are scheduled.';
COMMENT ON COLUMN kombo.endpoints.status IS
    'Maturity of the endpoint by Kombo: stable, open_beta, closed_beta or deprecated.';
COMMENT ON COLUMN kombo.endpoints.comment IS 'What a record of the list is. It becomes the comment of the table.';
COMMENT ON COLUMN kombo.endpoints.shipped IS 'Whether the row came with the extension.';
COMMENT ON COLUMN kombo.endpoints.edited IS
    'Columns of a shipped row that were changed here: they are dumped, and an upgrade leaves them as they are.';

CREATE TABLE kombo.endpoint_models (
    endpoint        text NOT NULL,
    model           text NOT NULL CHECK (model <> ''),
    role            text NOT NULL CHECK (role IN ('own', 'implied', 'carried')),
    delta           boolean NOT NULL DEFAULT true,
    shipped         boolean NOT NULL DEFAULT false,
    edited          text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (endpoint, model)
);
COMMENT ON TABLE kombo.endpoint_models IS 'Catalogue: which of Kombo''s changed models an endpoint shows.';
COMMENT ON COLUMN kombo.endpoint_models.endpoint IS 'Path of the endpoint.';
COMMENT ON COLUMN kombo.endpoint_models.model IS
    'Name of the model, as in the changed_models of a data-changed webhook.';
COMMENT ON COLUMN kombo.endpoint_models.role IS
    'How the endpoint shows the model. own: it is the endpoint to ask for this model. implied: it shows the model '
    'complete, with every field. carried: it shows parts of it, or a link to it.';
COMMENT ON COLUMN kombo.endpoint_models.delta IS 'Whether a delta fetch of this endpoint shows a change of this model.';
COMMENT ON COLUMN kombo.endpoint_models.shipped IS 'Whether the row came with the extension.';
COMMENT ON COLUMN kombo.endpoint_models.edited IS
    'Columns of a shipped row that were changed here: they are dumped, and an upgrade leaves them as they are.';

CREATE TABLE kombo.fields (
    table_name      text NOT NULL CHECK (octet_length(table_name) BETWEEN 1 AND 63),
    column_name     text NOT NULL CHECK (octet_length(column_name) BETWEEN 1 AND 63),
    type            text NOT NULL
        CHECK (type IN ('text', 'boolean', 'numeric', 'date', 'time', 'timestamptz', 'jsonb')),
    json_key        text CHECK (json_key <> ''),
    fallback_keys   text[] NOT NULL DEFAULT '{}',
    key             boolean NOT NULL DEFAULT false,
    refers_to       text CHECK (refers_to <> ''),
    belongs         boolean NOT NULL DEFAULT false,
    "position"      integer NOT NULL DEFAULT 0,
    comment         text,
    shipped         boolean NOT NULL DEFAULT false,
    edited          text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (table_name, column_name),
    -- A join table has the others only if a list of its own delivers them: see kombo.check_catalogue.
    CONSTRAINT fields_column_is_not_implicit CHECK (column_name NOT IN ('integration_id', 'extra', 'synced_at')),
    CONSTRAINT fields_belongs_to_what_it_refers_to CHECK (NOT belongs OR refers_to IS NOT NULL)
);
COMMENT ON TABLE kombo.fields IS
    'Catalogue: the columns of the data tables, and where in a record their values are. Columns that every data table '
    'has are not listed.';
COMMENT ON COLUMN kombo.fields.table_name IS 'Table of schema kombo.';
COMMENT ON COLUMN kombo.fields.column_name IS 'Column of that table.';
COMMENT ON COLUMN kombo.fields.type IS 'SQL type of the column. It decides how the value is decoded.';
COMMENT ON COLUMN kombo.fields.json_key IS
    'Key in the record; with dots (reviewee.id) for a key of a nested object. NULL: the column of a join table that '
    'holds the parent''s id.';
COMMENT ON COLUMN kombo.fields.fallback_keys IS
    'Keys that are looked at in this order where the record has no value under json_key: the same value comes in other '
    'places where the record is nested.';
COMMENT ON COLUMN kombo.fields.key IS 'Whether the column is part of a join table''s primary key.';
COMMENT ON COLUMN kombo.fields.refers_to IS
    'Table whose id the column holds. NULL: the value is no id of a record. kombo.erase follows it.';
COMMENT ON COLUMN kombo.fields.belongs IS
    'Whether the row is about the record that the column refers to, and is erased with it. false: it only names that '
    'record, and the column becomes NULL. Part of a key: always erased with it.';
COMMENT ON COLUMN kombo.fields."position" IS
    'Order of the columns within the table, and of the keys within the primary key.';
COMMENT ON COLUMN kombo.fields.comment IS 'What the value is, with its unit. It becomes the comment of the column.';
COMMENT ON COLUMN kombo.fields.shipped IS 'Whether the row came with the extension.';
COMMENT ON COLUMN kombo.fields.edited IS
    'Columns of a shipped row that were changed here: they are dumped, and an upgrade leaves them as they are.';

CREATE TABLE kombo.nested_records (
    endpoint        text NOT NULL,
    json_path       text NOT NULL CHECK (json_path <> ''),
    relation        text NOT NULL CHECK (relation IN ('owned', 'linked', 'join', 'copy', 'part')),
    table_name      text NOT NULL CHECK (octet_length(table_name) BETWEEN 1 AND 63),
    parent_column   text CHECK (parent_column <> ''),
    shipped         boolean NOT NULL DEFAULT false,
    edited          text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (endpoint, json_path, relation),
    CONSTRAINT nested_records_owned_and_join_name_the_parent_column
        CHECK (relation NOT IN ('owned', 'join') OR parent_column IS NOT NULL)
);
COMMENT ON TABLE kombo.nested_records IS
    'Catalogue: records that come nested in the records of an endpoint, and the tables that they go to.';
COMMENT ON COLUMN kombo.nested_records.endpoint IS 'Path of the endpoint.';
COMMENT ON COLUMN kombo.nested_records.json_path IS
    'Where the records are: keys joined by dots, lists and objects alike, such as groups or skills.skill.';
COMMENT ON COLUMN kombo.nested_records.relation IS
    'How the records belong to their parent. owned: a list that is complete with each parent. linked: they have an '
    'endpoint of their own. join: the list is a set of links. copy: they repeat rows that are stored elsewhere. part: '
    'an object without an id, whose nested records belong to the record that it is part of.';
COMMENT ON COLUMN kombo.nested_records.table_name IS 'Table of schema kombo that the records go to.';
COMMENT ON COLUMN kombo.nested_records.parent_column IS
    'Column of that table that holds the id of the parent: of owned and join, and of a linked list that is complete '
    'with each parent.';
COMMENT ON COLUMN kombo.nested_records.shipped IS 'Whether the row came with the extension.';
COMMENT ON COLUMN kombo.nested_records.edited IS
    'Columns of a shipped row that were changed here: they are dumped, and an upgrade leaves them as they are.';

CREATE TABLE kombo.webhook_endpoints (
    type            text NOT NULL CHECK (type <> ''),
    endpoint        text NOT NULL,
    shipped         boolean NOT NULL DEFAULT false,
    edited          text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (type, endpoint)
);
COMMENT ON TABLE kombo.webhook_endpoints IS
    'Catalogue: webhooks that tell of new data otherwise than by data-changed, and the endpoints to ask then.';
COMMENT ON COLUMN kombo.webhook_endpoints.type IS 'Type of the webhook, such as assessment:order-received.';
COMMENT ON COLUMN kombo.webhook_endpoints.endpoint IS 'Path of the endpoint that shows what the webhook tells of.';
COMMENT ON COLUMN kombo.webhook_endpoints.shipped IS 'Whether the row came with the extension.';
COMMENT ON COLUMN kombo.webhook_endpoints.edited IS
    'Columns of a shipped row that were changed here: they are dumped, and an upgrade leaves them as they are.';

CREATE TABLE kombo.excluded_fields (
    table_name      text NOT NULL,
    column_name     text NOT NULL,
    excluded_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (table_name, column_name)
);
COMMENT ON TABLE kombo.excluded_fields IS
    'Fields that are kept out of this database for good; add to it with kombo.exclude_field.';
COMMENT ON COLUMN kombo.excluded_fields.table_name IS 'Table of schema kombo.';
COMMENT ON COLUMN kombo.excluded_fields.column_name IS 'Column of that table, which stays NULL.';
COMMENT ON COLUMN kombo.excluded_fields.excluded_at IS 'When it was excluded.';

SELECT pg_catalog.pg_extension_config_dump('kombo.endpoints', 'WHERE NOT shipped OR edited <> ''{}''');
SELECT pg_catalog.pg_extension_config_dump('kombo.endpoint_models', 'WHERE NOT shipped OR edited <> ''{}''');
SELECT pg_catalog.pg_extension_config_dump('kombo.fields', 'WHERE NOT shipped OR edited <> ''{}''');
SELECT pg_catalog.pg_extension_config_dump('kombo.nested_records', 'WHERE NOT shipped OR edited <> ''{}''');
SELECT pg_catalog.pg_extension_config_dump('kombo.webhook_endpoints', 'WHERE NOT shipped OR edited <> ''{}''');
SELECT pg_catalog.pg_extension_config_dump('kombo.excluded_fields', '');

CREATE VIEW kombo.data_tables AS
    SELECT named.table_name, c.oid::regclass AS relation, c.relowner::regrole AS owner
    FROM (SELECT table_name FROM kombo.endpoints
          UNION SELECT table_name FROM kombo.nested_records
          UNION SELECT table_name FROM kombo.fields) AS named
    JOIN pg_class c ON c.relname = named.table_name AND c.relnamespace = 'kombo'::regnamespace
    WHERE c.relkind IN ('r', 'p')
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');
COMMENT ON VIEW kombo.data_tables IS 'The tables of the catalogue that exist in this database.';
COMMENT ON COLUMN kombo.data_tables.table_name IS 'Name as in the catalogue.';
COMMENT ON COLUMN kombo.data_tables.relation IS 'The table.';
COMMENT ON COLUMN kombo.data_tables.owner IS 'Role that owns the table.';

CREATE FUNCTION kombo_internal.is_member(table_name text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
                   WHERE c.relnamespace = 'kombo'::regnamespace AND c.relname = $1 AND d.deptype = 'e')
$$;
REVOKE ALL ON FUNCTION kombo_internal.is_member(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.is_member(text) IS
    'Whether the table of that name in schema kombo belongs to an extension.';

CREATE FUNCTION kombo_internal.table_columns(table_name text)
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
           o.column_name IN ('id', 'remote_id') OR (o.key AND o.ordinal > 101)
               OR (NOT o.key AND o.type = 'text' AND o.column_name LIKE '%\_id' AND o.column_name <> 'tax_id'),
           o.ordinal
    FROM own o
    ORDER BY 6
$$;
REVOKE ALL ON FUNCTION kombo_internal.table_columns(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.table_columns(text) IS
    'The columns that a data table of that name has by the catalogue, in order; is_reference: readers look rows up by '
    'it, so it gets an index.';

CREATE FUNCTION kombo_internal.table_comment(table_name text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(
        (SELECT e.comment FROM kombo.endpoints e WHERE e.table_name = $1
           AND NOT EXISTS (SELECT FROM kombo.nested_records n WHERE n.table_name = $1 AND n.relation = 'join')
         ORDER BY e.status <> 'stable', NOT e.enabled, e.path LIMIT 1),
        (SELECT CASE WHEN bool_or(n.relation = 'join') THEN 'Links' ELSE 'Records' END
             || ' that come nested in ' || string_agg(DISTINCT format('%s (%s)', n.endpoint, n.json_path), ', ')
         FROM kombo.nested_records n WHERE n.table_name = $1))
$$;
REVOKE ALL ON FUNCTION kombo_internal.table_comment(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.table_comment(text) IS 'What the table of that name holds, by the catalogue.';
