-- Catalogue rows of the HRIS category: its list endpoints, the models they carry, the fields of each model's table,
-- and how nested records unfold. A new endpoint or field of Kombo's is a row here and nothing else.

-- Ordinary lists: the table's defaults hold (subscribed, paginated, with deltas, missing records marked).
INSERT INTO kombo.endpoints (path, category, table_name, comment, shipped)
SELECT path, 'HRIS', table_name, comment, true
  FROM (VALUES
    ('/hris/absence-types', 'hris_absence_types', 'Kinds of absence that the HR system knows.'),
    ('/hris/absences', 'hris_absences', 'Absences, one row per time away of one employee.'),
    ('/hris/employee-document-categories', 'hris_employee_document_categories',
     'Categories under which documents of employees can be filed.'),
    ('/hris/employees', 'hris_employees',
     'Employees, one row per person known to the HR system, former and future ones included.'),
    ('/hris/employments', 'hris_employments',
     'Terms of employment, one row per version.'),
    ('/hris/groups', 'hris_teams',
     'Groups of employees: departments, teams and cost centers. The model keeps its older name, teams.'),
    ('/hris/legal-entities', 'hris_legal_entities', 'Legal entities (companies) that employ people.'),
    ('/hris/locations', 'hris_locations', 'Places of work.'),
    ('/hris/performance-review-cycles', 'hris_performance_review_cycles', 'Rounds of performance reviews.'),
    ('/hris/performance-reviews', 'hris_performance_reviews',
     'Performance reviews, one row per reviewed employee, reviewer and round.'),
    ('/hris/staffing-entities', 'hris_staffing_entities', 'Jobs, positions and requisitions of workforce planning.'),
    ('/hris/time-off-balances', 'hris_time_off_balances',
     'Balances of time off, one row per employee and absence type.')
  ) AS e (path, table_name, comment);

INSERT INTO kombo.endpoints (path, category, table_name, enabled, paginated, incremental, on_missing, status, comment,
                             shipped)
VALUES
    -- Whether these take updated_after, cursor and page_size is not public: taken as no.
    ('/hris/skill-proficiency-ratings', 'HRIS', 'hris_employee_skill_proficiency_ratings', true, false, false, 'mark',
     'stable', 'How good employees are at skills: rows of several sources for one employee and skill.', true),
    ('/hris/skills', 'HRIS', 'hris_skills', true, false, false, 'mark', 'stable',
     'Skills that employees can have and staffing entities can ask for.', true),
    -- A list of links, with an id each. Where it is subscribed, the skills of /hris/staffing-entities store nothing.
    ('/hris/staffing-entity-skills', 'HRIS', 'hris_join_staffing_entities_skills', false, false, false, 'mark',
     'closed_beta', 'Skills that staffing entities ask for, one row per entity and skill.', true),
    ('/hris/teams', 'HRIS', 'hris_teams', false, true, true, 'mark', 'deprecated',
     'Groups of employees under their former path; /hris/groups replaces it.', true),
    -- Kombo refreshes two months only, so a timesheet that is missing was not necessarily deleted.
    ('/hris/timesheets', 'HRIS', 'hris_timesheets', true, true, true, 'keep', 'open_beta',
     'Timesheets, one row per recorded span of work. Kombo refreshes the last two months.', true);

