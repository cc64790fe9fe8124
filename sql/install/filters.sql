-- Filters of Kombo's lists: which conditions of a query on a foreign table Kombo can check. PostgreSQL checks each once
-- more, so a filter may let more through than the condition, and must never let less through.

CREATE TABLE kombo.endpoint_filters (
    endpoint        text NOT NULL,
    parameter       text NOT NULL CHECK (parameter ~ '^[a-z_]+$'),
    column_name     text NOT NULL CHECK (octet_length(column_name) BETWEEN 1 AND 63),
    operator        text NOT NULL CHECK (operator IN ('=', '>', '<', 'like', '@>')),
    "values"        integer NOT NULL DEFAULT 100 CHECK ("values" > 0),
    allowed         text[],
    element_key     text,
    not_null        text,
    shipped         boolean NOT NULL DEFAULT false,
    edited          text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (endpoint, parameter),
    CONSTRAINT endpoint_filters_elements_have_a_key CHECK ((operator = '@>') = (element_key IS NOT NULL))
);
COMMENT ON TABLE kombo.endpoint_filters IS
    'Catalogue: the filters of Kombo''s lists that conditions on foreign tables are sent as. Each condition is checked '
    'here as well, so a filter may return more than the condition asks for, but never less.';
COMMENT ON COLUMN kombo.endpoint_filters.endpoint IS 'Path of the list.';
COMMENT ON COLUMN kombo.endpoint_filters.parameter IS 'Name of the query parameter.';
COMMENT ON COLUMN kombo.endpoint_filters.column_name IS 'Column of the foreign table that the condition is about.';
COMMENT ON COLUMN kombo.endpoint_filters.operator IS
    'Operator of the condition. =: also IN and = ANY. > and <: also >= and <=. like: LIKE, by the longest text that '
    'the pattern demands, and =. @>: a jsonb list has an element with this value under element_key.';
COMMENT ON COLUMN kombo.endpoint_filters."values" IS
    'How many values one request may have; more are sent in further requests.';
COMMENT ON COLUMN kombo.endpoint_filters.allowed IS
    'The values that Kombo accepts. A condition with another one is not sent. NULL: any.';
COMMENT ON COLUMN kombo.endpoint_filters.element_key IS 'Key of the list''s elements, of operator @>.';
COMMENT ON COLUMN kombo.endpoint_filters.not_null IS
    'A further column that Kombo may look at: the condition is sent only if the query has one on this column, too.';
COMMENT ON COLUMN kombo.endpoint_filters.shipped IS 'Whether the row came with the extension.';
COMMENT ON COLUMN kombo.endpoint_filters.edited IS
    'Columns of a shipped row that were changed here: they are dumped, and an upgrade leaves them as they are.';

SELECT pg_catalog.pg_extension_config_dump('kombo.endpoint_filters', 'WHERE NOT shipped OR edited <> ''{}''');

CREATE TRIGGER merge_catalogue_row BEFORE INSERT OR UPDATE ON kombo.endpoint_filters
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.merge_catalogue_row('endpoint', 'parameter');
CREATE TRIGGER keep_shipped_row BEFORE DELETE OR UPDATE OF endpoint, parameter ON kombo.endpoint_filters
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.keep_shipped_row('endpoint', 'parameter');
CREATE TRIGGER check_endpoint_reference BEFORE INSERT OR UPDATE OF endpoint ON kombo.endpoint_filters
    FOR EACH ROW EXECUTE FUNCTION kombo_internal.check_endpoint_reference();
ALTER TABLE kombo.endpoint_filters ENABLE ALWAYS TRIGGER merge_catalogue_row;
COMMENT ON TRIGGER merge_catalogue_row ON kombo.endpoint_filters IS 'what is changed in a shipped row stays';
COMMENT ON TRIGGER keep_shipped_row ON kombo.endpoint_filters IS 'a shipped row would come back';
COMMENT ON TRIGGER check_endpoint_reference ON kombo.endpoint_filters IS 'refuses a typing error';

-- Every list takes these but the ones that the public pages show without.
INSERT INTO kombo.endpoint_filters (endpoint, parameter, column_name, operator, shipped)
SELECT e.path, f.parameter, f.column_name, '=', true
FROM kombo.endpoints e CROSS JOIN (VALUES ('ids', 'id'), ('remote_ids', 'remote_id')) AS f (parameter, column_name)
WHERE e.shipped AND e.path NOT LIKE '/assessment/orders%'
  AND (f.column_name = 'id' OR EXISTS (SELECT FROM kombo.fields d
                                       WHERE (d.table_name, d.column_name) = (e.table_name, f.column_name)));

-- Kombo's filters whose values are enumerated refuse others. Whether names are compared with or without regard to case
-- is not public: LIKE is the narrower of both. Of times it is not public whether the bound itself counts: a
-- millisecond more is asked for. What date_from and date_until of absences look at is not public, either: the start
-- or the end; with both known, "starts after" and "ends before" are within each reading.
INSERT INTO kombo.endpoint_filters (endpoint, parameter, column_name, operator, "values", allowed, element_key,
                                    not_null, shipped)
SELECT f.endpoint, f.parameter, f.column_name, f.operator, f."values", f.allowed::text[], f.element_key, f.not_null,
       true
