#include "filters.h"

#include "admin_json.h"

#include <algorithm>
#include <cctype>

namespace sandbox {

namespace {

enum class Test { any_of, contains, at_least, at_most };

struct FieldFilter {
    std::string_view path;
    std::string_view parameter;
    std::string_view field; // with one dot into an object or an array of objects
    Test test;
};

constexpr FieldFilter field_filters[] = {
    {"/hris/employees", "employment_status", "employment_status", Test::any_of},
    {"/hris/employees", "employment_statuses", "employment_status", Test::any_of},
    {"/hris/employees", "group_ids", "groups.id", Test::any_of},
    {"/hris/employees", "legal_entity_ids", "legal_entity_id", Test::any_of},
    {"/hris/employees", "work_location_ids", "work_location_id", Test::any_of},
    {"/hris/employees", "work_emails", "work_email", Test::any_of},
    {"/hris/employees", "personal_emails", "personal_email", Test::any_of},
    {"/hris/groups", "types", "type", Test::any_of},
    {"/hris/groups", "name_contains", "name", Test::contains},
    {"/hris/legal-entities", "name_contains", "name", Test::contains},
    {"/hris/locations", "name_contains", "name", Test::contains},
    {"/hris/skills", "name_contains", "name", Test::contains},
    {"/hris/skill-proficiency-ratings", "employee_ids", "employee_id", Test::any_of},
    {"/hris/skill-proficiency-ratings", "skill_ids", "skill_id", Test::any_of},
    {"/hris/absences", "type_ids", "type_id", Test::any_of},
    {"/hris/absences", "employee_id", "employee_id", Test::any_of},
    {"/hris/absences", "date_from", "end_date", Test::at_least},
    {"/hris/absences", "date_until", "start_date", Test::at_most},
    {"/hris/time-off-balances", "employee_id", "employee_id", Test::any_of},
    {"/hris/timesheets", "employee_id", "employee_id", Test::any_of},
    {"/hris/timesheets", "started_after", "started_at", Test::at_least},
    {"/hris/timesheets", "started_before", "started_at", Test::at_most},
    {"/hris/timesheets", "ended_after", "ended_at", Test::at_least},
    {"/hris/timesheets", "ended_before", "ended_at", Test::at_most},
    {"/hris/performance-reviews", "types", "type", Test::any_of},
    {"/hris/performance-reviews", "review_cycle_ids", "review_cycle.id", Test::any_of},
    {"/hris/performance-reviews", "reviewee_ids", "reviewee.id", Test::any_of},
    {"/hris/staffing-entities", "model_types", "model_type", Test::any_of},
    {"/hris/staffing-entities", "statuses", "status", Test::any_of},
    {"/ats/applications", "current_stage_ids", "current_stage_id", Test::any_of},
    {"/ats/applications", "job_ids", "job_id", Test::any_of},
    {"/ats/applications", "outcomes", "outcome", Test::any_of},
    {"/ats/applications", "remote_created_after", "remote_created_at", Test::at_least},
    {"/ats/candidates", "first_name", "first_name", Test::contains},
    {"/ats/candidates", "last_name", "last_name", Test::contains},
    {"/ats/jobs", "employment_types", "employment_type", Test::any_of},
    {"/ats/jobs", "job_codes", "job_code", Test::any_of},
    {"/ats/jobs", "name_contains", "name", Test::contains},
    {"/ats/jobs", "remote_created_after", "remote_created_at", Test::at_least},
    {"/ats/jobs", "statuses", "status", Test::any_of},
    {"/ats/jobs", "visibilities", "visibility", Test::any_of},
    {"/ats/notes", "application_ids", "application_id", Test::any_of},
    {"/ats/notes", "candidate_ids", "candidate_id", Test::any_of},
    {"/ats/roles", "scopes", "scope", Test::any_of},
    {"/ats/users", "emails", "email", Test::any_of},
    {"/lms/course-progressions", "user_ids", "user_id", Test::any_of},
    {"/lms/users", "work_emails", "work_email", Test::any_of},
};

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

std::vector<std::string> values_at(const json_t *record, std::string_view field) {
    const std::size_t dot = field.find('.');
    const json_t *value = json_object_get(record, std::string(field.substr(0, dot)).c_str());
    std::vector<std::string> values;
    if (dot == std::string_view::npos) {
        if (json_is_string(value)) values.emplace_back(json_string_value(value));
        return values;
    }
    const std::string key(field.substr(dot + 1));
    if (json_is_array(value)) {
        for (std::size_t i = 0; i < json_array_size(value); ++i)
            values.push_back(text_at(json_array_get(value, i), key.c_str()));
    } else if (json_is_object(value)) {
        values.push_back(text_at(value, key.c_str()));
    }
    return values;
}

bool passes(const FieldFilter &filter, const std::string &wanted, const json_t *record) {
    const std::vector<std::string> values = values_at(record, filter.field);
    const std::set<std::string> any = filter.test == Test::any_of ? split(wanted) : std::set<std::string>{};
    return std::any_of(values.begin(), values.end(), [&](const std::string &value) {
        switch (filter.test) {
        case Test::any_of:
            return any.count(value) != 0;
        case Test::contains:
            return lower(value).find(lower(wanted)) != std::string::npos;
        case Test::at_least:
            return value >= wanted;
        case Test::at_most:
            return value <= wanted;
        }
        return false;
    });
}

} // namespace

bool is_field_filter(std::string_view path, std::string_view parameter) {
    return std::any_of(std::begin(field_filters), std::end(field_filters),
                       [&](const FieldFilter &filter) { return filter.path == path && filter.parameter == parameter; });
}

bool has_field_filters(std::string_view path, const Params &params) {
    return std::any_of(params.begin(), params.end(),
                       [&](const auto &param) { return is_field_filter(path, param.first); });
}

bool passes_field_filters(std::string_view path, const Params &params, const std::string &record) {
    const Json parsed = parse_json(record);
    return std::all_of(std::begin(field_filters), std::end(field_filters), [&](const FieldFilter &filter) {
        if (filter.path != path) return true;
        const auto wanted = params.find(std::string(filter.parameter));
        return wanted == params.end() || passes(filter, wanted->second, parsed.get());
    });
}

std::set<std::string> split(const std::string &list) {
    std::set<std::string> values;
    std::size_t start = 0;
    while (start <= list.size()) {
        std::size_t end = list.find(',', start);
        if (end == std::string::npos) end = list.size();
        if (end > start) values.insert(list.substr(start, end - start));
        start = end + 1;
    }
    return values;
}

} // namespace sandbox