INSERT INTO kombo.endpoint_models (endpoint, model, role, delta, shipped)
SELECT endpoint, model, role, delta, true
  FROM (VALUES
    ('/hris/absence-types', 'hris_absence_types', 'own', true),
    ('/hris/absences', 'hris_absences', 'own', true),
    ('/hris/absences', 'hris_absence_types', 'carried', true),
    ('/hris/employee-document-categories', 'hris_employee_document_categories', 'own', true),
    ('/hris/employees', 'hris_employees', 'own', true),
    ('/hris/employees', 'hris_join_employees_teams', 'own', true),
    ('/hris/employees', 'hris_employments', 'implied', true),
    ('/hris/employees', 'hris_time_off_balances', 'implied', true),
    ('/hris/employees', 'hris_legal_entities', 'carried', true),
    ('/hris/employees', 'hris_locations', 'carried', true),
    -- A renamed group does not bring its members into a delta.
    ('/hris/employees', 'hris_teams', 'carried', false),
    ('/hris/employments', 'hris_employments', 'own', true),
    ('/hris/groups', 'hris_teams', 'own', true),
    ('/hris/legal-entities', 'hris_legal_entities', 'own', true),
    ('/hris/locations', 'hris_locations', 'own', true),
    ('/hris/performance-review-cycles', 'hris_performance_review_cycles', 'own', true),
    ('/hris/performance-reviews', 'hris_performance_reviews', 'own', true),
    ('/hris/performance-reviews', 'hris_employees', 'carried', true),
    ('/hris/performance-reviews', 'hris_performance_review_cycles', 'carried', true),
    -- These two take no updated_after, so they have no delta.
    ('/hris/skill-proficiency-ratings', 'hris_employee_skill_proficiency_ratings', 'own', false),
    -- No field of the rating providers is published: nothing of theirs has a table.
    ('/hris/skill-proficiency-ratings', 'hris_skill_rating_providers', 'carried', false),
    ('/hris/skills', 'hris_skills', 'own', false),
    ('/hris/skills', 'hris_skill_proficiency_scales', 'carried', false),
    ('/hris/staffing-entities', 'hris_staffing_entities', 'own', true),
    ('/hris/staffing-entities', 'hris_join_staffing_entities_locations', 'own', true),
    ('/hris/staffing-entities', 'hris_join_staffing_entities_legal_entities', 'own', true),
    ('/hris/staffing-entities', 'hris_join_staffing_entities_groups', 'own', true),
    ('/hris/staffing-entities', 'hris_join_staffing_entities_skills', 'carried', true),
    ('/hris/staffing-entities', 'hris_locations', 'carried', true),
    ('/hris/staffing-entities', 'hris_legal_entities', 'carried', true),
    ('/hris/staffing-entities', 'hris_teams', 'carried', true),
    ('/hris/staffing-entities', 'hris_skills', 'carried', true),
    -- Whether a changed scale shows in a delta is unknown: taken as no.
    ('/hris/staffing-entities', 'hris_skill_proficiency_scales', 'carried', false),
    ('/hris/staffing-entity-skills', 'hris_join_staffing_entities_skills', 'own', false),
    ('/hris/teams', 'hris_teams', 'own', true),
    ('/hris/time-off-balances', 'hris_time_off_balances', 'own', true),
    ('/hris/time-off-balances', 'hris_absence_types', 'carried', true),
    ('/hris/timesheets', 'hris_timesheets', 'own', true)
  ) AS m (endpoint, model, role, delta);

INSERT INTO kombo.nested_records (endpoint, json_path, relation, table_name, parent_column, shipped)
SELECT endpoint, json_path, relation, table_name, parent_column, true
  FROM (VALUES
    ('/hris/absences', 'type', 'linked', 'hris_absence_types', NULL),
    ('/hris/employees', 'employments', 'owned', 'hris_employments', 'employee_id'),
    ('/hris/employees', 'time_off_balances', 'owned', 'hris_time_off_balances', 'employee_id'),
    ('/hris/employees', 'groups', 'join', 'hris_join_employees_teams', 'employee_id'),
    ('/hris/employees', 'groups', 'linked', 'hris_teams', NULL),
    ('/hris/employees', 'legal_entity', 'linked', 'hris_legal_entities', NULL),
    ('/hris/employees', 'work_location', 'linked', 'hris_locations', NULL),
    ('/hris/employees', 'manager', 'copy', 'hris_employees', NULL),
    ('/hris/employees', 'teams', 'copy', 'hris_teams', NULL),
    ('/hris/performance-reviews', 'reviewee', 'linked', 'hris_employees', NULL),
    ('/hris/performance-reviews', 'reviewer', 'linked', 'hris_employees', NULL),
    ('/hris/performance-reviews', 'review_cycle', 'linked', 'hris_performance_review_cycles', NULL),
    ('/hris/staffing-entities', 'locations', 'join', 'hris_join_staffing_entities_locations', 'staffing_entity_id'),
    ('/hris/staffing-entities', 'locations', 'linked', 'hris_locations', NULL),
    ('/hris/staffing-entities', 'legal_entities', 'join', 'hris_join_staffing_entities_legal_entities',
     'staffing_entity_id'),
    ('/hris/staffing-entities', 'legal_entities', 'linked', 'hris_legal_entities', NULL),
    ('/hris/staffing-entities', 'groups', 'join', 'hris_join_staffing_entities_groups', 'staffing_entity_id'),
    ('/hris/staffing-entities', 'groups', 'linked', 'hris_teams', NULL),
    ('/hris/skills', 'proficiency_scale', 'linked', 'hris_skill_proficiency_scales', NULL),
    ('/hris/staffing-entities', 'skills', 'join', 'hris_join_staffing_entities_skills', 'staffing_entity_id'),
    ('/hris/staffing-entities', 'skills.skill', 'linked', 'hris_skills', NULL),
    ('/hris/staffing-entities', 'skills.skill.proficiency_scale', 'linked', 'hris_skill_proficiency_scales', NULL),
    ('/hris/time-off-balances', 'type', 'linked', 'hris_absence_types', NULL)
  ) AS n (endpoint, json_path, relation, table_name, parent_column);

