
-- Shipped rows of 0.2.0 that are gone, once their edits are known. The list of skill ratings has another path: its
-- table stays, and is filled by the new list.
DELETE FROM kombo.endpoints e WHERE e.path = '/hris/employee-skill-assignments' AND e.shipped;
DELETE FROM kombo.endpoint_models m WHERE m.endpoint = '/hris/employee-skill-assignments' AND m.shipped;
DELETE FROM kombo.nested_records n WHERE n.endpoint = '/hris/employee-skill-assignments' AND n.shipped;
DELETE FROM kombo.fields f
WHERE f.table_name = 'hris_employee_skill_proficiency_ratings' AND f.column_name = 'current_level' AND f.shipped;
DELETE FROM kombo.sync_state s WHERE s.endpoint = '/hris/employee-skill-assignments';
DELETE FROM kombo.sync_seen s WHERE s.endpoint = '/hris/employee-skill-assignments';
DELETE FROM kombo.sync_requests r WHERE r.endpoint = '/hris/employee-skill-assignments';
DELETE FROM kombo.rejected_records r WHERE r.endpoint = '/hris/employee-skill-assignments';
