#include "pg/foreign/requests.h"

#include <algorithm>
#include <functional>
#include <iterator>

namespace pg {

namespace {

constexpr size_t longest_value = 200;
constexpr size_t longest_list = 3000; ///< bytes of a parameter before it is encoded
constexpr size_t most_single = 8;     ///< requests for the values of a parameter that takes one

/// A comma separates values, and what Kombo makes of white space around one is not known.
bool can_be_sent(const Condition &condition) {
    return std::all_of(condition.values.begin(), condition.values.end(), [&](const std::string &value) {
        const auto odd = [](unsigned char c) { return c == ',' || c < 0x20 || c == 0x7f; };
        return !value.empty() && value.size() <= longest_value && value.front() != ' ' && value.back() != ' ' &&
               std::none_of(value.begin(), value.end(), odd) &&
               (!condition.allowed || condition.allowed->count(value) > 0);
    });
}

std::vector<std::vector<std::string>> divide(const Condition &condition) {
    std::vector<std::vector<std::string>> chunks;
    size_t length = 0;
    for (const std::string &value : condition.values) {
        length += value.size() + 1;
        if (chunks.empty() || chunks.back().size() == condition.most || length > longest_list) {
            chunks.emplace_back();
            length = value.size() + 1;
        }
        chunks.back().push_back(value);
    }
    return chunks;
}

class Planner {
public:
    Planner(const LiveList &list, const std::vector<Condition> &given) : list_(list) {
        for (const Condition &condition : given) merge(condition);
    }

    /// No row can fulfil all conditions.
    bool empty() const {
        return std::any_of(conditions_.begin(), conditions_.end(), [](const Condition &condition) {
            return condition.values.empty() && condition.test != Test::NotDeleted;
        });
    }

    const Condition *integrations() const {
        for (const Condition &condition : conditions_)
            if (condition.test == Test::Integration) return &condition;
        return nullptr;
    }

    /// The queries, but for the integrations.
    std::vector<Part> parts(int page_size) {
        std::vector<const Condition *> sent;
        const Condition *divided = nullptr;
        std::vector<std::vector<std::string>> chunks;
        for (const Condition &condition : conditions_) {
            if (condition.test == Test::Integration || !can_be_sent(condition)) continue;
            if (condition.test != Test::Value) {
                sent.push_back(&condition);
                continue;
            }
            const auto its_chunks = divide(condition);
            if (condition.column != "id" && its_chunks.size() == 1) {
                sent.push_back(&condition);
                continue;
            }
            if (condition.most == 1 && its_chunks.size() > most_single) continue;
            if (divided && its_chunks.size() >= chunks.size()) continue; // one is divided, the other checked here
            divided = &condition;
            chunks = its_chunks;
        }
        Part common;
        if (list_.paginated) common.query.add("page_size", std::to_string(page_size));
        const bool living =
            std::any_of(sent.begin(), sent.end(), [](const Condition *one) { return one->test == Test::NotDeleted; });
        if (list_.incremental && !living) common.query.add_flag("include_deleted", true);
        bool filtered = divided != nullptr;
        for (const Condition *condition : sent) {
            if (condition->test == Test::NotDeleted) continue;
            common.query.add_list(condition->parameter, {condition->values.begin(), condition->values.end()});
            filtered = filtered || condition->test != Test::Changed;
        }
        // Kombo API reference: otherwise a filter on a field that the tool lacks empties the answer.
        if (filtered && list_.incremental) common.query.add_flag("ignore_unsupported_filters", true);
        if (!divided) return {common};
        std::vector<Part> parts;
        for (const auto &chunk : chunks) {
            Part part = common;
            part.divided_parameter = divided->parameter;
            part.divided_column = divided->column;
            part.values = chunk;
            parts.push_back(std::move(part));
        }
        return parts;
    }

private:
    /// Two conditions that make one parameter are both to be true.
    void merge(const Condition &condition) {
        const auto same = [&](const Condition &other) {
            return other.test == condition.test && other.parameter == condition.parameter;
        };
        const auto found = std::find_if(conditions_.begin(), conditions_.end(), same);
        if (found == conditions_.end()) {
            conditions_.push_back(condition);
            return;
        }
        if (condition.values.empty() || found->values.empty()) {
            found->values.clear();
            return;
        }
        std::set<std::string> both;
        switch (condition.test) {
        case Test::Integration:
        case Test::Value:
            std::set_intersection(found->values.begin(), found->values.end(), condition.values.begin(),
                                  condition.values.end(), std::inserter(both, both.end()));
            found->values = both;
            break;
        case Test::After:
        case Test::Changed:
            found->values = {std::max(*found->values.begin(), *condition.values.begin())};
            break;
        case Test::Before:
            found->values = {std::min(*found->values.begin(), *condition.values.begin())};
            break;
        case Test::Like:
        case Test::Element:
        case Test::NotDeleted: // the first is sent, both are checked here
            break;
        }
    }

    const LiveList &list_;
    std::vector<Condition> conditions_;
};

} // namespace

kombo::Query Part::complete() const {
    kombo::Query whole = query;
    return whole.add_list(divided_parameter, values);
}

std::pair<Part, Part> Part::halves() const {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::pair<Part, Part> both(*this, *this);
    both.first.values.assign(values.begin(), middle);
    both.second.values.assign(middle, values.end());
    return both;
}

std::vector<Part> plan_parts(const LiveList &list, const std::vector<Condition> &conditions,
                             const std::optional<std::string> &integration_id, int page_size,
                             const std::function<std::vector<std::string>()> &integrations) {
    Planner planner(list, conditions);
    if (planner.empty()) return {};
    std::vector<std::string> ids;
    const Condition *named = planner.integrations();
    if (integration_id) {
        if (!named || named->values.count(*integration_id) > 0) ids.push_back(*integration_id);
    } else if (named) {
        ids.assign(named->values.begin(), named->values.end());
    } else {
        ids = integrations();
    }
    std::vector<Part> parts;
    const std::vector<Part> of_each = planner.parts(page_size);
    for (const std::string &id : ids) {
        for (Part part : of_each) {
            part.integration_id = id;
            parts.push_back(std::move(part));
        }
    }
    return parts;
}

} // namespace pg
