-- The data tables: ordinary tables, made from the catalogue for a sync role, and fields kept out of them.

CREATE FUNCTION kombo_internal.sync_role() RETURNS regrole
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
            HINT = 'SELECT kombo.create_tables(''HRIS'', owner => ''...'') gives all of them to one role.';
    END IF;
    RETURN owners[1];
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.sync_role() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.sync_role() IS
    'The role that all syncing runs as: the owner of the data tables; NULL while there are none. Raises where they '
    'have different owners.';

CREATE FUNCTION kombo_internal.lock_integrations() RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT kombo_internal.take_lock(i.integration_id, true)
    FROM (SELECT integration_id FROM kombo.integrations ORDER BY integration_id) i
$$;
REVOKE ALL ON FUNCTION kombo_internal.lock_integrations() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.lock_integrations() IS
    'Waits for the running syncs of all integrations and keeps new ones out until the transaction ends.';

CREATE FUNCTION kombo.create_tables(category text, owner regrole DEFAULT NULL) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
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
    PERFORM kombo_internal.take_lock('create_tables', true);
    IF owner IS NOT NULL THEN
        PERFORM kombo_internal.give_tables(owner);
    END IF;
    new_owner := coalesce(owner, kombo_internal.sync_role(),
                          (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user)::regrole);
    PERFORM kombo_internal.warn_of_superuser(new_owner);

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
                 FROM kombo_internal.table_columns(its_name) c),
                (SELECT string_agg(quote_ident(c.column_name), ', ' ORDER BY c.ordinal)
                 FROM kombo_internal.table_columns(its_name) c WHERE c.is_key));
            made := made + 1;
            changed := changed || its_name;
        ELSIF present_kind NOT IN ('r', 'p') OR present_owner <> new_owner THEN
            RAISE EXCEPTION '"kombo.%" is in the way of a data table', its_name USING ERRCODE = 'duplicate_table',
                DETAIL = CASE WHEN present_kind IN ('r', 'p') THEN format('It belongs to role %s.', present_owner)
                              ELSE 'It is not a table.' END,
                HINT = 'Rename it or move it to another schema.';
        ELSE
            PERFORM kombo_internal.check_data_table(its_name, present);
        END IF;

        FOR col IN SELECT c.*, a.attname IS NULL AS missing FROM kombo_internal.table_columns(its_name) c
                   LEFT JOIN pg_attribute a ON a.attrelid = present AND a.attname = c.column_name AND NOT a.attisdropped
                   ORDER BY c.ordinal
        LOOP
            IF col.missing AND present IS NOT NULL THEN
                EXECUTE format('ALTER TABLE kombo.%I ADD COLUMN %I %s', its_name, col.column_name, col.definition);
                changed := changed || its_name;
            END IF;
            IF col.missing THEN
                EXECUTE format('COMMENT ON COLUMN kombo.%I.%I IS %L', its_name, col.column_name, col.comment);
                PERFORM kombo_internal.mark_excluded(its_name, col.column_name);
                IF col.is_reference THEN
                    EXECUTE format('CREATE INDEX ON kombo.%I (integration_id, %I)', its_name, col.column_name);
                END IF;
            END IF;
        END LOOP;

        IF present IS NULL THEN
            EXECUTE format('COMMENT ON TABLE kombo.%I IS %L', its_name, kombo_internal.table_comment(its_name));
            EXECUTE format('ALTER TABLE kombo.%I OWNER TO %s', its_name, new_owner);
            FOR reader IN SELECT r.reader FROM kombo_internal.readers() r LOOP
                EXECUTE format('GRANT SELECT ON kombo.%I TO %s', its_name, reader);
            END LOOP;
        END IF;
    END LOOP;

    PERFORM kombo_internal.take_up_exclusions();
    PERFORM kombo_internal.grant_sync_role(new_owner);
    -- What is stored was fetched without the new columns: only a full fetch brings their values. A running sync does
    -- not know of them, and would put its watermark back.
    IF changed <> '{}' THEN
        PERFORM kombo_internal.lock_integrations();
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
    PERFORM kombo_internal.wake(true);
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION kombo.create_tables(text, regrole) FROM PUBLIC;
COMMENT ON FUNCTION kombo.create_tables(text, regrole) IS
    'Makes the missing tables and columns of a category, and returns how many tables it made. owner: the role that '
    'owns the tables and that all syncing runs as; it gets all data tables that another role owns, and what syncing '
    'needs is revoked from that role. NULL: the tables keep their owner, and the first ones belong to the caller. '
    'Never drops or retypes a column. Requests a full fetch for what it added. Raises on an unknown category, '
    'contradictory catalogue rows, a table of that name with another key, and, if tables get another owner, a caller '
    'who is neither a superuser nor a member of both roles.';

