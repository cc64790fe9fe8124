-- Changes of the catalogue's rows: those of shipped rows are kept, typing errors refused.

-- A change of a shipped row stays, whatever brings the row again: a restore, which meets the row of CREATE EXTENSION;
-- an upgrade, whose script inserts all rows anew; the first copy of a subscription. There are no foreign keys between
-- these tables, as pg_restore -j fills them in any order. A restore is told by check_function_bodies, which every dump
-- switches off.
CREATE FUNCTION kombo_internal.merge_catalogue_row() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    given CONSTANT jsonb := to_jsonb(NEW);
    columns CONSTANT text := (SELECT string_agg(quote_ident(k), ', ') FROM jsonb_object_keys(given) k);
    its_keys CONSTANT text := (SELECT string_agg(format('t.%1$I = ($1).%1$I', k), ' AND ') FROM unnest(TG_ARGV) k);
    present jsonb;
    differing text[];
    base jsonb;
    edits jsonb;
    edited text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        -- A merged row, and one whose mark itself is changed, are marked as they should be.
        IF OLD.shipped AND NEW.edited = OLD.edited AND pg_trigger_depth() = 1 THEN
            NEW.edited := ARRAY(SELECT o.key FROM jsonb_each(to_jsonb(OLD)) o
                                WHERE o.value <> given -> o.key OR o.key = ANY (OLD.edited) ORDER BY 1);
        END IF;
        RETURN NEW;
    END IF;
    EXECUTE format('SELECT to_jsonb(t) FROM %s t WHERE %s', TG_RELID::regclass, its_keys) INTO present USING NEW;
    IF present IS NULL OR NOT NEW.shipped AND (
           NOT (present ->> 'shipped')::boolean
           -- A row of your own may have become a shipped one since the dump. Otherwise: it exists already.
           OR current_setting('check_function_bodies') = 'on'
              AND current_setting('session_replication_role') = 'origin')
    THEN
        RETURN NEW;
    END IF;
    differing := ARRAY(SELECT g.key FROM jsonb_each(given) g
                       WHERE g.value <> present -> g.key AND g.key NOT IN ('shipped', 'edited') ORDER BY 1);
    IF NEW.shipped AND NEW.edited = '{}' THEN
        base := given;
        edits := present;
    ELSE
        base := present;
        edits := given;
    END IF;
    edited := ARRAY(
        SELECT jsonb_array_elements_text(edits -> 'edited')
        UNION SELECT jsonb_array_elements_text(present -> 'edited')
        UNION SELECT unnest(differing) WHERE NOT (edits ->> 'shipped')::boolean
        ORDER BY 1);
    base := base || coalesce((SELECT jsonb_object_agg(e.key, e.value) FROM jsonb_each(edits) e
                              WHERE e.key = ANY (edited)), '{}')
                 || jsonb_build_object('shipped', true, 'edited', edited);
    IF base <> present THEN
        EXECUTE format('UPDATE %1$s t SET (%2$s) = (SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $2)) WHERE %3$s',
                       TG_RELID::regclass, columns, its_keys) USING NEW, base;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.merge_catalogue_row() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.merge_catalogue_row() IS
    'Trigger of the catalogue''s tables, whose arguments are the key columns: notes which columns of a shipped row are '
    'changed, and keeps these where a restore, an upgrade or a subscription inserts the row again.';

CREATE FUNCTION kombo_internal.keep_shipped_row() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF OLD.shipped AND (TG_OP = 'DELETE' OR EXISTS (
        SELECT FROM unnest(TG_ARGV) k WHERE to_jsonb(OLD) -> k <> to_jsonb(NEW) -> k)) THEN
        RAISE EXCEPTION 'a row of kombo.% that came with the extension cannot be %', TG_TABLE_NAME,
            CASE TG_OP WHEN 'DELETE' THEN 'deleted' ELSE 'given another key' END
            USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = format('The next upgrade or restore would bring it back: %s.', to_jsonb(OLD)),
            HINT = 'Change its other columns instead. To stop fetching an endpoint, set its "enabled" to false; to '
                   'keep a field out, call kombo.exclude_field.';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.keep_shipped_row() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.keep_shipped_row() IS
    'Trigger of the catalogue''s tables, whose arguments are the key columns: raises where a shipped row would go.';

CREATE FUNCTION kombo_internal.check_endpoint_reference() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('check_function_bodies') = 'on'
       AND NOT EXISTS (SELECT FROM kombo.endpoints e WHERE e.path = NEW.endpoint) THEN
        RAISE EXCEPTION 'endpoint "%" does not exist', NEW.endpoint USING ERRCODE = 'foreign_key_violation',
            HINT = 'Insert it into kombo.endpoints first.';
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.check_endpoint_reference() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.check_endpoint_reference() IS
    'Trigger of the tables that name endpoints: raises where there is no such endpoint, but not in a '
    'restore, which fills the tables in any order.';

