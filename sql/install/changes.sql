-- What changed, for others: statement triggers that append to a log, and consumers that read it in an order in which
-- nothing that commits late is skipped. Off until somebody asks for it, table by table.

CREATE TABLE kombo.changes (
    position        bigint GENERATED ALWAYS AS IDENTITY,
    transaction     xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    integration_id  text,
    table_name      text NOT NULL,
    id              text,
    operation       text NOT NULL CHECK (operation IN ('insert', 'update', 'delete', 'truncate')),
    columns         text[],
    who             text NOT NULL DEFAULT CASE current_setting('kombo_sync.writing', true)
                                          WHEN 'on' THEN 'sync' ELSE 'hand' END,
    PRIMARY KEY (transaction, position)
);
CREATE INDEX changes_position ON kombo.changes (position);
COMMENT ON TABLE kombo.changes IS
    'What changed in the tables that kombo.track_changes was called for; kombo.read_changes reads it. Rows go when all '
    'consumers have acknowledged them, and after kombo_sync.retention at the latest.';
COMMENT ON COLUMN kombo.changes.position IS
    'Number of the change, unique. Consumers read in the order of transaction and position.';
COMMENT ON COLUMN kombo.changes.transaction IS 'Transaction that made the change.';
COMMENT ON COLUMN kombo.changes.at IS 'When the change was made. It was visible from its commit on, which is later.';
COMMENT ON COLUMN kombo.changes.integration_id IS 'Integration that the row belongs to. NULL: the table was truncated.';
COMMENT ON COLUMN kombo.changes.table_name IS 'Table of schema kombo.';
COMMENT ON COLUMN kombo.changes.id IS
    'Id of the row; of a join table its ids, joined by "/". NULL: the table was truncated.';
COMMENT ON COLUMN kombo.changes.operation IS
    'Operation: insert, update, delete or truncate. A row that is marked deleted is an update of remote_deleted_at.';
COMMENT ON COLUMN kombo.changes.columns IS 'Columns whose values changed, of an update; synced_at is left out.';
COMMENT ON COLUMN kombo.changes.who IS 'Who wrote it: sync is kombo_sync, hand is anybody else.';

CREATE TABLE kombo.change_consumers (
    consumer            text PRIMARY KEY CHECK (consumer <> ''),
    after_transaction   xid8 NOT NULL DEFAULT '0',
    after_position      bigint NOT NULL DEFAULT 0,
    read_at             timestamptz NOT NULL DEFAULT now(),
    acknowledged_at     timestamptz,
    lost_at             timestamptz
);
COMMENT ON TABLE kombo.change_consumers IS
    'Who reads kombo.changes, and how far each has come. Deleting a row ends the consumer.';
COMMENT ON COLUMN kombo.change_consumers.consumer IS 'Name that the consumer gave itself.';
COMMENT ON COLUMN kombo.change_consumers.after_transaction IS 'Transaction of the last change that it acknowledged.';
COMMENT ON COLUMN kombo.change_consumers.after_position IS 'Position of the last change that it acknowledged.';
COMMENT ON COLUMN kombo.change_consumers.read_at IS 'When it last read.';
COMMENT ON COLUMN kombo.change_consumers.acknowledged_at IS 'When it last acknowledged something.';
COMMENT ON COLUMN kombo.change_consumers.lost_at IS
    'When changes that it had not acknowledged were deleted, as they were older than kombo_sync.retention.';

CREATE VIEW kombo.change_lag AS
    SELECT c.consumer, w.changes, w.since, now() - w.since AS lag, c.read_at, c.acknowledged_at, c.lost_at
    FROM kombo.change_consumers c CROSS JOIN LATERAL (
        SELECT count(*) AS changes, min(l.at) AS since FROM kombo.changes l
        WHERE (l.transaction, l.position) > (c.after_transaction, c.after_position)) w;
