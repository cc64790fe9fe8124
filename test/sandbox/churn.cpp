#include "churn.h"

#include "record_ops.h"

#include <algorithm>

namespace sandbox {

namespace {

// The models that a delta shows whole, and a text field of each.
constexpr std::pair<Model, const char *> changeable[] = {
    {Model::employees, "first_name"},   {Model::employments, "job_title"},  {Model::time_off_balances, "balance"},
    {Model::absence_types, "name"},     {Model::absences, "employee_note"}, {Model::teams, "name"},
    {Model::legal_entities, "name"},    {Model::locations, "name"},         {Model::document_categories, "name"},
    {Model::timesheets, "comment"},     {Model::review_cycles, "name"},     {Model::reviews, "summary_comment"},
    {Model::staffing_entities, "name"},
};

const char *field_of(Model model) {
    for (const auto &[known, field] : changeable)
        if (known == model) return field;
    return nullptr;
}

} // namespace

Churn::Churn(std::shared_ptr<Integration> integration, const json_t *options, Tell tell)
    : integration_(std::move(integration)), tell_(std::move(tell)),
      random_(static_cast<std::uint64_t>(integer_at(options, "seed", 1))), weights_{{"change", 6},
                                                                                    {"create", 2},
                                                                                    {"delete", 2},
                                                                                    {"undelete", 1},
                                                                                    {"set_links", 2}},
      left_(integer_at(options, "count", -1)) {
    const json_t *rate = json_object_get(options, "per_second");
    const double per_second = json_is_number(rate) ? json_number_value(rate) : 10;
    if (per_second <= 0) throw AdminError(400, "\"per_second\" must be more than 0");
    interval_ = std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 / per_second));
    if (const json_t *names = json_object_get(options, "models")) {
        for (std::size_t i = 0; i < json_array_size(names); ++i) {
            const Json named(json_pack("{s:O}", "model", json_array_get(names, i)));
            models_.push_back(model_at(named.get(), "model"));
            if (!field_of(models_.back())) throw AdminError(400, "no delta shows changes of that model");
        }
    }
    if (models_.empty())
        for (const auto &[model, field] : changeable) models_.push_back(model);
    if (const json_t *ops = json_object_get(options, "ops"))
        for (auto &[name, weight] : weights_)
            weight = static_cast<std::uint64_t>(std::max<std::int64_t>(0, integer_at(ops, name.c_str(), 0)));
    thread_ = std::thread([this] { run(); });
}

void Churn::stop() {
    {
        const std::lock_guard lock(mutex_);
        ends_ = true;
    }
    news_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void Churn::run() {
    auto due = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    while (!ends_ && left_ != 0) {
        lock.unlock();
        const ModelNames changed = step();
        if (!changed.empty()) tell_(*integration_, changed);
        if (left_ > 0) --left_;
        // A machine that was busy does not make up for it all at once.
        due = std::max(due + interval_, std::chrono::steady_clock::now() - std::chrono::seconds(1));
        lock.lock();
        news_.wait_until(lock, due, [this] { return ends_; });
    }
    runs_ = false;
}

ModelNames Churn::step() {
    ModelNames changed;
    const std::unique_lock alone(integration_->mutex);
    const Json op = next_op();
    if (!op) return changed;
    apply_record_op(*integration_, op.get(), changed);
    const std::lock_guard lock(mutex_);
    ++done_[text_at(op.get(), "op")];
    return changed;
}

// Some live record of the model.
std::optional<Index> Churn::some(Model model) {
    const Records &records = integration_->records;
    const Index count = records.count(model);
    const auto start = static_cast<Index>(below(count));
    for (Index i = 0; i < count; ++i)
        if (const Index index = (start + i) % count; records.live(model, index)) return index;
    return std::nullopt;
}

Json Churn::fields(Model model) {
    Json set(json_object());
    const double quarters = static_cast<double>(below(200));
    json_object_set_new(set.get(), field_of(model),
                        model == Model::time_off_balances
                            ? json_real(quarters / 4)
                            : json_string(("Änderung " + std::to_string(number_)).c_str()));
    return set;
}

// New groups for an employee, or other records for a staffing entity.
Json Churn::link_op() {
    const Records &records = integration_->records;
    const bool has_employees = std::count(models_.begin(), models_.end(), Model::employees) != 0;
    const bool has_staffing = std::count(models_.begin(), models_.end(), Model::staffing_entities) != 0;
    if (!has_employees && !has_staffing) return nullptr;
    const bool employee = has_employees && (!has_staffing || below(2) == 0);
    const Model model = employee ? Model::employees : Model::staffing_entities;
    constexpr Model targets[] = {Model::teams, Model::locations, Model::legal_entities};
    const Model target = employee ? Model::teams : targets[below(3)];
    const auto index = some(model);
    if (!index) return nullptr;
    ModelNames ids;
    for (std::uint64_t n = below(3); n > 0; --n)
        if (const auto other = some(target)) ids.insert(records.id(target, *other));
    Json list(json_array());
    for (const std::string &id : ids) json_array_append_new(list.get(), json_string(id.c_str()));
    return Json(json_pack("{s:s, s:s, s:s, s:s, s:O}", "model", std::string(model_name(model)).c_str(), "op",
                          "set_links", "id", records.id(model, *index).c_str(), "list",
                          std::string(list_key(target)).c_str(), "ids", list.get()));
}

Json Churn::next_op() {
    const Records &records = integration_->records;
    ++number_;
    std::uint64_t all = 0;
    for (const auto &[name, weight] : weights_) all += weight;
    std::uint64_t drawn = below(all);
    std::string op = "change";
    for (const auto &[name, weight] : weights_) {
        op = name;
        if (drawn < weight) break;
        drawn -= weight;
    }
    if (op == "set_links")
        if (Json links = link_op()) return links;
    Model model = models_[below(models_.size())];
    std::optional<Index> index;
    if (op == "undelete" && !deleted_.empty()) {
        std::swap(deleted_[below(deleted_.size())], deleted_.back());
        model = deleted_.back().first;
        index = deleted_.back().second;
        deleted_.pop_back();
    } else if (op == "create") {
        Json made(json_pack("{s:s, s:s, s:o}", "model", std::string(model_name(model)).c_str(), "op", "create", "set",
                            fields(model).release()));
        if (const auto employee = some(Model::employees))
            json_object_set_new(made.get(), "employee_id",
                                json_string(records.id(Model::employees, *employee).c_str()));
        return made;
    } else {
        if (op != "delete") op = "change";
        index = some(model);
        if (index && op == "delete") deleted_.emplace_back(model, *index);
    }
    if (!index) return nullptr;
    Json made(json_pack("{s:s, s:s, s:s}", "model", std::string(model_name(model)).c_str(), "op", op.c_str(), "id",
                        records.id(model, *index).c_str()));
    if (op == "change") json_object_set_new(made.get(), "set", fields(model).release());
    return made;
}

std::string Churn::json() const {
    const std::lock_guard lock(mutex_);
    std::int64_t all = 0;
    Json by_op(json_object());
    for (const auto &[op, count] : done_) {
        all += count;
        json_object_set_new(by_op.get(), op.c_str(), json_integer(count));
    }
    const Json out(json_pack("{s:s, s:b, s:I, s:O}", "integration", integration_->id.c_str(), "runs", runs_ ? 1 : 0,
                             "done", static_cast<json_int_t>(all), "ops", by_op.get()));
    return dump_json(out.get());
}

} // namespace sandbox
