-- The background worker as seen from SQL: what wakes it, what it does right now, whether there is one.

CREATE FUNCTION kombo_internal.wake_worker() RETURNS trigger
    AS 'MODULE_PATHNAME', 'wake_worker' LANGUAGE c
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo_internal.wake_worker() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.wake_worker() IS
    'Trigger that wakes the background worker when the transaction commits; argument configuration: what it has read '
    'of configuration and catalogue is no longer true. Without a worker it does nothing.';

CREATE FUNCTION kombo_internal.wake(configuration boolean) RETURNS void
    AS 'MODULE_PATHNAME', 'wake_workers' LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo_internal.wake(boolean) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.wake(boolean) IS
    'Wakes the background worker when the transaction commits. configuration: it is to read configuration and '
    'catalogue anew.';

CREATE TRIGGER wake_worker AFTER INSERT ON kombo.webhook_inbox
    FOR EACH STATEMENT EXECUTE FUNCTION kombo_internal.wake_worker();
CREATE TRIGGER wake_worker AFTER INSERT ON kombo.sync_requests
    FOR EACH STATEMENT EXECUTE FUNCTION kombo_internal.wake_worker();
-- Columns that the worker itself writes, such as the time of the last check, do not wake it.
CREATE TRIGGER wake_worker AFTER INSERT OR DELETE OR
    UPDATE OF integration_id, server, category, paused_at, paused_by, system_identifier, database_oid
    ON kombo.integrations
    FOR EACH STATEMENT EXECUTE FUNCTION kombo_internal.wake_worker('configuration');
CREATE TRIGGER wake_worker AFTER INSERT OR UPDATE OR DELETE ON kombo.subscriptions
    FOR EACH STATEMENT EXECUTE FUNCTION kombo_internal.wake_worker('configuration');
CREATE TRIGGER wake_worker AFTER INSERT OR UPDATE OR DELETE ON kombo.endpoints
    FOR EACH STATEMENT EXECUTE FUNCTION kombo_internal.wake_worker('configuration');
CREATE TRIGGER wake_worker AFTER INSERT OR UPDATE OR DELETE ON kombo.endpoint_models
    FOR EACH STATEMENT EXECUTE FUNCTION kombo_internal.wake_worker('configuration');
CREATE TRIGGER wake_worker AFTER INSERT OR UPDATE OR DELETE ON kombo.fields
    FOR EACH STATEMENT EXECUTE FUNCTION kombo_internal.wake_worker('configuration');
CREATE TRIGGER wake_worker AFTER INSERT OR UPDATE OR DELETE ON kombo.nested_records
    FOR EACH STATEMENT EXECUTE FUNCTION kombo_internal.wake_worker('configuration');
CREATE TRIGGER wake_worker AFTER INSERT OR UPDATE OR DELETE ON kombo.webhook_endpoints
    FOR EACH STATEMENT EXECUTE FUNCTION kombo_internal.wake_worker('configuration');
CREATE TRIGGER wake_worker AFTER INSERT OR UPDATE OR DELETE ON kombo.excluded_fields
    FOR EACH STATEMENT EXECUTE FUNCTION kombo_internal.wake_worker('configuration');
COMMENT ON TRIGGER wake_worker ON kombo.webhook_inbox IS 'a webhook is judged as soon as it is committed';
COMMENT ON TRIGGER wake_worker ON kombo.sync_requests IS 'a request is begun as soon as it is committed';
COMMENT ON TRIGGER wake_worker ON kombo.integrations IS 'the worker follows every change at once';
COMMENT ON TRIGGER wake_worker ON kombo.subscriptions IS 'the worker follows every change at once';
COMMENT ON TRIGGER wake_worker ON kombo.endpoints IS 'the worker follows every change at once';
COMMENT ON TRIGGER wake_worker ON kombo.endpoint_models IS 'the worker follows every change at once';
COMMENT ON TRIGGER wake_worker ON kombo.fields IS 'the worker follows every change at once';
COMMENT ON TRIGGER wake_worker ON kombo.nested_records IS 'the worker follows every change at once';
COMMENT ON TRIGGER wake_worker ON kombo.webhook_endpoints IS 'the worker follows every change at once';
COMMENT ON TRIGGER wake_worker ON kombo.excluded_fields IS 'the worker follows every change at once';

