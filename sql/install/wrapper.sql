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
    'Checks the options of servers, user mappings and foreign tables; raises on an unknown one, naming the valid ones, '
    'and on a bad value.';

CREATE FUNCTION kombo_internal.kombo_sync_handler() RETURNS fdw_handler
    AS 'MODULE_PATHNAME', 'kombo_sync_handler' LANGUAGE c STRICT
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo_internal.kombo_sync_handler() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.kombo_sync_handler() IS
    'Gives PostgreSQL the functions that read foreign tables from Kombo.';

CREATE FOREIGN DATA WRAPPER kombo_sync
    HANDLER kombo_internal.kombo_sync_handler VALIDATOR kombo_internal.kombo_sync_validator;
COMMENT ON FOREIGN DATA WRAPPER kombo_sync IS
    'Kombo API accounts: a server holds the address, a user mapping the key. Syncs use the mapping of the server''s '
    'owner, foreign tables that of the role that reads them; either falls back to PUBLIC''s.';

CREATE FUNCTION kombo.kombo_sync_delta(integration_id text DEFAULT NULL, what text[] DEFAULT NULL)
    RETURNS TABLE (integration_id text, endpoint text, kind text, status text, pages integer,
                   received bigint, inserted bigint, updated bigint, unchanged bigint, deleted bigint,
                   started_at timestamptz, finished_at timestamptz, error text)
    AS 'MODULE_PATHNAME', 'kombo_sync_delta' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.kombo_sync_delta(text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION kombo.kombo_sync_delta(text, text[]) IS
    'Fetches what changed since the last successful fetch, in the caller''s transaction, and returns one row per '
    'endpoint. integration_id: NULL means all that are not paused. what: changed models or endpoint paths; NULL means '
    'everything subscribed. An endpoint that fails is a row with status failed and a WARNING. Raises on an unknown '
    'name, a paused integration, a server without user mapping, and in a read-only transaction.';

CREATE FUNCTION kombo.kombo_sync_full(integration_id text DEFAULT NULL, what text[] DEFAULT NULL)
    RETURNS TABLE (integration_id text, endpoint text, kind text, status text, pages integer,
                   received bigint, inserted bigint, updated bigint, unchanged bigint, deleted bigint,
                   started_at timestamptz, finished_at timestamptz, error text)
    AS 'MODULE_PATHNAME', 'kombo_sync_full' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.kombo_sync_full(text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION kombo.kombo_sync_full(text, text[]) IS
    'Fetches everything, in the caller''s transaction, corrects rows that differ, and marks or deletes rows that Kombo '
    'no longer returns. Parameters, rows and errors are those of kombo.kombo_sync_delta.';

CREATE FUNCTION kombo.request_sync(integration_id text DEFAULT NULL, kind text DEFAULT 'delta',
                                   what text[] DEFAULT NULL) RETURNS integer
    AS 'MODULE_PATHNAME', 'request_sync' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.request_sync(text, text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION kombo.request_sync(text, text, text[]) IS
    'Asks the background worker for a sync, which begins when the transaction commits, and returns the number of '
    'endpoints requested. integration_id: NULL means all that are not paused. kind: delta or full. what: changed '
    'models or endpoint paths; NULL means everything subscribed. Raises as kombo.kombo_sync_delta does, and on another '
    'kind. Warns if no worker serves this database.';

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

CREATE FUNCTION kombo_internal.row_digest(image record, seed bigint) RETURNS bigint
    AS 'MODULE_PATHNAME', 'row_digest' LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION kombo_internal.row_digest(record, bigint) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.row_digest(record, bigint) IS
    'Returns a hash of the very bytes of a row''s values, as record_image_eq compares them: a sync compares the stored '
    'rows with those of a page by it. seed: another one gives other hashes.';

CREATE FUNCTION kombo.check_connection(server text) RETURNS text
    AS 'MODULE_PATHNAME', 'check_connection' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.check_connection(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.check_connection(text) IS
    'Asks Kombo whether the API key of a server is valid, and returns the id of the environment that the key belongs '
    'to. Needs USAGE on the server. Raises on every network or API error.';

CREATE FUNCTION kombo.integration_info(server text, integration_id text) RETURNS jsonb
    AS 'MODULE_PATHNAME', 'integration_info' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.integration_info(text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.integration_info(text, text) IS
    'Returns what Kombo says about an integration: its tool, category and state. Needs USAGE on the server. Raises on '
    'every network or API error.';

CREATE FUNCTION kombo.page_statements(endpoint text)
    RETURNS TABLE (table_name text, step text, statement text)
    AS 'MODULE_PATHNAME', 'page_statements' LANGUAGE c STABLE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.page_statements(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.page_statements(text) IS
    'Returns the SQL that writes one page of an endpoint, in the order in which it runs, and runs nothing. $1 is the '
    'id of the integration, the arrays are the columns of the rows. A step runs only if a page needs it. Raises 42704 '
    'on an unknown path, and 42P01 if the endpoint''s tables are missing.';

CREATE FUNCTION kombo.drift(integration_id text, what text[] DEFAULT NULL)
    RETURNS TABLE (table_name text, id text, difference text, columns text[], stored jsonb, live jsonb)
    AS 'MODULE_PATHNAME', 'kombo_drift' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.drift(text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION kombo.drift(text, text[]) IS
    'Compares everything that Kombo has of an integration with the tables, and returns a row for each row that a full '
    'sync would change. Writes nothing and holds no lock. difference: missing (Kombo has it), surplus (only the table '
    'has it) or differs, with the columns and both values. what: changed models or endpoint paths; NULL means '
    'everything subscribed. A NOTICE counts per table. Needs USAGE on the server, and shows data. Raises on an unknown '
    'name, a paused integration, and on every network or API error.';

CREATE FUNCTION kombo.verify_webhook(body text, signature text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'verify_webhook' LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION kombo.verify_webhook(text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.verify_webhook(text, text) IS
    'Returns whether a webhook was signed with a webhook secret of any server. body: the raw body of the request. '
    'signature: the header X-Kombo-Signature. NULL for either gives false. Raises HV00J if there is no secret to '
    'verify with; warns if a secret cannot be read.';
