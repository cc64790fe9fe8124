-- An operator's functions for integrations: add, remove, pause, resume, accept a sweep.

CREATE FUNCTION kombo_internal.this_database() RETURNS TABLE (system_identifier bigint, database_oid oid)
    LANGUAGE sql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.system_identifier, d.oid FROM pg_control_system() c, pg_database d WHERE d.datname = current_database()
$$;
REVOKE ALL ON FUNCTION kombo_internal.this_database() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.this_database() IS
    'What tells this database from a restored copy of it: the system identifier of the cluster and the oid of the '
    'database.';

CREATE FUNCTION kombo_internal.check_integration_server() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'UPDATE'
       AND (NEW.integration_id, NEW.server, NEW.category, NEW.system_identifier, NEW.database_oid) IS NOT DISTINCT FROM
           (OLD.integration_id, OLD.server, OLD.category, OLD.system_identifier, OLD.database_oid) THEN
        RETURN NEW;
    ELSIF NOT (SELECT has_server_privilege(s.oid, 'USAGE') FROM pg_foreign_server s WHERE s.srvname = NEW.server) THEN
        RAISE EXCEPTION 'permission denied for foreign server %', NEW.server USING ERRCODE = 'insufficient_privilege',
            HINT = format('Its owner can give it: GRANT USAGE ON FOREIGN SERVER %I TO %I.', NEW.server, current_user);
    ELSIF NOT EXISTS (SELECT FROM pg_foreign_server s WHERE s.srvname = NEW.server)
          AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION 'server "%" does not exist', NEW.server USING ERRCODE = 'undefined_object',
            DETAIL = 'Whoever makes it later may not want the integration to be fetched with its key.',
            HINT = 'Make the server first.';
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.check_integration_server() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.check_integration_server() IS
    'Trigger of kombo.integrations: raises where something that decides what a key is used for is changed by a user '
    'who may not use the server. To superusers one that does not exist passes, so that a dump restores.';
CREATE TRIGGER check_integration_server
    BEFORE INSERT OR UPDATE OF integration_id, server, category, system_identifier, database_oid ON kombo.integrations
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.check_integration_server();
COMMENT ON TRIGGER check_integration_server ON kombo.integrations IS
    'an integration can be fetched only with the key of a server that the user may use';