CREATE FUNCTION kombo_internal.follow_endpoint() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM kombo.endpoint_models m WHERE m.endpoint = OLD.path;
        DELETE FROM kombo.nested_records n WHERE n.endpoint = OLD.path;
        DELETE FROM kombo.webhook_endpoints w WHERE w.endpoint = OLD.path;
        DELETE FROM kombo.endpoint_filters t WHERE t.endpoint = OLD.path;
    ELSIF NEW.path <> OLD.path THEN
        UPDATE kombo.endpoint_models m SET endpoint = NEW.path WHERE m.endpoint = OLD.path;
        UPDATE kombo.nested_records n SET endpoint = NEW.path WHERE n.endpoint = OLD.path;
        UPDATE kombo.webhook_endpoints w SET endpoint = NEW.path WHERE w.endpoint = OLD.path;
        UPDATE kombo.endpoint_filters t SET endpoint = NEW.path WHERE t.endpoint = OLD.path;
    END IF;
    -- As in forget_watermark.
    IF TG_OP = 'UPDATE' AND NEW.enabled <> OLD.enabled AND current_setting('check_function_bodies') = 'on' THEN
        UPDATE kombo.sync_state s SET watermark = CASE WHEN NOT NEW.enabled THEN s.watermark END, full_started_at = NULL
        WHERE s.endpoint = NEW.path AND NOT EXISTS (
            SELECT FROM kombo.subscriptions u
            WHERE (u.integration_id, u.endpoint) = (s.integration_id, s.endpoint));
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.follow_endpoint() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.follow_endpoint() IS
    'Trigger of kombo.endpoints: what names an endpoint goes with it, and the next fetch of a list that is switched on '
    'again is a full one (see forget_watermark).';

CREATE TRIGGER merge_catalogue_row BEFORE INSERT OR UPDATE ON kombo.endpoints
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.merge_catalogue_row('path');
CREATE TRIGGER keep_shipped_row BEFORE DELETE OR UPDATE OF path ON kombo.endpoints
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.keep_shipped_row('path');
CREATE TRIGGER merge_catalogue_row BEFORE INSERT OR UPDATE ON kombo.endpoint_models
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.merge_catalogue_row('endpoint', 'model');
CREATE TRIGGER keep_shipped_row BEFORE DELETE OR UPDATE OF endpoint, model ON kombo.endpoint_models
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.keep_shipped_row('endpoint', 'model');
CREATE TRIGGER merge_catalogue_row BEFORE INSERT OR UPDATE ON kombo.fields
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.merge_catalogue_row('table_name', 'column_name');
CREATE TRIGGER keep_shipped_row BEFORE DELETE OR UPDATE OF table_name, column_name ON kombo.fields
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.keep_shipped_row('table_name', 'column_name');
CREATE TRIGGER merge_catalogue_row BEFORE INSERT OR UPDATE ON kombo.nested_records
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.merge_catalogue_row('endpoint', 'json_path', 'relation');
CREATE TRIGGER keep_shipped_row BEFORE DELETE OR UPDATE OF endpoint, json_path, relation ON kombo.nested_records
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.keep_shipped_row('endpoint', 'json_path', 'relation');
CREATE TRIGGER merge_catalogue_row BEFORE INSERT OR UPDATE ON kombo.webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.merge_catalogue_row('type', 'endpoint');
CREATE TRIGGER keep_shipped_row BEFORE DELETE OR UPDATE OF type, endpoint ON kombo.webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.keep_shipped_row('type', 'endpoint');
CREATE TRIGGER check_endpoint_reference BEFORE INSERT OR UPDATE OF endpoint ON kombo.webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.check_endpoint_reference();
CREATE TRIGGER check_endpoint_reference BEFORE INSERT OR UPDATE OF endpoint ON kombo.endpoint_models
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.check_endpoint_reference();
CREATE TRIGGER check_endpoint_reference BEFORE INSERT OR UPDATE OF endpoint ON kombo.nested_records
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.check_endpoint_reference();
CREATE TRIGGER follow_endpoint AFTER DELETE OR UPDATE OF path, enabled ON kombo.endpoints
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.follow_endpoint();
-- In what logical replication applies, too.
ALTER TABLE kombo.endpoints ENABLE ALWAYS TRIGGER merge_catalogue_row;
ALTER TABLE kombo.endpoint_models ENABLE ALWAYS TRIGGER merge_catalogue_row;
ALTER TABLE kombo.fields ENABLE ALWAYS TRIGGER merge_catalogue_row;
ALTER TABLE kombo.nested_records ENABLE ALWAYS TRIGGER merge_catalogue_row;
ALTER TABLE kombo.webhook_endpoints ENABLE ALWAYS TRIGGER merge_catalogue_row;
COMMENT ON TRIGGER merge_catalogue_row ON kombo.endpoints IS 'what is changed in a shipped row stays';
COMMENT ON TRIGGER keep_shipped_row ON kombo.endpoints IS 'a shipped row would come back';
COMMENT ON TRIGGER merge_catalogue_row ON kombo.endpoint_models IS 'what is changed in a shipped row stays';
COMMENT ON TRIGGER keep_shipped_row ON kombo.endpoint_models IS 'a shipped row would come back';
COMMENT ON TRIGGER merge_catalogue_row ON kombo.fields IS 'what is changed in a shipped row stays';
COMMENT ON TRIGGER keep_shipped_row ON kombo.fields IS 'a shipped row would come back';
COMMENT ON TRIGGER merge_catalogue_row ON kombo.nested_records IS 'what is changed in a shipped row stays';
COMMENT ON TRIGGER keep_shipped_row ON kombo.nested_records IS 'a shipped row would come back';
COMMENT ON TRIGGER merge_catalogue_row ON kombo.webhook_endpoints IS 'what is changed in a shipped row stays';
COMMENT ON TRIGGER keep_shipped_row ON kombo.webhook_endpoints IS 'a shipped row would come back';
COMMENT ON TRIGGER check_endpoint_reference ON kombo.endpoint_models IS 'refuses a typing error';
COMMENT ON TRIGGER check_endpoint_reference ON kombo.nested_records IS 'refuses a typing error';
COMMENT ON TRIGGER check_endpoint_reference ON kombo.webhook_endpoints IS 'refuses a typing error';
COMMENT ON TRIGGER follow_endpoint ON kombo.endpoints IS
    'what names an endpoint goes with it; a list that was off is fetched in full';
