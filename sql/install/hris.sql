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
    -- Whether these two take updated_after, cursor and page_size is not public: taken as no.
    ('/hris/skill-proficiency-ratings', 'HRIS', 'hris_employee_skill_proficiency_ratings', true, false, false, 'mark',
     'stable', 'How good employees are at skills: rows of several sources for one employee and skill.', true),
    ('/hris/skills', 'HRIS', 'hris_skills', true, false, false, 'mark', 'stable',
     'Skills that employees can have and staffing entities can ask for.', true),
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
    ('/hris/staffing-entities', 'hris_join_staffing_entities_skills', 'own', true),
    ('/hris/staffing-entities', 'hris_locations', 'carried', true),
    ('/hris/staffing-entities', 'hris_legal_entities', 'carried', true),
    ('/hris/staffing-entities', 'hris_teams', 'carried', true),
    ('/hris/staffing-entities', 'hris_skills', 'carried', true),
    -- Whether a changed scale shows in a delta is unknown: taken as no.
    ('/hris/staffing-entities', 'hris_skill_proficiency_scales', 'carried', false),
    ('/hris/teams', 'hris_teams', 'own', true),
    ('/hris/time-off-balances', 'hris_time_off_balances', 'own', true),
    ('/hris/time-off-balances', 'hris_absence_types', 'carried', true),
    ('/hris/timesheets', 'hris_timesheets', 'own', true)
  ) AS m (endpoint, model, role, delta);

