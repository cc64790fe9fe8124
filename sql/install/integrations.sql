-- Configuration and state: integrations, their subscriptions, watermarks, requests, runs, parked records, inbox.
-- There are no foreign keys: pg_restore -j fills these tables in any order.

CREATE TABLE kombo.integrations (
    integration_id      text PRIMARY KEY,
    server              text NOT NULL,
    category            text NOT NULL,
    tool                text,
    added_at            timestamptz NOT NULL DEFAULT now(),
    paused_at           timestamptz,
    paused_by           text,
    pause_reason        text,
    next_attempt_at     timestamptz,
    data_expired_at     timestamptz,
    checked_at          timestamptz,
    system_identifier   bigint,
    database_oid        oid,
    -- It becomes part of a URL, and Kombo's ids have none of these.
    CONSTRAINT integrations_integration_id_check CHECK (length(integration_id) BETWEEN 1 AND 200
        AND integration_id !~ '[\u0001-\u001f\u007f-\u009f]|^\s|\s$|^\.{1,2}$'),
    CONSTRAINT integrations_paused_at_with_paused_by CHECK ((paused_at IS NULL) = (paused_by IS NULL))
);
COMMENT ON TABLE kombo.integrations IS
    'The Kombo integrations that are copied to this database. kombo.add_integration adds one.';
COMMENT ON COLUMN kombo.integrations.integration_id IS
    'Kombo''s id of the integration, such as personio:CBNMt7dSNCzBdnRTx87dev4E.';
COMMENT ON COLUMN kombo.integrations.server IS
    'Foreign server that holds the address of Kombo; its user mapping holds the key.';
COMMENT ON COLUMN kombo.integrations.category IS
    'Kombo''s category of the integration, such as HRIS. It decides which endpoints there are.';
COMMENT ON COLUMN kombo.integrations.tool IS
    'HR system behind the integration, such as personio. NULL: Kombo was not asked.';
COMMENT ON COLUMN kombo.integrations.added_at IS 'When the integration was added.';
COMMENT ON COLUMN kombo.integrations.paused_at IS 'Since when the integration is paused. NULL: it is not.';
COMMENT ON COLUMN kombo.integrations.paused_by IS
    'Who paused it. operator: kombo.pause, until kombo.resume. kombo_sync: by itself, until an attempt succeeds.';
COMMENT ON COLUMN kombo.integrations.pause_reason IS 'Why it is paused.';
COMMENT ON COLUMN kombo.integrations.next_attempt_at IS 'When kombo_sync next tests whether its own pause can end.';
COMMENT ON COLUMN kombo.integrations.data_expired_at IS
    'Since when Kombo calls its copy of the data out of date, as after a change of filters. NULL: it is not.';
COMMENT ON COLUMN kombo.integrations.checked_at IS 'When Kombo last told the state of the integration. NULL: never.';
COMMENT ON COLUMN kombo.integrations.system_identifier IS
    'System identifier of the cluster that fetches the integration. In a restored copy it differs from the present '
    'one.';
COMMENT ON COLUMN kombo.integrations.database_oid IS
    'Oid of the database that fetches the integration. In a restored copy it differs from the present one.';

CREATE TABLE kombo.subscriptions (
    integration_id  text NOT NULL,
    endpoint        text NOT NULL,
    enabled         boolean NOT NULL DEFAULT true,
    full_interval   interval DEFAULT '7 days',
    delta_interval  interval DEFAULT '3 hours',
    on_missing      text,
    purge_after     interval,
    PRIMARY KEY (integration_id, endpoint)
);
COMMENT ON TABLE kombo.subscriptions IS
    'Exceptions of one integration: a row overrides what kombo.endpoints says of an endpoint.';
COMMENT ON COLUMN kombo.subscriptions.integration_id IS 'Integration that the row is for.';
COMMENT ON COLUMN kombo.subscriptions.endpoint IS 'Path of an endpoint of the integration''s category.';
COMMENT ON COLUMN kombo.subscriptions.enabled IS 'Whether the endpoint is fetched for this integration.';
COMMENT ON COLUMN kombo.subscriptions.full_interval IS 'Time between scheduled full fetches. NULL: none are scheduled.';
COMMENT ON COLUMN kombo.subscriptions.delta_interval IS
    'Time between scheduled delta fetches. NULL: none are scheduled.';
