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
    'The Kombo integrations that are copied to this database; see kombo.add_integration';
COMMENT ON COLUMN kombo.integrations.integration_id IS
    'Kombo''s id of the integration, such as personio:CBNMt7dSNCzBdnRTx87dev4E';
COMMENT ON COLUMN kombo.integrations.server IS 'foreign server with the address and key to fetch it with';
COMMENT ON COLUMN kombo.integrations.category IS
    'Kombo''s category of the integration, such as HRIS; says which endpoints it has';
COMMENT ON COLUMN kombo.integrations.tool IS
    'the HR system behind the integration, such as personio; NULL where Kombo was not asked';
COMMENT ON COLUMN kombo.integrations.added_at IS 'when it was added';
COMMENT ON COLUMN kombo.integrations.paused_at IS 'since when it is paused; NULL: it is not';
COMMENT ON COLUMN kombo.integrations.paused_by IS
    'who paused it: operator (kombo.pause), which only kombo.resume ends; or kombo_sync, by itself, until an attempt '
    'succeeds';
COMMENT ON COLUMN kombo.integrations.pause_reason IS 'why it is paused';
COMMENT ON COLUMN kombo.integrations.next_attempt_at IS 'when a pause by kombo_sync is put to the test again';
COMMENT ON COLUMN kombo.integrations.data_expired_at IS
    'since when Kombo calls its copy of the data out of date, as after a change of filters; NULL: it does not';
COMMENT ON COLUMN kombo.integrations.checked_at IS 'when Kombo last told the state of the integration; NULL: never yet';
COMMENT ON COLUMN kombo.integrations.system_identifier IS
    'system identifier of the cluster it was enabled in; in a restored copy it differs from the present one';
COMMENT ON COLUMN kombo.integrations.database_oid IS
    'oid of the database it was enabled in; in a restored copy it differs from the present one';

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
    'What an integration does otherwise than kombo.endpoints has it: a row overrides the endpoint''s enabled, '
    'intervals and on_missing';
COMMENT ON COLUMN kombo.subscriptions.integration_id IS 'the integration';
COMMENT ON COLUMN kombo.subscriptions.endpoint IS 'path of an endpoint of the integration''s category';
COMMENT ON COLUMN kombo.subscriptions.enabled IS 'whether the endpoint is fetched';
COMMENT ON COLUMN kombo.subscriptions.full_interval IS 'time between scheduled full fetches; NULL: none';
COMMENT ON COLUMN kombo.subscriptions.delta_interval IS 'time between scheduled delta fetches; NULL: none';
COMMENT ON COLUMN kombo.subscriptions.on_missing IS
    'what a full sync does with a row that Kombo no longer returns: mark, delete or keep; NULL: as the endpoint has it';
COMMENT ON COLUMN kombo.subscriptions.purge_after IS
    'age at which rows with remote_deleted_at are deleted; NULL: never';

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
    'endpoint, an endpoint of another category, an interval that is too short, and an on_missing that is none. Not in a '
    'restore, which fills the tables in any order.';
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
COMMENT ON TABLE kombo.sync_state IS 'How far each endpoint of each integration has come';
COMMENT ON COLUMN kombo.sync_state.integration_id IS 'the integration';
COMMENT ON COLUMN kombo.sync_state.endpoint IS 'path of the endpoint';
COMMENT ON COLUMN kombo.sync_state.watermark IS
    'start of the last successful fetch; the next delta asks for what changed since; NULL: the next one is a full';
COMMENT ON COLUMN kombo.sync_state.last_status IS 'status of the last run: ok, failed, held, waiting or unavailable';
COMMENT ON COLUMN kombo.sync_state.last_success_at IS 'when the last successful fetch finished';
COMMENT ON COLUMN kombo.sync_state.last_full_at IS 'when the last successful full fetch finished';
COMMENT ON COLUMN kombo.sync_state.held IS
    'the sweep that the fuse held back in the last full fetch, in words; NULL: none';
COMMENT ON COLUMN kombo.sync_state.failures IS 'failed runs since the last success';
COMMENT ON COLUMN kombo.sync_state.attempts IS
    'runs since the last success, whatever kept them from one: the more, the longer until the next';
COMMENT ON COLUMN kombo.sync_state.next_attempt_at IS
    'before this time no attempt is made by itself; NULL: no back-off';
