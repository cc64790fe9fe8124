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
    made text[] := '{}';
    changed text[] := '{}';
    its_name text;
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
        IF to_regclass(format('kombo.%I', its_name)) IS NULL THEN
            PERFORM kombo_internal.make_table(its_name, new_owner);
            made := made || its_name;
        ELSE
            PERFORM kombo_internal.check_data_table(its_name, new_owner);
            IF kombo_internal.add_columns(its_name) THEN
                changed := changed || its_name;
            END IF;
        END IF;
    END LOOP;

    PERFORM kombo_internal.take_up_exclusions();
    PERFORM kombo_internal.grant_sync_role(new_owner);
    PERFORM kombo_internal.fetch_anew(made || changed);
    PERFORM kombo_internal.warn_of_local_tables();
    PERFORM kombo_internal.wake(true);
    RETURN cardinality(made);
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

CREATE FUNCTION kombo_internal.make_table(table_name text, owner regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    col record;
    reader regrole;
BEGIN
    EXECUTE format('CREATE TABLE kombo.%I (%s, PRIMARY KEY (%s))', table_name,
        (SELECT string_agg(format('%I %s', c.column_name, c.definition), ', ' ORDER BY c.ordinal)
         FROM kombo_internal.table_columns(table_name) c),
        (SELECT string_agg(quote_ident(c.column_name), ', ' ORDER BY c.ordinal)
         FROM kombo_internal.table_columns(table_name) c WHERE c.is_key));
    EXECUTE format('COMMENT ON TABLE kombo.%I IS %L', table_name, kombo_internal.table_comment(table_name));
    FOR col IN SELECT c.* FROM kombo_internal.table_columns(table_name) c ORDER BY c.ordinal LOOP
        PERFORM kombo_internal.dress_column(table_name, col.column_name, col.comment, col.is_reference);
    END LOOP;
    EXECUTE format('ALTER TABLE kombo.%I OWNER TO %s', table_name, owner);
    FOR reader IN SELECT r.reader FROM kombo_internal.readers() r LOOP
        EXECUTE format('GRANT SELECT ON kombo.%I TO %s', table_name, reader);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.make_table(text, regrole) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.make_table(text, regrole) IS
    'Makes a data table by the catalogue, with its indexes and comments, for its owner and the readers.';

CREATE FUNCTION kombo_internal.add_columns(table_name text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation regclass := to_regclass(format('kombo.%I', table_name));
    col record;
    added boolean := false;
BEGIN
    FOR col IN SELECT c.* FROM kombo_internal.table_columns(table_name) c
               WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = c.column_name
                                   AND NOT a.attisdropped)
               ORDER BY c.ordinal
    LOOP
        EXECUTE format('ALTER TABLE kombo.%I ADD COLUMN %I %s', table_name, col.column_name, col.definition);
        PERFORM kombo_internal.dress_column(table_name, col.column_name, col.comment, col.is_reference);
        added := true;
    END LOOP;
    RETURN added;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.add_columns(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.add_columns(text) IS
    'Adds the columns that the catalogue has and the data table lacks; returns whether there were any.';

CREATE FUNCTION kombo_internal.dress_column(table_name text, column_name text, comment text, is_reference boolean)
    RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('COMMENT ON COLUMN kombo.%I.%I IS %L', table_name, column_name, comment);
    PERFORM kombo_internal.mark_excluded(table_name, column_name);
    IF is_reference THEN
        EXECUTE format('CREATE INDEX ON kombo.%I (integration_id, %I)', table_name, column_name);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.dress_column(text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.dress_column(text, text, text, boolean) IS
    'Gives a new column of a data table its comment and, if readers look rows up by it, its index.';

CREATE FUNCTION kombo_internal.fetch_anew(tables text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    touched text[] := ARRAY(
        SELECT e.path FROM kombo.endpoints e WHERE e.table_name = ANY (tables)
        UNION SELECT n.endpoint FROM kombo.nested_records n
        WHERE n.table_name = ANY (tables) AND n.relation <> 'copy');
BEGIN
    -- What is stored was fetched without the new columns: only a full fetch brings their values. A running sync does
    -- not know of them, and would put its watermark back.
    IF tables <> '{}' THEN
        PERFORM kombo_internal.lock_integrations();
    END IF;
    -- So is every page that a full fetch under way has written.
    UPDATE kombo.sync_state s SET watermark = NULL, full_started_at = NULL, full_watermark = NULL, full_query = NULL,
           full_cursor = NULL, full_cursor_at = NULL, full_progress = NULL
    WHERE s.endpoint = ANY (touched) AND (s.watermark IS NOT NULL OR s.full_started_at IS NOT NULL);
    DELETE FROM kombo.sync_seen s WHERE s.endpoint = ANY (touched);
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.fetch_anew(text[]) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.fetch_anew(text[]) IS
    'Forgets what was fetched of the endpoints that fill these tables, so that their next fetch is a full one.';

CREATE FUNCTION kombo_internal.check_data_table(table_name text, owner regrole) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    relation regclass := to_regclass(format('kombo.%I', check_data_table.table_name));
    present pg_class := (SELECT c FROM pg_class c WHERE c.oid = relation);
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
    IF present.relkind NOT IN ('r', 'p') OR present.relowner <> check_data_table.owner THEN
        RAISE EXCEPTION '"kombo.%" is in the way of a data table', check_data_table.table_name
            USING ERRCODE = 'duplicate_table',
            DETAIL = CASE WHEN present.relkind IN ('r', 'p')
                          THEN format('It belongs to role %s.', present.relowner::regrole)
                          ELSE 'It is not a table.' END,
            HINT = 'Rename it or move it to another schema.';
    ELSIF problem IS NOT NULL THEN
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
REVOKE ALL ON FUNCTION kombo_internal.check_data_table(text, regrole) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.check_data_table(text, regrole) IS
    'Raises if what has the name of a data table cannot be one: it is no table, or has another owner or key.';

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

