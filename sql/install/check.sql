-- Catalogue rows that contradict each other are refused before anything is made of them.

CREATE FUNCTION kombo.check_catalogue(category text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    valid text := (SELECT string_agg(DISTINCT e.category, ', ') FROM kombo.endpoints e);
    wrong text;
BEGIN
    IF check_catalogue.category IS NULL THEN
        RAISE EXCEPTION 'category must not be null' USING ERRCODE = 'null_value_not_allowed',
            HINT = format('Categories of the catalogue are: %s.', valid);
    ELSIF NOT EXISTS (SELECT FROM kombo.endpoints e WHERE e.category = check_catalogue.category) THEN
        RAISE EXCEPTION 'category "%" is not in the catalogue', check_catalogue.category
            USING ERRCODE = 'invalid_parameter_value',
            HINT = format('Categories of the catalogue are: %s.', valid);
    END IF;
    WITH tables AS (
        SELECT e.table_name FROM kombo.endpoints e WHERE e.category = check_catalogue.category
        UNION SELECT n.table_name FROM kombo.nested_records n JOIN kombo.endpoints e ON e.path = n.endpoint
              WHERE e.category = check_catalogue.category)
    SELECT string_agg(problem, E'\n' ORDER BY problem) INTO wrong FROM (
        SELECT format('Endpoint "%s" fills table "%s", which belongs to the extension.', e.path, e.table_name)
               AS problem
        FROM kombo.endpoints e
        WHERE e.category = check_catalogue.category AND kombo_internal.is_member(e.table_name)
        UNION ALL
        SELECT format('Endpoint "%s" fills join table "%s", which has no field "id".', e.path, e.table_name)
        FROM kombo.endpoints e
        WHERE e.category = check_catalogue.category
          AND EXISTS (SELECT FROM kombo.fields f WHERE f.table_name = e.table_name AND f.key)
          AND NOT EXISTS (SELECT FROM kombo.fields f WHERE f.table_name = e.table_name AND f.column_name = 'id')
        UNION ALL
        SELECT format('Table "%s" has the field "%s", which every table but a join table has.',
                      f.table_name, f.column_name)
        FROM kombo.fields f
        WHERE f.table_name IN (SELECT t.table_name FROM tables t)
          AND f.column_name IN ('id', 'changed_at', 'remote_deleted_at', 'custom_fields', 'remote_data')
          AND NOT EXISTS (SELECT FROM kombo.fields k WHERE k.table_name = f.table_name AND k.key)
        UNION ALL
        SELECT format('Field "%s" of table "%s" has the unusable JSON key "%s".',
                      f.column_name, f.table_name, k.json_key)
        FROM kombo.fields f CROSS JOIN LATERAL unnest(f.json_key || f.fallback_keys) k (json_key)
        WHERE f.table_name IN (SELECT t.table_name FROM tables t)
          AND coalesce(k.json_key ~ '^$|^\.|\.$|\.\.', k.json_key IS NULL AND f.json_key IS NOT NULL)
        UNION ALL
        SELECT format('Table "%s" has %s fields, fallback keys included; at most %s are supported.', t.table_name,
                      t.fields, t.most)
        FROM (SELECT f.table_name, sum(1 + cardinality(f.fallback_keys)) AS fields,
                     CASE WHEN bool_or(f.key) THEN 256 ELSE 251 END AS most -- those that every table has beside
              FROM kombo.fields f WHERE f.table_name IN (SELECT t.table_name FROM tables t) GROUP BY 1) t
        WHERE t.fields > t.most
        UNION ALL
        SELECT format('Nested records "%s" of endpoint "%s" lie in "%s", of which nothing is known.', n.json_path,
                      n.endpoint, regexp_replace(n.json_path, '\.[^.]*$', ''))
        FROM kombo.nested_records n JOIN kombo.endpoints e ON e.path = n.endpoint
        WHERE e.category = check_catalogue.category AND n.json_path ~ '\.'
          AND NOT EXISTS (SELECT FROM kombo.nested_records o WHERE o.endpoint = n.endpoint
                            AND o.json_path = regexp_replace(n.json_path, '\.[^.]*$', ''))
        UNION ALL
        SELECT format('Nested records "%s" of endpoint "%s" go to table "%s", %s.',
            n.json_path, n.endpoint, n.table_name,
            CASE WHEN kombo_internal.is_member(n.table_name) THEN 'which belongs to the extension'
                 WHEN n.relation = 'join' AND NOT shape.has_keys THEN 'which has no key fields'
                 WHEN n.relation NOT IN ('join', 'part') AND shape.has_keys
                     THEN 'which has key fields and takes joins only'
                 ELSE format('which has no field "%s" for the parent''s id', n.parent_column) END)
        FROM kombo.nested_records n
        JOIN kombo.endpoints e ON e.path = n.endpoint AND e.category = check_catalogue.category
        CROSS JOIN LATERAL (SELECT coalesce(bool_or(f.key), false) AS has_keys,
                                   coalesce(bool_or(f.column_name = n.parent_column), false) AS has_parent
                            FROM kombo.fields f WHERE f.table_name = n.table_name) shape
        WHERE kombo_internal.is_member(n.table_name)
           OR (n.relation = 'join') <> shape.has_keys AND n.relation <> 'part'
           OR ((n.relation IN ('owned', 'join') OR n.parent_column IS NOT NULL) AND NOT shape.has_parent)) AS problems;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'catalogue rows of category "%" are wrong', check_catalogue.category
            USING ERRCODE = 'invalid_object_definition', DETAIL = wrong,
                  HINT = 'Correct the rows of kombo.endpoints, kombo.nested_records and kombo.fields.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION kombo.check_catalogue(text) FROM PUBLIC;
COMMENT ON FUNCTION kombo.check_catalogue(text) IS
    'Raises if a category is NULL or unknown, and if its catalogue rows contradict each other.';
