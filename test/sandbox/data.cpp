#include "data.h"

#include "schema.h"

#include <algorithm>

namespace sandbox {

const std::array<Model, model_count> all_models = [] {
    std::array<Model, model_count> all{};
    for (std::size_t i = 0; i < model_count; ++i) all[i] = static_cast<Model>(i);
    return all;
}();

namespace {

constexpr std::array<std::string_view, own_model_count> names{
    "hris_employees",
    "hris_employments",
    "hris_time_off_balances",
    "hris_absence_types",
    "hris_absences",
    "hris_teams",
    "hris_legal_entities",
    "hris_locations",
    "hris_employee_document_categories",
    "hris_timesheets",
    "hris_performance_review_cycles",
    "hris_performance_reviews",
    "hris_staffing_entities",
    "hris_skills",
    "hris_skill_proficiency_scales",
    "hris_employee_skill_proficiency_ratings",
};

constexpr Millis base_start = 1'704'067'200'000; // 2024-01-01T00:00:00Z

// Of every ten employees the third, sixth and ninth have two employments: 13 in all.
constexpr std::array<Index, 11> employments_before{0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13};

Index first_employment(Index employee) {
    return employee / 10 * 13 + employments_before[employee % 10];
}

std::uint64_t mix(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

} // namespace

std::string_view model_name(Model model) {
    return is_described(model) ? std::string_view(description(model).name) : names[slot(model)];
}

std::optional<Model> own_model_by_name(std::string_view name) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) return std::nullopt;
    return static_cast<Model>(found - names.begin());
}

std::optional<Model> model_by_name(std::string_view name) {
    for (const Model model : all_models)
        if (model_name(model) == name) return model;
    return std::nullopt;
}

Index BaseData::count(Model model) const {
    if (is_described(model)) {
        const Description &described = description(model);
        return employees_ * described.times / described.per + described.plus;
    }
    switch (model) {
    case Model::employees:
    case Model::time_off_balances:
        return employees_;
    case Model::employments:
        return first_employment(employees_);
    case Model::absences:
        return 2 * employees_;
    case Model::teams:
        return std::max<Index>(4, employees_ / 50);
    case Model::legal_entities:
        return 2 + std::min<Index>(employees_ / 5000, 20);
    case Model::locations:
        return 3 + std::min<Index>(employees_ / 1000, 50);
    case Model::absence_types:
        return 6;
    case Model::document_categories:
        return 8;
    case Model::timesheets:
        return (employees_ + 4) / 5 * 2;
    case Model::review_cycles:
        return 3;
    case Model::reviews:
        return (employees_ + 3) / 4;
    case Model::staffing_entities:
        return 3 + employees_ / 50;
    case Model::skills:
        return 12;
    case Model::skill_scales:
        return 3;
    case Model::skill_ratings:
        return (employees_ + 4) / 5;
    }
    return 0;
}

std::uint64_t BaseData::hash(Model model, Index index, std::uint32_t salt) const {
    return mix(mix(seed_ * 31 + slot(model)) ^ (salt * std::uint64_t{0x100000000} + index));
}

Millis BaseData::changed_at(Model model, Index index) const {
    return base_start + static_cast<Millis>(hash(model, index, 1) % static_cast<std::uint64_t>(360 * day_ms));
}

std::optional<Index> BaseData::manager(Index employee) const {
    if (employee == 0 || employees_ == 0) return std::nullopt;
    return (employee - 1) / 8;
}

Index BaseData::employee_of(Model model, Index index) const {
    switch (model) {
    case Model::employments: {
        const auto before = std::upper_bound(employments_before.begin(), employments_before.end(), index % 13);
        return index / 13 * 10 + static_cast<Index>(before - employments_before.begin() - 1);
    }
    case Model::absences:
        return index / 2;
    case Model::timesheets:
        return index / 2 * 5;
    case Model::reviews:
        return index * 4;
    case Model::skill_ratings:
        return index * 5;
    default:
        return index;
    }
}

std::pair<Index, Index> BaseData::children(Model model, Index employee) const {
    if (employee >= employees_) return {0, 0};
    if (model == Model::employments) return {first_employment(employee), first_employment(employee + 1)};
    return {employee, employee + 1};
}

Index BaseData::parent_of(Model model, Model parent, Index index) const {
    return static_cast<Index>(std::uint64_t{index} * count(parent) / std::max<Index>(1, count(model)));
}

std::pair<Index, Index> BaseData::spread(Model model, Model parent, Index index) const {
    const std::uint64_t parents = count(parent);
    const std::uint64_t all = count(model);
    if (index >= parents) return {0, 0};
    const auto first = [&](std::uint64_t of) { return static_cast<Index>((of * all + parents - 1) / parents); };
    return {first(index), first(index + std::uint64_t{1})};
}

std::vector<Index> BaseData::some_of(Model model, Model by, Index index, std::uint32_t salt) const {
    std::vector<Index> some;
    for (std::uint64_t left = hash(by, index, salt) % 4; left > 0; --left) {
        const Index one = pick(model, by, index, salt + static_cast<std::uint32_t>(left));
        if (std::find(some.begin(), some.end(), one) == some.end() && one < count(model)) some.push_back(one);
    }
    return some;
}

std::vector<Index> BaseData::groups_of(Index employee) const {
    if (employee >= employees_) return {};
    const Index first = pick(Model::teams, Model::employees, employee, 2);
    const Index second = pick(Model::teams, Model::employees, employee, 3);
    if (employee % 2 == 0 || first == second) return {first};
    return {first, second};
}

std::vector<Index> BaseData::staffing_links(Model model, Index staffing_entity) const {
    if (staffing_entity >= count(Model::staffing_entities)) return {};
    const std::uint32_t salt = 10 + static_cast<std::uint32_t>(slot(model)) * 2;
    const Index first = pick(model, Model::staffing_entities, staffing_entity, salt);
    const Index second = pick(model, Model::staffing_entities, staffing_entity, salt + 1);
    if (model == Model::skills && staffing_entity % 3 == 0) return {};
    if (staffing_entity % 2 == 0 || first == second || model == Model::legal_entities) return {first};
    return {first, second};
}

Index BaseData::pick(Model model, Model by, Index index, std::uint32_t salt) const {
    const Index among = count(model);
    return among == 0 ? 0 : static_cast<Index>(hash(by, index, salt) % among);
}

} // namespace sandbox