COMMENT ON VIEW kombo.change_lag IS 'How far behind each consumer of kombo.changes is.';
COMMENT ON COLUMN kombo.change_lag.consumer IS 'Name of the consumer.';
COMMENT ON COLUMN kombo.change_lag.changes IS 'Changes that it has not acknowledged.';
COMMENT ON COLUMN kombo.change_lag.since IS 'Time of the oldest of these.';
COMMENT ON COLUMN kombo.change_lag.lag IS 'Age of the oldest of these.';
COMMENT ON COLUMN kombo.change_lag.read_at IS 'When it last read.';
COMMENT ON COLUMN kombo.change_lag.acknowledged_at IS 'When it last acknowledged something.';
COMMENT ON COLUMN kombo.change_lag.lost_at IS 'When changes were deleted that it had not acknowledged.';

-- It computes as whoever writes, who needs INSERT on kombo.changes: a column may have a type of its own, whose
-- functions must not get the rights of anybody else.
CREATE FUNCTION kombo_internal.note_changes() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO kombo.changes (table_name, operation) VALUES (TG_TABLE_NAME, 'truncate');
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO kombo.changes (integration_id, table_name, id, operation)
        SELECT n.j ->> 'integration_id', TG_TABLE_NAME,
               (SELECT string_agg(n.j ->> k, '/' ORDER BY o) FROM unnest(TG_ARGV) WITH ORDINALITY u (k, o)), 'insert'
        FROM (SELECT to_jsonb(r) AS j FROM new_rows r) n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO kombo.changes (integration_id, table_name, id, operation)
        SELECT n.j ->> 'integration_id', TG_TABLE_NAME,
               (SELECT string_agg(n.j ->> k, '/' ORDER BY o) FROM unnest(TG_ARGV) WITH ORDINALITY u (k, o)), 'delete'
        FROM (SELECT to_jsonb(r) AS j FROM old_rows r) n;
    ELSE
        -- A key that was changed by hand is a row that went and one that came. Values are compared as texts: 1.0 is
        -- another value than 1.00.
        INSERT INTO kombo.changes (integration_id, table_name, id, operation, columns)
        SELECT integration_id, TG_TABLE_NAME, id,
               CASE WHEN o.j IS NULL THEN 'insert' WHEN n.j IS NULL THEN 'delete' ELSE 'update' END, d.columns
        FROM (SELECT t.j, t.j ->> 'integration_id' AS integration_id,
                     (SELECT string_agg(t.j ->> k, '/' ORDER BY o) FROM unnest(TG_ARGV) WITH ORDINALITY u (k, o)) AS id
              FROM (SELECT to_jsonb(r) AS j FROM new_rows r) t) n
        FULL JOIN (SELECT t.j, t.j ->> 'integration_id' AS integration_id,
                          (SELECT string_agg(t.j ->> k, '/' ORDER BY o)
                           FROM unnest(TG_ARGV) WITH ORDINALITY u (k, o)) AS id
                   FROM (SELECT to_jsonb(r) AS j FROM old_rows r) t) o USING (integration_id, id)
        CROSS JOIN LATERAL (
            SELECT array_agg(e.key ORDER BY e.key) AS columns FROM jsonb_each(n.j) e
            WHERE o.j IS NOT NULL AND e.key <> 'synced_at' AND e.value::text <> (o.j -> e.key)::text) d
        WHERE o.j IS NULL OR n.j IS NULL OR d.columns IS NOT NULL;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.note_changes() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.note_changes() IS
    'Trigger of tables that kombo.track_changes was called for, whose arguments are the key columns but '
    'integration_id: appends what a statement changed to kombo.changes.';