COMMENT ON COLUMN kombo.sync_state.last_error IS 'error of the last run that failed; NULL after a success';
COMMENT ON COLUMN kombo.sync_state.accept_sweep IS
    'whether the next full may sweep more rows than the fuse allows, once; see kombo.accept_sweep';
COMMENT ON COLUMN kombo.sync_state.full_started_at IS
    'when the full fetch that is under way sent its first request; NULL: none is under way';
COMMENT ON COLUMN kombo.sync_state.full_watermark IS
    'what the watermark becomes when that full fetch is done; where there is none yet, deltas use it meanwhile';
COMMENT ON COLUMN kombo.sync_state.full_query IS 'the filters of its requests: every page must repeat them';
COMMENT ON COLUMN kombo.sync_state.full_cursor IS
    'cursor of the page that it goes on with; empty: all pages are here and the sweep is left to do';
COMMENT ON COLUMN kombo.sync_state.full_cursor_at IS 'when Kombo gave that cursor';
COMMENT ON COLUMN kombo.sync_state.full_progress IS 'what it counted so far';
COMMENT ON COLUMN kombo.sync_state.page_size IS
    'records a page that are asked for after answers that took too long or were too large; NULL: as the server''s '
    'option page_size says';
COMMENT ON COLUMN kombo.sync_state.refused IS
    'that the database refused most of what the last full fetch brought, in words; NULL: it did not';

CREATE TABLE kombo.sync_seen (
    integration_id  text NOT NULL,
    endpoint        text NOT NULL,
    batch           integer NOT NULL,
    hashes          bytea NOT NULL,
    PRIMARY KEY (integration_id, endpoint, batch)
) WITH (toast_tuple_target = 4080);
COMMENT ON TABLE kombo.sync_seen IS
    'Which records the full fetches that are under way have returned: their sweeps take the others';
COMMENT ON COLUMN kombo.sync_seen.integration_id IS 'the integration';
COMMENT ON COLUMN kombo.sync_seen.endpoint IS 'path of the endpoint';
COMMENT ON COLUMN kombo.sync_seen.batch IS 'number of the batch that was written together';
COMMENT ON COLUMN kombo.sync_seen.hashes IS 'hashes of the ids in that batch, 8 bytes each';

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
    'What the background worker is asked to do: rows are appended, and a run that succeeds deletes those that it saw '
    'when it began';
COMMENT ON COLUMN kombo.sync_requests.id IS 'number of the request';
COMMENT ON COLUMN kombo.sync_requests.integration_id IS 'the integration';
COMMENT ON COLUMN kombo.sync_requests.endpoint IS 'path of the endpoint to fetch; NULL where kind is integration';
COMMENT ON COLUMN kombo.sync_requests.kind IS
    'delta, full, or integration: ask Kombo for the state of the integration';
COMMENT ON COLUMN kombo.sync_requests.trigger IS
    'what asked for it: webhook, schedule or sql (kombo.request_sync)';
COMMENT ON COLUMN kombo.sync_requests.requested_at IS 'when it was asked for';
COMMENT ON COLUMN kombo.sync_requests.server IS
    'server to register the integration with, where it is not added yet (option auto_register)';
COMMENT ON COLUMN kombo.sync_requests.unknown_model IS
    'changed model that the catalogue does not know, on whose account every subscribed endpoint is asked for';
COMMENT ON COLUMN kombo.sync_requests.attempt IS
    'how often it was asked for in vain: a webhook''s delta that changed no row is asked for again twice';
COMMENT ON COLUMN kombo.sync_requests.not_before IS 'when that is due; NULL: at once';
COMMENT ON COLUMN kombo.sync_requests.updated_after IS
    'the delta reaches back to here, even if the watermark is later; NULL: from the watermark';

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
    'History: one row per run of an endpoint; scheduled deltas without news, one after the other, share one';