-- The fields of each table; what every table has is not listed.
SELECT kombo_internal.ship_fields('hris_absence_types', $$
    remote_id             text    Id of the absence type in the HR system.
    name                  text    Name of the absence type.
    unit                  text    Unit in which such absences are counted: HOURS or DAYS.
    half_days_supported   boolean Whether they may begin or end at half a day.
    exact_times_supported boolean Whether they may begin or end at a time of day.
$$);
SELECT kombo_internal.ship_fields('hris_absences', $$
    remote_id         text        Id of the absence in the HR system.
    employee_id       text about  Who is absent: id in hris_employees.
    start_date        date        First day of the absence.
    end_date          date        Last day of the absence.
    start_half_day    boolean     Whether only half of the first day is taken.
    end_half_day      boolean     Whether only half of the last day is taken.
    start_time        time        Time of day at which the absence begins, local to the employee.
    end_time          time        Time of day at which the absence ends, local to the employee.
    amount            numeric     Length of the absence, counted in "unit".
    unit              text        Unit of "amount": HOURS or DAYS.
    status            text        REQUESTED, APPROVED, DECLINED, CANCELLED, DELETED, or the HR system's own word.
    employee_note     text        What the employee wrote about the absence.
    type_id           text        Kind of absence: id in hris_absence_types.
    remote_created_at timestamptz When the HR system created the absence.
    remote_updated_at timestamptz When the HR system last changed the absence.
    approver_id       text        Who approved: id in hris_employees. Deprecated by Kombo.
$$);
SELECT kombo_internal.ship_fields('hris_employee_document_categories', $$
    remote_id text Id of the category in the HR system.
    name      text Name of the category.
$$);
SELECT kombo_internal.ship_fields('hris_employee_skill_proficiency_ratings', $$
    remote_id     text  Id of the rating in the HR system.
    employee_id   text about Who is rated: id in hris_employees.
    skill_id      text  The skill: id in hris_skills.
    proficiency   jsonb Level reached, by its type: of SINGLE_SELECT {"options": [...], "selected_option_id": ...}.
    rating_source text  Who rated, such as SELF or EXTERNAL.
$$);
SELECT kombo_internal.ship_fields('hris_employees', $$
    remote_id           text        Id of the employee in the HR system.
    employee_number     text        Number that the employer gave the employee.
    first_name          text        First name.
    last_name           text        Last name.
    nationality         text        Nationality, as the HR system writes it.
    display_full_name   text        Full name in the form meant for display.
    job_title           text        Present job title.
    work_email          text        Email address at work.
    personal_email      text        Private email address.
    mobile_phone_number text        Mobile phone number.
    ssn                 text        Social security or national insurance number.
    tax_id              text        Tax number.
    gender              text        MALE, FEMALE, NON_BINARY, NOT_SPECIFIED, or the HR system's own word.
    ethnicity           text        WHITE, ASIAN, HISPANIC_LATINO, HAWAIIAN, NATIVE_AMERICAN, BLACK_AFRICAN_AMERICAN,
                                    MULTIPLE_ETHNICITIES, DECLINE_TO_SPECIFY, or the HR system's own word.
    marital_status      text        SINGLE, MARRIED, DOMESTIC_PARTNERSHIP, WIDOWED, DIVORCED, SEPARATED, NOT_MARRIED,
                                    or the HR system's own word.
    employment_status   text        ACTIVE, PENDING, INACTIVE, LEAVE, or the HR system's own word.
    employment_type     text        FULL_TIME, PART_TIME, CONTRACT, INTERNSHIP, FREELANCE, WORKING_STUDENT,
                                    APPRENTICESHIP, TRAINING, or the HR system's own word.
    weekly_hours        numeric     Working time agreed upon, in hours per week.
    avatar              text        URL of a picture of the employee.
    work_location_id    text        Place of work: id in hris_locations.
    legal_entity_id     text        Employer: id in hris_legal_entities.
    manager_id          text        Manager: id in hris_employees.
    home_address        jsonb       Home address: street_1, street_2, zip_code, city, state, country (ISO 3166-1
                                    alpha-2), raw.
    bank_accounts       jsonb       List of bank accounts: iban, bic, account_number, holder_name, bank_name,
                                    domestic_bank_routing.
    date_of_birth       date        Date of birth.
    start_date          date        First day with the employer.
    termination_date    date        Last day with the employer.
    remote_created_at   timestamptz When the HR system created the employee.
    integration_fields  jsonb       List of the fields mapped for this integration: id, key, type (DEFAULT or CUSTOM),
                                    value, label.
$$);
SELECT kombo_internal.ship_fields('hris_employments', $$
    remote_id          text    Id of the employment in the HR system.
    employee_id        text about Who is employed: id in hris_employees.
    job_title          text    Job title under these terms.
    pay_rate           numeric Pay per "pay_period", in "pay_currency".
    pay_period         text    Span that "pay_rate" pays for: HOUR, DAY, WEEK, TWO_WEEKS, HALF_MONTH, MONTH,
                               TWO_MONTHS, QUARTER, HALF_YEAR, YEAR, or the HR system's own word.
    pay_frequency      text    How often pay is paid out: DAILY, WEEKLY, BIWEEKLY, MONTHLY, SEMIMONTHLY, QUARTERLY,
                               SEMIANNUALLY, ANNUALLY, PRO_RATA, or the HR system's own word.
    employment_type    text    FULL_TIME, PART_TIME, CONTRACT, INTERNSHIP, FREELANCE, WORKING_STUDENT, APPRENTICESHIP,
                               TRAINING, or the HR system's own word.
    pay_currency       text    Currency of "pay_rate", ISO 4217 code.
    effective_date     date    Day from which these terms apply.
    integration_fields jsonb   List of the fields mapped for this integration: id, key, type (DEFAULT or CUSTOM),
                               value, label.
$$);
SELECT kombo_internal.ship_fields('hris_teams', $$
    remote_id text Id of the group in the HR system.
    name      text Name of the group.
    type      text DEPARTMENT, TEAM or COST_CENTER.
    parent_id text Group above this one: id in hris_teams.
$$);
SELECT kombo_internal.ship_fields('hris_legal_entities', $$
    remote_id text  Id of the legal entity in the HR system.
    name      text  Name of the legal entity.
    address   jsonb Address: street_1, street_2, zip_code, city, state, country (ISO 3166-1 alpha-2), raw.
$$);
SELECT kombo_internal.ship_fields('hris_locations', $$
    remote_id text  Id of the location in the HR system.
    name      text  Name of the location.
    address   jsonb Address: street_1, street_2, zip_code, city, state, country (ISO 3166-1 alpha-2), raw.
    type      text  Kind of location, in the HR system's own words.
$$);
SELECT kombo_internal.ship_fields('hris_performance_review_cycles', $$
    remote_id                text Id of the review cycle in the HR system.
    name                     text Name of the review cycle.
    review_period_start_date date First day of the period under review.
$$);
SELECT kombo_internal.ship_fields('hris_performance_reviews', $$
    remote_id       text  Id of the review in the HR system.
    type            text  How the reviewer stands to the reviewee: MANAGER, DIRECT_REPORT, PEER or SELF.
    summary_comment text  Overall verdict in words.
    summary_rating  jsonb Overall rating: type NUMERIC with min, max, value, or SINGLE_SELECT with ordered_options,
                          value.
    reviewee_id     text about <reviewee.id> Who is reviewed: id in hris_employees.
    reviewer_id     text  <reviewer.id> Who reviews: id in hris_employees.
    review_cycle_id text  <review_cycle.id> Round of reviews: id in hris_performance_review_cycles.
$$);
SELECT kombo_internal.ship_fields('hris_skills', $$
    remote_id            text  Id of the skill in the HR system.
    name                 text  Name of the skill.
    description          text  What the skill is.
    ordered_levels       jsonb List of the names of the levels, in order.
    proficiency_scale_id text  <proficiency_scale.id> Scale on which the skill is rated: id in
                               hris_skill_proficiency_scales.
$$);
SELECT kombo_internal.ship_fields('hris_skill_proficiency_scales', $$
    remote_id       text    Id of the scale in the HR system.
    type            text    NUMERIC or SINGLE_SELECT.
    min             numeric Lowest value of a NUMERIC scale.
    max             numeric Highest value of a NUMERIC scale.
    step            numeric Distance of neighbouring values of a NUMERIC scale.
    ordered_options jsonb   List of the options of a SINGLE_SELECT scale, in order: id, remote_id, name.
$$);
SELECT kombo_internal.ship_fields('hris_staffing_entities', $$
    remote_id          text        Id of the staffing entity in the HR system.
    name               text        Name of the job, position or requisition.
    model_type         text        JOB, POSITION or REQUISITION.
    description        text        Description of the work.
    status             text        OPEN_LIMITED, OPEN_UNLIMITED, PENDING, FROZEN, FILLED or CLOSED.
    employment_types   jsonb       List of employment types that fit: remote_label, and unified_type as in
                                   hris_employees.employment_type.
    number_of_openings numeric     Number of people that can be hired.
    parent_id          text        Staffing entity above this one: id in hris_staffing_entities.
    remote_url         text        URL of the staffing entity in the HR system.
    remote_created_at  timestamptz When the HR system created it.
    remote_updated_at  timestamptz When the HR system last changed it.
    integration_fields jsonb       List of the fields mapped for this integration: id, key, type (DEFAULT or CUSTOM),
                                   value, label.
$$);
SELECT kombo_internal.ship_fields('hris_time_off_balances', $$
    remote_id    text    Id of the balance in the HR system.
    employee_id  text about Whose balance: id in hris_employees.
    type_id      text    Kind of absence: id in hris_absence_types.
    balance      numeric Balance of time off, counted in "balance_unit".
    balance_unit text    Unit of "balance": HOURS or DAYS.
    used         numeric Time off used, counted in "used_unit".
    used_unit    text    Unit of "used": HOURS or DAYS.
$$);
SELECT kombo_internal.ship_fields('hris_timesheets', $$
    remote_id            text        Id of the timesheet in the HR system.
    employee_id          text about  Who worked: id in hris_employees.
    started_at           timestamptz When work began.
    ended_at             timestamptz When work ended.
    timezone             text        Offset from UTC at the place of work, as +HH:MM or -HH:MM.
    payable_hours        numeric     Time to be paid, in hours.
    unpaid_break_minutes numeric     Breaks that are not paid, in minutes.
    breaks               jsonb       List of breaks: started_at, ended_at, paid.
    approval_status      text        State of approval.
    approved_at          timestamptz When the timesheet was approved.
    comment              text        Remark on the timesheet.
    integration_fields   jsonb       List of the fields mapped for this integration: id, key, type (DEFAULT or CUSTOM),
                                     value, label.
$$);
SELECT kombo_internal.ship_fields('hris_join_employees_teams', $$
    employee_id text key <> The member: id in hris_employees.
    team_id     text key <id> The group: id in hris_teams.
$$);
SELECT kombo_internal.ship_fields('hris_join_staffing_entities_locations', $$
    staffing_entity_id text key <> The staffing entity: id in hris_staffing_entities.
    location_id        text key <id> Where it is to be filled: id in hris_locations.
$$);
SELECT kombo_internal.ship_fields('hris_join_staffing_entities_legal_entities', $$
    staffing_entity_id text key <> The staffing entity: id in hris_staffing_entities.
    legal_entity_id    text key <id> The employer: id in hris_legal_entities.
$$);
SELECT kombo_internal.ship_fields('hris_join_staffing_entities_groups', $$
    staffing_entity_id text key <> The staffing entity: id in hris_staffing_entities.
    group_id           text key <id> The group: id in hris_teams.
$$);
SELECT kombo_internal.ship_fields('hris_join_staffing_entities_skills', $$
    staffing_entity_id   text key    The staffing entity: id in hris_staffing_entities.
    skill_id             text key    The skill that is asked for: id in hris_skills.
    expected_proficiency jsonb       Level asked for: type NUMERIC with value, or SINGLE_SELECT with selected_option_id.
    expected_level       numeric     Level asked for, as /hris/staffing-entity-skills has it.
    id                   text        Kombo's id of the link; NULL: it came with the staffing entity, without one.
    changed_at           timestamptz When Kombo last saw the link change.
    remote_deleted_at    timestamptz When the link was found to be gone from the source; NULL: it is there.
$$);
