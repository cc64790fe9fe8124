-- Catalogue rows of the ATS category (recruiting): its list endpoints, the models they carry, how nested records
-- unfold, and the fields of each model's table.

-- Ordinary lists: the table's defaults hold (subscribed, paginated, with deltas, missing records marked).
INSERT INTO kombo.endpoints (path, category, table_name, comment, shipped)
SELECT path, 'ATS', table_name, comment, true
  FROM (VALUES
    ('/ats/applications', 'ats_applications', 'Applications, one row per candidate and job applied for.'),
    ('/ats/candidates', 'ats_candidates', 'Candidates, one row per person who applied or was added by a recruiter.'),
    ('/ats/interviews', 'ats_interviews', 'Interviews that are planned or were held for an application.'),
    ('/ats/jobs', 'ats_jobs', 'Jobs that people can apply for.'),
    ('/ats/notes', 'ats_notes', 'Notes that recruiters wrote about candidates.'),
    ('/ats/offers', 'ats_offers', 'Offers of employment that were made to applicants.'),
    ('/ats/rejection-reasons', 'ats_rejection_reasons',
     'Reasons from which one is chosen when an application is declined.'),
    ('/ats/roles', 'ats_roles', 'Roles that users can have, in the whole system or in the team of a job.'),
    ('/ats/tags', 'ats_tags', 'Tags that candidates can have.'),
    ('/ats/users', 'ats_users', 'Users of the recruiting system: recruiters, hiring managers, interviewers.')
  ) AS e (path, table_name, comment);

INSERT INTO kombo.endpoints (path, category, table_name, enabled, paginated, incremental, status, comment, shipped)
VALUES
    -- Subscribed although it is deprecated: no delta of another list shows that a stage was renamed or deleted.
    ('/ats/application-stages', 'ATS', 'ats_application_stages', true, true, true, 'deprecated',
     'Stages that applications go through.', true),
    -- Nothing of a scorecard is published but that the list exists: all that it sends comes to "extra".
    ('/ats/scorecards', 'ATS', 'ats_scorecards', false, false, false, 'closed_beta',
     'Ratings that interviewers gave.', true);

INSERT INTO kombo.endpoint_models (endpoint, model, role, delta, shipped)
SELECT endpoint, model, role, delta, true
  FROM (VALUES
    ('/ats/application-stages', 'ats_application_stages', 'own', true),
    ('/ats/applications', 'ats_applications', 'own', true),
    ('/ats/applications', 'ats_candidates', 'carried', true),
    ('/ats/applications', 'ats_interviews', 'carried', true),
    ('/ats/applications', 'ats_offers', 'carried', true),
    -- A renamed stage, job or tag does not bring the applications into a delta.
    ('/ats/applications', 'ats_application_stages', 'carried', false),
    ('/ats/applications', 'ats_jobs', 'carried', false),
    ('/ats/applications', 'ats_tags', 'carried', false),
    ('/ats/applications', 'ats_join_candidates_tags', 'carried', false),
    ('/ats/candidates', 'ats_candidates', 'own', true),
    ('/ats/candidates', 'ats_join_candidates_tags', 'own', true),
    ('/ats/candidates', 'ats_applications', 'carried', true),
    ('/ats/candidates', 'ats_application_stages', 'carried', false),
    ('/ats/candidates', 'ats_jobs', 'carried', false),
    ('/ats/candidates', 'ats_tags', 'carried', false),
    ('/ats/interviews', 'ats_interviews', 'own', true),
    ('/ats/interviews', 'ats_join_interviews_users', 'own', true),
    ('/ats/interviews', 'ats_applications', 'carried', true),
    ('/ats/interviews', 'ats_candidates', 'carried', false),
    ('/ats/interviews', 'ats_jobs', 'carried', false),
    ('/ats/interviews', 'ats_users', 'carried', false),
    ('/ats/jobs', 'ats_jobs', 'own', true),
    ('/ats/jobs', 'ats_job_postings', 'own', true),
    ('/ats/jobs', 'ats_screening_questions', 'own', true),
    ('/ats/jobs', 'ats_join_jobs_application_stages', 'own', true),
    ('/ats/jobs', 'ats_join_jobs_screening_questions', 'own', true),
    ('/ats/jobs', 'ats_join_jobs_users', 'own', true),
    -- Whether a changed role in a team shows in a delta is unknown: taken as no.
    ('/ats/jobs', 'ats_join_user_job_role_assignments', 'own', false),
    ('/ats/jobs', 'ats_application_stages', 'carried', false),
    ('/ats/jobs', 'ats_users', 'carried', false),
    ('/ats/notes', 'ats_notes', 'own', true),
    ('/ats/notes', 'ats_users', 'carried', false),
    ('/ats/offers', 'ats_offers', 'own', true),
    ('/ats/offers', 'ats_applications', 'carried', true),
    ('/ats/offers', 'ats_candidates', 'carried', false),
    ('/ats/offers', 'ats_jobs', 'carried', false),
    ('/ats/rejection-reasons', 'ats_rejection_reasons', 'own', true),
    ('/ats/roles', 'ats_roles', 'own', true),
    ('/ats/tags', 'ats_tags', 'own', true),
    ('/ats/users', 'ats_users', 'own', true),
    ('/ats/users', 'ats_join_users_roles', 'own', true),
    ('/ats/users', 'ats_roles', 'carried', true)
  ) AS m (endpoint, model, role, delta);

