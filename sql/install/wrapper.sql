-- What the library provides: the foreign data wrapper that holds address and key, the sync functions,
-- the calls that ask Kombo something, and the check of what Kombo sends by itself.

CREATE FUNCTION kombo_internal.interface_number() RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS 'SELECT 3';
REVOKE ALL ON FUNCTION kombo_internal.interface_number() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.interface_number() IS
    'Number of the interface between these SQL objects and the library; the library raises where it expects another.';

CREATE FUNCTION kombo_internal.kombo_sync_validator(options text[], catalog oid) RETURNS void
    AS 'MODULE_PATHNAME', 'kombo_sync_validator' LANGUAGE c STRICT
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo_internal.kombo_sync_validator(text[], oid) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.kombo_sync_validator(text[], oid) IS
    'Checks the options of servers and user mappings; raises on an unknown one, naming the valid ones, and on a bad '
    'value.';

CREATE FOREIGN DATA WRAPPER kombo_sync NO HANDLER VALIDATOR kombo_internal.kombo_sync_validator;
COMMENT ON FOREIGN DATA WRAPPER kombo_sync IS
    'Kombo API accounts: a server holds the address, the user mapping of its owner (else of PUBLIC) the key.';

CREATE FUNCTION kombo.kombo_sync_delta(integration_id text DEFAULT NULL, what text[] DEFAULT NULL)
    RETURNS TABLE (integration_id text, endpoint text, kind text, status text, pages integer,
                   received bigint, inserted bigint, updated bigint, unchanged bigint, deleted bigint,
                   started_at timestamptz, finished_at timestamptz, error text)
    AS 'MODULE_PATHNAME', 'kombo_sync_delta' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.kombo_sync_delta(text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION kombo.kombo_sync_delta(text, text[]) IS
    'Fetches what changed since the last successful fetch. integration_id: NULL means all; what: changed models or '
    'endpoint paths, NULL means everything subscribed. One row per endpoint. An endpoint that fails is a row with '
    'status failed and a WARNING; raises on unknown names, without user mapping, while paused, read-only.';

CREATE FUNCTION kombo.kombo_sync_full(integration_id text DEFAULT NULL, what text[] DEFAULT NULL)
    RETURNS TABLE (integration_id text, endpoint text, kind text, status text, pages integer,
                   received bigint, inserted bigint, updated bigint, unchanged bigint, deleted bigint,
                   started_at timestamptz, finished_at timestamptz, error text)
    AS 'MODULE_PATHNAME', 'kombo_sync_full' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.kombo_sync_full(text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION kombo.kombo_sync_full(text, text[]) IS
    'Fetches everything, repairs what differs, and marks or removes what Kombo no longer has. Parameters, rows and '
    'errors as kombo.kombo_sync_delta.';

CREATE FUNCTION kombo.request_sync(integration_id text DEFAULT NULL, kind text DEFAULT 'delta',
                                   what text[] DEFAULT NULL) RETURNS integer
    AS 'MODULE_PATHNAME', 'request_sync' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.request_sync(text, text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION kombo.request_sync(text, text, text[]) IS
    'Has the background worker sync as soon as the transaction commits, and returns how many endpoints it asked for. '
    'integration_id: NULL means all; kind: delta or full; what: changed models or endpoint paths, NULL means '
    'everything subscribed. Raises as the functions that sync at once, and on another kind; warns where no worker serves this '
    'database.';

CREATE FUNCTION kombo_internal.execute_as_sync_role(statement text) RETURNS bigint
    AS 'MODULE_PATHNAME', 'execute_as_sync_role' LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo_internal.execute_as_sync_role(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.execute_as_sync_role(text) IS
    'Runs a statement that changes data tables as their owner, in a security-restricted context, and returns the rows '
    'changed: triggers on the tables do not get the rights of a superuser who calls. For members of that role.';

CREATE FUNCTION kombo_internal.take_lock(name text, wait boolean) RETURNS boolean
    AS 'MODULE_PATHNAME', 'take_lock' LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo_internal.take_lock(text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.take_lock(text, boolean) IS
    'Takes a lock of kombo_sync until the transaction ends: that of an integration, by its id, or another by its name. '
    'wait: whether to wait for it, as long as lock_timeout allows; otherwise false means that somebody else has it.';

CREATE FUNCTION kombo.check_connection(server text) RETURNS text
    AS 'MODULE_PATHNAME', 'check_connection' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.check_connection(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.check_connection(text) IS
    'Asks Kombo whether the key of a server is valid and returns the id of the environment it belongs to. Needs USAGE '
    'on the server; raises on every network or API error.';

CREATE FUNCTION kombo.integration_info(server text, integration_id text) RETURNS jsonb
    AS 'MODULE_PATHNAME', 'integration_info' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.integration_info(text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.integration_info(text, text) IS
    'What Kombo says about an integration (tool, category, state). Needs USAGE on the server; raises on every network '
    'or API error.';

CREATE FUNCTION kombo.page_statements(endpoint text)
    RETURNS TABLE (table_name text, step text, statement text)
    AS 'MODULE_PATHNAME', 'page_statements' LANGUAGE c STABLE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.page_statements(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.page_statements(text) IS
    'The SQL that writes a page of an endpoint whose records have all fields that the catalogue knows: per table, in '
    'the order in which it runs, each step only where it is needed. Nothing is run. $1 is the integration''s id, the '
    'arrays are the rows'' columns. Raises 42704 for a path that no endpoint has, 42P01 where its tables are not made.';

CREATE FUNCTION kombo.verify_webhook(body text, signature text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'verify_webhook' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.verify_webhook(text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.verify_webhook(text, text) IS
    'Whether the signature (header X-Kombo-Signature) of a webhook''s raw body is by a webhook secret of any server, for '
    'front ends that answer 401 themselves; false where either is NULL. Raises only where there is not one secret to '
    'verify with; one that cannot be read is a WARNING.';
