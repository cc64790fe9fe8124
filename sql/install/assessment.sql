-- Catalogue rows of the ASSESSMENT category: its list endpoints, the webhooks that tell of them, and the fields of
-- their tables. No changed model stands for orders, and neither list takes updated_after.

INSERT INTO kombo.endpoints (path, category, table_name, enabled, incremental, on_missing, status, comment, shipped)
VALUES
    ('/assessment/orders', 'ASSESSMENT', 'assessment_orders', true, false, 'mark', 'stable',
     'Assessments that were ordered from you, one row per order.', true),
    -- An order that is done leaves this list: its row goes.
    ('/assessment/orders/open', 'ASSESSMENT', 'assessment_open_orders', false, false, 'delete', 'deprecated',
     'Orders that are not done yet; /assessment/orders replaces the list.', true);

INSERT INTO kombo.webhook_endpoints (type, endpoint, shipped)
VALUES
    ('assessment:order-received', '/assessment/orders', true),
    ('assessment:order-received', '/assessment/orders/open', true),
    ('inline-assessment:order-received', '/assessment/orders', true),
    ('inline-assessment:order-received', '/assessment/orders/open', true);

-- The fields of each table; what every table has is not listed.
SELECT kombo_internal.ship_fields('assessment_orders', $$
    package_id            text  Which assessment was ordered: the id that its provider gave it.
    status                text  OPEN, COMPLETED, CANCELLED or REJECTED.
    candidate_email       text  <candidate.email> Email address of the candidate.
    candidate_first_name  text  <candidate.first_name> First name of the candidate.
    candidate_last_name   text  <candidate.last_name> Last name of the candidate.
    candidate_phone       text  <candidate.phone> Phone number of the candidate.
    candidate_remote_id   text  <candidate.remote_id> Id of the candidate in the recruiting system.
    application_remote_id text  <application.remote_id> Id of the application in the recruiting system.
    job_remote_id         text  <job.remote_id> Id of the job in the recruiting system.
    job_name              text  <job.name> Name of the job.
    job_code              text  <job.job_code> Code by which the company knows the job.
    job_description       text  <job.description> Description of the job.
    job_location          jsonb <job.location> Place of work: street_1, street_2, zip_code, city, state, country (ISO
                                3166-1 alpha-2), raw.
    job_hiring_team       jsonb <job.hiring_team> List of those who hire: remote_id, email, first_name, last_name,
                                hiring_team_roles.
$$);
SELECT kombo_internal.ship_fields('assessment_open_orders', $$
    package_id            text  Which assessment was ordered: the id that its provider gave it.
    candidate_email       text  <candidate.email> Email address of the candidate.
    candidate_first_name  text  <candidate.first_name> First name of the candidate.
    candidate_last_name   text  <candidate.last_name> Last name of the candidate.
    candidate_phone       text  <candidate.phone> Phone number of the candidate.
    candidate_remote_id   text  <candidate.remote_id> Id of the candidate in the recruiting system.
    application_remote_id text  <application.remote_id> Id of the application in the recruiting system.
    job_remote_id         text  <job.remote_id> Id of the job in the recruiting system.
    job_name              text  <job.name> Name of the job.
    job_code              text  <job.job_code> Code by which the company knows the job.
    job_description       text  <job.description> Description of the job.
    job_location          jsonb <job.location> Place of work: street_1, street_2, zip_code, city, state, country (ISO
                                3166-1 alpha-2), raw.
    job_hiring_team       jsonb <job.hiring_team> List of those who hire: remote_id, email, first_name, last_name,
                                hiring_team_roles.
$$);

DROP FUNCTION kombo_internal.ship_fields(text, text);