CREATE FUNCTION kombo.track_changes(table_name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    relation regclass := (SELECT d.relation FROM kombo.data_tables d WHERE d.table_name = track_changes.table_name);
    keys text := (SELECT string_agg(quote_literal(c.column_name), ', ' ORDER BY c.ordinal)
                  FROM kombo_internal.table_columns(track_changes.table_name) c
                  WHERE c.is_key AND c.column_name <> 'integration_id');
    kind record;
    writer text;
BEGIN
    IF relation IS NULL THEN
        RAISE EXCEPTION 'there is no data table "%"', track_changes.table_name USING ERRCODE = 'undefined_table',
            HINT = 'kombo.data_tables lists them; kombo.create_tables makes those that are missing.';
    END IF;
    FOR kind IN
        SELECT * FROM (VALUES
            ('insert', 'REFERENCING NEW TABLE AS new_rows'), ('delete', 'REFERENCING OLD TABLE AS old_rows'),
            ('update', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'), ('truncate', '')
        ) v (operation, referencing)
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER kombo_changes_%1$s AFTER %1$s ON %2$s %3$s FOR EACH STATEMENT '
                       'EXECUTE FUNCTION kombo_internal.note_changes(%4$s)',
                       kind.operation, relation, kind.referencing, keys);
    END LOOP;
    -- Whoever may write the table writes the log; the owner may in any case.
    FOR writer IN
        SELECT DISTINCT acl.grantee::regrole::text
        FROM pg_class c, aclexplode(c.relacl) acl
        WHERE c.oid = relation AND acl.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
          AND acl.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA kombo TO %1$s; GRANT INSERT ON kombo.changes TO %1$s', writer);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION kombo.track_changes(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.track_changes(text) IS
    'Has every change of a data table noted in kombo.changes from now on, by whomever it is made. table_name: as in '
    'kombo.data_tables. Roles that may write the table get INSERT on kombo.changes; grant it to those that may later '
    'on. Raises on a table that is not there.';

CREATE FUNCTION kombo.untrack_changes(table_name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    its_trigger record;
BEGIN
    FOR its_trigger IN
        SELECT t.tgname, t.tgrelid::regclass AS relation
        FROM kombo.data_tables d JOIN pg_trigger t ON t.tgrelid = d.relation
        WHERE d.table_name = untrack_changes.table_name
          AND t.tgfoid = 'kombo_internal.note_changes()'::regprocedure
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', its_trigger.tgname, its_trigger.relation);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION kombo.untrack_changes(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.untrack_changes(text) IS
    'Ends what kombo.track_changes began. What was noted stays until it is acknowledged or too old.';

CREATE FUNCTION kombo.read_changes(consumer text, "limit" integer DEFAULT 1000) RETURNS SETOF kombo.changes
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    its kombo.change_consumers;
BEGIN
    IF coalesce(read_changes.consumer, '') = '' OR "limit" IS NULL OR "limit" < 1 THEN
        RAISE EXCEPTION 'consumer must have a name, and limit must be above zero'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO kombo.change_consumers AS c (consumer) VALUES (read_changes.consumer)
    ON CONFLICT (consumer) DO UPDATE SET read_at = now() RETURNING * INTO its;
    IF its.lost_at IS NOT NULL THEN
        RAISE EXCEPTION 'changes were deleted before consumer "%" acknowledged them', its.consumer
            USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = format('It happened at %s: they were older than kombo_sync.retention.',
                            date_trunc('second', its.lost_at)),
            HINT = format('Read the tables anew, then SELECT kombo.acknowledge(%L, NULL) goes on with what is left.',
                          its.consumer);
    END IF;
    -- Only of transactions before which none is open any more: one that began earlier may still commit.
    RETURN QUERY SELECT l.* FROM kombo.changes l
        WHERE (l.transaction, l.position) > (its.after_transaction, its.after_position)
          AND l.transaction < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY l.transaction, l.position LIMIT "limit";
END
$$;
REVOKE ALL ON FUNCTION kombo.read_changes(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION kombo.read_changes(text, integer) IS
    'Returns the next changes that a consumer has not acknowledged, each at least once. A name that is new begins with '
    'the oldest change that is kept. A change appears once all transactions that began to write before its own have '
    'ended. Raises if changes were deleted before the consumer acknowledged them.';

CREATE FUNCTION kombo.acknowledge(consumer text, "position" bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    read kombo.changes;
BEGIN
    IF "position" IS NULL THEN
        UPDATE kombo.change_consumers c SET lost_at = NULL WHERE c.consumer = acknowledge.consumer;
    ELSE
        SELECT l.* INTO read FROM kombo.changes l WHERE l.position = acknowledge."position";
        UPDATE kombo.change_consumers c
        SET acknowledged_at = now(),
            after_transaction = CASE WHEN (read.transaction, read.position) > (c.after_transaction, c.after_position)
                                     THEN read.transaction ELSE c.after_transaction END,
            after_position = CASE WHEN (read.transaction, read.position) > (c.after_transaction, c.after_position)
                                  THEN read.position ELSE c.after_position END
        WHERE c.consumer = acknowledge.consumer;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no consumer "%"', acknowledge.consumer USING ERRCODE = 'undefined_object',
            HINT = 'kombo.read_changes makes one; kombo.change_lag lists those that there are.';
    END IF;
    PERFORM kombo_internal.prune_changes();
END
$$;
REVOKE ALL ON FUNCTION kombo.acknowledge(text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION kombo.acknowledge(text, bigint) IS
    'Tells that a consumer has done with all changes up to this one, in the order in which it read them. An earlier '
    'position than before changes nothing. NULL: it has read the tables anew, after changes were lost. Raises on an '
    'unknown consumer.';

CREATE FUNCTION kombo_internal.prune_changes() RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    slowest kombo.change_consumers := (SELECT c FROM kombo.change_consumers c
                                       ORDER BY c.after_transaction, c.after_position LIMIT 1);
    too_old timestamptz := now() - coalesce(nullif(current_setting('kombo_sync.retention', true), ''),
                                            '30 days')::interval;
    pruned bigint;
    last_transaction xid8;
    last_position bigint;
BEGIN
    -- Of the first ones only: where these stay, so do the others. Nobody waits for another session that prunes.
    WITH old AS MATERIALIZED (
        SELECT l.transaction, l.position FROM kombo.changes l
        WHERE (l.transaction, l.position) IN (
            SELECT f.transaction, f.position
            FROM (SELECT o.transaction, o.position, o.at FROM kombo.changes o
                  ORDER BY o.transaction, o.position LIMIT 10000) f
            WHERE (f.transaction, f.position) <= (slowest.after_transaction, slowest.after_position)
               OR f.at < too_old)
        FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM kombo.changes l USING old o
        WHERE (l.transaction, l.position) = (o.transaction, o.position) RETURNING l.transaction, l.position
    )
    SELECT g.transaction, g.position, count(*) OVER () INTO last_transaction, last_position, pruned
    FROM gone g ORDER BY g.transaction DESC, g.position DESC LIMIT 1;
    -- Who had not come so far has lost something.
    IF pruned > 0 THEN
        UPDATE kombo.change_consumers c
        SET lost_at = coalesce(c.lost_at, now()), after_transaction = last_transaction, after_position = last_position
        WHERE (c.after_transaction, c.after_position) < (last_transaction, last_position);
    END IF;
    RETURN coalesce(pruned, 0);
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.prune_changes() FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.prune_changes() IS
    'Deletes changes that all consumers have acknowledged, and those that are older than kombo_sync.retention; 10,000 '
    'at most, and returns how many.';

CREATE FUNCTION kombo.grant_consumer(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM kombo_internal.check_role(role);
    EXECUTE format('GRANT USAGE ON SCHEMA kombo, kombo_internal TO %s', role);
    EXECUTE format('GRANT SELECT, UPDATE, DELETE ON kombo.changes TO %s', role); -- to lock what it deletes
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON kombo.change_consumers TO %s', role);
    EXECUTE format('GRANT SELECT ON kombo.change_lag TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION kombo.read_changes(text, integer), kombo.acknowledge(text, bigint), '
                   'kombo_internal.prune_changes() TO %s', role);
END
$$;
REVOKE ALL ON FUNCTION kombo.grant_consumer(regrole) FROM PUBLIC;
COMMENT ON FUNCTION kombo.grant_consumer(regrole) IS
    'Lets a role read and acknowledge changes: which rows changed, and in which columns, but no values. Raises on an '
    'unknown role.';