-- Fields that stand in the record under the name of their column. What every model table has is not listed.
INSERT INTO kombo.fields (table_name, position, column_name, type, json_key, comment, shipped)
SELECT table_name, position, column_name, type, column_name, comment, true
  FROM (VALUES
    ('hris_absence_types', 1, 'remote_id', 'text', 'Id of the absence type in the HR system.'),
    ('hris_absence_types', 2, 'name', 'text', 'Name of the absence type.'),
    ('hris_absence_types', 3, 'unit', 'text', 'Unit in which such absences are counted: HOURS or DAYS.'),
    ('hris_absence_types', 4, 'half_days_supported', 'boolean', 'Whether they may begin or end at half a day.'),
    ('hris_absence_types', 5, 'exact_times_supported', 'boolean', 'Whether they may begin or end at a time of day.'),

    ('hris_absences', 1, 'remote_id', 'text', 'Id of the absence in the HR system.'),
    ('hris_absences', 2, 'employee_id', 'text', 'Who is absent: id in hris_employees.'),
    ('hris_absences', 3, 'start_date', 'date', 'First day of the absence.'),
    ('hris_absences', 4, 'end_date', 'date', 'Last day of the absence.'),
    ('hris_absences', 5, 'start_half_day', 'boolean', 'Whether only half of the first day is taken.'),
    ('hris_absences', 6, 'end_half_day', 'boolean', 'Whether only half of the last day is taken.'),
    ('hris_absences', 7, 'start_time', 'time', 'Time of day at which the absence begins, local to the employee.'),
    ('hris_absences', 8, 'end_time', 'time', 'Time of day at which the absence ends, local to the employee.'),
    ('hris_absences', 9, 'amount', 'numeric', 'Length of the absence, counted in "unit".'),
    ('hris_absences', 10, 'unit', 'text', 'Unit of "amount": HOURS or DAYS.'),
    ('hris_absences', 11, 'status', 'text',
     'REQUESTED, APPROVED, DECLINED, CANCELLED, DELETED, or the HR system''s own word.'),
    ('hris_absences', 12, 'employee_note', 'text', 'What the employee wrote about the absence.'),
    ('hris_absences', 13, 'type_id', 'text', 'Kind of absence: id in hris_absence_types.'),
    ('hris_absences', 14, 'remote_created_at', 'timestamptz', 'When the HR system created the absence.'),
    ('hris_absences', 15, 'remote_updated_at', 'timestamptz', 'When the HR system last changed the absence.'),
    ('hris_absences', 16, 'approver_id', 'text', 'Who approved: id in hris_employees. Deprecated by Kombo.'),

    ('hris_employee_document_categories', 1, 'remote_id', 'text', 'Id of the category in the HR system.'),
    ('hris_employee_document_categories', 2, 'name', 'text', 'Name of the category.'),

    ('hris_employee_skill_proficiency_ratings', 1, 'remote_id', 'text', 'Id of the rating in the HR system.'),
    ('hris_employee_skill_proficiency_ratings', 2, 'employee_id', 'text', 'Who is rated: id in hris_employees.'),
    ('hris_employee_skill_proficiency_ratings', 3, 'skill_id', 'text', 'The skill: id in hris_skills.'),
    ('hris_employee_skill_proficiency_ratings', 4, 'proficiency', 'jsonb',
     'Level reached, by its type: of SINGLE_SELECT {"options": [...], "selected_option_id": ...}.'),
    ('hris_employee_skill_proficiency_ratings', 5, 'rating_source', 'text',
     'Who rated, such as SELF or EXTERNAL.'),

    ('hris_employees', 1, 'remote_id', 'text', 'Id of the employee in the HR system.'),
    ('hris_employees', 2, 'employee_number', 'text', 'Number that the employer gave the employee.'),
    ('hris_employees', 3, 'first_name', 'text', 'First name.'),
    ('hris_employees', 4, 'last_name', 'text', 'Last name.'),
    ('hris_employees', 5, 'nationality', 'text', 'Nationality, as the HR system writes it.'),
    ('hris_employees', 6, 'display_full_name', 'text', 'Full name in the form meant for display.'),
    ('hris_employees', 7, 'job_title', 'text', 'Present job title.'),
    ('hris_employees', 8, 'work_email', 'text', 'Email address at work.'),
    ('hris_employees', 9, 'personal_email', 'text', 'Private email address.'),
    ('hris_employees', 10, 'mobile_phone_number', 'text', 'Mobile phone number.'),
    ('hris_employees', 11, 'ssn', 'text', 'Social security or national insurance number.'),
    ('hris_employees', 12, 'tax_id', 'text', 'Tax number.'),
    ('hris_employees', 13, 'gender', 'text',
     'MALE, FEMALE, NON_BINARY, NOT_SPECIFIED, or the HR system''s own word.'),
    ('hris_employees', 14, 'ethnicity', 'text',
     'WHITE, ASIAN, HISPANIC_LATINO, HAWAIIAN, NATIVE_AMERICAN, BLACK_AFRICAN_AMERICAN, MULTIPLE_ETHNICITIES, '
     'DECLINE_TO_SPECIFY, or the HR system''s own word.'),
    ('hris_employees', 15, 'marital_status', 'text',
     'SINGLE, MARRIED, DOMESTIC_PARTNERSHIP, WIDOWED, DIVORCED, SEPARATED, NOT_MARRIED, or the HR system''s own word.'),
    ('hris_employees', 16, 'employment_status', 'text',
     'ACTIVE, PENDING, INACTIVE, LEAVE, or the HR system''s own word.'),
    ('hris_employees', 17, 'employment_type', 'text',
     'FULL_TIME, PART_TIME, CONTRACT, INTERNSHIP, FREELANCE, WORKING_STUDENT, APPRENTICESHIP, TRAINING, '
     'or the HR system''s own word.'),
    ('hris_employees', 18, 'weekly_hours', 'numeric', 'Working time agreed upon, in hours per week.'),
    ('hris_employees', 19, 'avatar', 'text', 'URL of a picture of the employee.'),
    ('hris_employees', 20, 'work_location_id', 'text', 'Place of work: id in hris_locations.'),
    ('hris_employees', 21, 'legal_entity_id', 'text', 'Employer: id in hris_legal_entities.'),
    ('hris_employees', 22, 'manager_id', 'text', 'Manager: id in hris_employees.'),
    ('hris_employees', 23, 'home_address', 'jsonb',
     'Home address: street_1, street_2, zip_code, city, state, country (ISO 3166-1 alpha-2), raw.'),
    ('hris_employees', 24, 'bank_accounts', 'jsonb',
     'List of bank accounts: iban, bic, account_number, holder_name, bank_name, domestic_bank_routing.'),
    ('hris_employees', 25, 'date_of_birth', 'date', 'Date of birth.'),
    ('hris_employees', 26, 'start_date', 'date', 'First day with the employer.'),
    ('hris_employees', 27, 'termination_date', 'date', 'Last day with the employer.'),
    ('hris_employees', 28, 'remote_created_at', 'timestamptz', 'When the HR system created the employee.'),

    ('hris_employments', 1, 'remote_id', 'text', 'Id of the employment in the HR system.'),
    ('hris_employments', 2, 'employee_id', 'text', 'Who is employed: id in hris_employees.'),
    ('hris_employments', 3, 'job_title', 'text', 'Job title under these terms.'),
    ('hris_employments', 4, 'pay_rate', 'numeric', 'Pay per "pay_period", in "pay_currency".'),
    ('hris_employments', 5, 'pay_period', 'text',
     'Span that "pay_rate" pays for: HOUR, DAY, WEEK, TWO_WEEKS, HALF_MONTH, MONTH, TWO_MONTHS, QUARTER, HALF_YEAR, '
     'YEAR, or the HR system''s own word.'),
    ('hris_employments', 6, 'pay_frequency', 'text',
     'How often pay is paid out: DAILY, WEEKLY, BIWEEKLY, MONTHLY, SEMIMONTHLY, QUARTERLY, SEMIANNUALLY, ANNUALLY, '
     'PRO_RATA, or the HR system''s own word.'),
    ('hris_employments', 7, 'employment_type', 'text',
     'FULL_TIME, PART_TIME, CONTRACT, INTERNSHIP, FREELANCE, WORKING_STUDENT, APPRENTICESHIP, TRAINING, '
     'or the HR system''s own word.'),
    ('hris_employments', 8, 'pay_currency', 'text', 'Currency of "pay_rate", ISO 4217 code.'),
    ('hris_employments', 9, 'effective_date', 'date', 'Day from which these terms apply.'),

    ('hris_teams', 1, 'remote_id', 'text', 'Id of the group in the HR system.'),
    ('hris_teams', 2, 'name', 'text', 'Name of the group.'),
    ('hris_teams', 3, 'type', 'text', 'DEPARTMENT, TEAM or COST_CENTER.'),
    ('hris_teams', 4, 'parent_id', 'text', 'Group above this one: id in hris_teams.'),

    ('hris_legal_entities', 1, 'remote_id', 'text', 'Id of the legal entity in the HR system.'),
    ('hris_legal_entities', 2, 'name', 'text', 'Name of the legal entity.'),
    ('hris_legal_entities', 3, 'address', 'jsonb',
     'Address: street_1, street_2, zip_code, city, state, country (ISO 3166-1 alpha-2), raw.'),

    ('hris_locations', 1, 'remote_id', 'text', 'Id of the location in the HR system.'),
    ('hris_locations', 2, 'name', 'text', 'Name of the location.'),
    ('hris_locations', 3, 'address', 'jsonb',
     'Address: street_1, street_2, zip_code, city, state, country (ISO 3166-1 alpha-2), raw.'),
    ('hris_locations', 4, 'type', 'text', 'Kind of location, in the HR system''s own words.'),

    ('hris_performance_review_cycles', 1, 'remote_id', 'text', 'Id of the review cycle in the HR system.'),
    ('hris_performance_review_cycles', 2, 'name', 'text', 'Name of the review cycle.'),
    ('hris_performance_review_cycles', 3, 'review_period_start_date', 'date', 'First day of the period under review.'),

    ('hris_performance_reviews', 1, 'remote_id', 'text', 'Id of the review in the HR system.'),
    ('hris_performance_reviews', 2, 'type', 'text',
     'How the reviewer stands to the reviewee: MANAGER, DIRECT_REPORT, PEER or SELF.'),
    ('hris_performance_reviews', 3, 'summary_comment', 'text', 'Overall verdict in words.'),
    ('hris_performance_reviews', 4, 'summary_rating', 'jsonb',
     'Overall rating: type NUMERIC with min, max, value, or SINGLE_SELECT with ordered_options, value.'),

    ('hris_skills', 1, 'remote_id', 'text', 'Id of the skill in the HR system.'),
    ('hris_skills', 2, 'name', 'text', 'Name of the skill.'),
    ('hris_skills', 3, 'description', 'text', 'What the skill is.'),
    ('hris_skills', 4, 'ordered_levels', 'jsonb', 'List of the names of the levels, in order.'),

    ('hris_skill_proficiency_scales', 1, 'remote_id', 'text', 'Id of the scale in the HR system.'),
    ('hris_skill_proficiency_scales', 2, 'type', 'text', 'NUMERIC or SINGLE_SELECT.'),
    ('hris_skill_proficiency_scales', 3, 'min', 'numeric', 'Lowest value of a NUMERIC scale.'),
    ('hris_skill_proficiency_scales', 4, 'max', 'numeric', 'Highest value of a NUMERIC scale.'),
    ('hris_skill_proficiency_scales', 5, 'step', 'numeric', 'Distance of neighbouring values of a NUMERIC scale.'),
    ('hris_skill_proficiency_scales', 6, 'ordered_options', 'jsonb',
     'List of the options of a SINGLE_SELECT scale, in order: id, remote_id, name.'),

    ('hris_staffing_entities', 1, 'remote_id', 'text', 'Id of the staffing entity in the HR system.'),
    ('hris_staffing_entities', 2, 'name', 'text', 'Name of the job, position or requisition.'),
    ('hris_staffing_entities', 3, 'model_type', 'text', 'JOB, POSITION or REQUISITION.'),
    ('hris_staffing_entities', 4, 'description', 'text', 'Description of the work.'),
    ('hris_staffing_entities', 5, 'status', 'text', 'OPEN_LIMITED, OPEN_UNLIMITED, PENDING, FROZEN, FILLED or CLOSED.'),
    ('hris_staffing_entities', 6, 'employment_types', 'jsonb',
     'List of employment types that fit: remote_label, and unified_type as in hris_employees.employment_type.'),
    ('hris_staffing_entities', 7, 'number_of_openings', 'numeric', 'Number of people that can be hired.'),
    ('hris_staffing_entities', 8, 'parent_id', 'text', 'Staffing entity above this one: id in hris_staffing_entities.'),
    ('hris_staffing_entities', 9, 'remote_url', 'text', 'URL of the staffing entity in the HR system.'),
    ('hris_staffing_entities', 10, 'remote_created_at', 'timestamptz', 'When the HR system created it.'),
    ('hris_staffing_entities', 11, 'remote_updated_at', 'timestamptz', 'When the HR system last changed it.'),

    ('hris_time_off_balances', 1, 'remote_id', 'text', 'Id of the balance in the HR system.'),
    ('hris_time_off_balances', 2, 'employee_id', 'text', 'Whose balance: id in hris_employees.'),
    ('hris_time_off_balances', 3, 'type_id', 'text', 'Kind of absence: id in hris_absence_types.'),
    ('hris_time_off_balances', 4, 'balance', 'numeric', 'Balance of time off, counted in "balance_unit".'),
    ('hris_time_off_balances', 5, 'balance_unit', 'text', 'Unit of "balance": HOURS or DAYS.'),
    ('hris_time_off_balances', 6, 'used', 'numeric', 'Time off used, counted in "used_unit".'),
    ('hris_time_off_balances', 7, 'used_unit', 'text', 'Unit of "used": HOURS or DAYS.'),

    ('hris_timesheets', 1, 'remote_id', 'text', 'Id of the timesheet in the HR system.'),
    ('hris_timesheets', 2, 'employee_id', 'text', 'Who worked: id in hris_employees.'),
    ('hris_timesheets', 3, 'started_at', 'timestamptz', 'When work began.'),
    ('hris_timesheets', 4, 'ended_at', 'timestamptz', 'When work ended.'),
    ('hris_timesheets', 5, 'timezone', 'text', 'Offset from UTC at the place of work, as +HH:MM or -HH:MM.'),
    ('hris_timesheets', 6, 'payable_hours', 'numeric', 'Time to be paid, in hours.'),
    ('hris_timesheets', 7, 'unpaid_break_minutes', 'numeric', 'Breaks that are not paid, in minutes.'),
    ('hris_timesheets', 8, 'breaks', 'jsonb', 'List of breaks: started_at, ended_at, paid.'),
    ('hris_timesheets', 9, 'approval_status', 'text', 'State of approval.'),
    ('hris_timesheets', 10, 'approved_at', 'timestamptz', 'When the timesheet was approved.'),
    ('hris_timesheets', 11, 'comment', 'text', 'Remark on the timesheet.')
  ) AS f (table_name, position, column_name, type, comment);

