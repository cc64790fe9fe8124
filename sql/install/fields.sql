-- Fields that the catalogue does not know: what lies in "extra", and columns made of it.

CREATE FUNCTION kombo_internal.decode_value(value text, type text) RETURNS text
    AS 'MODULE_PATHNAME', 'decode_value' LANGUAGE c STRICT STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo_internal.decode_value(text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.decode_value(text, text) IS
    'What a sync would store of a JSON value in a column of that type, behind "=", or "~" where the column would hold '
    'less than the value has: the text, or the number that stands for a boolean, date or time. NULL: it does not fit.';

CREATE FUNCTION kombo_internal.known_keys(table_name text) RETURNS TABLE (json_key text, is_nested boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT k.json_key, false FROM kombo.fields f CROSS JOIN LATERAL unnest(f.json_key || f.fallback_keys) k (json_key)
    WHERE f.table_name = known_keys.table_name AND k.json_key IS NOT NULL
    UNION SELECT c, false FROM unnest(ARRAY['id', 'changed_at', 'remote_deleted_at', 'custom_fields', 'remote_data']) c
    UNION
    -- A key of the record itself, or of one that is nested in another.
    SELECT regexp_replace(n.json_path, '^.*\.', ''), true
    FROM kombo.nested_records n JOIN kombo.endpoints e ON e.path = n.endpoint
    LEFT JOIN kombo.nested_records o ON o.endpoint = n.endpoint
        AND o.json_path = regexp_replace(n.json_path, '\.[^.]*$', '') AND o.json_path <> n.json_path
    WHERE coalesce(o.table_name, e.table_name) = known_keys.table_name
$$;
REVOKE ALL ON FUNCTION kombo_internal.known_keys(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.known_keys(text) IS
    'The JSON keys that the catalogue knows of the records of a table; is_nested: nested records lie under it.';

CREATE FUNCTION kombo_internal.unknown_fields()
    RETURNS TABLE (table_name text, json_key text, json_type text, "rows" bigint, since timestamptz, add_field text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    its record;
BEGIN
    FOR its IN
        SELECT d.table_name, d.relation
        FROM kombo.data_tables d JOIN pg_attribute a ON a.attrelid = d.relation
            -- A cast of a type that the owner of the table has made would run as whoever looks.
            AND (a.attname, a.atttypid) IN (('extra', 'jsonb'::regtype), ('synced_at', 'timestamptz'::regtype))
        GROUP BY d.table_name, d.relation
        HAVING count(*) FILTER (WHERE has_column_privilege(a.attrelid, a.attnum, 'SELECT')) = 2
        ORDER BY d.table_name
    LOOP
        RETURN QUERY EXECUTE format($sql$
            WITH known AS MATERIALIZED (SELECT k.json_key, k.is_nested FROM kombo_internal.known_keys(%1$L) k),
            found AS (
                SELECT e.key AS json_key, e.value, t.synced_at
                FROM %2$s t CROSS JOIN LATERAL jsonb_each(t.extra) e
                WHERE t.extra IS NOT NULL AND e.key NOT IN (SELECT k.json_key FROM known k)
                UNION ALL
                -- What is unknown of a nested record is kept with its id.
                SELECT e.key || '.' || i.key, i.value, t.synced_at
                FROM %2$s t CROSS JOIN LATERAL jsonb_each(t.extra) e
                CROSS JOIN LATERAL jsonb_each(CASE jsonb_typeof(e.value) WHEN 'object' THEN e.value END) i
                WHERE t.extra IS NOT NULL AND e.key IN (SELECT k.json_key FROM known k WHERE k.is_nested)
                  AND i.key <> 'id' AND e.key || '.' || i.key NOT IN (SELECT k.json_key FROM known k)),
            typed AS (
                SELECT f.json_key, f.synced_at, jsonb_typeof(f.value) AS json_type,
                       CASE jsonb_typeof(f.value) WHEN 'number' THEN 'numeric' WHEN 'boolean' THEN 'boolean'
                            WHEN 'string' THEN CASE WHEN f.value #>> '{}' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$'
                                                    THEN 'timestamptz' ELSE 'text' END
                            ELSE 'jsonb' END AS type
                FROM found f WHERE f.value <> 'null')
            SELECT %1$L::text, y.json_key, string_agg(DISTINCT y.json_type, ', '), count(*), min(y.synced_at),
                   kombo_internal.add_field_call(%1$L, y.json_key,
                       CASE WHEN count(DISTINCT y.type) = 1 THEN min(y.type) ELSE 'jsonb' END)
            FROM typed y GROUP BY y.json_key ORDER BY y.json_key
            $sql$, its.table_name, its.relation);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.unknown_fields() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.unknown_fields() IS
    'The rows of kombo.unknown_fields, of the tables that the caller may read.';

CREATE FUNCTION kombo_internal.add_field_call(table_name text, json_key text, type text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('SELECT kombo.add_field(%L, %L, %L%s);', table_name, c.name, type,
                  CASE WHEN c.name <> json_key THEN format(', %L', json_key) END)
    FROM (SELECT left(trim('_' FROM regexp_replace(lower(json_key), '[^a-z0-9]+', '_', 'g')), 50) AS plain) p,
         LATERAL (SELECT CASE WHEN p.plain ~ '^[a-z]' AND p.plain NOT IN ('integration_id', 'extra', 'synced_at')
                              THEN p.plain ELSE 'field_' || p.plain END AS name) c
$$;
REVOKE ALL ON FUNCTION kombo_internal.add_field_call(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.add_field_call(text, text, text) IS
    'The statement that makes a column of a JSON key.';

CREATE VIEW kombo.unknown_fields AS
    SELECT u.table_name, u.json_key, u.json_type, u."rows", u.since, u.add_field FROM kombo_internal.unknown_fields() u;
COMMENT ON VIEW kombo.unknown_fields IS
    'What Kombo sends without having a column: the keys in "extra" of the data tables. Reads these tables as a whole.';
COMMENT ON COLUMN kombo.unknown_fields.table_name IS 'Table whose "extra" has the key.';
COMMENT ON COLUMN kombo.unknown_fields.json_key IS
    'Key of the record; with a dot the key of a record nested in it, such as manager.nickname.';
COMMENT ON COLUMN kombo.unknown_fields.json_type IS 'JSON types of the values that are not null.';
COMMENT ON COLUMN kombo.unknown_fields."rows" IS 'Number of rows that have a value under the key.';
COMMENT ON COLUMN kombo.unknown_fields.since IS 'When the row of these that has not changed for longest was written.';
COMMENT ON COLUMN kombo.unknown_fields.add_field IS 'Statement that makes a column of it.';

CREATE FUNCTION kombo.add_field(table_name text, column_name text, type text, json_key text DEFAULT NULL,
                                fill boolean DEFAULT true)
    RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    target text := add_field.table_name;
    key_or_name text := coalesce(add_field.json_key, add_field.column_name);
    tables text[] := ARRAY(SELECT e.table_name FROM kombo.endpoints e UNION
                           SELECT n.table_name FROM kombo.nested_records n ORDER BY 1);
    types CONSTANT text[] := '{text, boolean, numeric, date, time, timestamptz, jsonb}';
    other text := (SELECT f.column_name FROM kombo.fields f
                   WHERE f.table_name = target AND (f.json_key = key_or_name OR key_or_name = ANY (f.fallback_keys)));
BEGIN
    IF target IS NULL OR add_field.column_name IS NULL OR add_field.type IS NULL THEN
        RAISE EXCEPTION 'table, column and type must not be null' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Name all three, as in SELECT kombo.add_field(''hris_employees'', ''shoe_size'', ''numeric'').';
    ELSIF target <> ALL (tables) THEN
        RAISE EXCEPTION 'table "%" is not in the catalogue', target USING ERRCODE = 'undefined_table',
            HINT = format('Tables of the catalogue are: %s.', array_to_string(tables, ', '));
    ELSIF add_field.type <> ALL (types) THEN
        RAISE EXCEPTION 'type "%" is not one that fields can have', add_field.type
            USING ERRCODE = 'invalid_parameter_value', HINT = format('Types are: %s.', array_to_string(types, ', '));
    ELSIF EXISTS (SELECT FROM kombo_internal.table_columns(target) c WHERE c.column_name = add_field.column_name) THEN
        RAISE EXCEPTION 'table "%" has a field "%" already', target, add_field.column_name
            USING ERRCODE = 'duplicate_column', HINT = 'Choose another name for the column.';
    ELSIF other IS NOT NULL THEN
        RAISE EXCEPTION 'field "%" of table "%" has the JSON key "%" already', other, target, key_or_name
            USING ERRCODE = 'duplicate_object', HINT = format('Read column "%s".', other);
    END IF;
    -- A running sync does not know of the column, and would write to "extra" behind our back.
    PERFORM kombo_internal.lock_integrations();
    INSERT INTO kombo.fields (table_name, "position", column_name, type, json_key, comment)
    SELECT target, coalesce(max(f."position"), 0) + 1, add_field.column_name, add_field.type, key_or_name,
           format('Added with kombo.add_field, from the key %s.', key_or_name)
    FROM kombo.fields f WHERE f.table_name = target;
    PERFORM kombo.check_catalogue(e.category)
    FROM (SELECT DISTINCT e.category FROM kombo.endpoints e LEFT JOIN kombo.nested_records n ON n.endpoint = e.path
          WHERE target IN (e.table_name, n.table_name)) e;
    IF NOT EXISTS (SELECT FROM kombo.data_tables d WHERE d.table_name = target) THEN
        RETURN 0;
    END IF;
    PERFORM kombo_internal.add_columns(target);
    IF fill AND EXISTS (SELECT FROM kombo_internal.distributed_tables() t JOIN kombo.data_tables d USING (relation)
                        WHERE d.table_name = target) THEN
        RAISE NOTICE 'the values of "%" are still in "extra"', add_field.column_name USING
            DETAIL = 'Citus lets nobody write to a table that another role has altered in the same transaction.',
            HINT = format('Move them now: SELECT kombo.fill_field(%L, %L, NULL).', target, add_field.column_name);
        RETURN 0;
    END IF;
    RETURN CASE WHEN fill THEN kombo.fill_field(target, add_field.column_name, NULL) ELSE 0 END;
END
$$;
REVOKE ALL ON FUNCTION kombo.add_field(text, text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION kombo.add_field(text, text, text, text, boolean) IS
    'Makes a column of a key that Kombo sends and the catalogue does not know, and returns how many values it moved '
    'from "extra" to it. type: one of kombo.fields. json_key: the key in the record, with dots for one of a nested '
    'object; NULL: that of the column''s name. fill: false leaves the values where they are, for kombo.fill_field to '
    'move in steps, as it always has to on Citus. Waits for syncs that run. Raises on an unknown table or type, and on '
    'a column or key that is there.';

CREATE FUNCTION kombo.fill_field(table_name text, column_name text, at_most integer DEFAULT 10000) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
#variable_conflict use_column
DECLARE
    its_table regclass := (SELECT d.relation FROM kombo.data_tables d WHERE d.table_name = fill_field.table_name);
    field kombo.fields := (SELECT f FROM kombo.fields f WHERE f.table_name = fill_field.table_name
                             AND f.column_name = fill_field.column_name AND f.json_key IS NOT NULL);
    path text[] := string_to_array(field.json_key, '.');
    its_value text;
    rest text := format('t.extra #- %L', path);
    of_integration text;
    moved bigint := 0;
BEGIN
    IF its_table IS NULL OR field IS NULL THEN
        RAISE EXCEPTION 'there is no field "%" of table "%" to fill', fill_field.column_name, fill_field.table_name
            USING ERRCODE = 'undefined_column', HINT = 'kombo.add_field makes one.';
    END IF;
    its_value := format(CASE field.type WHEN 'boolean' THEN '(%s)::integer::boolean'
                                        WHEN 'date' THEN 'date ''1970-01-01'' + (%s)::integer'
                                        WHEN 'time' THEN 'time ''00:00'' + (%s)::bigint * interval ''1 microsecond'''
                                        WHEN 'timestamptz' THEN 'timestamptz ''1970-01-01 00:00:00+00'' '
                                                                '+ (%s)::bigint * interval ''1 microsecond'''
                                        ELSE '(%s)::' || field.type END, 'substr(v.decoded, 2)');
    -- Of a nested record nothing is kept if there is nothing but its id left.
    IF cardinality(path) = 2 THEN
        rest := format('CASE WHEN ((t.extra #- %1$L) -> %2$L) - ''id''::text = ''{}'' THEN t.extra - %2$L::text '
                       'ELSE t.extra #- %1$L END', path, path[1]);
    END IF;
    FOR of_integration IN
        SELECT 'true' WHERE its_table NOT IN (SELECT d.relation FROM kombo_internal.distributed_tables() d)
        UNION ALL
        -- Citus takes the statement for one integration at a time.
        SELECT format('t.integration_id = %L', i.integration_id)
        FROM kombo_internal.distributed_tables() d, kombo.integrations i WHERE d.relation = its_table
    LOOP
        moved := moved + kombo_internal.execute_as_sync_role(format(
            'UPDATE %1$s t SET %2$I = %3$s, '
            'extra = nullif(CASE WHEN v.decoded LIKE ''=%%'' THEN %4$s ELSE t.extra END, ''{}''), '
            'synced_at = %5$s FROM (SELECT t.ctid AS place, d.decoded FROM %1$s t CROSS JOIN LATERAL '
            '(SELECT kombo_internal.decode_value((t.extra #> %6$L)::text, %7$L) AS decoded OFFSET 0) d '
            'WHERE %9$s AND t.extra #> %6$L IS NOT NULL AND t.%2$I IS NULL AND d.decoded IS NOT NULL '
            'LIMIT %8$s FOR UPDATE OF t) v WHERE %9$s AND t.ctid = v.place',
            its_table, field.column_name, its_value, rest, kombo_internal.time_of_change(its_table), path, field.type,
            coalesce((at_most - moved)::text, 'ALL'), of_integration));
        EXIT WHEN moved >= at_most;
    END LOOP;
    RETURN moved;
END
$$;
REVOKE ALL ON FUNCTION kombo.fill_field(text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION kombo.fill_field(text, text, integer) IS
    'Moves values of at most so many rows (NULL: all) from "extra" to the column that kombo.add_field made, and '
    'returns how many it moved: 0 when nothing is left. Values that do not fit stay where they are. Raises if there is '
    'no such field.';

CREATE FUNCTION kombo.custom_field(table_name text, name text, type text DEFAULT 'text', column_name text DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    relation regclass := (SELECT d.relation FROM kombo.data_tables d WHERE d.table_name = custom_field.table_name);
    its_column text := coalesce(custom_field.column_name, custom_field.name);
    at text := format('(custom_fields ->> %L)', custom_field.name);
    kind text := format('jsonb_typeof(custom_fields -> %L)', custom_field.name);
    -- None of these casts depends on a setting, as a generated column asks, and none raises: that would refuse the row.
    day CONSTANT text := 'make_date(substr(%1$s, 1, 4)::integer, substr(%1$s, 6, 2)::integer, 1) '
                         '+ substr(%1$s, 9, 2)::integer - 1';
    is_day CONSTANT text := '^(?!0000)\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])';
    expression text;
BEGIN
    expression := CASE custom_field.type
        WHEN 'text' THEN at
        WHEN 'jsonb' THEN format('custom_fields -> %L', custom_field.name)
        WHEN 'numeric' THEN format('CASE %s WHEN ''number'' THEN %s::numeric END', kind, at)
        WHEN 'boolean' THEN format('CASE %s WHEN ''boolean'' THEN %s::boolean END', kind, at)
        WHEN 'date' THEN format('CASE WHEN %s ~ %L THEN %s END', at, is_day || '($|T)', format(day, at))
        WHEN 'timestamptz' THEN format(
            'CASE WHEN %1$s ~ %2$L THEN ((%3$s) + make_time(substr(%1$s, 12, 2)::integer, '
            'substr(%1$s, 15, 2)::integer, substring(%1$s, ''^.{17}([0-9.]+)'')::double precision)) '
            'AT TIME ZONE ''UTC'' END',
            at, is_day || 'T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?Z$', format(day, at)) END;
    IF custom_field.name IS NULL OR custom_field.name = '' THEN
        RAISE EXCEPTION 'the name of a custom field must be given' USING ERRCODE = 'null_value_not_allowed';
    -- A cast of a type that the owner of the table has made would run as the caller.
    ELSIF relation IS NULL OR NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation
                                            AND a.attname = 'custom_fields' AND a.atttypid = 'jsonb'::regtype) THEN
        RAISE EXCEPTION 'there is no data table "%" with custom fields', custom_field.table_name
            USING ERRCODE = 'undefined_table', HINT = 'kombo.create_tables makes the tables of a category.';
    ELSIF expression IS NULL THEN
        RAISE EXCEPTION 'type "%" is not one that custom fields can have', custom_field.type
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Types are: text, boolean, numeric, date, timestamptz, jsonb.';
    END IF;
    EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s GENERATED ALWAYS AS (%s) STORED', relation, its_column,
                   custom_field.type, expression);
    EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', relation, its_column,
                   format('Custom field "%s"; made by kombo.custom_field.', custom_field.name));
END
$$;
REVOKE ALL ON FUNCTION kombo.custom_field(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.custom_field(text, text, text, text) IS
    'Adds a generated column to a data table that shows one of the custom_fields under a type of its own, to be read '
    'and indexed like any other. name: the key in custom_fields. type: text, boolean, numeric, date, timestamptz or '
    'jsonb; a value of another kind is NULL. column_name: NULL is the name. Writes the table anew. Raises on a table '
    'without custom fields, an unknown type, and a column that is there.';
