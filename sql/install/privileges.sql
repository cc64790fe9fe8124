-- Privileges: readers, webhook front ends, operators, and the sync role itself.

CREATE FUNCTION kombo_internal.readers() RETURNS TABLE (reader regrole)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- Operators see the status as well, but nothing of parked records: whoever has both was made a reader.
    SELECT acl.grantee::regrole
    FROM (SELECT c.oid, c.relowner, c.relacl AS acl FROM pg_class c
          WHERE c.oid IN ('kombo.sync_status'::regclass, 'kombo.rejected_records'::regclass)
          UNION ALL
          SELECT c.oid, c.relowner, a.attacl FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
          WHERE c.oid = 'kombo.rejected_records'::regclass AND a.attname = 'sqlstate') o, aclexplode(o.acl) acl
    WHERE acl.privilege_type = 'SELECT' AND acl.grantee <> o.relowner AND acl.grantee <> 0
    GROUP BY acl.grantee HAVING count(DISTINCT o.oid) = 2
$$;
REVOKE ALL ON FUNCTION kombo_internal.readers() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.readers() IS 'The roles that kombo.grant_reader was called for.';

CREATE FUNCTION kombo_internal.check_role(role regrole) RETURNS void
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
REVOKE ALL ON FUNCTION kombo_internal.check_role(regrole) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.check_role(regrole) IS 'Raises on a role that is NULL or does not exist.';

CREATE FUNCTION kombo_internal.sync_role_privileges() RETURNS text[]
    LANGUAGE sql IMMUTABLE
    RETURN ARRAY[
        'USAGE ON SCHEMA kombo, kombo_internal',
        'SELECT ON kombo.endpoints, kombo.endpoint_models, kombo.fields, kombo.nested_records, '
        'kombo.webhook_endpoints, kombo.excluded_fields, '
        'kombo.data_tables, kombo.integrations, kombo.subscriptions',
        'SELECT, INSERT, UPDATE, DELETE ON kombo.sync_state, kombo.sync_seen, kombo.sync_runs, kombo.rejected_records',
        'UPDATE (tool, paused_at, paused_by, pause_reason, next_attempt_at, data_expired_at, checked_at) '
        'ON kombo.integrations',
        'SELECT, INSERT, DELETE ON kombo.sync_requests',
        'SELECT, UPDATE, DELETE ON kombo.webhook_inbox',
        'SELECT, INSERT, UPDATE, DELETE ON kombo.changes',
        'SELECT, UPDATE ON kombo.change_consumers',
        'SELECT, INSERT, UPDATE, DELETE ON kombo.erased_records',
        'EXECUTE ON FUNCTION kombo_internal.sync_role(), kombo_internal.this_database(), '
        'kombo_internal.interface_number(), kombo_internal.request_due(), kombo_internal.heed_clock(interval), '
        'kombo_internal.take_lock(text, boolean), kombo_internal.wake(boolean), '
        'kombo_internal.note_changes(), kombo_internal.prune_changes(), '
        'kombo_internal.row_digest(record, bigint), kombo_internal.decode_value(text, text), '
        'kombo_internal.lock_integration(text), '
        'kombo_internal.check_erasable(text, text, text), kombo_internal.time_of_change(regclass), '
        'kombo_internal.execute_as_sync_role(text), kombo_internal.erase_record(text, text, text[], text, text), '
        'kombo_internal.erase_copies(text, text, text[]), kombo_internal.erase_with(text, text, text, text, text), '
        'kombo.erase(text, text, text), kombo.readmit(text, text, text)'];
REVOKE ALL ON FUNCTION kombo_internal.sync_role_privileges() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.sync_role_privileges() IS
    'What syncing needs of catalogue, state, requests and inbox, as GRANT and REVOKE have it.';