CREATE FUNCTION kombo.add_integration(integration_id text, server text, category text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    new_id text := add_integration.integration_id;
    its_server text := add_integration.server;
    its_category text := add_integration.category;
    its_tool text;
    its_status text;
    info jsonb;
    asked_at timestamptz;
    servers text := (SELECT string_agg(quote_ident(s.srvname), ', ' ORDER BY s.srvname) FROM pg_foreign_server s
                     JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE w.fdwname = 'kombo_sync');
    categories text := (SELECT string_agg(DISTINCT e.category, ', ') FROM kombo.endpoints e);
BEGIN
    IF new_id IS NULL OR its_server IS NULL THEN
        RAISE EXCEPTION 'integration_id and server must not be null' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Call it as in SELECT kombo.add_integration(''personio:...'', server => ''kombo_eu'').';
    ELSIF length(new_id) NOT BETWEEN 1 AND 200 OR new_id ~ '[\u0001-\u001f\u007f-\u009f]|^\s|\s$|^\.{1,2}$' THEN
        RAISE EXCEPTION 'invalid integration id' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'It is empty, longer than 200 characters, nothing but dots, or has control characters or white '
                     'space around it.',
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
        -- If it is not active, a worker asks once more at once, and pauses it.
        its_status := left(regexp_replace(info ->> 'status', '[^[:print:]]', '?', 'g'), 50);
        asked_at := CASE WHEN coalesce(its_status, 'ACTIVE') = 'ACTIVE' THEN now() END;
        its_category := info ->> 'category';
        its_tool := coalesce(info #>> '{tool,id}', info ->> 'tool');
    END IF;
    IF NOT EXISTS (SELECT FROM kombo.endpoints e WHERE e.category = its_category) THEN
        RAISE EXCEPTION 'category "%" is not in the catalogue', its_category USING ERRCODE = 'invalid_parameter_value',
            HINT = format('Categories of the catalogue are: %s.', categories);
    END IF;

    PERFORM kombo_internal.provide_tables(its_category);
    INSERT INTO kombo.integrations (integration_id, server, category, tool, checked_at, system_identifier, database_oid)
    SELECT new_id, its_server, its_category, its_tool, asked_at, t.system_identifier, t.database_oid
    FROM kombo_internal.this_database() t;
    IF its_status <> 'ACTIVE' THEN
        RAISE WARNING 'Kombo says that integration "%" is %', new_id, its_status USING
            DETAIL = CASE its_status
                     WHEN 'INVALID' THEN 'Kombo can no longer log in to the tool, so its data become no newer.'
                     WHEN 'INACTIVE' THEN 'It is switched off at Kombo, so its data become no newer.' END,
            HINT = CASE its_status WHEN 'INVALID' THEN 'Have the tool connected again at Kombo.'
                                   WHEN 'INACTIVE' THEN 'Switch it on in Kombo''s dashboard.'
                                   ELSE 'Look at it in Kombo''s dashboard.' END
                   || ' Until then a worker pauses it; kombo.kombo_sync_full fetches what Kombo has.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION kombo.add_integration(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.add_integration(text, text, text) IS
    'Begins to copy an integration, which the background worker then fetches at once. integration_id: Kombo''s id. '
    'server: a server of wrapper kombo_sync that you have USAGE on. category: NULL means that Kombo is asked. Makes '
    'the tables of the category if they are missing. Raises on a bad or existing id, an unknown server or category, '
    'and, if Kombo is asked, on every network or API error.';

CREATE FUNCTION kombo_internal.provide_tables(category text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (
        SELECT FROM (SELECT e.table_name FROM kombo.endpoints e WHERE e.category = provide_tables.category
                     UNION SELECT n.table_name FROM kombo.nested_records n JOIN kombo.endpoints e ON e.path = n.endpoint
                     WHERE e.category = provide_tables.category) t
        WHERE NOT EXISTS (SELECT FROM kombo.data_tables d WHERE d.table_name = t.table_name)) THEN
        PERFORM kombo_internal.warn_of_superuser(kombo_internal.sync_role());
        -- The tables may be older than the extension, which was dropped and made again.
        IF has_function_privilege('kombo_internal.grant_sync_role(regrole)', 'EXECUTE') THEN
            PERFORM kombo_internal.grant_sync_role(kombo_internal.sync_role());
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
REVOKE ALL ON FUNCTION kombo_internal.provide_tables(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.provide_tables(text) IS
    'Makes the tables of a category where they are missing; raises where the user may not; warns if their owner is a '
    'superuser.';

CREATE FUNCTION kombo_internal.check_integration(integration_id text) RETURNS void
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
REVOKE ALL ON FUNCTION kombo_internal.check_integration(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.check_integration(text) IS
    'Raises on an integration that is NULL or unknown, naming those that exist.';

CREATE FUNCTION kombo_internal.lock_integration(integration_id text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s'
AS $$
BEGIN
    -- The background worker gives the lock up when somebody waits for it.
    PERFORM kombo_internal.take_lock(integration_id, true);
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'integration "%" is being synced by another session', integration_id
        USING ERRCODE = 'object_in_use',
              HINT = 'Call it again when that session is done, or cancel that session first.';
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.lock_integration(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.lock_integration(text) IS
    'Keeps syncs of the integration out until the transaction ends. Waits up to 10 seconds for one that runs, then '
    'raises.';

CREATE FUNCTION kombo.remove_integration(integration_id text, purge boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off SET lock_timeout = '10s'
AS $$
#variable_conflict use_column
DECLARE
    old_id text := remove_integration.integration_id;
    tab record;
    purged bigint;
    total bigint := 0;
BEGIN
    PERFORM kombo_internal.check_integration(old_id);
    IF purge IS NULL THEN
        RAISE EXCEPTION 'purge must not be null' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Use true to delete the rows of the integration, too, and false to keep them.';
    END IF;
    PERFORM kombo_internal.lock_integration(old_id);
    IF purge THEN
        FOR tab IN SELECT d.relation, d.owner FROM kombo.data_tables d ORDER BY d.table_name LOOP
            IF NOT pg_has_role(tab.owner, 'USAGE') THEN
                RAISE EXCEPTION 'permission denied for table %', tab.relation USING ERRCODE = 'insufficient_privilege',
                    HINT = format('Rows are deleted by a member of role %s, which owns the tables, or by a superuser; '
                                  'without purge the integration can be removed all the same.', tab.owner);
            END IF;
            purged := kombo_internal.execute_as_sync_role(
                format('DELETE FROM %s WHERE integration_id = %L', tab.relation, old_id));
            total := total + purged;
        END LOOP;
        DELETE FROM kombo.sync_runs r WHERE r.integration_id = old_id;
        RAISE NOTICE 'rows deleted: %', total;
    END IF;
    DELETE FROM kombo.integrations i WHERE i.integration_id = old_id;
END
$$;
REVOKE ALL ON FUNCTION kombo.remove_integration(text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION kombo.remove_integration(text, boolean) IS
    'Ends an integration and deletes its subscriptions, state, requests and parked records. purge: true also deletes '
    'its rows in the data tables and its run history. Raises on an unknown integration, if another session still syncs '
    'it after 10 seconds, and if you may not delete the rows.';

CREATE FUNCTION kombo.pause(integration_id text, reason text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM kombo_internal.check_integration(pause.integration_id);
    UPDATE kombo.integrations i
    SET paused_at = now(), paused_by = 'operator', pause_reason = reason, next_attempt_at = NULL
    WHERE i.integration_id = pause.integration_id;
END
$$;
REVOKE ALL ON FUNCTION kombo.pause(text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.pause(text, text) IS
    'Stops all syncing of an integration until kombo.resume. No webhook and no retry overrides it. reason: text that '
    'kombo.sync_status shows. Raises on an unknown integration.';

CREATE FUNCTION kombo_internal.advance_sequences() RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT setval('kombo.sync_requests_id_seq', m.id)
    FROM (SELECT max(r.id) AS id FROM kombo.sync_requests r) m CROSS JOIN kombo.sync_requests_id_seq s
    WHERE (m.id, true) > (s.last_value, s.is_called);
    SELECT setval('kombo.sync_runs_id_seq', m.id)
    FROM (SELECT max(r.id) AS id FROM kombo.sync_runs r) m CROSS JOIN kombo.sync_runs_id_seq s
    WHERE (m.id, true) > (s.last_value, s.is_called);
    SELECT setval('kombo.rejected_records_id_seq', m.id)
    FROM (SELECT max(r.id) AS id FROM kombo.rejected_records r) m CROSS JOIN kombo.rejected_records_id_seq s
    WHERE (m.id, true) > (s.last_value, s.is_called);
    SELECT setval('kombo.webhook_inbox_id_seq', m.id)
    FROM (SELECT max(i.id) AS id FROM kombo.webhook_inbox i) m CROSS JOIN kombo.webhook_inbox_id_seq s
    WHERE (m.id, true) > (s.last_value, s.is_called);
$$;
REVOKE ALL ON FUNCTION kombo_internal.advance_sequences() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.advance_sequences() IS
    'Sets the identity sequences of the tables that a dump or a subscription has filled past what is in them. One that '
    'is not behind is left alone, as another session may take a number from it right now. kombo.resume calls it for '
    'superusers, and the worker where it meets a number that is taken.';

CREATE FUNCTION kombo.resume(integration_id text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF resume.integration_id IS NOT NULL THEN
        PERFORM kombo_internal.check_integration(resume.integration_id);
    END IF;
    UPDATE kombo.integrations i SET paused_at = NULL, paused_by = NULL, pause_reason = NULL, next_attempt_at = NULL,
           system_identifier = t.system_identifier, database_oid = t.database_oid
    FROM kombo_internal.this_database() t WHERE i.integration_id = coalesce(resume.integration_id, i.integration_id);
    UPDATE kombo.sync_state s SET failures = 0, attempts = 0, next_attempt_at = NULL
    WHERE s.integration_id = coalesce(resume.integration_id, s.integration_id)
      AND (s.failures > 0 OR s.attempts > 0 OR s.next_attempt_at IS NOT NULL);
    PERFORM kombo_internal.lift_limit(f.oid) FROM pg_foreign_server f
    WHERE f.srvname IN (SELECT i.server FROM kombo.integrations i
                        WHERE i.integration_id = coalesce(resume.integration_id, i.integration_id));
    IF has_function_privilege('kombo_internal.advance_sequences()', 'EXECUTE') THEN
        PERFORM kombo_internal.advance_sequences();
    END IF;
END
$$;
REVOKE ALL ON FUNCTION kombo.resume(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.resume(text) IS
    'Ends every pause and back-off of an integration, its API key''s wait for a rate limit, and the state restored: '
    'this database fetches it again. integration_id: NULL means all. A superuser''s call also sets sequences past the '
    'rows that logical replication copied. Raises on an unknown integration and, if this database is a copy, without '
    'USAGE on the server.';

CREATE FUNCTION kombo.accept_sweep(integration_id text, endpoint text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM kombo_internal.check_integration(accept_sweep.integration_id);
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
REVOKE ALL ON FUNCTION kombo.accept_sweep(text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.accept_sweep(text, text) IS
    'Lets the next full fetch of an endpoint pass the fuse once, however many rows it removes. endpoint: its path. '
    'Raises on an unknown integration, and on an endpoint that was never synced.';