COMMENT ON COLUMN kombo.subscriptions.on_missing IS
    'What a full fetch does with a row that Kombo no longer returns: mark, delete or keep. NULL: as the endpoint says.';
COMMENT ON COLUMN kombo.subscriptions.purge_after IS
    'Age at which rows with remote_deleted_at are deleted. NULL: never.';

CREATE FUNCTION kombo_internal.check_subscription() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_superuser CONSTANT boolean := (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user);
    floor CONSTANT interval := CASE WHEN is_superuser THEN '1 second' ELSE '1 minute' END;
    denied text;
    its_category text;
    valid text;
    endpoint_category text;
BEGIN
    -- A restore, which switches this off, fills the tables in any order. (So could anybody, but not to get round this.)
    IF is_superuser AND current_setting('check_function_bodies') = 'off' THEN
        RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    -- It decides how often a key is used.
    denied := (SELECT i.server FROM kombo.integrations i JOIN pg_foreign_server s ON s.srvname = i.server
               WHERE i.integration_id IN (OLD.integration_id, NEW.integration_id)
                 AND NOT has_server_privilege(s.oid, 'USAGE') LIMIT 1);
    IF denied IS NOT NULL THEN
        RAISE EXCEPTION 'permission denied for foreign server %', denied USING ERRCODE = 'insufficient_privilege',
            HINT = format('Its owner can give it: GRANT USAGE ON FOREIGN SERVER %I TO %I.', denied, current_user);
    ELSIF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    its_category := (SELECT i.category FROM kombo.integrations i WHERE i.integration_id = NEW.integration_id);
    valid := (SELECT string_agg(e.path, ', ' ORDER BY e.path) FROM kombo.endpoints e WHERE e.category = its_category);
    endpoint_category := (SELECT e.category FROM kombo.endpoints e WHERE e.path = NEW.endpoint);
    IF NEW.integration_id IS NULL OR NEW.endpoint IS NULL THEN
        RAISE EXCEPTION 'a subscription needs an integration and an endpoint' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Give integration_id and endpoint, such as ''/hris/employees''.';
    ELSIF its_category IS NULL THEN
        RAISE EXCEPTION 'integration "%" does not exist', NEW.integration_id USING ERRCODE = 'undefined_object',
            HINT = 'Add it with kombo.add_integration first; kombo.integrations lists those that exist.';
    ELSIF endpoint_category IS NULL THEN
        RAISE EXCEPTION 'endpoint "%" does not exist', NEW.endpoint USING ERRCODE = 'undefined_object',
            HINT = format('Endpoints of category %s are: %s.', its_category, valid);
    ELSIF endpoint_category <> its_category THEN
        RAISE EXCEPTION 'endpoint "%" is of another category than integration "%"', NEW.endpoint, NEW.integration_id
            USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('The endpoint is of category %s, the integration of category %s.',
                            endpoint_category, its_category),
            HINT = format('Endpoints of category %s are: %s.', its_category, valid);
    ELSIF NEW.full_interval < floor OR NEW.delta_interval < floor OR NEW.purge_after <= '0' THEN
        RAISE EXCEPTION 'intervals of a subscription must be at least %, and its purge_after positive', floor
            USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('full_interval is %s, delta_interval is %s, purge_after is %s.',
                            coalesce(NEW.full_interval::text, 'NULL'), coalesce(NEW.delta_interval::text, 'NULL'),
                            coalesce(NEW.purge_after::text, 'NULL')),
            HINT = 'Use NULL for an interval that is not wanted.';
    ELSIF NEW.on_missing NOT IN ('mark', 'delete', 'keep') THEN
        RAISE EXCEPTION 'on_missing of a subscription cannot be "%"', NEW.on_missing
            USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Use mark, delete or keep, or NULL for what the endpoint has.';
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.check_subscription() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.check_subscription() IS
    'Trigger of kombo.subscriptions: raises where the user may not use the server, on an unknown integration or '
    'endpoint, an endpoint of another category, an interval that is too short, and an on_missing that is none. Not '
    'in a restore, which fills the tables in any order.';
