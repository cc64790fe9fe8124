-- Foreign tables that answer live: what IMPORT FOREIGN SCHEMA makes of the catalogue.

CREATE FUNCTION kombo_internal.live_columns(endpoint text)
    RETURNS TABLE (column_name text, definition text, comment text, ordinal integer)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    WITH list AS (SELECT e.table_name FROM kombo.endpoints e WHERE e.path = $1),
    own AS (
        SELECT c.column_name, c.definition, c.comment, c.ordinal
        FROM list, kombo_internal.table_columns(list.table_name) c
        WHERE c.column_name <> 'synced_at'
          AND NOT EXISTS (SELECT FROM kombo.excluded_fields x
                          WHERE (x.table_name, x.column_name) = (list.table_name, c.column_name))),
    nested AS (
        SELECT n.json_path, string_agg(DISTINCT i.table_name, ', ' ORDER BY i.table_name) AS tables
        FROM kombo.nested_records n
        -- A part has no table of its own, but what is nested in it has.
        LEFT JOIN kombo.nested_records i ON i.endpoint = n.endpoint AND i.relation NOT IN ('join', 'part')
            AND (i.json_path = n.json_path OR n.relation = 'part' AND starts_with(i.json_path, n.json_path || '.'))
        WHERE n.endpoint = $1 AND position('.' IN n.json_path) = 0
          AND NOT EXISTS (SELECT FROM own WHERE own.column_name = n.json_path)
          -- Where the id of a nested record is kept out, so is the record.
          AND NOT EXISTS (SELECT FROM list JOIN kombo.excluded_fields x USING (table_name)
                          JOIN kombo.fields f USING (table_name, column_name)
                          WHERE n.json_path || '.id' = ANY (f.json_key || f.fallback_keys))
        GROUP BY n.json_path)
    SELECT * FROM own
    UNION ALL
    SELECT n.json_path, 'jsonb', 'As it comes nested' || coalesce(': of ' || n.tables, '') || '.',
           (5000 + row_number() OVER (ORDER BY n.json_path))::integer
    FROM nested n
    ORDER BY 4
$$;
REVOKE ALL ON FUNCTION kombo_internal.live_columns(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.live_columns(text) IS
    'The columns of a foreign table of that list, in order: those of its data table but synced_at and what is '
    'excluded, and nested records under their JSON keys.';

CREATE FUNCTION kombo_internal.live_lists(category text) RETURNS TABLE (endpoint text, table_name text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- Of two lists of one table the one that replaced the other.
    SELECT DISTINCT ON (e.table_name) e.path, e.table_name FROM kombo.endpoints e
    WHERE lower(e.category) = $1 ORDER BY e.table_name, e.status = 'deprecated', NOT e.enabled, e.path
$$;
REVOKE ALL ON FUNCTION kombo_internal.live_lists(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.live_lists(text) IS
    'The lists of a category, given in small letters, that IMPORT FOREIGN SCHEMA makes tables of.';

CREATE FUNCTION kombo_internal.live_table_statements(endpoint text, schema_name text, table_name text, server text,
                                                     options text) RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('CREATE FOREIGN TABLE %I.%I (%s) SERVER %I OPTIONS (endpoint %L%s)', $2, $3,
                  string_agg(format('%I %s', c.column_name, c.definition), ', ' ORDER BY c.ordinal), $4, $1, $5)
    FROM kombo_internal.live_columns($1) c
    UNION ALL
    SELECT format('COMMENT ON FOREIGN TABLE %I.%I IS %L', $2, $3,
                  kombo_internal.table_comment(e.table_name) || ' Read live from ' || $1 || '.')
    FROM kombo.endpoints e WHERE e.path = $1
    UNION ALL
    (SELECT format('COMMENT ON COLUMN %I.%I.%I IS %L', $2, $3, c.column_name, c.comment)
     FROM kombo_internal.live_columns($1) c ORDER BY c.ordinal)
$$;
REVOKE ALL ON FUNCTION kombo_internal.live_table_statements(text, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.live_table_statements(text, text, text, text, text) IS
    'The statements that make a foreign table of a list, with its comments. options: further ones, as they stand '
    'behind that of the endpoint.';
