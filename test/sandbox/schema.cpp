#include "schema.h"

#include <algorithm>
#include <array>
#include <sstream>
#include <stdexcept>

namespace sandbox {

namespace {

// NAME PATH PREFIX COUNT [plain|unpaginated] [as CHANGED_MODEL|-], then a field a line: key, `?` if it may be null, and
// what it holds:
// (`position` is that of an entry, shown nested alone.)
//   ids id times text one_of json time day number integer position boolean address custom mapped raw
//   ref MODEL [parent|cycle|hidden]
//   object MODEL by FIELD [moves] (keys shown)
//   children MODEL by FIELD [moves|comes] (keys shown)
//   joined MODEL as JOIN [in KEY] [moves|comes] (keys shown)
// `moves`: a change of the nested record moves the record into updated_after; in a list also what comes and leaves,
// which is all that does where it says `comes`. COUNT: employees * a / b + c. `plain` lists take no updated_after. What
// is indented further goes on with the line before.
constexpr const char *text = R"(
ats_users /ats/users recruiter 1/20+4
  ids
  first_name one_of Ada|Grace|Jürgen
  last_name text Recruiter
  email? text recruiter@example.com
  status? one_of ACTIVE|INACTIVE
  times
  system_roles json [] || [{"remote_id":"r1","remote_label":"Admin","unified_type":"ADMIN","scope":"SYSTEM"}]
  remote_data raw

ats_jobs /ats/jobs job 1/50+5
  ids
  name text Engineer
  job_code? text JC
  description? text <p>Build things.</p>
  confidential? boolean
  weekly_hours? number
  employment_type? one_of FULL_TIME|PART_TIME|CONTRACT|SEASONAL|INTERNSHIP
  status? one_of OPEN|CLOSED|DRAFT|ARCHIVED
  visibility? one_of PUBLIC|INTERNAL|UNLISTED|CONFIDENTIAL
  category? text Category
  department? text Department
  post_url? text https://example.com/jobs/
  experience_level? one_of Senior|Junior
  remote_work_status? one_of REMOTE|HYBRID|TEMPORARY|ON_SITE
  salary_amount? number
  salary_amount_from? number
  salary_amount_to? number
  salary_currency? one_of EUR|USD
  salary_period? one_of YEAR|MONTH|TWO_WEEKS|WEEK|DAY|HOUR
  location? address
  custom_fields custom
  remote_url? text https://ats.example.com/
  opened_at? time
  closed_at? time
  remote_created_at? time
  remote_updated_at? time
  contact_id? ref ats_users
  times
  stages joined ats_application_stages as ats_join_jobs_application_stages comes (id remote_id name status
      custom_fields remote_data)
  screening_questions joined ats_screening_questions as ats_join_jobs_screening_questions moves (id remote_id
      title description format category)
  job_postings children ats_job_postings by job_id moves (id remote_id title description_html status visibility
      url remote_data)
  hiring_team joined ats_users as ats_join_jobs_users comes (id remote_id first_name last_name email)
  integration_fields mapped
  remote_data raw

ats_job_postings - posting 1/25+6
  ids
  job_id ref ats_jobs parent hidden
  title? text Posting
  description_html? text <p>Apply now.</p>
  status? one_of ACTIVE|INACTIVE|DRAFT
  visibility? one_of PUBLIC|INTERNAL|UNLISTED
  url? text https://example.com/postings/
  times
  remote_data raw

ats_screening_questions - question 0/1+9
  ids
  title? text Question
  description? text Why
  format? json {"type":"TEXT","display_type":"EMAIL","max_length":80} ||
      {"type":"NUMBER","display_type":null,"min":0.5,"max":10} ||
      {"type":"SINGLE_SELECT","display_type":"RADIO","options":[{"id":"o1","remote_id":null,"name":"Yes"}]} ||
      {"type":"BOOLEAN"} || {"type":"UNKNOWN","raw_question":{"a":[1,null]}}
  category? one_of EEO|DEMOGRAPHIC
  times

ats_candidates /ats/candidates candidate 1/1
  ids
  first_name? one_of Zoë|Max|Amélie
  last_name? text Candidate
  company? text Company
  title? text Title
  confidential? boolean
  source? one_of LinkedIn|Referral
  phone_numbers json [] || [{"phone_number":"+49 30 1","type":"MOBILE"}]
  email_addresses json [{"email_address":"c@example.com","type":null}] || []
  social_media json [] || [{"link":"https://example.com","type":null,"username":"c"}]
  location? address
  custom_fields custom
  remote_url? text https://ats.example.com/candidates/
  remote_created_at? time
  remote_updated_at? time
  times
  applications children ats_applications by candidate_id moves (id remote_id outcome rejection_reason_name
      rejected_at remote_url changed_at remote_created_at remote_updated_at current_stage(id name remote_id index)
      job(id name remote_id))
  tags joined ats_tags as ats_join_candidates_tags comes (id name remote_id)
  integration_fields mapped
  remote_data raw

ats_applications /ats/applications application 3/2
  ids
  outcome? one_of PENDING|HIRED|DECLINED
  rejection_reason_name? text Reason
  rejected_at? time
  current_stage_id? ref ats_application_stages
  job_id? ref ats_jobs
  candidate_id ref ats_candidates parent
  screening_question_answers json [] ||
      [{"answer":{"content":"Yes"},"question":{"remote_id":null,"title":"Why?","type":"TEXT"}}]
  custom_fields custom
  remote_url? text https://ats.example.com/applications/
  times
  remote_created_at? time
  remote_updated_at? time
  candidate object ats_candidates by candidate_id moves (id remote_id first_name last_name email_addresses
      phone_numbers social_media source remote_url tags)
  current_stage object ats_application_stages by current_stage_id (id remote_id name status custom_fields index)
  job object ats_jobs by job_id (id remote_id name)
  interviews children ats_interviews by application_id moves (id remote_id title starting_at ending_at location
      canceled)
  offers children ats_offers by application_id moves (id remote_id status)
  integration_fields mapped
  remote_data raw

ats_application_stages /ats/application-stages stage 0/1+6
  ids
  index position
  name? text Stage
  status? one_of ACTIVE|INACTIVE
  custom_fields custom
  times
  remote_data raw

ats_interviews /ats/interviews interview 1/2
  ids
  title? text Interview
  starting_at? time
  ending_at? time
  location? address
  video_conferencing_url? text https://meet.example.com/
  application_id ref ats_applications parent
  stage_id? ref ats_application_stages
  canceled? boolean
  remote_created_at? time
  remote_updated_at? time
  times
  users joined ats_users as ats_join_interviews_users comes (id remote_id first_name last_name email)
  application object ats_applications by application_id moves (id remote_id outcome rejection_reason_name
      candidate(id remote_id first_name last_name email_addresses) job(id remote_id name))
  remote_data raw

ats_offers /ats/offers offer 1/5
  ids
  status? one_of ACCEPTED|DECLINED|SENT|APPROVED|DRAFT|ABANDONED
  employment_start_date? day
  application_id ref ats_applications parent
  custom_fields custom
  times
  remote_created_at? time
  remote_updated_at? time
  application object ats_applications by application_id moves (candidate(id remote_id first_name last_name
      email_addresses) job(id remote_id name))
  integration_fields mapped
  remote_data raw

ats_notes /ats/notes note 1/4
  ids
  candidate_id ref ats_candidates
  application_id? ref ats_applications
  author_id? ref ats_users
  title? text Note
  content_html? text <p>Good.</p>
  is_private? boolean
  remote_created_at? time
  remote_updated_at? time
  times
  author object ats_users by author_id (id remote_id first_name last_name email)

ats_rejection_reasons /ats/rejection-reasons reason 0/1+4
  ids
  name? text Reason
  times
  remote_data raw

ats_roles /ats/roles role 0/1+5
  ids
  remote_label? text Role
  scope? one_of SYSTEM|JOB
  unified_type? one_of HIRING_MANAGER|RECRUITER|COORDINATOR|SOURCER|INTERVIEWER|ADMIN
  times
  remote_data raw

ats_scorecards /ats/scorecards scorecard 1/5 unpaginated
  ids
  overall? text Rating
  times

ats_tags /ats/tags tag 0/1+7
  ids
  name? text Tag
  times
  remote_data raw

join ats_join_jobs_application_stages job_id application_stage_id
  index position

join ats_join_jobs_screening_questions job_id screening_question_id
  index position
  required? boolean
  precondition_question_id? one_of SomeQuestion
  precondition_options? json ["o1"] || [true]

join ats_join_jobs_users job_id user_id
  hiring_team_roles json ["RECRUITER"] || []
  job_roles json [] || [{"remote_id":null,"remote_label":"Boss","unified_type":"HIRING_MANAGER","scope":"JOB"}]

join ats_join_candidates_tags candidate_id tag_id
join ats_join_interviews_users interview_id user_id

lms_users /lms/users learner 1/1
  ids
  first_name? one_of Ada|Grace
  last_name? text Learner
  work_email? text learner@example.com
  status? one_of ACTIVE|INACTIVE
  remote_created_at? time
  times
  remote_data raw
  custom_fields custom
  integration_fields mapped

lms_course_providers - provider 0/1+3
  ids
  name? text Provider
  times

lms_skills /lms/skills ability 0/1+8
  ids
  name? text Ability
  remote_created_at? time
  times
  remote_data raw
  custom_fields custom
  integration_fields mapped

lms_courses /lms/courses course 1/10+4
  ids
  provider_id? ref lms_course_providers
  origin_id? text origin
  remote_created_at? time
  times
  remote_data raw
  custom_fields custom
  integration_fields mapped
  provider object lms_course_providers by provider_id (id remote_id name)
  revisions children lms_course_revisions by course_id moves (id remote_id course_id title description remote_url
      status remote_created_at remote_deleted_at changed_at remote_data custom_fields integration_fields
      skill_assignments)

lms_course_revisions - revision 1/5+6
  ids
  course_id ref lms_courses parent
  title? text Revision
  description? text <p>Learn.</p>
  remote_url? text https://lms.example.com/
  status? one_of ACTIVE|INACTIVE
  remote_created_at? time
  times
  remote_data raw
  custom_fields custom
  integration_fields mapped
  course object lms_courses by course_id (id remote_id)
  skill_assignments joined lms_skills as lms_join_revisions_skills in skill (id remote_id name)

join lms_join_revisions_skills course_revision_id skill_id

lms_course_progressions /lms/course-progressions progression 2/1
  ids
  user_id ref lms_users
  course_revision_id ref lms_course_revisions
  status? one_of ENROLLED|IN_PROGRESS|COMPLETED|DROPPED
  enrolled_at? time
  completed_at? time
  times
  remote_data raw
  user object lms_users by user_id (id remote_id first_name last_name work_email)
  course_revision object lms_course_revisions by course_revision_id (id remote_id title course(id remote_id))

assessment_orders /assessment/orders order 1/2 plain as -
  id
  package_id one_of p1|p2
  status one_of OPEN|COMPLETED|CANCELLED|REJECTED
  candidate json {"remote_id":"c1","email":"a@example.com","first_name":"Ada","last_name":null,"phone":null} ||
      {"remote_id":null,"email":"b@example.com","first_name":null,"last_name":null,"phone":"1"}
  application json {"remote_id":"a1"} || {"remote_id":null}
  job json
      {"remote_id":"j1","name":"Engineer","job_code":null,"description":null,"location":{"city":"Berlin"},
      "hiring_team":[{"remote_id":"u1","email":null,"first_name":null,"last_name":null,
      "hiring_team_roles":["RECRUITER"]}]}
      || {"remote_id":null,"name":null,"job_code":null,"description":null,"location":null,"hiring_team":[]}

assessment_open_orders /assessment/orders/open open-order 1/10 plain as -
  id
  package_id one_of p1|p2
  candidate json {"remote_id":"c1","email":"a@example.com","first_name":"Ada","last_name":null,"phone":null}
  application json {"remote_id":"a1"}
  job json {"remote_id":"j1","name":"Engineer","job_code":null,"description":null,"location":null,"hiring_team":[]}

hris_staffing_entity_skills /hris/staffing-entity-skills staffing-skill 1/25+6 unpaginated as
      hris_join_staffing_entities_skills
  id
  staffing_entity_id ref hris_staffing_entities parent
  skill_id ref hris_skills cycle
  expected_level? number
  times
)";

[[noreturn]] void wrong(const std::string &line) {
    throw std::logic_error("the sandbox's schema is wrong: " + line);
}

std::vector<std::string> split(const std::string &list, const std::string &separator) {
    std::vector<std::string> parts;
    for (std::size_t start = 0;;) {
        const std::size_t end = list.find(separator, start);
        parts.push_back(list.substr(start, end == std::string::npos ? end : end - start));
        if (end == std::string::npos) return parts;
        start = end + separator.size();
    }
}

// The keys in parentheses, which begin at `at`; leaves it behind them.
std::vector<Shown> read_shown(const std::string &keys, std::size_t &at) {
    std::vector<Shown> shown;
    std::string key;
    for (++at; at < keys.size(); ++at) {
        const char c = keys[at];
        if (c != ' ' && c != '(' && c != ')') {
            key += c;
            continue;
        }
        if (!key.empty()) shown.push_back({key, {}});
        key.clear();
        if (c == '(') shown.back().below = read_shown(keys, at);
        if (c == ')') return shown;
    }
    wrong(keys);
}

Model model_of(const std::string &name, const std::vector<std::string> &described) {
    if (const auto own = own_model_by_name(name)) return *own;
    const auto found = std::find(described.begin(), described.end(), name);
    if (found == described.end()) wrong(name);
    return static_cast<Model>(own_model_count + static_cast<std::size_t>(found - described.begin()));
}

Field::Kind kind_of(const std::string &word) {
    static constexpr std::array<std::string_view, 20> words{
        "ids",      "id",      "times",   "text",   "one_of", "json", "time", "day",    "number",   "integer",
        "position", "boolean", "address", "custom", "mapped", "raw",  "ref",  "object", "children", "joined"};
    const auto found = std::find(words.begin(), words.end(), word);
    if (found == words.end()) wrong(word);
    return static_cast<Field::Kind>(found - words.begin());
}

Field read_field(const std::string &line, const std::vector<std::string> &described) {
    Field field;
    std::istringstream words(line);
    std::string kind;
    words >> field.key;
    if (field.key == "ids" || field.key == "id" || field.key == "times")
        kind = field.key;
    else
        words >> kind;
    if (field.key.back() == '?') {
        field.nullable = true;
        field.key.pop_back();
    }
    field.kind = kind_of(kind);
    std::string rest;
    std::getline(words >> std::ws, rest);
    if (field.kind == Field::Kind::text) field.texts = {rest};
    if (field.kind == Field::Kind::one_of) field.texts = split(rest, "|");
    if (field.kind == Field::Kind::json) field.texts = split(rest, " || ");
    if (field.kind < Field::Kind::reference) return field;
    if (std::size_t at = rest.find('('); at != std::string::npos) {
        const std::string keys = rest.substr(at);
        rest.resize(at);
        at = 0;
        field.shown = read_shown(keys, at);
    }
    std::istringstream options(rest);
    std::string word;
    options >> word;
    field.target = model_of(word, described);
    while (options >> word) {
        if (word == "by")
            options >> field.by;
        else if (word == "as")
            options >> field.join;
        else if (word == "in")
            options >> field.wrapped;
        else if (word == "moves")
            field.moved_by_record = field.moved_by_entries = true;
        else if (word == "comes")
            field.moved_by_entries = true;
        else if (word == "parent")
            field.parent = true;
        else if (word == "cycle")
            field.cycle = true;
        else if (word == "hidden")
            field.hidden = true;
        else
            wrong(line);
    }
    return field;
}

Description read_model(const std::string &line) {
    Description model;
    std::istringstream words(line);
    std::string count, option;
    words >> model.name >> model.path >> model.prefix >> count;
    model.changed = model.name;
    if (model.path == "-") model.path.clear();
    char slash = 0;
    std::istringstream numbers(count);
    numbers >> model.times >> slash >> model.per >> model.plus;
    while (words >> option) {
        if (option == "as") words >> model.changed;
        if (option == "plain") model.deltas = false;
        if (option == "unpaginated") model.paginated = model.deltas = false;
    }
    if (model.changed == "-") model.changed.clear();
    return model;
}

struct Schema {
    std::vector<Description> models;
    std::vector<Join> joins;