CREATE TRIGGER check_subscription BEFORE INSERT OR UPDATE OR DELETE ON kombo.subscriptions
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.check_subscription();
COMMENT ON TRIGGER check_subscription ON kombo.subscriptions IS 'refuses what cannot work, with a hint';

CREATE TABLE kombo.sync_state (
    integration_id  text NOT NULL,
    endpoint        text NOT NULL,
    watermark       timestamptz,
    last_status     text,
    last_success_at timestamptz,
    last_full_at    timestamptz,
    failures        integer NOT NULL DEFAULT 0,
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    last_error      text,
    last_hint       text,
    held            text,
    accept_sweep    boolean NOT NULL DEFAULT false,
    full_started_at timestamptz,
    full_watermark  timestamptz,
    full_query      text,
    full_cursor     text,
    full_cursor_at  timestamptz,
    full_progress   jsonb,
    page_size       integer,
    refused         text,
    PRIMARY KEY (integration_id, endpoint)
);
COMMENT ON TABLE kombo.sync_state IS 'How far each endpoint of each integration has come.';
COMMENT ON COLUMN kombo.sync_state.integration_id IS 'Integration that the row is about.';
COMMENT ON COLUMN kombo.sync_state.endpoint IS 'Path of the endpoint.';
COMMENT ON COLUMN kombo.sync_state.watermark IS
    'Start of the last successful fetch. The next delta asks for what changed since. NULL: the next fetch is a full '
    'one.';
COMMENT ON COLUMN kombo.sync_state.last_status IS 'Status of the last run: ok, failed, held, waiting or unavailable.';
COMMENT ON COLUMN kombo.sync_state.last_success_at IS 'When the last successful fetch finished.';
COMMENT ON COLUMN kombo.sync_state.last_full_at IS 'When the last successful full fetch finished.';
COMMENT ON COLUMN kombo.sync_state.held IS
    'Sweep that the fuse held back in the last full fetch, in words. NULL: none.';
COMMENT ON COLUMN kombo.sync_state.failures IS 'Failed runs since the last success.';
COMMENT ON COLUMN kombo.sync_state.attempts IS
    'Runs without success since the last one, waiting ones too. The more, the longer until the next.';
COMMENT ON COLUMN kombo.sync_state.next_attempt_at IS
    'The worker makes no attempt of its own before this time. NULL: no back-off.';
COMMENT ON COLUMN kombo.sync_state.last_error IS 'Error of the last failed run. NULL: the last run succeeded.';
COMMENT ON COLUMN kombo.sync_state.last_hint IS 'What to do about it. NULL: nothing, or not known.';
COMMENT ON COLUMN kombo.sync_state.accept_sweep IS
    'Whether the next full fetch may sweep more rows than the fuse allows, once. kombo.accept_sweep sets it.';
COMMENT ON COLUMN kombo.sync_state.full_started_at IS
    'When the full fetch that is under way sent its first request. NULL: none is under way.';
COMMENT ON COLUMN kombo.sync_state.full_watermark IS
    'Watermark when that full fetch is done. Deltas use it meanwhile if there is none yet.';
COMMENT ON COLUMN kombo.sync_state.full_query IS 'Filters of its requests, which every page must repeat.';
COMMENT ON COLUMN kombo.sync_state.full_cursor IS
    'Cursor of its next page. Empty: all pages are stored, and only the sweep is left.';
COMMENT ON COLUMN kombo.sync_state.full_cursor_at IS 'When Kombo gave that cursor.';
COMMENT ON COLUMN kombo.sync_state.full_progress IS 'What that full fetch has counted so far.';
COMMENT ON COLUMN kombo.sync_state.page_size IS
    'Records a page, reduced after responses that were too slow or too large. NULL: the server''s option page_size.';
COMMENT ON COLUMN kombo.sync_state.refused IS
    'Says that the database refused most of the last full fetch. NULL: it did not.';