INSERT INTO kombo.nested_records (endpoint, json_path, relation, table_name, parent_column, shipped)
SELECT endpoint, json_path, relation, table_name, parent_column, true
  FROM (VALUES
    ('/ats/applications', 'candidate', 'linked', 'ats_candidates', NULL),
    ('/ats/applications', 'candidate.tags', 'join', 'ats_join_candidates_tags', 'candidate_id'),
    ('/ats/applications', 'candidate.tags', 'linked', 'ats_tags', NULL),
    ('/ats/applications', 'current_stage', 'linked', 'ats_application_stages', NULL),
    ('/ats/applications', 'interviews', 'linked', 'ats_interviews', 'application_id'),
    ('/ats/applications', 'job', 'linked', 'ats_jobs', NULL),
    ('/ats/applications', 'offers', 'linked', 'ats_offers', 'application_id'),
    ('/ats/candidates', 'applications', 'linked', 'ats_applications', 'candidate_id'),
    ('/ats/candidates', 'applications.current_stage', 'linked', 'ats_application_stages', NULL),
    ('/ats/candidates', 'applications.job', 'linked', 'ats_jobs', NULL),
    ('/ats/candidates', 'tags', 'join', 'ats_join_candidates_tags', 'candidate_id'),
    ('/ats/candidates', 'tags', 'linked', 'ats_tags', NULL),
    ('/ats/interviews', 'application', 'linked', 'ats_applications', NULL),
    ('/ats/interviews', 'application.candidate', 'linked', 'ats_candidates', NULL),
    ('/ats/interviews', 'application.job', 'linked', 'ats_jobs', NULL),
    ('/ats/interviews', 'users', 'join', 'ats_join_interviews_users', 'interview_id'),
    ('/ats/interviews', 'users', 'linked', 'ats_users', NULL),
    ('/ats/jobs', 'hiring_team', 'join', 'ats_join_jobs_users', 'job_id'),
    ('/ats/jobs', 'hiring_team', 'linked', 'ats_users', NULL),
    ('/ats/jobs', 'job_postings', 'owned', 'ats_job_postings', 'job_id'),
    ('/ats/jobs', 'screening_questions', 'join', 'ats_join_jobs_screening_questions', 'job_id'),
    ('/ats/jobs', 'screening_questions', 'linked', 'ats_screening_questions', NULL),
    ('/ats/jobs', 'stages', 'join', 'ats_join_jobs_application_stages', 'job_id'),
    ('/ats/jobs', 'stages', 'linked', 'ats_application_stages', NULL),
    ('/ats/notes', 'author', 'linked', 'ats_users', NULL),
    -- The application of an offer comes without its id, which is beside it.
    ('/ats/offers', 'application', 'part', 'ats_offers', NULL),
    ('/ats/offers', 'application.candidate', 'linked', 'ats_candidates', NULL),
    ('/ats/offers', 'application.job', 'linked', 'ats_jobs', NULL)
  ) AS n (endpoint, json_path, relation, table_name, parent_column);

