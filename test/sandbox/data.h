#pragma once

#include "json_text.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace sandbox {

/// Kombo's models that the sandbox holds records of: HRIS models with code of their own, behind them those that the
/// schema describes.
enum class Model : std::uint8_t {
    employees,
    employments,
    time_off_balances,
    absence_types,
    absences,
    teams,
    legal_entities,
    locations,
    document_categories,
    timesheets,
    review_cycles,
    reviews,
    staffing_entities,
    skills,
    skill_scales,
    skill_ratings,
};

constexpr std::size_t own_model_count = 16;
constexpr std::size_t model_count = own_model_count + 23;

/// Every model, in the order of the enumeration and of the schema.
extern const std::array<Model, model_count> all_models;

constexpr std::size_t slot(Model model) {
    return static_cast<std::size_t>(model);
}

/// The name Kombo uses for the model in webhooks (`hris_teams`).
std::string_view model_name(Model model);

/// Names of models, those of join tables among them.
using ModelNames = std::set<std::string>;

/// The same of models with code of their own alone.
std::optional<Model> own_model_by_name(std::string_view name);

/// The model of that name, if there is one.
std::optional<Model> model_by_name(std::string_view name);

/// A record's place in its model: 0 up to the number of records ever made.
using Index = std::uint32_t;

/// The data that an integration starts with. Nothing is stored: every value follows from seed, model and index.
class BaseData {
public:
    BaseData(std::uint64_t seed, Index employees) : seed_(seed), employees_(employees) {}

    /// How many records the model starts with.
    Index count(Model model) const;

    /// 64 bits that depend on seed, model, index and `salt` alone.
    std::uint64_t hash(Model model, Index index, std::uint32_t salt) const;

    /// When the record last changed before the sandbox started: a time in 2024.
    Millis changed_at(Model model, Index index) const;

    /// The employee above, none for the first; managers form a tree of eight reports each.
    std::optional<Index> manager(Index employee) const;

    /// The employee that an employment, balance, absence, timesheet, rating or review (reviewee) belongs to.
    Index employee_of(Model model, Index index) const;

    /// The employments or balances that the employee starts with, as a range [first, second).
    std::pair<Index, Index> children(Model model, Index employee) const;

    /// Of children that are spread evenly over their parents: the parent of one, and those of a parent, as a range.
    Index parent_of(Model model, Model parent, Index index) const;
    std::pair<Index, Index> spread(Model model, Model parent, Index index) const;

    /// None to three records of `model` for a list of `by`.
    std::vector<Index> some_of(Model model, Model by, Index index, std::uint32_t salt) const;

    /// One or two groups of the pool.
    std::vector<Index> groups_of(Index employee) const;

    /// The records of `model` that a staffing entity starts with.
    std::vector<Index> staffing_links(Model model, Index staffing_entity) const;

    /// Some record of `model`, chosen by hash, for a reference such as a location.
    Index pick(Model model, Model by, Index index, std::uint32_t salt) const;

private:
    std::uint64_t seed_;
    Index employees_;
};

} // namespace sandbox
