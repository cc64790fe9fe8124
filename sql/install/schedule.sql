-- The schedule: what falls due by itself.

-- Without statistics the planner takes thousands of rows for one and compares each with each: hence no nested loops.
CREATE FUNCTION kombo_internal.request_due() RETURNS timestamptz
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan SET enable_nestloop = off SET jit = off
AS $$
DECLARE
    mine boolean := kombo_internal.take_lock('request_due', false);
    integrations text[];
    endpoints text[];
    kinds text[];
    next_due timestamptz;
BEGIN
    -- Each run is scheduled up to 10 % early, always by the same part, so that integrations do not all sync at the same
    -- moment.
    WITH integration AS MATERIALIZED (
        SELECT i.integration_id, i.category, i.paused_by IS NOT NULL AS suspended,
               i.checked_at,
               interval '1 day' * (1 - (hashtextextended(i.integration_id, 0) & 1023) / 10240.0::float8) AS daily,
               CASE WHEN i.paused_by IS NOT NULL THEN i.next_attempt_at END AS not_before
        FROM kombo.integrations i
        JOIN kombo_internal.this_database() here ON here.system_identifier = i.system_identifier
                                       AND here.database_oid = i.database_oid
        JOIN pg_foreign_server f ON f.srvname = i.server
        JOIN pg_foreign_data_wrapper w ON w.oid = f.srvfdw AND w.fdwname = 'kombo_sync'
        WHERE i.paused_by IS DISTINCT FROM 'operator'
    ), subscribed AS MATERIALIZED (
        SELECT i.integration_id, e.path AS endpoint, i.not_before,
               (hashtextextended(i.integration_id || e.path, 0) & 1023) / 10240.0::float8 AS early,
               -- Longer ones would leave the range of timestamptz, and take all others with them; shorter ones would
               -- spend the key's budget.
               greatest(least(CASE WHEN o.endpoint IS NULL THEN e.full_interval ELSE o.full_interval END, '100 years'),
                        '1 second') AS full_i,
               greatest(least(CASE WHEN o.endpoint IS NULL THEN e.delta_interval ELSE o.delta_interval END,
                              '100 years'), '1 second') AS delta_i
        FROM integration i
        JOIN kombo.endpoints e ON e.category = i.category
        LEFT JOIN kombo.subscriptions o ON o.integration_id = i.integration_id AND o.endpoint = e.path
        WHERE coalesce(o.enabled, e.enabled)
    ), implied AS (
        SELECT DISTINCT s.integration_id, own.endpoint
        FROM kombo.endpoint_models own
        JOIN kombo.endpoint_models other ON other.model = own.model AND other.role = 'implied'
        JOIN subscribed s ON s.endpoint = other.endpoint
        WHERE own.role = 'own' AND own.endpoint <> other.endpoint
    ), pending AS (
        SELECT r.integration_id, r.endpoint, bool_or(r.kind = 'full') AS is_full
        FROM kombo.sync_requests r WHERE r.attempt = 0 GROUP BY r.integration_id, r.endpoint
    ), endpoint AS (
        SELECT s.integration_id, s.endpoint, s.full_i * (1 - s.early) AS full_i,
               -- The other's delta brings its rows, too: its own turn comes only where that fails to.
               s.delta_i * CASE WHEN m.endpoint IS NULL THEN 1 - s.early ELSE 1.1 END AS delta_i,
               -- By Kombo's clock the watermark may lie ahead.
               least(coalesce(st.last_full_at, st.last_success_at, st.watermark), now()) AS full_since,
               least(coalesce(st.last_success_at, st.watermark), now()) AS delta_since,
               st.watermark IS NULL AS is_new, st.full_started_at IS NOT NULL AS is_open,
               greatest(s.not_before, st.next_attempt_at) AS not_before,
               coalesce(p.is_full, false) AS full_pending, p.endpoint IS NOT NULL AS pending
        FROM subscribed s
        LEFT JOIN implied m ON m.integration_id = s.integration_id AND m.endpoint = s.endpoint
        LEFT JOIN kombo.sync_state st ON st.integration_id = s.integration_id AND st.endpoint = s.endpoint
        LEFT JOIN pending p ON p.integration_id = s.integration_id AND p.endpoint = s.endpoint
    ), falls AS (
        SELECT e.integration_id, e.endpoint, 'full' AS kind,
               -- A delta of what was never fetched is a full fetch, unless one that broke off is to be gone on with.
               e.full_pending OR e.is_new AND e.pending AND NOT e.is_open AS pending,
               CASE WHEN e.is_new THEN least(e.full_i, e.delta_i) ELSE e.full_i END AS every, e.not_before,
               CASE WHEN e.is_new THEN '-infinity' ELSE e.full_since + e.full_i END AS due
        FROM endpoint e
        UNION ALL
        SELECT e.integration_id, e.endpoint, 'delta', e.pending OR coalesce(e.full_since + e.full_i <= now(), false),
               e.delta_i, e.not_before, e.delta_since + e.delta_i
        FROM endpoint e WHERE NOT e.is_new
        UNION ALL
        SELECT i.integration_id, NULL, 'integration',
               p.integration_id IS NOT NULL, i.daily, i.not_before,
               CASE WHEN i.suspended OR i.checked_at IS NULL THEN '-infinity' ELSE i.checked_at + i.daily END
        FROM integration i
        LEFT JOIN pending p ON p.integration_id = i.integration_id AND p.endpoint IS NULL
    ), due AS (
        SELECT f.integration_id, f.endpoint, f.kind, f.every, f.pending, t.due,
               mine AND NOT f.pending AND t.due <= now() AS is_new
        FROM falls f CROSS JOIN LATERAL (SELECT greatest(f.due, f.not_before) AS due) t
        WHERE f.due IS NOT NULL
    )
    SELECT array_agg(d.integration_id ORDER BY d.integration_id, d.endpoint) FILTER (WHERE d.is_new),
           array_agg(d.endpoint ORDER BY d.integration_id, d.endpoint) FILTER (WHERE d.is_new),
           array_agg(d.kind ORDER BY d.integration_id, d.endpoint) FILTER (WHERE d.is_new),
           -- A requested run is due again after it has run: not before its interval is over.
           min(CASE WHEN d.pending OR d.due <= now() THEN now() + d.every ELSE d.due END)
    INTO integrations, endpoints, kinds, next_due
    FROM due d;

    -- Nothing is written for nothing: it would wake the worker.
    IF integrations IS NOT NULL THEN
        INSERT INTO kombo.sync_requests (integration_id, endpoint, kind, trigger)
        SELECT u.integration_id, u.endpoint, u.kind, 'schedule'
        FROM unnest(integrations, endpoints, kinds) AS u (integration_id, endpoint, kind);
    END IF;
    RETURN next_due;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.request_due() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.request_due() IS
    'Appends to kombo.sync_requests what is due by the intervals of kombo.endpoints and kombo.subscriptions and not '
    'asked for yet, a first full fetch of what was never fetched, and once a day the question for the state of each '
    'integration. Returns when something falls due next; NULL: never. The background worker calls it; of two that do '
    'at once, one appends.';