-- The fields of each table; what every table has is not listed.
SELECT kombo_internal.ship_fields('ats_application_stages', $$
    remote_id text Id of the stage in the recruiting system.
    name      text Name of the stage.
    status    text Whether applications can be in it: ACTIVE or INACTIVE.
$$);
SELECT kombo_internal.ship_fields('ats_applications', $$
    remote_id                  text        Id of the application in the recruiting system.
    outcome                    text        How it ended: HIRED or DECLINED; PENDING while it is open.
    rejection_reason_name      text        Why it was declined, in the words of the recruiting system.
    rejected_at                timestamptz When it was declined.
    current_stage_id           text        <current_stage_id, current_stage.id> Stage reached: id in
                                           ats_application_stages.
    current_stage_index        numeric     <current_stage.index> Place of that stage in the order of the job's stages,
                                           from 0.
    job_id                     text        <job_id, job.id> Job applied for: id in ats_jobs.
    candidate_id               text about  <candidate_id, candidate.id> Who applied: id in ats_candidates.
    screening_question_answers jsonb       List of answers to screening questions: question (remote_id, title, type)
                                           and answer, whose key goes by the type: content of TEXT, choice of
                                           SINGLE_SELECT, choices of MULTI_SELECT, checked of BOOLEAN, number of
                                           NUMBER, date of DATE, raw of UNKNOWN.
    remote_url                 text        URL of the application in the recruiting system.
    remote_created_at          timestamptz When the recruiting system created it.
    remote_updated_at          timestamptz When the recruiting system last changed it.
    integration_fields         jsonb       List of the fields mapped for this integration: id, key, type (DEFAULT or
                                           CUSTOM), value, label.
$$);
SELECT kombo_internal.ship_fields('ats_candidates', $$
    remote_id          text        Id of the candidate in the recruiting system.
    first_name         text        First name.
    last_name          text        Last name.
    company            text        Present employer.
    title              text        Present job title.
    confidential       boolean     Whether the recruiting system shows the candidate to few people only.
    source             text        Where the candidate was found.
    phone_numbers      jsonb       List of phone numbers: phone_number, type.
    email_addresses    jsonb       List of email addresses: email_address, type.
    social_media       jsonb       List of profiles: link, type, username.
    location           jsonb       Where the candidate lives: street_1, street_2, zip_code, city, state, country (ISO
                                   3166-1 alpha-2), raw.
    remote_url         text        URL of the candidate in the recruiting system.
    remote_created_at  timestamptz When the recruiting system created it.
    remote_updated_at  timestamptz When the recruiting system last changed it.
    integration_fields jsonb       List of the fields mapped for this integration: id, key, type (DEFAULT or CUSTOM),
                                   value, label.
$$);
SELECT kombo_internal.ship_fields('ats_interviews', $$
    remote_id              text        Id of the interview in the recruiting system.
    title                  text        Title of the interview.
    starting_at            timestamptz When it begins.
    ending_at              timestamptz When it ends.
    location               jsonb       Where it takes place: street_1, street_2, zip_code, city, state, country (ISO
                                       3166-1 alpha-2), raw.
    video_conferencing_url text        URL of the video call.
    application_id         text about  <application_id, application.id> Application that it is about: id in
                                       ats_applications.
    stage_id               text        Stage that it belongs to: id in ats_application_stages.
    canceled               boolean     Whether it was called off.
    remote_created_at      timestamptz When the recruiting system created it.
    remote_updated_at      timestamptz When the recruiting system last changed it.
$$);
SELECT kombo_internal.ship_fields('ats_job_postings', $$
    remote_id        text Id of the posting in the recruiting system.
    job_id           text about <> Job that is advertised: id in ats_jobs.
    title            text Title of the posting.
    description_html text Text of the posting, as HTML.
    status           text ACTIVE, INACTIVE or DRAFT.
    visibility       text Who can see it: PUBLIC, INTERNAL or UNLISTED.
    url              text URL of the posting.
$$);
SELECT kombo_internal.ship_fields('ats_jobs', $$
    remote_id          text        Id of the job in the recruiting system.
    name               text        Name of the job.
    job_code           text        Code by which the company knows the job.
    description        text        Description of the job.
    confidential       boolean     Whether few people only may see it. Deprecated by Kombo: see "visibility".
    weekly_hours       numeric     Working time, in hours per week.
    employment_type    text        FULL_TIME, PART_TIME, CONTRACT, SEASONAL or INTERNSHIP.
    status             text        OPEN, CLOSED, DRAFT or ARCHIVED.
    visibility         text        PUBLIC, INTERNAL, UNLISTED or CONFIDENTIAL.
    category           text        Category of the job.
    department         text        Department that hires.
    post_url           text        URL at which people can apply.
    experience_level   text        Experience asked for.
    remote_work_status text        Where the work is done: REMOTE, HYBRID, TEMPORARY or ON_SITE.
    salary_amount      numeric     Salary per "salary_period", in "salary_currency".
    salary_amount_from numeric     Lower end of the salary, likewise.
    salary_amount_to   numeric     Upper end of the salary, likewise.
    salary_currency    text        Currency of the salary, ISO 4217 code.
    salary_period      text        Span that the salary pays for: YEAR, MONTH, TWO_WEEKS, WEEK, DAY or HOUR.
    location           jsonb       Place of work: street_1, street_2, zip_code, city, state, country (ISO 3166-1
                                   alpha-2), raw.
    remote_url         text        URL of the job in the recruiting system.
    opened_at          timestamptz When the job was opened.
    closed_at          timestamptz When the job was closed.
    contact_id         text        Whom to ask: id in ats_users. Deprecated by Kombo: see ats_join_jobs_users.
    remote_created_at  timestamptz When the recruiting system created it.
    remote_updated_at  timestamptz When the recruiting system last changed it.
    integration_fields jsonb       List of the fields mapped for this integration: id, key, type (DEFAULT or CUSTOM),
                                   value, label.
$$);
SELECT kombo_internal.ship_fields('ats_join_candidates_tags', $$
    candidate_id text key <> The candidate: id in ats_candidates.
    tag_id       text key <id> The tag: id in ats_tags.
$$);
SELECT kombo_internal.ship_fields('ats_join_interviews_users', $$
    interview_id text key <> The interview: id in ats_interviews.
    user_id      text key <id> The interviewer: id in ats_users.
$$);
SELECT kombo_internal.ship_fields('ats_join_jobs_application_stages', $$
    job_id               text key <> The job: id in ats_jobs.
    application_stage_id text key <id> The stage: id in ats_application_stages.
    index                numeric  Place of the stage in the order of the job's stages, from 0.
$$);
SELECT kombo_internal.ship_fields('ats_join_jobs_screening_questions', $$
    job_id                   text key <> The job: id in ats_jobs.
    screening_question_id    text key <id> The question: id in ats_screening_questions.
    index                    numeric  Place of the question in the order of the job's questions, from 0.
    required                 boolean  Whether it must be answered.
    precondition_question_id text     Question whose answer decides whether this one is asked: id in
                                      ats_screening_questions.
    precondition_options     jsonb    List of the answers with which it is asked: ids of options, or true and false.
$$);
SELECT kombo_internal.ship_fields('ats_join_jobs_users', $$
    job_id            text key <> The job: id in ats_jobs.
    user_id           text key <id> The member of its hiring team: id in ats_users.
    job_roles         jsonb    List of roles in the team: remote_id, remote_label, unified_type, scope (JOB).
    hiring_team_roles jsonb    List of roles as unified names alone. Deprecated by Kombo: see "job_roles".
$$);
SELECT kombo_internal.ship_fields('ats_notes', $$
    remote_id         text        Id of the note in the recruiting system.
    candidate_id      text about  Whom it is about: id in ats_candidates.
    application_id    text about  Application that it is about: id in ats_applications.
    author_id         text        <author_id, author.id> Who wrote it: id in ats_users.
    title             text        Title of the note.
    content_html      text        Text of the note, as HTML.
    is_private        boolean     Whether few people only may see it.
    remote_created_at timestamptz When the recruiting system created it.
    remote_updated_at timestamptz When the recruiting system last changed it.
$$);
SELECT kombo_internal.ship_fields('ats_offers', $$
    remote_id             text        Id of the offer in the recruiting system.
    status                text        ACCEPTED, DECLINED, SENT, APPROVED, DRAFT or ABANDONED.
    employment_start_date date        First day of work that is offered.
    application_id        text about  Application that it answers: id in ats_applications.
    candidate_id          text about  <application.candidate.id> Who gets it: id in ats_candidates.
    job_id                text        <application.job.id> Job offered, as of the offer's last fetch: id in ats_jobs.
    remote_created_at     timestamptz When the recruiting system created it.
    remote_updated_at     timestamptz When the recruiting system last changed it.
    integration_fields    jsonb       List of the fields mapped for this integration: id, key, type (DEFAULT or
                                      CUSTOM), value, label.
$$);
SELECT kombo_internal.ship_fields('ats_rejection_reasons', $$
    remote_id text Id of the reason in the recruiting system.
    name      text The reason in words.
$$);
SELECT kombo_internal.ship_fields('ats_roles', $$
    remote_id    text Id of the role in the recruiting system.
    remote_label text Name of the role in the recruiting system.
    scope        text Where it holds: SYSTEM or JOB.
    unified_type text HIRING_MANAGER, RECRUITER, COORDINATOR, SOURCER, INTERVIEWER or ADMIN.
$$);
SELECT kombo_internal.ship_fields('ats_scorecards', $$
    remote_id text Id of the scorecard in the recruiting system.
$$);
SELECT kombo_internal.ship_fields('ats_screening_questions', $$
    remote_id   text  Id of the question in the recruiting system.
    title       text  The question.
    description text  More words on the question.
    format      jsonb How it is answered, by its type: TEXT (display_type, max_length), NUMBER (display_type, min,
                      max), FILE (accepted_mime_types, max_file_size_bytes), SINGLE_SELECT (display_type, options: id,
                      remote_id, name), MULTI_SELECT (options), BOOLEAN, DATE, INFORMATION, UNKNOWN (raw_question).
    category    text  EEO (asked by law on equal opportunity) or DEMOGRAPHIC.
$$);
SELECT kombo_internal.ship_fields('ats_tags', $$
    remote_id text Id of the tag in the recruiting system.
    name      text Name of the tag.
$$);
SELECT kombo_internal.ship_fields('ats_users', $$
    remote_id    text  Id of the user in the recruiting system.
    first_name   text  First name.
    last_name    text  Last name.
    email        text  Email address.
    status       text  ACTIVE or INACTIVE.
    system_roles jsonb List of roles in the whole system: remote_id, remote_label, unified_type, scope (SYSTEM).
$$);
