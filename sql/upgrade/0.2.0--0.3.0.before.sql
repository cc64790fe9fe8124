-- What 0.2.0 has and 0.3.0 has otherwise; all else is in the install parts, which follow.

-- Functions that are not for users have a schema of their own. What was granted on them goes with them.
CREATE SCHEMA kombo_internal;
DO $$
DECLARE
    its_name regprocedure;
BEGIN
    FOR its_name IN
        SELECT p.oid FROM pg_depend d JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
        JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
        WHERE d.deptype = 'e' AND e.extname = 'kombo_sync' AND p.proname <> ALL (ARRAY[
            'kombo_sync_delta', 'kombo_sync_full', 'request_sync', 'check_connection', 'integration_info',
            'verify_webhook', 'add_integration', 'remove_integration', 'pause', 'resume', 'accept_sweep',
            'create_tables', 'exclude_field', 'check_catalogue', 'grant_reader', 'grant_operator',
            'grant_webhook_writer', 'worker_state'])
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET SCHEMA kombo_internal', its_name);
    END LOOP;
END
$$;

-- A signature has 43 or 44 characters: what is longer was no webhook of Kombo's.
UPDATE kombo.webhook_inbox i SET signature = left(i.signature, 1024) WHERE octet_length(i.signature) > 1024;
ALTER TABLE kombo.webhook_inbox
    ADD CONSTRAINT webhook_inbox_signature_is_at_most_1_kb CHECK (octet_length(signature) <= 1024);

ALTER TABLE kombo.sync_state ADD COLUMN page_size integer, ADD COLUMN refused text, ADD COLUMN last_hint text;

-- An id that cannot be part of a URL stopped the worker: nothing was ever fetched for it.
DO $$
DECLARE
    its_id text;
BEGIN
    FOR its_id IN
        DELETE FROM kombo.integrations i
        WHERE NOT (length(i.integration_id) BETWEEN 1 AND 200
                   AND i.integration_id !~ '[\u0001-\u001f\u007f-\u009f]|^\s|\s$|^\.{1,2}$')
        RETURNING i.integration_id
    LOOP
        RAISE WARNING 'integration % is removed', quote_literal(its_id) USING
            DETAIL = 'Its id is empty, too long, nothing but dots, or has control characters or white space around it.';
    END LOOP;
END
$$;
ALTER TABLE kombo.integrations
    ADD CONSTRAINT integrations_integration_id_check CHECK (length(integration_id) BETWEEN 1 AND 200
        AND integration_id !~ '[\u0001-\u001f\u007f-\u009f]|^\s|\s$|^\.{1,2}$');
ALTER TABLE kombo.endpoints DROP CONSTRAINT endpoints_path_check;
ALTER TABLE kombo.endpoints
    ADD CONSTRAINT endpoints_path_check CHECK (path ~ '^/[^\u0001-\u0020\u007f-\u009f[:space:]?#]+$'
        AND path !~ '(^|/)\.{1,2}(/|$)' AND length(path) <= 200);

-- pg_restore -j fills the tables in any order: triggers do what foreign keys did.
ALTER TABLE kombo.endpoint_models DROP CONSTRAINT endpoint_models_endpoint_fkey;
ALTER TABLE kombo.nested_records DROP CONSTRAINT nested_records_endpoint_fkey;
ALTER TABLE kombo.subscriptions DROP CONSTRAINT subscriptions_integration_id_fkey;
ALTER TABLE kombo.subscriptions DROP CONSTRAINT subscriptions_endpoint_fkey;
ALTER TABLE kombo.sync_state DROP CONSTRAINT sync_state_integration_id_fkey;
ALTER TABLE kombo.sync_seen DROP CONSTRAINT sync_seen_integration_id_fkey;
ALTER TABLE kombo.rejected_records DROP CONSTRAINT rejected_records_integration_id_fkey;