FROM (VALUES
    ('/hris/absences', 'date_from', 'start_date', '>', 1, NULL, NULL, 'end_date'),
    ('/hris/absences', 'date_until', 'end_date', '<', 1, NULL, NULL, 'start_date'),
    ('/hris/absences', 'employee_id', 'employee_id', '=', 1, NULL, NULL, NULL),
    ('/hris/absences', 'type_ids', 'type_id', '=', 100, NULL, NULL, NULL),
    ('/hris/employees', 'employment_statuses', 'employment_status', '=', 100, '{ACTIVE,PENDING,INACTIVE,LEAVE}', NULL,
     NULL),
    ('/hris/employees', 'group_ids', 'groups', '@>', 100, NULL, 'id', NULL),
    ('/hris/employees', 'legal_entity_ids', 'legal_entity_id', '=', 100, NULL, NULL, NULL),
    ('/hris/employees', 'personal_emails', 'personal_email', '=', 100, NULL, NULL, NULL),
    ('/hris/employees', 'work_emails', 'work_email', '=', 100, NULL, NULL, NULL),
    ('/hris/employees', 'work_location_ids', 'work_location_id', '=', 100, NULL, NULL, NULL),
    ('/hris/groups', 'name_contains', 'name', 'like', 1, NULL, NULL, NULL),
    ('/hris/groups', 'types', 'type', '=', 100, '{DEPARTMENT,TEAM,COST_CENTER}', NULL, NULL),
    ('/hris/legal-entities', 'name_contains', 'name', 'like', 1, NULL, NULL, NULL),
    ('/hris/locations', 'name_contains', 'name', 'like', 1, NULL, NULL, NULL),
    ('/hris/performance-reviews', 'review_cycle_ids', 'review_cycle_id', '=', 100, NULL, NULL, NULL),
    ('/hris/performance-reviews', 'reviewee_ids', 'reviewee_id', '=', 100, NULL, NULL, NULL),
    ('/hris/performance-reviews', 'types', 'type', '=', 100, '{MANAGER,DIRECT_REPORT,PEER,SELF}', NULL, NULL),
    ('/hris/staffing-entities', 'model_types', 'model_type', '=', 100, '{JOB,POSITION,REQUISITION}', NULL, NULL),
    ('/hris/staffing-entities', 'statuses', 'status', '=', 100,
     '{OPEN_LIMITED,OPEN_UNLIMITED,PENDING,FROZEN,FILLED,CLOSED}', NULL, NULL),
    ('/hris/time-off-balances', 'employee_id', 'employee_id', '=', 1, NULL, NULL, NULL),
    ('/hris/timesheets', 'employee_id', 'employee_id', '=', 1, NULL, NULL, NULL),
    ('/hris/timesheets', 'ended_after', 'ended_at', '>', 1, NULL, NULL, NULL),
    ('/hris/timesheets', 'ended_before', 'ended_at', '<', 1, NULL, NULL, NULL),
    ('/hris/timesheets', 'started_after', 'started_at', '>', 1, NULL, NULL, NULL),
    ('/hris/timesheets', 'started_before', 'started_at', '<', 1, NULL, NULL, NULL),

    ('/ats/applications', 'current_stage_ids', 'current_stage_id', '=', 100, NULL, NULL, NULL),
    ('/ats/applications', 'job_ids', 'job_id', '=', 100, NULL, NULL, NULL),
    ('/ats/applications', 'outcomes', 'outcome', '=', 100, '{PENDING,HIRED,DECLINED}', NULL, NULL),
    ('/ats/applications', 'remote_created_after', 'remote_created_at', '>', 1, NULL, NULL, NULL),
    ('/ats/candidates', 'first_name', 'first_name', '=', 1, NULL, NULL, NULL),
    ('/ats/candidates', 'last_name', 'last_name', '=', 1, NULL, NULL, NULL),
    ('/ats/jobs', 'employment_types', 'employment_type', '=', 100,
     '{FULL_TIME,PART_TIME,CONTRACT,SEASONAL,INTERNSHIP}', NULL, NULL),
    ('/ats/jobs', 'job_codes', 'job_code', '=', 100, NULL, NULL, NULL),
    ('/ats/jobs', 'name_contains', 'name', 'like', 1, NULL, NULL, NULL),
    ('/ats/jobs', 'remote_created_after', 'remote_created_at', '>', 1, NULL, NULL, NULL),
    ('/ats/jobs', 'statuses', 'status', '=', 100, '{OPEN,CLOSED,DRAFT,ARCHIVED}', NULL, NULL),
    ('/ats/jobs', 'visibilities', 'visibility', '=', 100, '{PUBLIC,INTERNAL,UNLISTED,CONFIDENTIAL}', NULL, NULL),
    ('/ats/notes', 'application_ids', 'application_id', '=', 100, NULL, NULL, NULL),
    ('/ats/notes', 'candidate_ids', 'candidate_id', '=', 100, NULL, NULL, NULL),
    ('/ats/roles', 'scopes', 'scope', '=', 100, '{SYSTEM,JOB}', NULL, NULL),
    ('/ats/users', 'emails', 'email', '=', 100, NULL, NULL, NULL),

    ('/lms/course-progressions', 'user_ids', 'user_id', '=', 100, NULL, NULL, NULL),
    ('/lms/users', 'work_emails', 'work_email', '=', 100, NULL, NULL, NULL)
  ) AS f (endpoint, parameter, column_name, operator, "values", allowed, element_key, not_null);
