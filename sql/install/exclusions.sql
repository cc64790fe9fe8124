-- Fields that are kept out of the database: marked in the comments of their columns, and erased where they are stored.

-- The comment outlives the extension.
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
    keys text[] := coalesce((SELECT f.json_key || f.fallback_keys FROM kombo.fields f
                             WHERE f.table_name = target AND f.column_name = field AND f.json_key IS NOT NULL),
                            ARRAY[field]);
    raw text[];
    nest record;
    its_name text;
    erased bigint;
    dropped bigint;
BEGIN
    PERFORM kombo_internal.check_excludable(target, field);
    -- A running sync decided what to write before it could know of this.
    PERFORM kombo_internal.lock_integrations();

    erased := kombo_internal.erase_field(target, field, keys);
    INSERT INTO kombo.excluded_fields (table_name, column_name) VALUES (target, field) ON CONFLICT DO NOTHING;

    -- Nested records that did not unfold are in the extra of the row that they came in.
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
