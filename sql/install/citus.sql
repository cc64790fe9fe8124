-- Citus: the data tables distributed over the nodes of a cluster. What is Citus's own is named in strings only: most
-- databases do not have it.

CREATE FUNCTION kombo_internal.distributed_tables() RETURNS TABLE (relation regclass)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'citus') THEN
        RETURN QUERY EXECUTE 'SELECT p.logicalrelid::regclass FROM pg_catalog.pg_dist_partition p
                              JOIN kombo.data_tables d ON d.relation = p.logicalrelid';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.distributed_tables() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.distributed_tables() IS
    'The data tables that Citus distributes; without Citus none.';

CREATE FUNCTION kombo_internal.check_coordinator() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    elsewhere boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'citus') THEN
        RAISE EXCEPTION 'extension "citus" is not installed in this database'
            USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Only tables of a Citus cluster can be distributed: CREATE EXTENSION citus, and add the nodes.';
    END IF;
    EXECUTE 'SELECT l.groupid <> 0 FROM pg_catalog.pg_dist_local_group l' INTO elsewhere;
    IF elsewhere THEN
        RAISE EXCEPTION 'this server is a node of a Citus cluster' USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Connect to the coordinator: kombo_sync works, and is set up, there.';
    ELSIF NOT EXISTS (SELECT FROM kombo.data_tables d) THEN
        RAISE EXCEPTION 'there are no data tables yet' USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'SELECT kombo.create_tables(''HRIS'', owner => ''...'') makes them.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.check_coordinator() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.check_coordinator() IS
    'Raises unless this is the coordinator of a Citus cluster, with data tables.';

