-- kombo.exclude_field keeps a field out of the database for good, and erases what is there.
\set SHOW_CONTEXT never
CREATE SERVER kombo_eu FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.kombo.dev/v1');
SELECT kombo.add_integration('personio:one', 'kombo_eu', 'HRIS');
INSERT INTO kombo.hris_employees (integration_id, id, first_name, ssn, extra, remote_data, custom_fields, synced_at)
VALUES
    ('personio:one', '1', 'Ada', '123-45-6789', NULL, '{"number": "123-45-6789"}', '{"shoe_size": 40}', '2026-01-01'),
    ('personio:one', '2', 'Grace', NULL, '{"ssn": {"odd": "987-65-4321"}, "team_color": "red"}', NULL, NULL,
      '2026-01-01'),
    ('personio:one', '3', 'Edsger', NULL, '{"ssn": 555}', NULL, NULL, '2026-01-01'),
    ('personio:one', '4', 'Barbara', NULL, '{"manager": {"ssn": "444"}, "team_color": "blue"}', NULL, NULL,
      '2026-01-01'),
    ('personio:one', '5', 'Donald', NULL, '{"team_color": "green"}', NULL, NULL, '2026-01-01');
INSERT INTO kombo.hris_performance_reviews (integration_id, id, reviewee_id, extra, remote_data) VALUES
    ('personio:one', '1', '1', '{"reviewee": [{"ssn": "123-45-6789"}]}', '{"reviewee": "123-45-6789"}');
INSERT INTO kombo.rejected_records (integration_id, endpoint, record_id, record) VALUES
    ('personio:one', '/hris/employees', '9', '{"ssn": "111"}'),
    ('personio:one', '/hris/performance-reviews', '9', '{"reviewee": {"ssn": "111"}}'),
    ('personio:one', '/hris/absences', '9', '{}');

SELECT kombo.exclude_field('hris_employees', 'ssn');

-- Afterwards it is nowhere, and nothing else is lost.
SELECT id, first_name, ssn, extra, remote_data, custom_fields, synced_at > '2026-01-01' AS changed
FROM kombo.hris_employees ORDER BY id;
SELECT reviewee_id, extra, remote_data FROM kombo.hris_performance_reviews;
SELECT endpoint, record FROM kombo.rejected_records;
SELECT table_name, column_name FROM kombo.excluded_fields ORDER BY 1, 2;

-- Doing it again does no harm.
SELECT kombo.exclude_field('hris_employees', 'ssn');

-- remote_data and custom_fields can be excluded by themselves, and so can the id of a nested record.
SELECT kombo.exclude_field('hris_absences', 'remote_data');
SELECT kombo.exclude_field('hris_employees', 'custom_fields');
UPDATE kombo.hris_performance_reviews SET extra = '{"reviewee": {"id": 1, "mood": "good"}}';
SELECT kombo.exclude_field('hris_performance_reviews', 'reviewee_id');
SELECT reviewee_id, extra FROM kombo.hris_performance_reviews;

-- A value that can come under several keys is taken out of each.
BEGIN;
SELECT kombo.create_tables('ATS');
INSERT INTO kombo.ats_applications (integration_id, id, extra)
    VALUES ('personio:one', '1', '{"job": {"id": 1, "mood": "good"}, "job_id": 2}');
SELECT kombo.exclude_field('ats_applications', 'job_id');
SELECT extra FROM kombo.ats_applications;
ROLLBACK;

-- Bad input.
SELECT kombo.exclude_field(NULL, 'ssn');
SELECT kombo.exclude_field('hris_employees', NULL);
SELECT kombo.exclude_field('hris_unicorns', 'horn');
SELECT kombo.exclude_field('hris_teams', 'horn');
SELECT kombo.exclude_field('hris_teams', 'id');
SELECT kombo.exclude_field('hris_teams', 'changed_at');
SELECT kombo.exclude_field('hris_join_employees_teams', 'team_id');

-- It can come before the tables do.
BEGIN;
DROP TABLE kombo.hris_locations;
SELECT kombo.exclude_field('hris_locations', 'address');
ROLLBACK;

-- It is not for everybody.
CREATE ROLE regress_kombo_nobody;
GRANT USAGE ON SCHEMA kombo TO regress_kombo_nobody;
SET ROLE regress_kombo_nobody;
SELECT kombo.exclude_field('hris_employees', 'gender');
RESET ROLE;
REVOKE ALL ON SCHEMA kombo FROM regress_kombo_nobody;
DROP ROLE regress_kombo_nobody;

DELETE FROM kombo.excluded_fields;
SELECT kombo.remove_integration('personio:one', purge => true);
DROP SERVER kombo_eu;