CREATE TABLE kombo.sync_seen (
    integration_id  text NOT NULL,
    endpoint        text NOT NULL,
    batch           integer NOT NULL,
    hashes          bytea NOT NULL,
    PRIMARY KEY (integration_id, endpoint, batch)
) WITH (toast_tuple_target = 4080);
COMMENT ON TABLE kombo.sync_seen IS
    'Records that the running full fetches have returned. Their sweeps take the others.';
COMMENT ON COLUMN kombo.sync_seen.integration_id IS 'Integration that is fetched.';
COMMENT ON COLUMN kombo.sync_seen.endpoint IS 'Path of the endpoint.';
COMMENT ON COLUMN kombo.sync_seen.batch IS 'Number of a batch that was written in one transaction.';
COMMENT ON COLUMN kombo.sync_seen.hashes IS 'Hashes of the ids in that batch, 8 bytes each.';

CREATE TABLE kombo.sync_requests (
    id              bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    integration_id  text NOT NULL,
    endpoint        text,
    kind            text NOT NULL CHECK (kind IN ('delta', 'full', 'integration')),
    trigger         text NOT NULL CHECK (trigger IN ('webhook', 'schedule', 'sql')),
    requested_at    timestamptz NOT NULL DEFAULT now(),
    server          text,
    unknown_model   text,
    attempt         smallint NOT NULL DEFAULT 0,
    not_before      timestamptz,
    updated_after   timestamptz,
    CONSTRAINT sync_requests_fetch_names_an_endpoint CHECK ((endpoint IS NULL) = (kind = 'integration'))
);
CREATE INDEX sync_requests_endpoint_idx ON kombo.sync_requests (integration_id, endpoint);
COMMENT ON TABLE kombo.sync_requests IS
    'What the background worker is asked to do. A run that succeeds deletes the requests that it saw when it began.';
COMMENT ON COLUMN kombo.sync_requests.id IS 'Number of the request.';
COMMENT ON COLUMN kombo.sync_requests.integration_id IS 'Integration to fetch.';
COMMENT ON COLUMN kombo.sync_requests.endpoint IS 'Path of the endpoint to fetch. NULL: kind is integration.';
COMMENT ON COLUMN kombo.sync_requests.kind IS
    'What to do: delta, full or integration (ask Kombo for the state of the integration).';
COMMENT ON COLUMN kombo.sync_requests.trigger IS 'What asked for it: webhook, schedule or sql (kombo.request_sync).';
COMMENT ON COLUMN kombo.sync_requests.requested_at IS 'When it was asked for.';
COMMENT ON COLUMN kombo.sync_requests.server IS
    'Server to add the integration with, if it is not here yet (option auto_register).';
COMMENT ON COLUMN kombo.sync_requests.unknown_model IS
    'Changed model that the catalogue does not know. Every subscribed endpoint is fetched for it.';
COMMENT ON COLUMN kombo.sync_requests.attempt IS
    'How often it was fetched in vain. A webhook''s delta that changed no row is repeated twice.';
COMMENT ON COLUMN kombo.sync_requests.not_before IS 'When that repetition is due. NULL: at once.';
COMMENT ON COLUMN kombo.sync_requests.updated_after IS
    'Time that the delta reaches back to, even if the watermark is later. NULL: the watermark.';

CREATE TABLE kombo.sync_runs (
    id              bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    integration_id  text NOT NULL,
    endpoint        text NOT NULL,
    kind            text NOT NULL,
    trigger         text NOT NULL,
    status          text,
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    pages           integer NOT NULL DEFAULT 0,
    received        bigint NOT NULL DEFAULT 0,
    inserted        bigint NOT NULL DEFAULT 0,
    updated         bigint NOT NULL DEFAULT 0,
    unchanged       bigint NOT NULL DEFAULT 0,
    deleted         bigint NOT NULL DEFAULT 0,
    rows_by_table   jsonb,
    bytes           bigint NOT NULL DEFAULT 0,
    retries         integer NOT NULL DEFAULT 0,
    warnings        jsonb,
    error           text,
    repeats         integer NOT NULL DEFAULT 0
);
CREATE INDEX sync_runs_finished_at_idx ON kombo.sync_runs (finished_at);
CREATE INDEX sync_runs_endpoint_idx ON kombo.sync_runs (integration_id, endpoint, started_at DESC);
COMMENT ON TABLE kombo.sync_runs IS
    'History: one row per run of an endpoint. Successive scheduled deltas without news share one row.';