CREATE FUNCTION kombo_internal.check_data_table(table_name text, relation regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    keys text[] := (SELECT array_agg(c.column_name ORDER BY c.ordinal)
                    FROM kombo_internal.table_columns(check_data_table.table_name) c WHERE c.is_key);
    key_list text := (SELECT string_agg(quote_ident(k), ', ') FROM unnest(keys) k);
    problem text := (SELECT CASE WHEN a.attname IS NULL THEN format('It has no column "%s".', k)
                                 ELSE format('Its column "%s" is of type %s.', k,
                                             format_type(a.atttypid, a.atttypmod)) END
                     FROM unnest(keys) WITH ORDINALITY u (k, n)
                     LEFT JOIN pg_attribute a ON a.attrelid = relation AND a.attname = k AND NOT a.attisdropped
                     LEFT JOIN pg_type t ON t.oid = a.atttypid
                     WHERE t.typcategory IS DISTINCT FROM 'S' ORDER BY n LIMIT 1);
BEGIN
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION '"kombo.%" is in the way of a data table', check_data_table.table_name
            USING ERRCODE = 'duplicate_table', DETAIL = problem,
            HINT = format('Rename it or move it to another schema. If it is the data table, undo what was changed: its '
                          'primary key is (%s), each of type text.', key_list);
    ELSIF NOT EXISTS (
        SELECT FROM pg_index x
        WHERE x.indrelid = relation AND x.indisunique AND x.indimmediate AND x.indisvalid AND x.indpred IS NULL
          AND x.indexprs IS NULL AND x.indnkeyatts = cardinality(keys)
          AND keys @> ARRAY(SELECT a.attname::text FROM pg_attribute a
                            WHERE a.attrelid = relation
                              AND a.attnum = ANY ((x.indkey::int2[])[0:x.indnkeyatts - 1]))) THEN
        RAISE EXCEPTION '"kombo.%" has no primary key on (%)', check_data_table.table_name, key_list
            USING ERRCODE = 'duplicate_table',
            HINT = format('If it is the data table: ALTER TABLE kombo.%I ADD PRIMARY KEY (%s). Otherwise rename it or '
                          'move it to another schema.', check_data_table.table_name, key_list);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.check_data_table(text, regclass) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.check_data_table(text, regclass) IS
    'Raises if a table that has the name of a data table cannot be one: its key is another.';

-- A field that is excluded says so in the comment of its column, which outlives the extension.
CREATE FUNCTION kombo_internal.mark_excluded(table_name text, column_name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    mark CONSTANT text := kombo_internal.exclusion_mark();
    is_excluded boolean := EXISTS (SELECT FROM kombo.excluded_fields f
                                   WHERE f.table_name = mark_excluded.table_name
                                     AND f.column_name = mark_excluded.column_name);
    col record;
BEGIN
    SELECT coalesce(col_description(d.relation, a.attnum), '') AS comment, d.owner INTO col
    FROM kombo.data_tables d JOIN pg_attribute a ON a.attrelid = d.relation AND NOT a.attisdropped
    WHERE d.table_name = mark_excluded.table_name AND a.attname = mark_excluded.column_name;
    IF FOUND AND starts_with(col.comment, mark) <> is_excluded AND pg_has_role(col.owner, 'USAGE') THEN
        EXECUTE format('COMMENT ON COLUMN kombo.%I.%I IS %L', table_name, column_name,
                       CASE WHEN is_excluded THEN concat_ws(' ', mark, nullif(col.comment, ''))
                            ELSE ltrim(substr(col.comment, length(mark) + 1)) END);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.mark_excluded(text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.mark_excluded(text, text) IS
    'Makes the comment of a data table''s column say whether kombo.excluded_fields has it.';

CREATE FUNCTION kombo_internal.exclusion_mark() RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN 'Excluded by kombo.exclude_field, always NULL.';
REVOKE ALL ON FUNCTION kombo_internal.exclusion_mark() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.exclusion_mark() IS 'How the comment of an excluded column begins.';

CREATE FUNCTION kombo_internal.follow_exclusion() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM kombo_internal.mark_excluded(OLD.table_name, OLD.column_name);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM kombo_internal.mark_excluded(NEW.table_name, NEW.column_name);
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.follow_exclusion() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.follow_exclusion() IS
    'Trigger of kombo.excluded_fields: the comments of the columns follow its rows.';
CREATE TRIGGER follow_exclusion AFTER INSERT OR UPDATE OR DELETE ON kombo.excluded_fields
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.follow_exclusion();
COMMENT ON TRIGGER follow_exclusion ON kombo.excluded_fields IS 'the comment of the column says that it is excluded';

CREATE FUNCTION kombo_internal.take_up_exclusions() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found text;
BEGIN
    WITH marked AS (
        INSERT INTO kombo.excluded_fields (table_name, column_name)
        SELECT d.table_name, a.attname
        FROM kombo.data_tables d JOIN pg_attribute a ON a.attrelid = d.relation AND a.attnum > 0 AND NOT a.attisdropped
        WHERE starts_with(col_description(d.relation, a.attnum), kombo_internal.exclusion_mark())
        ON CONFLICT DO NOTHING
        RETURNING table_name, column_name)
    SELECT string_agg(format('%s.%s', m.table_name, m.column_name), ', ' ORDER BY m.table_name, m.column_name)
    INTO found FROM marked m;
    IF found IS NOT NULL THEN
        -- While an extension is made, no notice gets out.
        RAISE WARNING 'fields that were excluded before are excluded again: %', found USING
            HINT = 'To have one back, delete its row of kombo.excluded_fields and run a full sync.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.take_up_exclusions() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.take_up_exclusions() IS
    'Adds to kombo.excluded_fields what the comments of data tables say is excluded: tables that outlived the '
    'extension, or came from elsewhere.';
-- Tables that outlived the extension may be here already.
SELECT kombo_internal.take_up_exclusions();

CREATE FUNCTION kombo_internal.warn_of_superuser(owner regrole) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = owner) THEN
        RAISE WARNING 'data tables belong to superuser %', owner USING
            DETAIL = 'Syncing runs as the owner of the data tables, and so do triggers on them.',
            HINT = 'Make a role that does nothing else and give it the tables: CREATE ROLE kombo_owner; SELECT '
                   'kombo.create_tables(''HRIS'', owner => ''kombo_owner'').';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.warn_of_superuser(regrole) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.warn_of_superuser(regrole) IS
    'Warns if the role is a superuser, as the sync role should not be.';

CREATE FUNCTION kombo_internal.check_excludable(table_name text, column_name text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    tables text[] := (SELECT array_agg(t.table_name ORDER BY t.table_name)
                      FROM (SELECT e.table_name FROM kombo.endpoints e
                            UNION SELECT n.table_name FROM kombo.nested_records n) t);
    columns text[] := (SELECT array_agg(c.column_name ORDER BY c.ordinal)
                       FROM kombo_internal.table_columns(check_excludable.table_name) c
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
    ELSIF EXISTS (SELECT FROM kombo_internal.table_columns(check_excludable.table_name) c
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
REVOKE ALL ON FUNCTION kombo_internal.check_excludable(text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.check_excludable(text, text) IS
    'Raises unless the catalogue has that field and syncing can do without it.';

CREATE FUNCTION kombo_internal.erase_field(table_name text, column_name text, keys text[]) RETURNS bigint
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
        erased := kombo_internal.execute_as_sync_role(
            format('UPDATE kombo.%I SET %s%s WHERE %s', table_name, array_to_string(assignments, ', '),
                   CASE WHEN 'synced_at' = ANY (columns) THEN ', synced_at = now()' END,
                   array_to_string(conditions, ' OR ')));
    END IF;
    RETURN erased;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.erase_field(text, text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.erase_field(text, text, text[]) IS
    'Sets a column NULL (NULL: none) and takes keys out of extra in the stored rows of a data table, if there is one; '
    'returns the rows changed.';

CREATE FUNCTION kombo.exclude_field(table_name text, column_name text) RETURNS void
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
    PERFORM kombo_internal.check_excludable(target, field);
    -- A running sync decided what to write before it could know of this.
    PERFORM kombo_internal.lock_integrations();

    erased := kombo_internal.erase_field(target, field, ARRAY[field_key]);
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
        PERFORM kombo_internal.erase_field(nest.list_table, NULL, ARRAY[nest.first_key]);
        IF nest.outer_table IS NOT NULL THEN
            PERFORM kombo_internal.erase_field(nest.outer_table, NULL, ARRAY[nest.last_key]);
        END IF;
    END LOOP;

    -- The raw data of the record, and of every record that this one comes nested in, may repeat the value.
    SELECT array_agg(DISTINCT t.table_name ORDER BY t.table_name) INTO raw FROM (
        SELECT target AS table_name
        UNION SELECT e.table_name FROM kombo.endpoints e JOIN kombo.nested_records n ON n.endpoint = e.path
              WHERE n.table_name = target) t
    WHERE field <> 'remote_data'
      AND EXISTS (SELECT FROM kombo_internal.table_columns(t.table_name) c WHERE c.column_name = 'remote_data');
    FOREACH its_name IN ARRAY coalesce(raw, '{}') LOOP
        PERFORM kombo_internal.erase_field(its_name, 'remote_data', ARRAY['remote_data']);
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
REVOKE ALL ON FUNCTION kombo.exclude_field(text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.exclude_field(text, text) IS
    'Keeps a field out of this database for good, and erases it where it is stored: in its column, in extra, in '
    'remote_data (which is excluded whole), in parked records. table_name, column_name: as in kombo.fields, or '
    'custom_fields or remote_data. Waits for syncs that run. To have it back, delete the rows of kombo.excluded_fields '
    'and run a full sync. Raises on an unknown table or column and on keys.';