CREATE FUNCTION kombo_internal.grant_sync_role(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    privileges text;
BEGIN
    PERFORM kombo_internal.check_role(role);
    -- An owner of the tables who adds a column cannot grant himself what he has already.
    IF has_schema_privilege(role, 'kombo', 'USAGE') AND has_schema_privilege(role, 'kombo_internal', 'USAGE')
       AND has_table_privilege(role, 'kombo.sync_seen', 'DELETE')
       AND has_function_privilege(role, 'kombo_internal.request_due()', 'EXECUTE')
       AND has_function_privilege(role, 'kombo_internal.take_lock(text, boolean)', 'EXECUTE')
       AND has_function_privilege(role, 'kombo_internal.row_digest(record, bigint)', 'EXECUTE')
       AND has_table_privilege(role, 'kombo.changes', 'DELETE')
       AND has_function_privilege(role, 'kombo.readmit(text, text, text)', 'EXECUTE') THEN
        RETURN;
    END IF;
    FOREACH privileges IN ARRAY kombo_internal.sync_role_privileges() LOOP
        EXECUTE format('GRANT %s TO %s', privileges, role);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.grant_sync_role(regrole) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.grant_sync_role(regrole) IS
    'Gives the owner of the data tables what syncing needs of catalogue, state, requests and inbox; create_tables '
    'calls it.';

CREATE FUNCTION kombo_internal.revoke_sync_role(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    privileges text;
BEGIN
    -- A superuser does not need these grants, and the owner of the extension would lose his own privileges.
    IF (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = role)
       OR role = (SELECT c.relowner FROM pg_class c WHERE c.oid = 'kombo.sync_state'::regclass) THEN
        RETURN;
    END IF;
    FOREACH privileges IN ARRAY kombo_internal.sync_role_privileges() LOOP
        EXECUTE format('REVOKE %s FROM %s', privileges, role);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.revoke_sync_role(regrole) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.revoke_sync_role(regrole) IS
    'Takes from a former owner of the data tables what grant_sync_role gave; create_tables calls it.';

CREATE FUNCTION kombo_internal.give_tables(owner regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    former regrole[] := (SELECT array_agg(DISTINCT d.owner) FROM kombo.data_tables d
                         WHERE d.owner <> give_tables.owner);
    its_name regclass;
    role regrole;
BEGIN
    IF former IS NULL THEN
        RETURN;
    ELSIF NOT pg_has_role(give_tables.owner, 'MEMBER')
          OR EXISTS (SELECT FROM unnest(former) f WHERE NOT pg_has_role(f, 'USAGE')) THEN
        RAISE EXCEPTION 'permission denied to give the data tables to another role'
            USING ERRCODE = 'insufficient_privilege',
            DETAIL = format('They belong to %s.', array_to_string(former, ', ')),
            HINT = 'Superusers and members of both roles may.';
    END IF;
    -- Before the tables: a sync that waits for one of them has its integration's lock.
    PERFORM kombo_internal.lock_integrations();
    FOR its_name IN SELECT d.relation FROM kombo.data_tables d WHERE d.owner <> give_tables.owner ORDER BY 1 LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO %s', its_name, give_tables.owner);
    END LOOP;
    IF EXISTS (SELECT FROM kombo_internal.distributed_tables()) THEN
        PERFORM kombo_internal.grant_sync_role(give_tables.owner); -- with which it tries the nodes
        PERFORM kombo_internal.check_nodes(give_tables.owner);
        PERFORM kombo_internal.grant_cluster(give_tables.owner);
        PERFORM kombo_internal.revoke_cluster(f) FROM unnest(former) f;
    END IF;
    FOREACH role IN ARRAY former LOOP
        PERFORM kombo_internal.revoke_sync_role(role);
    END LOOP;
    RAISE NOTICE 'all data tables belong to role % now', give_tables.owner USING
        DETAIL = format('They belonged to %s before; what syncing needs was revoked.', array_to_string(former, ', ')),
        HINT = 'If the former owner is to read the data, or to run syncs, call kombo.grant_reader or '
               'kombo.grant_operator.';
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.give_tables(regrole) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.give_tables(regrole) IS
    'Gives all data tables to a role, and takes from their former owners what syncing needs. Waits for running syncs. '
    'Raises if the caller is no member of the roles.';

CREATE FUNCTION kombo_internal.grant_status(role text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('GRANT EXECUTE ON FUNCTION kombo.worker_state(), kombo_internal.progress(), '
                   'kombo_internal.rate_limits(), kombo_internal.this_database(), '
                   'kombo_internal.reason_of(kombo_internal.list_states), '
                   'kombo_internal.next_of(kombo_internal.list_states), '
                   'kombo_internal.call_of(kombo_internal.list_states, text) TO %s', role);
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.grant_status(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.grant_status(text) IS
    'Lets a role call what the status views call. role: a quoted name, or PUBLIC.';

CREATE FUNCTION kombo.grant_reader(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation regclass;
    secured text;
BEGIN
    PERFORM kombo_internal.check_role(role);
    EXECUTE format('GRANT USAGE ON SCHEMA kombo TO %s', role);
    EXECUTE format('GRANT SELECT ON kombo.endpoints, kombo.endpoint_models, kombo.fields, kombo.nested_records, '
                   'kombo.webhook_endpoints, kombo.endpoint_filters, kombo.excluded_fields, kombo.data_tables, '
                   'kombo.integrations, '
                   'kombo.subscriptions, kombo.sync_state, kombo.sync_requests, kombo.sync_runs, '
                   'kombo.sync_status, kombo.integration_status, kombo.sync_progress TO %s', role);
    -- A parked record has no row in its table that a policy could judge.
    secured := (SELECT string_agg(d.table_name, ', ' ORDER BY d.table_name)
                FROM kombo.data_tables d JOIN pg_class c ON c.oid = d.relation WHERE c.relrowsecurity);
    IF secured IS NULL OR (SELECT r.rolsuper OR r.rolbypassrls FROM pg_roles r WHERE r.oid = role) THEN
        EXECUTE format('GRANT SELECT ON kombo.rejected_records TO %s', role);
    ELSE
        EXECUTE format('REVOKE SELECT ON kombo.rejected_records FROM %s', role);
        EXECUTE format('GRANT SELECT (id, integration_id, endpoint, sqlstate, rejected_at) ON kombo.rejected_records '
                       'TO %s', role);
        RAISE NOTICE 'role % may see that records are parked, but not the records', role USING
            DETAIL = format('Row-level security is on for: %s. Its policies cannot judge parked records.', secured),
            HINT = format('If the role may read all rows: GRANT SELECT ON kombo.rejected_records TO %s.', role);
    END IF;
    EXECUTE format('GRANT EXECUTE ON FUNCTION kombo_internal.sync_role(), kombo_internal.unknown_fields(), '
                   'kombo_internal.known_keys(text), kombo_internal.add_field_call(text, text, text) TO %s', role);
    EXECUTE format('GRANT SELECT ON kombo.unknown_fields TO %s', role);
    PERFORM kombo_internal.grant_status(role::text);
    FOR relation IN SELECT d.relation FROM kombo.data_tables d LOOP
        EXECUTE format('GRANT SELECT ON %s TO %s', relation, role);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION kombo.grant_reader(regrole) FROM PUBLIC;
COMMENT ON FUNCTION kombo.grant_reader(regrole) IS
    'Lets a role read the data, the catalogue and the status, of tables made later too. If a data table has row-level '
    'security, the content of parked records is left out, because its policies cannot judge them. Call it again if '
    'row-level security is enabled later. Raises on an unknown role.';

CREATE FUNCTION kombo.grant_webhook_writer(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM kombo_internal.check_role(role);
    EXECUTE format('GRANT USAGE ON SCHEMA kombo TO %s', role);
    EXECUTE format('GRANT INSERT (body, signature), SELECT (id) ON kombo.webhook_inbox TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION kombo.verify_webhook(text, text) TO %s', role);
END
$$;
REVOKE ALL ON FUNCTION kombo.grant_webhook_writer(regrole) FROM PUBLIC;
COMMENT ON FUNCTION kombo.grant_webhook_writer(regrole) IS
    'Lets a front end verify webhooks, insert them (body and signature) and learn their id, and nothing else. Raises '
    'on an unknown role.';

CREATE FUNCTION kombo.grant_operator(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM kombo_internal.check_role(role);
    EXECUTE format('GRANT USAGE ON SCHEMA kombo, kombo_internal TO %s', role);
    EXECUTE format('GRANT SELECT ON kombo.endpoints, kombo.endpoint_models, kombo.fields, kombo.nested_records, '
                   'kombo.webhook_endpoints, kombo.endpoint_filters, kombo.excluded_fields, kombo.data_tables, '
                   'kombo.sync_runs, kombo.sync_status, '
                   'kombo.integration_status, kombo.sync_progress TO %s', role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON kombo.integrations, kombo.subscriptions TO %s', role);
    EXECUTE format('GRANT SELECT, UPDATE (watermark, full_started_at, accept_sweep, next_attempt_at, '
                   'failures, attempts) ON kombo.sync_state TO %s', role);
    EXECUTE format('GRANT SELECT, DELETE ON kombo.sync_requests TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION '
                   'kombo.kombo_sync_delta(text, text[]), kombo.kombo_sync_full(text, text[]), '
                   'kombo.request_sync(text, text, text[]), '
                   'kombo.check_connection(text), kombo.integration_info(text, text), '
                   'kombo.add_integration(text, text, text), kombo.remove_integration(text, boolean), '
                   'kombo.pause(text, text), kombo.resume(text), kombo.accept_sweep(text, text), '
                   -- and what these call
                   'kombo_internal.check_integration(text), kombo_internal.provide_tables(text), '
                   'kombo_internal.warn_of_superuser(regrole), kombo_internal.execute_as_sync_role(text), '
                   'kombo_internal.sync_role(), kombo_internal.interface_number(), '
                   'kombo_internal.take_lock(text, boolean), kombo_internal.lock_integration(text), '
                   'kombo_internal.lift_limit(oid), '
                   'kombo_internal.wake(boolean) TO %s', role);
    PERFORM kombo_internal.grant_status(role::text);
    RAISE NOTICE 'role % needs USAGE on the servers whose integrations it is to run', role USING
        HINT = format('The owner of a server gives it: GRANT USAGE ON FOREIGN SERVER ... TO %s.', role);
END
$$;
REVOKE ALL ON FUNCTION kombo.grant_operator(regrole) FROM PUBLIC;
COMMENT ON FUNCTION kombo.grant_operator(regrole) IS
    'Lets a role run and request syncs, add, pause, resume and remove integrations, change subscriptions and see the '
    'status, but no data. The owner of a server grants USAGE on it. Raises on an unknown role.';