COMMENT ON COLUMN kombo.sync_runs.id IS 'Number of the run.';
COMMENT ON COLUMN kombo.sync_runs.integration_id IS 'Integration that was fetched. It may have been removed since.';
COMMENT ON COLUMN kombo.sync_runs.endpoint IS 'Path of the endpoint.';
COMMENT ON COLUMN kombo.sync_runs.kind IS 'What was done: delta or full.';
COMMENT ON COLUMN kombo.sync_runs.trigger IS 'What asked for it: webhook, schedule or sql.';
COMMENT ON COLUMN kombo.sync_runs.status IS 'Status of the run: ok, failed, held, waiting or unavailable.';
COMMENT ON COLUMN kombo.sync_runs.started_at IS 'When the run started.';
COMMENT ON COLUMN kombo.sync_runs.finished_at IS 'When the run finished. NULL: it still runs.';
COMMENT ON COLUMN kombo.sync_runs.pages IS 'Pages fetched.';
COMMENT ON COLUMN kombo.sync_runs.received IS 'Records of the endpoint''s own list, repeats included.';
COMMENT ON COLUMN kombo.sync_runs.inserted IS 'Rows inserted into the endpoint''s own table.';
COMMENT ON COLUMN kombo.sync_runs.updated IS
    'Rows updated in the endpoint''s own table, tombstones from Kombo included.';
COMMENT ON COLUMN kombo.sync_runs.unchanged IS 'Rows of the endpoint''s own table that were equal to what was sent.';
COMMENT ON COLUMN kombo.sync_runs.deleted IS 'Rows of the endpoint''s own table that the sweep marked or removed.';
COMMENT ON COLUMN kombo.sync_runs.rows_by_table IS
    'The same counts for every table that was written: {"table": {"inserted": n, ...}}.';
COMMENT ON COLUMN kombo.sync_runs.bytes IS 'Bytes received on the wire.';
COMMENT ON COLUMN kombo.sync_runs.retries IS 'Requests that were sent again.';
COMMENT ON COLUMN kombo.sync_runs.warnings IS
    'Oddities of the data, counted: unknown keys, values that do not fit their column, replaced characters.';
COMMENT ON COLUMN kombo.sync_runs.error IS 'Why the run failed.';
COMMENT ON COLUMN kombo.sync_runs.repeats IS
    'Scheduled deltas without news that came just before this one and gave it their row.';