INSERT INTO kombo.fields (table_name, position, column_name, type, json_key, comment, shipped)
SELECT table_name, position, 'integration_fields', 'jsonb', 'integration_fields',
       'List of the fields mapped for this integration: id, key, type (DEFAULT or CUSTOM), value, label.', true
  FROM (VALUES ('hris_employees', 29),
               ('hris_employments', 10),
               ('hris_staffing_entities', 12),
               ('hris_timesheets', 12))
       AS t (table_name, position);

-- Ids of nested records that have no "<name>_id" beside them.
INSERT INTO kombo.fields (table_name, position, column_name, type, json_key, comment, shipped)
VALUES
    ('hris_performance_reviews', 5, 'reviewee_id', 'text', 'reviewee.id',
     'Who is reviewed: id in hris_employees.', true),
    ('hris_performance_reviews', 6, 'reviewer_id', 'text', 'reviewer.id', 'Who reviews: id in hris_employees.', true),
    ('hris_performance_reviews', 7, 'review_cycle_id', 'text', 'review_cycle.id',
     'Round of reviews: id in hris_performance_review_cycles.', true),
    ('hris_skills', 5, 'proficiency_scale_id', 'text', 'proficiency_scale.id',
     'Scale on which the skill is rated: id in hris_skill_proficiency_scales.', true);

