-- Records that are erased, with what belongs to them, and kept out from then on.

CREATE TABLE kombo.erased_records (
    integration_id  text NOT NULL,
    id              text NOT NULL,
    table_name      text NOT NULL,
    erased_at       timestamptz NOT NULL DEFAULT now(),
    with_table      text,
    with_id         text,
    PRIMARY KEY (integration_id, id, table_name),
    CONSTRAINT erased_records_with_a_record CHECK ((with_table IS NULL) = (with_id IS NULL))
);
COMMENT ON TABLE kombo.erased_records IS
    'Records that kombo.erase was called for, by id alone: no sync stores them, nor what belongs to them. '
    'kombo.readmit takes one out again.';
COMMENT ON COLUMN kombo.erased_records.integration_id IS
    'Integration that the record belongs to. The row stays if the integration is removed: it may be added again.';
COMMENT ON COLUMN kombo.erased_records.id IS 'Kombo''s id of the record.';
COMMENT ON COLUMN kombo.erased_records.table_name IS 'Table of schema kombo.';
COMMENT ON COLUMN kombo.erased_records.erased_at IS 'When it was erased.';
COMMENT ON COLUMN kombo.erased_records.with_table IS
    'Table of the record with which this one was erased, as it belongs to it. NULL: it was erased itself.';
COMMENT ON COLUMN kombo.erased_records.with_id IS 'Id of that record.';
SELECT pg_catalog.pg_extension_config_dump('kombo.erased_records', '');

CREATE FUNCTION kombo_internal.time_of_change(relation regclass) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- A mark of our own is known by having the time of the row. (Citus takes no now() in a CASE.)
    SELECT format(CASE WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation
                                      AND a.attname = 'remote_deleted_at' AND NOT a.attisdropped)
                       THEN 'CASE WHEN t.remote_deleted_at = t.synced_at THEN t.synced_at ELSE %1$L::timestamptz END'
                       ELSE '%1$L::timestamptz' END,
                  to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00'))
$$;
REVOKE ALL ON FUNCTION kombo_internal.time_of_change(regclass) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.time_of_change(regclass) IS
    'The expression that synced_at of a row "t" of a data table is set to by a change that is not Kombo''s.';