CREATE TABLE kombo.rejected_records (
    id              bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    integration_id  text NOT NULL,
    endpoint        text NOT NULL,
    record_id       text,
    record          jsonb,
    sqlstate        text,
    error           text,
    rejected_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX rejected_records_record_idx ON kombo.rejected_records (integration_id, endpoint, record_id);
COMMENT ON TABLE kombo.rejected_records IS
    'Records that the database refused, by a constraint or trigger of yours or for want of an id. The next full fetch '
    'tries them again.';
COMMENT ON COLUMN kombo.rejected_records.id IS 'Number of the row.';
COMMENT ON COLUMN kombo.rejected_records.integration_id IS 'Integration that the record belongs to.';
COMMENT ON COLUMN kombo.rejected_records.endpoint IS 'Path of the endpoint that returned the record.';
COMMENT ON COLUMN kombo.rejected_records.record_id IS 'Kombo''s id of the record. NULL: it has none.';
COMMENT ON COLUMN kombo.rejected_records.record IS
    'The record as sent, without excluded fields: personal data. NULL: it is larger than 16 MB.';
COMMENT ON COLUMN kombo.rejected_records.sqlstate IS 'SQLSTATE of the error.';
COMMENT ON COLUMN kombo.rejected_records.error IS 'Message of the error.';
COMMENT ON COLUMN kombo.rejected_records.rejected_at IS 'When the record was refused.';

CREATE TABLE kombo.webhook_inbox (
    id              bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    received_at     timestamptz NOT NULL DEFAULT now(),
    body            text NOT NULL CONSTRAINT webhook_inbox_body_is_at_most_1_mb CHECK (octet_length(body) <= 1048576),
    signature       text CONSTRAINT webhook_inbox_signature_is_at_most_1_kb CHECK (octet_length(signature) <= 1024),
    status          text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'done', 'ignored', 'rejected')),
    webhook_id      text,
    webhook_type    text,
    integration_id  text,
    error           text,
    processed_at    timestamptz
);
CREATE INDEX webhook_inbox_new_idx ON kombo.webhook_inbox (id) WHERE status = 'new';
CREATE INDEX webhook_inbox_done_idx ON kombo.webhook_inbox (webhook_id) WHERE status = 'done';
CREATE INDEX webhook_inbox_judged_idx ON kombo.webhook_inbox (processed_at) WHERE status <> 'new';
COMMENT ON TABLE kombo.webhook_inbox IS 'Kombo''s webhooks. A front end inserts body and signature and nothing else.';
COMMENT ON COLUMN kombo.webhook_inbox.id IS 'Number of the row.';
COMMENT ON COLUMN kombo.webhook_inbox.received_at IS 'When the row was inserted.';
COMMENT ON COLUMN kombo.webhook_inbox.body IS 'Raw body of the request, at most 1048576 bytes.';
COMMENT ON COLUMN kombo.webhook_inbox.signature IS 'Value of the header X-Kombo-Signature, at most 1024 bytes.';
COMMENT ON COLUMN kombo.webhook_inbox.status IS
    'How the webhook was judged: new (not yet), done, ignored (nothing here needs it) or rejected (error says why).';
COMMENT ON COLUMN kombo.webhook_inbox.webhook_id IS 'Kombo''s id of the webhook.';
COMMENT ON COLUMN kombo.webhook_inbox.webhook_type IS 'Kombo''s type of the webhook, such as data-changed.';
COMMENT ON COLUMN kombo.webhook_inbox.integration_id IS 'Integration that the webhook is about.';
COMMENT ON COLUMN kombo.webhook_inbox.error IS 'Why the webhook was rejected or ignored.';
COMMENT ON COLUMN kombo.webhook_inbox.processed_at IS 'When the worker judged the webhook.';

-- As a foreign key would it acts as the owner of the tables: whoever may delete an integration need not be granted
-- more.
CREATE FUNCTION kombo_internal.forget_integration() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s'
AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.integration_id = OLD.integration_id THEN
        RETURN NEW;
    END IF;
    -- Rows that a concurrent sync writes would stay.
    PERFORM kombo_internal.take_lock(OLD.integration_id, true);
    DELETE FROM kombo.subscriptions s WHERE s.integration_id = OLD.integration_id;
    DELETE FROM kombo.sync_state s WHERE s.integration_id = OLD.integration_id;
    DELETE FROM kombo.sync_seen s WHERE s.integration_id = OLD.integration_id;
    DELETE FROM kombo.rejected_records r WHERE r.integration_id = OLD.integration_id;
    DELETE FROM kombo.sync_requests r WHERE r.integration_id = OLD.integration_id;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.forget_integration() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.forget_integration() IS
    'Trigger of kombo.integrations: subscriptions, state, requests and parked records go with their integration. Waits '
    'up to 10 seconds for another session that syncs it.';
CREATE TRIGGER forget_integration BEFORE DELETE OR UPDATE OF integration_id ON kombo.integrations
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.forget_integration();
COMMENT ON TRIGGER forget_integration ON kombo.integrations IS 'its state goes with it';

SELECT pg_catalog.pg_extension_config_dump('kombo.integrations', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.subscriptions', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.sync_state', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.sync_seen', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.sync_requests', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.sync_requests_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.sync_runs', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.sync_runs_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.rejected_records', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.rejected_records_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.webhook_inbox', '');
SELECT pg_catalog.pg_extension_config_dump('kombo.webhook_inbox_id_seq', '');