CREATE FUNCTION kombo_internal.check_nodes(sync_role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT (SELECT r.rolcanlogin FROM pg_roles r WHERE r.oid = sync_role) THEN
        RAISE EXCEPTION 'role % cannot log in', sync_role USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = 'Citus connects to the nodes as the role that syncs, the owner of the data tables.',
            HINT = format('ALTER ROLE %s LOGIN, and let it connect from node to node: in pg_hba.conf of each, with a '
                          'certificate or a password in .pgpass or pg_dist_authinfo.', sync_role);
    END IF;
    BEGIN
        PERFORM kombo_internal.execute_as_sync_role(
            'SELECT pg_catalog.citus_check_connection_to_node(n.nodename, n.nodeport)
             FROM pg_catalog.pg_dist_node n WHERE n.isactive AND n.groupid <> 0');
    EXCEPTION WHEN connection_exception OR internal_error OR operator_intervention
                   OR invalid_authorization_specification THEN
        RAISE EXCEPTION 'role % cannot connect to all nodes', sync_role USING ERRCODE = 'connection_failure',
            DETAIL = SQLERRM,
            HINT = format('Let it connect from node to node: in pg_hba.conf of each, with a certificate or a password '
                          'in .pgpass or pg_dist_authinfo. To try it: SET ROLE %s; SELECT * FROM '
                          'citus_check_cluster_node_health().', sync_role);
    END;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.check_nodes(regrole) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.check_nodes(regrole) IS
    'Raises if Citus cannot connect to the nodes as the sync role.';

CREATE FUNCTION kombo_internal.run_on_nodes(statement text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    said text;
BEGIN
    EXECUTE 'SELECT pg_catalog.string_agg(r.result, ''; '') FROM pg_catalog.run_command_on_workers($1) r '
            'WHERE NOT r.success' INTO said USING statement;
    IF said IS NOT NULL THEN
        RAISE EXCEPTION 'a statement failed on a node: %', said USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = format('The statement was: %s', statement);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.run_on_nodes(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.run_on_nodes(text) IS
    'Runs a statement on each node, in a transaction of its own there. Raises if it fails on one.';

CREATE FUNCTION kombo_internal.node_privileges() RETURNS text[]
    LANGUAGE sql IMMUTABLE
    RETURN ARRAY[
        'USAGE ON SCHEMA kombo_internal',
        -- What rows are compared with there, and what kombo.fill_field decodes with.
        'EXECUTE ON FUNCTION kombo_internal.row_digest(record, bigint), kombo_internal.decode_value(text, text)'];
REVOKE ALL ON FUNCTION kombo_internal.node_privileges() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.node_privileges() IS
    'What syncing needs on the nodes of a Citus cluster, as GRANT and REVOKE have it; Citus hands on no grants on what '
    'is not its own.';

CREATE FUNCTION kombo_internal.grant_cluster(sync_role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- A node plans with the values that it is sent. While its statistics do not know an integration, it expects no
    -- rows of it, and reads all its rows for each one that it looks up. On the coordinator a sync has its own setting.
    EXECUTE format('ALTER ROLE %s SET plan_cache_mode = force_generic_plan', sync_role);
    -- Citus makes a shard that it moves as the owner of the table.
    EXECUTE format('GRANT CREATE ON SCHEMA kombo TO %s', sync_role);
    PERFORM kombo_internal.run_on_nodes(format('GRANT %s TO %s', p, sync_role))
    FROM unnest(kombo_internal.node_privileges()) p;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.grant_cluster(regrole) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.grant_cluster(regrole) IS
    'Gives the owner of distributed tables what syncing needs in a Citus cluster.';

CREATE FUNCTION kombo_internal.revoke_cluster(sync_role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('ALTER ROLE %s RESET plan_cache_mode', sync_role);
    EXECUTE format('REVOKE CREATE ON SCHEMA kombo FROM %s', sync_role);
    PERFORM kombo_internal.run_on_nodes(format('REVOKE %s FROM %s', p, sync_role))
    FROM unnest(kombo_internal.node_privileges()) p;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.revoke_cluster(regrole) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.revoke_cluster(regrole) IS
    'Takes from a former owner of distributed tables what grant_cluster gave.';

-- On a new node, and in an update of one, where Citus runs this: the sync role is who may create shards there.
DO $$
DECLARE
    its_grant text;
BEGIN
    FOR its_grant IN
        SELECT g.its_grant
        FROM pg_namespace n, aclexplode(n.nspacl) acl, unnest(kombo_internal.node_privileges()) p,
             unnest(ARRAY[format('REVOKE %s FROM PUBLIC', p), format('GRANT %s TO %s', p, acl.grantee::regrole)])
                 g (its_grant)
        WHERE n.nspname = 'kombo' AND acl.privilege_type = 'CREATE' AND acl.grantee NOT IN (0, n.nspowner)
          AND current_setting('application_name') LIKE 'citus\_internal %'
          AND EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'citus')
    LOOP
        EXECUTE its_grant;
    END LOOP;
END
$$;

CREATE FUNCTION kombo.distribute_tables() RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sync_role regrole;
    its_category text;
    first_table regclass;
    its_table regclass;
    distributed integer := 0;
BEGIN
    PERFORM kombo_internal.check_coordinator();
    PERFORM kombo_internal.take_lock('create_tables', true);
    sync_role := kombo_internal.sync_role();
    PERFORM kombo_internal.check_nodes(sync_role);
    -- A table is locked while its rows move: no sync has locked another one meanwhile.
    PERFORM kombo_internal.lock_integrations();
    FOR its_category IN SELECT DISTINCT e.category FROM kombo.endpoints e ORDER BY 1 LOOP
        first_table := NULL;
        FOR its_table IN
            SELECT d.relation
            FROM kombo.data_tables d
            LEFT JOIN kombo_internal.distributed_tables() t USING (relation)
            WHERE EXISTS (SELECT FROM kombo.endpoints e LEFT JOIN kombo.nested_records n ON n.endpoint = e.path
                          WHERE e.category = its_category AND d.table_name IN (e.table_name, n.table_name))
            ORDER BY t.relation IS NULL, d.table_name
        LOOP
            IF its_table NOT IN (SELECT t.relation FROM kombo_internal.distributed_tables() t) THEN
                EXECUTE 'SELECT pg_catalog.create_distributed_table($1, ''integration_id'', colocate_with => $2)'
                    USING its_table, coalesce(first_table::text, 'none');
                distributed := distributed + 1;
            END IF;
            first_table := coalesce(first_table, its_table);
        END LOOP;
    END LOOP;
    PERFORM kombo_internal.grant_cluster(sync_role);
    PERFORM kombo_internal.wake(true);
    RETURN distributed;
END
$$;
REVOKE ALL ON FUNCTION kombo.distribute_tables() FROM PUBLIC;
COMMENT ON FUNCTION kombo.distribute_tables() IS
    'Distributes the data tables over the nodes of a Citus cluster by integration_id, those of a category colocated; '
    'returns how many were not distributed yet. Waits for running syncs and keeps others out until its transaction '
    'ends. Sets plan_cache_mode of the sync role to force_generic_plan, which its sessions on the nodes need, and '
    'grants it CREATE on schema kombo, which Citus needs to move shards, and the functions of ours that statements '
    'call on the nodes. Call it again after an update that added tables. Raises without Citus, on a node, without data '
    'tables, and if the sync role cannot log in to the nodes.';

CREATE FUNCTION kombo.undistribute_tables() RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sync_role regrole;
    its_table regclass;
    its_name text;
    undistributed integer := 0;
BEGIN
    PERFORM kombo_internal.check_coordinator();
    PERFORM kombo_internal.take_lock('create_tables', true);
    PERFORM kombo_internal.lock_integrations();
    sync_role := kombo_internal.sync_role();
    FOR its_table, its_name IN
        SELECT d.relation, d.table_name
        FROM kombo.data_tables d JOIN kombo_internal.distributed_tables() t USING (relation) ORDER BY d.table_name
    LOOP
        EXECUTE 'SELECT pg_catalog.undistribute_table($1)' USING its_table;
        -- Citus makes the table anew, without its comment.
        EXECUTE format('COMMENT ON TABLE kombo.%I IS %L', its_name, kombo_internal.table_comment(its_name));
        undistributed := undistributed + 1;
    END LOOP;
    PERFORM kombo_internal.revoke_cluster(sync_role);
    PERFORM kombo_internal.wake(true);
    RETURN undistributed;
END
$$;
REVOKE ALL ON FUNCTION kombo.undistribute_tables() FROM PUBLIC;
COMMENT ON FUNCTION kombo.undistribute_tables() IS
    'Brings the data tables back to the coordinator and undoes what distribute_tables() set and granted; returns how '
    'many tables were distributed. Waits for running syncs and keeps others out until its transaction '
    'ends. Raises without Citus, on a node and without data tables.';

CREATE FUNCTION kombo_internal.warn_of_local_tables() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    local_tables text := (SELECT string_agg(d.table_name, ', ' ORDER BY d.table_name) FROM kombo.data_tables d
                          WHERE d.relation NOT IN (SELECT t.relation FROM kombo_internal.distributed_tables() t));
BEGIN
    IF local_tables IS NOT NULL AND EXISTS (SELECT FROM kombo_internal.distributed_tables()) THEN
        RAISE WARNING 'some data tables are not distributed as the others are' USING
            DETAIL = format('On the coordinator alone: %s.', local_tables),
            HINT = 'SELECT kombo.distribute_tables() distributes them.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.warn_of_local_tables() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.warn_of_local_tables() IS
    'Warns if Citus distributes some data tables and others not, as those of a new version.';