    Schema() {
        std::vector<std::string> lines;
        for (const std::string &line : split(text, "\n")) {
            if (line.compare(0, 6, "      ") == 0)
                lines.back() += line.substr(5);
            else
                lines.push_back(line);
        }
        std::vector<std::string> names;
        for (const std::string &line : lines)
            if (!line.empty() && line[0] != ' ' && line.compare(0, 5, "join ") != 0)
                names.push_back(line.substr(0, line.find(' ')));
        std::vector<Field> *fields = nullptr;
        for (const std::string &line : lines) {
            if (line.empty()) continue;
            if (line[0] == ' ') {
                fields->push_back(read_field(line, names));
            } else if (line.compare(0, 5, "join ") == 0) {
                Join join;
                std::istringstream(line.substr(5)) >> join.name >> join.parent_key >> join.target_key;
                joins.push_back(std::move(join));
                fields = &joins.back().fields;
            } else {
                models.push_back(read_model(line));
                fields = &models.back().fields;
            }
        }
        if (models.size() != model_count - own_model_count) wrong("model_count");
    }
};

const Schema &schema() {
    static const Schema read;
    return read;
}

} // namespace

const Field *Description::find(std::string_view key) const {
    for (const Field &field : fields)
        if (field.key == key) return &field;
    return nullptr;
}

const Field *Description::parent() const {
    for (const Field &field : fields)
        if (field.parent) return &field;
    return nullptr;
}

const Description &description(Model model) {
    return schema().models[slot(model) - own_model_count];
}

const Join &join_of(std::string_view name) {
    for (const Join &join : schema().joins)
        if (join.name == name) return join;
    wrong(std::string(name));
}

const std::vector<Join> &all_joins() {
    return schema().joins;
}

} // namespace sandbox