-- Join tables. The parent's id is not in the nested record, so it has no JSON key.
INSERT INTO kombo.fields (table_name, position, column_name, type, json_key, key, comment, shipped)
VALUES
    ('hris_join_employees_teams', 1, 'employee_id', 'text', NULL, true, 'The member: id in hris_employees.', true),
    ('hris_join_employees_teams', 2, 'team_id', 'text', 'id', true, 'The group: id in hris_teams.', true),

    ('hris_join_staffing_entities_locations', 1, 'staffing_entity_id', 'text', NULL, true,
     'The staffing entity: id in hris_staffing_entities.', true),
    ('hris_join_staffing_entities_locations', 2, 'location_id', 'text', 'id', true,
     'Where it is to be filled: id in hris_locations.', true),

    ('hris_join_staffing_entities_legal_entities', 1, 'staffing_entity_id', 'text', NULL, true,
     'The staffing entity: id in hris_staffing_entities.', true),
    ('hris_join_staffing_entities_legal_entities', 2, 'legal_entity_id', 'text', 'id', true,
     'The employer: id in hris_legal_entities.', true),

    ('hris_join_staffing_entities_groups', 1, 'staffing_entity_id', 'text', NULL, true,
     'The staffing entity: id in hris_staffing_entities.', true),
    ('hris_join_staffing_entities_groups', 2, 'group_id', 'text', 'id', true, 'The group: id in hris_teams.', true),

    ('hris_join_staffing_entities_skills', 1, 'staffing_entity_id', 'text', NULL, true,
     'The staffing entity: id in hris_staffing_entities.', true),
    ('hris_join_staffing_entities_skills', 2, 'skill_id', 'text', 'skill_id', true,
     'The skill that is asked for: id in hris_skills.', true),
    ('hris_join_staffing_entities_skills', 3, 'expected_proficiency', 'jsonb', 'expected_proficiency', false,
     'Level asked for: type NUMERIC with value, or SINGLE_SELECT with selected_option_id.', true);

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