COMMENT ON COLUMN kombo.sync_runs.id IS 'number of the run';
COMMENT ON COLUMN kombo.sync_runs.integration_id IS 'the integration, which may have been removed since';
COMMENT ON COLUMN kombo.sync_runs.endpoint IS 'path of the endpoint';
COMMENT ON COLUMN kombo.sync_runs.kind IS 'what was done: delta or full';
COMMENT ON COLUMN kombo.sync_runs.trigger IS 'what asked for it: sql, webhook or schedule';
COMMENT ON COLUMN kombo.sync_runs.status IS 'ok, failed, held, waiting or unavailable';
COMMENT ON COLUMN kombo.sync_runs.started_at IS 'when it started';
COMMENT ON COLUMN kombo.sync_runs.finished_at IS 'when it finished; NULL while it runs';
COMMENT ON COLUMN kombo.sync_runs.pages IS 'pages fetched';
COMMENT ON COLUMN kombo.sync_runs.received IS 'records of the endpoint''s own list, repeats included';
COMMENT ON COLUMN kombo.sync_runs.inserted IS 'rows inserted into the endpoint''s own table';
COMMENT ON COLUMN kombo.sync_runs.updated IS
    'rows updated in the endpoint''s own table, tombstones from Kombo included';
COMMENT ON COLUMN kombo.sync_runs.unchanged IS 'rows of the endpoint''s own table that were equal to what was sent';
COMMENT ON COLUMN kombo.sync_runs.deleted IS 'rows of the endpoint''s own table that the sweep marked or removed';
COMMENT ON COLUMN kombo.sync_runs.rows_by_table IS
    'the same counts for every table that was written: {"table": {"inserted": n, ...}}';
COMMENT ON COLUMN kombo.sync_runs.bytes IS 'bytes received on the wire';
COMMENT ON COLUMN kombo.sync_runs.retries IS 'requests that were repeated';
COMMENT ON COLUMN kombo.sync_runs.warnings IS
    'what was odd about the data, counted: unknown keys, values that did not fit their column, characters that were '
    'replaced';
COMMENT ON COLUMN kombo.sync_runs.error IS 'why it failed';
COMMENT ON COLUMN kombo.sync_runs.repeats IS
    'scheduled deltas without news that came just before this one, which has taken their row';

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
    'Records that the database refused (a constraint or trigger of yours, a record without id); the next full fetch '
    'tries them again';
COMMENT ON COLUMN kombo.rejected_records.id IS 'number of the row';
COMMENT ON COLUMN kombo.rejected_records.integration_id IS 'the integration';
COMMENT ON COLUMN kombo.rejected_records.endpoint IS 'path of the endpoint that returned the record';
COMMENT ON COLUMN kombo.rejected_records.record_id IS 'Kombo''s id of the record; NULL where it has none';
COMMENT ON COLUMN kombo.rejected_records.record IS
    'the record as sent, without excluded fields: personal data; NULL where it has more than 16 MB';
COMMENT ON COLUMN kombo.rejected_records.sqlstate IS 'SQLSTATE of the error';
COMMENT ON COLUMN kombo.rejected_records.error IS 'message of the error';
COMMENT ON COLUMN kombo.rejected_records.rejected_at IS 'when it was refused';

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
COMMENT ON TABLE kombo.webhook_inbox IS
    'Kombo''s webhooks as a front end received them: it inserts body and signature, nothing else';
COMMENT ON COLUMN kombo.webhook_inbox.id IS 'number of the row';
COMMENT ON COLUMN kombo.webhook_inbox.received_at IS 'when it was inserted';
COMMENT ON COLUMN kombo.webhook_inbox.body IS 'raw body of the request, at most 1048576 bytes';
COMMENT ON COLUMN kombo.webhook_inbox.signature IS
    'value of the header X-Kombo-Signature, at most 1024 bytes';
COMMENT ON COLUMN kombo.webhook_inbox.status IS
    'new, done, ignored (nothing here wants it) or rejected (error says why)';
COMMENT ON COLUMN kombo.webhook_inbox.webhook_id IS 'Kombo''s id of the webhook';
COMMENT ON COLUMN kombo.webhook_inbox.webhook_type IS 'Kombo''s type of the webhook, such as data-changed';
COMMENT ON COLUMN kombo.webhook_inbox.integration_id IS 'the integration it is about';
COMMENT ON COLUMN kombo.webhook_inbox.error IS 'why it was rejected or ignored';
COMMENT ON COLUMN kombo.webhook_inbox.processed_at IS 'when it was judged';

-- As a foreign key would it acts as the owner of the tables: whoever may delete an integration need not be granted more.
CREATE FUNCTION kombo_internal.forget_integration() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s'
AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.integration_id = OLD.integration_id THEN
        RETURN NEW;
    END IF;
    -- What a sync that goes on meanwhile writes would stay.
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