-- Statements on data tables run as their owner: whatever types and triggers that role gave them, they do not get the
-- rights of a superuser who calls.
CREATE FUNCTION kombo_internal.erase_record(integration_id text, table_name text, ids text[], with_table text,
                                            with_id text)
    RETURNS TABLE (erased_from text, erased bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    field record;
    found_ids text[];
    condition text;
BEGIN
    FOR field IN
        SELECT d.table_name, d.relation, f.column_name, f.key OR f.belongs AS goes,
               -- What refers to a row by the row's own id is erased with it.
               NOT EXISTS (SELECT FROM kombo.fields k WHERE k.table_name = f.table_name AND k.key)
               AND EXISTS (SELECT FROM kombo.fields r WHERE r.refers_to = f.table_name AND (r.belongs OR r.key))
               AS has_more
        FROM kombo.fields f JOIN kombo.data_tables d ON d.table_name = f.table_name
        JOIN pg_attribute c ON c.attrelid = d.relation AND c.attname = f.column_name AND NOT c.attisdropped
        WHERE f.refers_to = erase_record.table_name
        ORDER BY d.table_name, f.column_name
    LOOP
        condition := format('t.integration_id = %L AND t.%I = ANY (%L)', integration_id, field.column_name, ids);
        IF field.goes AND field.has_more THEN
            -- Before the rows themselves: a foreign key of the user's may name them.
            PERFORM kombo_internal.execute_as_sync_role(format(
                'INSERT INTO kombo.erased_records (integration_id, id, table_name, with_table, with_id) '
                'SELECT t.integration_id, t.id, %L, %L, %L FROM %s t WHERE %s ON CONFLICT DO NOTHING',
                field.table_name, with_table, with_id, field.relation, condition));
            found_ids := ARRAY(SELECT e.id FROM kombo.erased_records e
                               WHERE e.integration_id = erase_record.integration_id
                                 AND e.table_name = field.table_name AND e.with_table = erase_record.with_table
                                 AND e.with_id = erase_record.with_id);
            IF found_ids <> '{}' AND field.table_name <> erase_record.table_name THEN
                RETURN QUERY SELECT * FROM kombo_internal.erase_record(integration_id, field.table_name, found_ids,
                                                                       with_table, with_id);
            END IF;
        END IF;
        IF field.goes THEN
            erased := kombo_internal.execute_as_sync_role(format('DELETE FROM %s t WHERE %s', field.relation,
                                                                 condition));
        ELSE
            erased := kombo_internal.execute_as_sync_role(format(
                'UPDATE %s t SET %I = NULL, synced_at = %s WHERE %s', field.relation, field.column_name,
                kombo_internal.time_of_change(field.relation), condition));
        END IF;
        erased_from := field.table_name;
        RETURN NEXT;
    END LOOP;
    erased_from := table_name;
    erased := 0;
    SELECT kombo_internal.execute_as_sync_role(format(
        'DELETE FROM %s t WHERE t.integration_id = %L AND t.id = ANY (%L)', d.relation, integration_id, ids))
    INTO erased FROM kombo.data_tables d WHERE d.table_name = erase_record.table_name;
    RETURN NEXT;
    RETURN QUERY SELECT * FROM kombo_internal.erase_copies(integration_id, table_name, ids);
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.erase_record(text, text, text[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.erase_record(text, text, text[], text, text) IS
    'Deletes records and what belongs to them, empties columns that name them, and returns the rows by table. '
    'with_table, with_id: the record that kombo.erase was called for.';

CREATE FUNCTION kombo_internal.erase_copies(integration_id text, table_name text, ids text[])
    RETURNS TABLE (erased_from text, erased bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    its record;
    named CONSTANT text := '(SELECT FROM jsonb_path_query(%s, ''strict $.**'') v '
                           'WHERE jsonb_typeof(v) = ''string'' AND v #>> ''{}'' = ANY (%L))';
BEGIN
    -- What has no column of its own lies in "extra", also of a record that names this one.
    FOR its IN
        SELECT d.table_name, d.relation FROM kombo.data_tables d
        JOIN pg_attribute a ON a.attrelid = d.relation AND a.attname = 'extra' AND a.atttypid = 'jsonb'::regtype
        ORDER BY d.table_name
    LOOP
        erased_from := its.table_name;
        erased := kombo_internal.execute_as_sync_role(format(
            'UPDATE %s t SET extra = (SELECT jsonb_object_agg(e.key, e.value) FROM jsonb_each(t.extra) e '
            'WHERE NOT EXISTS %s), synced_at = %s '
            'WHERE t.integration_id = %L AND jsonb_typeof(t.extra) = ''object'' AND EXISTS %s',
            its.relation, format(named, 'e.value', ids), kombo_internal.time_of_change(its.relation), integration_id,
            format(named, 't.extra', ids)));
        RETURN NEXT;
    END LOOP;
    erased_from := 'rejected_records';
    EXECUTE format('DELETE FROM kombo.rejected_records r WHERE r.integration_id = $1 AND (EXISTS %s '
                   'OR r.record_id = ANY ($2) AND r.endpoint IN (SELECT e.path FROM kombo.endpoints e '
                   'WHERE e.table_name = $3))', format(named, 'r.record', ids))
        USING integration_id, ids, table_name;
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN NEXT;
    -- A body is text, and need not be JSON. data-changed names no record, and may not be judged yet.
    erased_from := 'webhook_inbox';
    DELETE FROM kombo.webhook_inbox i
    WHERE (i.integration_id = erase_copies.integration_id
           OR i.integration_id IS NULL AND position(erase_copies.integration_id IN i.body) > 0)
      AND coalesce(i.webhook_type, '') <> 'data-changed' AND position('"data-changed"' IN i.body) = 0
      AND EXISTS (SELECT FROM unnest(ids) n WHERE position(to_json(n)::text IN i.body) > 0);
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN NEXT;
    -- Who has not read the feed so far learns of nothing but the deletion.
    erased_from := 'changes';
    DELETE FROM kombo.changes c
    WHERE c.integration_id = erase_copies.integration_id AND c.table_name = erase_copies.table_name
      AND c.id = ANY (ids) AND c.operation <> 'delete';
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN NEXT;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.erase_copies(text, text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.erase_copies(text, text, text[]) IS
    'Takes what names the records out of extra, parked records, webhooks and the change feed, and returns the rows by '
    'table.';

CREATE FUNCTION kombo_internal.erase_with(integration_id text, table_name text, id text, owner_table text,
                                          owner_id text)
    RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    origin kombo.erased_records := (SELECT e FROM kombo.erased_records e
                                    WHERE e.integration_id = erase_with.integration_id AND e.id = owner_id
                                      AND e.table_name = owner_table);
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a record that belongs to an erased one is new'
            USING ERRCODE = 'active_sql_transaction', HINT = 'Sync in a transaction that is READ COMMITTED.';
    END IF;
    INSERT INTO kombo.erased_records (integration_id, id, table_name, with_table, with_id)
    VALUES (erase_with.integration_id, erase_with.id, erase_with.table_name,
            coalesce(origin.with_table, owner_table), coalesce(origin.with_id, owner_id))
    ON CONFLICT DO NOTHING;
    PERFORM kombo_internal.erase_record(erase_with.integration_id, erase_with.table_name, ARRAY[erase_with.id],
                                        coalesce(origin.with_table, owner_table), coalesce(origin.with_id, owner_id));
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.erase_with(text, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.erase_with(text, text, text, text, text) IS
    'Erases a record that a sync met and that belongs to an erased one, its owner.';

CREATE FUNCTION kombo_internal.check_erasable(integration_id text, table_name text, id text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    tables text[] := ARRAY(SELECT d.table_name FROM kombo.data_tables d
                           WHERE NOT EXISTS (SELECT FROM kombo.fields f WHERE f.table_name = d.table_name AND f.key)
                           ORDER BY 1);
BEGIN
    IF check_erasable.integration_id IS NULL OR check_erasable.table_name IS NULL OR check_erasable.id IS NULL THEN
        RAISE EXCEPTION 'integration, table and id must not be null' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Name all three, as in SELECT * FROM kombo.erase(''personio:...'', ''hris_employees'', ''...'').';
    ELSIF check_erasable.table_name <> ALL (tables) THEN
        RAISE EXCEPTION 'there is no data table "%" whose rows have an id', check_erasable.table_name
            USING ERRCODE = 'undefined_table', HINT = format('Such tables are: %s.', array_to_string(tables, ', '));
    ELSIF NOT pg_has_role(kombo_internal.sync_role(), 'USAGE') THEN
        RAISE EXCEPTION 'permission denied to erase records' USING ERRCODE = 'insufficient_privilege',
            HINT = format('Members of role %s, which owns the data tables, and superusers may.',
                          kombo_internal.sync_role());
    -- A snapshot that is older than the lock of the integration lacks what was stored meanwhile.
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'records cannot be erased in a transaction that is %',
            upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'active_sql_transaction', HINT = 'Use a transaction that is READ COMMITTED.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.check_erasable(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.check_erasable(text, text, text) IS
    'Raises unless the caller may erase such a record, in this transaction.';

CREATE FUNCTION kombo.erase(integration_id text, table_name text, id text)
    RETURNS TABLE (erased_from text, "rows" bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM kombo_internal.check_erasable(integration_id, table_name, id);
    -- A sync that runs has a page in memory already. Whoever syncs next reads what is committed here.
    PERFORM kombo_internal.lock_integration(integration_id);
    INSERT INTO kombo.erased_records AS e (integration_id, id, table_name)
    VALUES (erase.integration_id, erase.id, erase.table_name)
    ON CONFLICT (integration_id, id, table_name) DO UPDATE SET with_table = NULL, with_id = NULL;
    RETURN QUERY
        SELECT r.erased_from, sum(r.erased)::bigint
        FROM kombo_internal.erase_record(integration_id, table_name, ARRAY[erase.id], table_name, erase.id) r
        GROUP BY r.erased_from HAVING sum(r.erased) > 0 ORDER BY r.erased_from;
    IF NOT FOUND THEN
        RAISE NOTICE 'nothing of record "%" of table "%" was stored', id, table_name USING
            DETAIL = 'It is kept out from now on all the same.',
            HINT = 'If this is a typing error, kombo.readmit takes it back.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION kombo.erase(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.erase(text, text, text) IS
    'Erases a record everywhere in this database, for good, and returns the rows deleted or changed by table: its row; '
    'rows that belong to it (see kombo.fields); links; what names it in extra, in parked records, in webhooks and in '
    'the change feed. Columns of other rows that name it become NULL. No sync stores it again: see '
    'kombo.erased_records. For the owner of the data tables and superusers. Waits up to 10 seconds for a sync that '
    'runs. Raises on an unknown table, outside READ COMMITTED, and if a foreign key refers to a row.';

CREATE FUNCTION kombo.readmit(integration_id text, table_name text, id text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    readmitted bigint;
BEGIN
    PERFORM kombo_internal.check_erasable(integration_id, table_name, id);
    PERFORM kombo_internal.lock_integration(integration_id);
    DELETE FROM kombo.erased_records e
    WHERE e.integration_id = readmit.integration_id
      AND (e.table_name = readmit.table_name AND e.id = readmit.id
           OR e.with_table = readmit.table_name AND e.with_id = readmit.id);
    GET DIAGNOSTICS readmitted = ROW_COUNT;
    RAISE NOTICE 'records that may be stored again: %', readmitted USING
        HINT = 'The next full sync brings what Kombo still has of them.';
    RETURN readmitted;
END
$$;
REVOKE ALL ON FUNCTION kombo.readmit(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.readmit(text, text, text) IS
    'Takes back that a record is kept out, which kombo.erase began, with what was erased with it; returns how many '
    'records that are. The next full sync brings them. For the owner of the data tables and superusers.';
