-- The catalogue of one category as lines of tab-separated text, for kombo_micro:
--   psql -XAtq -v category=HRIS -f catalogue.sql > catalogue.tsv
-- What pg/catalogue.cpp loads, in the same order; excluded fields are not looked at.
SELECT concat_ws(E'\t', 'table', n.table_name)
FROM (SELECT e.table_name FROM kombo.endpoints e WHERE e.category = :'category'
      UNION
      SELECT r.table_name FROM kombo.nested_records r JOIN kombo.endpoints e ON e.path = r.endpoint
      WHERE e.category = :'category') n
ORDER BY n.table_name COLLATE "C";

WITH own AS (
    SELECT f.table_name, f.column_name, f.type, coalesce(f.json_key, '') AS json_key, f.key, f."position"
    FROM kombo.fields f
), every AS (
    SELECT t.table_name, v.column_name, v.type, v.column_name AS json_key, v.column_name = 'id' AS key, v."position"
    FROM (SELECT table_name FROM own GROUP BY table_name HAVING NOT bool_or(key)) t
    CROSS JOIN (VALUES ('id', 'text', -5), ('changed_at', 'timestamptz', -4), ('remote_deleted_at', 'timestamptz', -3),
                       ('custom_fields', 'jsonb', -2), ('remote_data', 'jsonb', -1)) v (column_name, type, "position")
)
SELECT concat_ws(E'\t', 'field', table_name, column_name, type, json_key, key)
FROM (SELECT * FROM own UNION ALL SELECT * FROM every) f
ORDER BY table_name COLLATE "C", key DESC, "position", column_name COLLATE "C";

SELECT concat_ws(E'\t', 'endpoint', e.path, e.table_name, e.enabled, e.paginated, e.incremental,
                 e.status = 'deprecated')
FROM kombo.endpoints e WHERE e.category = :'category' ORDER BY e.path COLLATE "C";

SELECT concat_ws(E'\t', 'model', m.endpoint, m.model, m.role, m.delta)
FROM kombo.endpoint_models m JOIN kombo.endpoints e ON e.path = m.endpoint
WHERE e.category = :'category' ORDER BY m.endpoint COLLATE "C", m.model COLLATE "C";

SELECT concat_ws(E'\t', 'nested', n.endpoint, n.json_path, n.relation, n.table_name, coalesce(n.parent_column, ''))
FROM kombo.nested_records n JOIN kombo.endpoints e ON e.path = n.endpoint
WHERE e.category = :'category' ORDER BY n.endpoint COLLATE "C", n.json_path COLLATE "C", n.relation;