CREATE FUNCTION kombo_internal.heed_clock(set_back interval DEFAULT '0') RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- No wait lasts longer, Kombo's demands included.
    no_later CONSTANT timestamptz := now() + interval '1 day 1 minute';
    waits_from CONSTANT timestamptz := CASE WHEN set_back > '0' THEN now() ELSE no_later END;
BEGIN
    -- An UPDATE of no row would tell every worker of a new configuration.
    IF EXISTS (SELECT FROM kombo.sync_state s
               WHERE s.last_success_at > now() OR s.last_full_at > now() OR s.next_attempt_at > waits_from) THEN
        UPDATE kombo.sync_state s
        SET last_success_at = CASE WHEN s.last_success_at > now() THEN least(s.last_success_at - set_back, now())
                                   ELSE s.last_success_at END,
            last_full_at = CASE WHEN s.last_full_at > now() THEN least(s.last_full_at - set_back, now())
                                ELSE s.last_full_at END,
            next_attempt_at = CASE WHEN s.next_attempt_at - set_back > no_later THEN now()
                                   WHEN s.next_attempt_at > waits_from THEN s.next_attempt_at - set_back
                                   ELSE s.next_attempt_at END
        WHERE s.last_success_at > now() OR s.last_full_at > now() OR s.next_attempt_at > waits_from;
    END IF;
    IF EXISTS (SELECT FROM kombo.integrations i WHERE i.checked_at > now() OR i.next_attempt_at > waits_from) THEN
        UPDATE kombo.integrations i
        SET checked_at = least(i.checked_at, now()),
            next_attempt_at = CASE WHEN i.next_attempt_at - set_back > no_later THEN now()
                                   WHEN i.next_attempt_at > waits_from THEN i.next_attempt_at - set_back
                                   ELSE i.next_attempt_at END
        WHERE i.checked_at > now() OR i.next_attempt_at > waits_from;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.heed_clock(interval) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.heed_clock(interval) IS
    'Sets times of what has happened that lie in the future, and waits, back by as much as the clock was just now. '
    'What then still lies in the future is now, and waits that are longer than any is made end. The background worker '
    'calls it when it begins, and when the clock was set.';

CREATE FUNCTION kombo_internal.forget_watermark() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    by_default CONSTANT boolean := (SELECT e.enabled FROM kombo.endpoints e
                                    WHERE e.path = coalesce(NEW.endpoint, OLD.endpoint));
BEGIN
    -- A restore, which switches this off, brings the watermark itself. Of a full fetch that broke off the pages that
    -- came are as old as the watermark.
    IF coalesce(OLD.enabled, by_default) <> coalesce(NEW.enabled, by_default)
       AND current_setting('check_function_bodies') = 'on' THEN
        UPDATE kombo.sync_state s
        SET watermark = CASE WHEN NOT coalesce(NEW.enabled, by_default) THEN s.watermark END, full_started_at = NULL
        WHERE (s.integration_id, s.endpoint) = (coalesce(NEW.integration_id, OLD.integration_id),
                                                coalesce(NEW.endpoint, OLD.endpoint));
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.forget_watermark() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.forget_watermark() IS
    'Trigger of kombo.subscriptions: the next fetch of a list that is switched on again is a full one. While it was '
    'off, the lists that carry its model wrote its rows, with fewer fields, and marked those that nobody named. A full '
    'fetch that broke off before that begins anew.';
CREATE TRIGGER forget_watermark AFTER INSERT OR UPDATE OF enabled OR DELETE ON kombo.subscriptions
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.forget_watermark();
COMMENT ON TRIGGER forget_watermark ON kombo.subscriptions IS 'a list that was off is fetched in full';