CREATE FUNCTION kombo.worker_state(OUT state text, OUT since timestamptz, OUT reason text, OUT next text)
    AS 'MODULE_PATHNAME', 'worker_state' LANGUAGE c STRICT VOLATILE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.worker_state() FROM PUBLIC;
COMMENT ON FUNCTION kombo.worker_state() IS
    'Whether a background worker serves this database (running, not working or no worker), since when, why not, and '
    'what to do; the first row of kombo.sync_status.';

CREATE FUNCTION kombo_internal.progress()
    RETURNS TABLE (pid integer, integration_id text, endpoint text, kind text, trigger text, phase text, pages integer,
                   "rows" bigint, bytes bigint, rows_per_second bigint, started_at timestamptz, blocked_by integer)
    AS 'MODULE_PATHNAME', 'progress' LANGUAGE c STRICT VOLATILE PARALLEL RESTRICTED ROWS 10
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo_internal.progress() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.progress() IS 'The rows of kombo.sync_progress, from shared memory.';

CREATE FUNCTION kombo_internal.rate_limits() RETURNS TABLE (server oid, until timestamptz)
    AS 'MODULE_PATHNAME', 'rate_limits' LANGUAGE c STRICT VOLATILE PARALLEL RESTRICTED ROWS 10
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo_internal.rate_limits() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.rate_limits() IS
    'Servers whose API key has met a rate limit of Kombo, and until when their requests wait, from shared memory.';

CREATE FUNCTION kombo_internal.lift_limit(server oid) RETURNS boolean
    AS 'MODULE_PATHNAME', 'lift_limit' LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo_internal.lift_limit(oid) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.lift_limit(oid) IS
    'Ends the wait of a server''s requests for a rate limit: the next request tries whether it is over. Returns '
    'whether there was a limit.';

CREATE VIEW kombo.sync_progress AS
    SELECT p.*, CASE WHEN p.phase = 'limited' THEN l.until END AS limited_until
    FROM kombo_internal.progress() p
    LEFT JOIN kombo.integrations i USING (integration_id)
    LEFT JOIN pg_catalog.pg_foreign_server f ON f.srvname = i.server
    LEFT JOIN kombo_internal.rate_limits() l ON l.server = f.oid;
COMMENT ON VIEW kombo.sync_progress IS
    'What is being fetched in this database right now, ahead of the commits. Empty if the library is not in '
    'shared_preload_libraries.';
COMMENT ON COLUMN kombo.sync_progress.pid IS 'Process that fetches: a worker, or a session that called a function.';
COMMENT ON COLUMN kombo.sync_progress.integration_id IS 'Integration that is fetched.';
COMMENT ON COLUMN kombo.sync_progress.endpoint IS 'Path of the endpoint.';
COMMENT ON COLUMN kombo.sync_progress.kind IS 'What is done: delta or full.';
COMMENT ON COLUMN kombo.sync_progress.trigger IS 'What asked for it: webhook, schedule or sql.';
COMMENT ON COLUMN kombo.sync_progress.phase IS
    'What it does: starting, fetching (waits for Kombo), writing, locked (waits for a lock of another session), '
    'sweeping (looks for what Kombo no longer has), confirming (asks Kombo about that), yielding (gives way to a delta '
    'of the same endpoint) or limited (waits for the end of a rate limit).';
COMMENT ON COLUMN kombo.sync_progress.pages IS 'Pages fetched so far.';
COMMENT ON COLUMN kombo.sync_progress.rows IS 'Records received so far.';
COMMENT ON COLUMN kombo.sync_progress.bytes IS 'Bytes received on the wire so far.';
COMMENT ON COLUMN kombo.sync_progress.rows_per_second IS 'Records a second since the start.';
COMMENT ON COLUMN kombo.sync_progress.started_at IS 'When the fetch started.';
COMMENT ON COLUMN kombo.sync_progress.blocked_by IS 'Pid of the session whose lock it waits for. NULL: none.';
COMMENT ON COLUMN kombo.sync_progress.limited_until IS
    'When the rate limit that it waits for ends. NULL: it waits for none.';

-- A database that kombo_sync.databases names before it exists is served as soon as it has the extension.
SELECT kombo_internal.wake(true);
