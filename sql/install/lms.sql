-- Catalogue rows of the LMS category (learning): its list endpoints, the models they carry, how nested records unfold,
-- and the fields of each model's table.

-- Ordinary lists: the table's defaults hold (subscribed, paginated, with deltas, missing records marked).
INSERT INTO kombo.endpoints (path, category, table_name, comment, shipped)
SELECT path, 'LMS', table_name, comment, true
  FROM (VALUES
    ('/lms/course-progressions', 'lms_course_progressions',
     'How far learners have come, one row per learner and version of a course.'),
    ('/lms/courses', 'lms_courses', 'Courses; what can change of one is in its versions, lms_course_revisions.'),
    ('/lms/skills', 'lms_skills', 'Skills that courses teach.'),
    ('/lms/users', 'lms_users', 'Learners, one row per user of the learning system.')
  ) AS e (path, table_name, comment);

INSERT INTO kombo.endpoint_models (endpoint, model, role, delta, shipped)
SELECT endpoint, model, role, delta, true
  FROM (VALUES
    ('/lms/course-progressions', 'lms_course_progressions', 'own', true),
    -- A renamed course or learner does not bring the progressions into a delta.
    ('/lms/course-progressions', 'lms_course_revisions', 'carried', false),
    ('/lms/course-progressions', 'lms_users', 'carried', false),
    ('/lms/courses', 'lms_courses', 'own', true),
    ('/lms/courses', 'lms_course_revisions', 'own', true),
    -- Nothing but a full fetch of the courses shows these.
    ('/lms/courses', 'lms_course_providers', 'own', false),
    ('/lms/courses', 'lms_join_revisions_skills', 'own', false),
    ('/lms/courses', 'lms_skills', 'carried', false),
    ('/lms/skills', 'lms_skills', 'own', true),
    ('/lms/users', 'lms_users', 'own', true)
  ) AS m (endpoint, model, role, delta);

INSERT INTO kombo.nested_records (endpoint, json_path, relation, table_name, parent_column, shipped)
SELECT endpoint, json_path, relation, table_name, parent_column, true
  FROM (VALUES
    ('/lms/course-progressions', 'course_revision', 'linked', 'lms_course_revisions', NULL),
    ('/lms/course-progressions', 'course_revision.course', 'linked', 'lms_courses', NULL),
    ('/lms/course-progressions', 'user', 'linked', 'lms_users', NULL),
    ('/lms/courses', 'provider', 'linked', 'lms_course_providers', NULL),
    ('/lms/courses', 'revisions', 'owned', 'lms_course_revisions', 'course_id'),
    ('/lms/courses', 'revisions.skill_assignments', 'join', 'lms_join_revisions_skills', 'course_revision_id'),
    ('/lms/courses', 'revisions.skill_assignments.skill', 'linked', 'lms_skills', NULL)
  ) AS n (endpoint, json_path, relation, table_name, parent_column);

-- The fields of each table; what every table has is not listed.
SELECT kombo_internal.ship_fields('lms_course_progressions', $$
    remote_id          text        Id of the progression in the learning system.
    user_id            text about  <user_id, user.id> Who learns: id in lms_users.
    course_revision_id text        <course_revision_id, course_revision.id> What is learnt: id in lms_course_revisions.
    status             text        ENROLLED, IN_PROGRESS, COMPLETED or DROPPED.
    enrolled_at        timestamptz When the learner was enrolled.
    completed_at       timestamptz When the learner completed it.
$$);
SELECT kombo_internal.ship_fields('lms_course_providers', $$
    remote_id text Id of the provider in the learning system.
    name      text Name of the provider.
$$);
SELECT kombo_internal.ship_fields('lms_course_revisions', $$
    remote_id          text        Id of the version in the learning system.
    course_id          text about  <course_id, course.id> Course of which it is a version: id in lms_courses.
    title              text        Title of the course.
    description        text        Description of the course.
    remote_url         text        URL of the course in the learning system.
    status             text        Whether it can be taken: ACTIVE or INACTIVE.
    remote_created_at  timestamptz When the learning system created it.
    integration_fields jsonb       List of the fields mapped for this integration: id, key, type (DEFAULT or CUSTOM),
                                   value, label.
$$);
SELECT kombo_internal.ship_fields('lms_courses', $$
    remote_id          text        Id of the course in the learning system.
    provider_id        text        <provider_id, provider.id> Who offers it: id in lms_course_providers.
    origin_id          text        Id that was given to the course when it was created through Kombo.
    remote_created_at  timestamptz When the learning system created it.
    integration_fields jsonb       List of the fields mapped for this integration: id, key, type (DEFAULT or CUSTOM),
                                   value, label.
$$);
SELECT kombo_internal.ship_fields('lms_join_revisions_skills', $$
    course_revision_id text key <> The version of a course: id in lms_course_revisions.
    skill_id           text key <skill.id> The skill that it teaches: id in lms_skills.
$$);
SELECT kombo_internal.ship_fields('lms_skills', $$
    remote_id          text        Id of the skill in the learning system.
    name               text        Name of the skill.
    remote_created_at  timestamptz When the learning system created it.
    integration_fields jsonb       List of the fields mapped for this integration: id, key, type (DEFAULT or CUSTOM),
                                   value, label.
$$);
SELECT kombo_internal.ship_fields('lms_users', $$
    remote_id          text        Id of the user in the learning system.
    first_name         text        First name.
    last_name          text        Last name.
    work_email         text        Email address at work.
    status             text        ACTIVE or INACTIVE.
    remote_created_at  timestamptz When the learning system created it.
    integration_fields jsonb       List of the fields mapped for this integration: id, key, type (DEFAULT or CUSTOM),
                                   value, label.
$$);