ALTER TABLE kombo.sync_runs ADD COLUMN repeats integer NOT NULL DEFAULT 0;
ALTER TABLE kombo.endpoints ADD COLUMN edited text[] NOT NULL DEFAULT '{}';
ALTER TABLE kombo.endpoint_models ADD COLUMN edited text[] NOT NULL DEFAULT '{}';
ALTER TABLE kombo.fields ADD COLUMN edited text[] NOT NULL DEFAULT '{}';
ALTER TABLE kombo.nested_records ADD COLUMN edited text[] NOT NULL DEFAULT '{}';
ALTER TABLE kombo.fields ADD COLUMN fallback_keys text[] NOT NULL DEFAULT '{}';
ALTER TABLE kombo.fields
    ADD COLUMN refers_to text CHECK (refers_to <> ''),
    ADD COLUMN belongs boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT fields_belongs_to_what_it_refers_to CHECK (NOT belongs OR refers_to IS NOT NULL);
ALTER TABLE kombo.fields DROP CONSTRAINT fields_column_is_not_implicit;
ALTER TABLE kombo.fields
    ADD CONSTRAINT fields_column_is_not_implicit CHECK (column_name NOT IN ('integration_id', 'extra', 'synced_at'));
ALTER TABLE kombo.nested_records DROP CONSTRAINT nested_records_relation_check;
ALTER TABLE kombo.nested_records
    ADD CONSTRAINT nested_records_relation_check CHECK (relation IN ('owned', 'linked', 'join', 'copy', 'part'));

-- What was edited in shipped rows is told by what 0.2.0 shipped, which 0.2.0.shipped.sql inserts once more: nothing
-- is inserted, differences are noted. A row that it does not know was given another key, and is one of the user's own.
-- An endpoint that was deleted comes back disabled. The rows of 0.3.0 follow with the install parts, and leave what is
-- noted as it is.
UPDATE kombo.endpoints SET edited = '{?}' WHERE shipped;
UPDATE kombo.endpoint_models SET edited = '{?}' WHERE shipped;
UPDATE kombo.fields SET edited = '{?}' WHERE shipped;
UPDATE kombo.nested_records SET edited = '{?}' WHERE shipped;
CREATE FUNCTION kombo.note_edits() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found bigint;
BEGIN
    EXECUTE format(
        'UPDATE %s t SET edited = CASE WHEN t.shipped THEN ARRAY(SELECT o.key FROM jsonb_each(to_jsonb(t)) o '
        'WHERE o.value <> $2 -> o.key AND o.key <> ''edited'' ORDER BY 1) ELSE t.edited END WHERE %s',
        TG_RELID::regclass, (SELECT string_agg(format('t.%1$I = ($1).%1$I', k), ' AND ') FROM unnest(TG_ARGV) k))
        USING NEW, to_jsonb(NEW);
    GET DIAGNOSTICS found = ROW_COUNT;
    IF found = 0 AND TG_TABLE_NAME = 'endpoints' THEN
        NEW := jsonb_populate_record(NEW, '{"enabled": false, "edited": ["enabled"]}');
        RETURN NEW;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER note_edits BEFORE INSERT ON kombo.endpoints
    FOR EACH ROW EXECUTE FUNCTION kombo.note_edits('path');
CREATE TRIGGER note_edits BEFORE INSERT ON kombo.endpoint_models
    FOR EACH ROW EXECUTE FUNCTION kombo.note_edits('endpoint', 'model');
CREATE TRIGGER note_edits BEFORE INSERT ON kombo.fields
    FOR EACH ROW EXECUTE FUNCTION kombo.note_edits('table_name', 'column_name');
CREATE TRIGGER note_edits BEFORE INSERT ON kombo.nested_records
    FOR EACH ROW EXECUTE FUNCTION kombo.note_edits('endpoint', 'json_path', 'relation');


-- What a webhook told of and the list did not show yet is asked for again.
ALTER TABLE kombo.sync_requests
    ADD COLUMN attempt smallint NOT NULL DEFAULT 0,
    ADD COLUMN not_before timestamptz,
    ADD COLUMN updated_after timestamptz;
