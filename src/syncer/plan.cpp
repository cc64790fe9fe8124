#include "syncer/plan.h"

#include "syncer/exceptions.h"
#include "syncer/watermark.h"

#include <algorithm>
#include <set>

namespace syncer {

namespace {

const EndpointModel *role(const Endpoint &endpoint, const std::string &model) {
    for (const EndpointModel &entry : endpoint.models)
        if (entry.model == model) return &entry;
    return nullptr;
}

/// Whether `endpoint`'s own table arrives complete through `other`.
bool implies(const Endpoint &other, const Endpoint &endpoint) {
    return std::any_of(endpoint.models.begin(), endpoint.models.end(), [&](const EndpointModel &own) {
        const EndpointModel *entry = role(other, own.model);
        return own.role == Role::Own && entry && entry->role == Role::Implied;
    });
}

Kind kind_of_fetch(const States &states, const Endpoint &endpoint, Kind asked, kombo::Timestamp now) {
    if (asked == Kind::Full || !endpoint.incremental) return Kind::Full;
    const EndpointState &state = states.at(endpoint.path);
    // While Kombo does not offer the list, those that carry its model write and sweep its rows: no delta undoes that.
    if (state.unavailable) return Kind::Full;
    return serves_delta(state.delta_from(now), now) ? Kind::Delta : Kind::Full;
}

class Planner {
public:
    Planner(const Catalogue &catalogue, const std::string &category, const States &states, const FetchRequest &request,
            kombo::Timestamp now, std::chrono::microseconds min_full_interval)
        : catalogue_(catalogue), category_(category), states_(states), request_(request), now_(now),
          min_full_interval_(min_full_interval) {}

    Plan make() {
        if (request_.what)
            ask_for_named(*request_.what);
        else
            for (const Endpoint &endpoint : catalogue_.endpoints)
                if (subscribed(endpoint)) asked_.insert(&endpoint);
        if (!request_.what && request_.kind == Kind::Delta) leave_out_implied();
        make_tasks();
        return std::move(plan_);
    }

private:
    bool subscribed(const Endpoint &endpoint) const {
        const auto state = states_.find(endpoint.path);
        return endpoint.category == category_ && state != states_.end() && state->second.subscription.enabled;
    }

    const EndpointState &state(const Endpoint &endpoint) const { return states_.at(endpoint.path); }

    void ask_for_named(const std::vector<std::string> &names) {
        std::vector<std::string> models;
        for (const std::string &given : names) {
            const Endpoint *endpoint = catalogue_.find(given);
            if (endpoint && endpoint->category == category_) {
                if (state(*endpoint).subscription.refused)
                    throw InvalidRequest("endpoint \"" + given + "\" is switched off for this integration",
                                         "Its row in kombo.subscriptions has enabled = false.",
                                         "Update or delete the row, or leave the endpoint out.", "55000");
                asked_.insert(endpoint);
            } else if (!is_model(given)) {
                refuse(given);
            } else {
                models.push_back(given);
            }
        }
        std::vector<std::pair<std::string, const Endpoint *>> own;
        std::vector<std::string> without_own;
        for (const std::string &model : models) {
            const Endpoint *endpoint = own_endpoint(model);
            if (endpoint) own.emplace_back(model, endpoint);
            // A model without a list at Kombo is written from the records that carry it.
            if (!endpoint || state(*endpoint).unavailable) without_own.push_back(model);
        }
        for (const std::string &model : without_own) ask_carriers(model);
        // An endpoint needs no request of its own if one that is requested anyway implies it.
        std::set<const Endpoint *> needed = asked_;
        for (const auto &[model, endpoint] : own) asked_.insert(endpoint);
        for (const auto &[model, endpoint] : own) {
            const Endpoint *other = implied_by_another(model, endpoint);
            needed.insert(other ? other : endpoint);
        }
        for (const auto &[model, endpoint] : own) {
            if (needed.count(endpoint) == 0) asked_.erase(endpoint);
            // Its own list is all that shows it, and no delta of that does.
            if (endpoint->incremental && !role(*endpoint, model)->delta) ask_in_full(*endpoint);
        }
    }

    /// Not more often than is allowed; otherwise a delta.
    void ask_in_full(const Endpoint &endpoint) {
        asked_.insert(&endpoint);
        const auto last = state(endpoint).last_full_at;
        if (!last || now_ - *last >= min_full_interval_) in_full_.insert(&endpoint);
    }

    bool is_model(const std::string &given) const {
        for (const Endpoint &endpoint : catalogue_.endpoints)
            if (endpoint.category == category_ && role(endpoint, given)) return true;
        return false;
    }

    [[noreturn]] void refuse(const std::string &given) const {
        std::set<std::string> paths;
        std::set<std::string> models;
        for (const Endpoint &endpoint : catalogue_.endpoints) {
            if (endpoint.category != category_) continue;
            paths.insert(endpoint.path);
            for (const EndpointModel &model : endpoint.models) models.insert(model.model);
        }
        std::string valid;
        for (const auto *names : {&paths, &models})
            for (const std::string &valid_name : *names) valid += (valid.empty() ? "" : ", ") + valid_name;
        throw UnknownName("\"" + given + "\" is neither an endpoint nor a model of category \"" + category_ + "\"", "",
                          "Valid names are: " + valid + ".");
    }

    /// The subscribed endpoint whose own the model is; one that is not deprecated if there is a choice.
    const Endpoint *own_endpoint(const std::string &model) const {
        const Endpoint *found = nullptr;
        for (const Endpoint &endpoint : catalogue_.endpoints) {
            const EndpointModel *entry = role(endpoint, model);
            if (!entry || entry->role != Role::Own || !subscribed(endpoint)) continue;
            if (!found || (found->deprecated && !endpoint.deprecated)) found = &endpoint;
        }
        return found;
    }

    /// The endpoint that is asked for and implies the model, other than its own; null if there is none.
    const Endpoint *implied_by_another(const std::string &model, const Endpoint *own) const {
        for (const Endpoint *other : asked_) {
            const EndpointModel *entry = role(*other, model);
            if (other != own && entry && entry->role == Role::Implied) return other;
        }
        return nullptr;
    }

    /// By Kombo's reference pages a carrier's delta shows the change of some models only; for the others it is read in
    /// full.
    void ask_carriers(const std::string &model) {
        std::vector<const Endpoint *> carriers;
        bool by_delta = false;
        for (const Endpoint &endpoint : catalogue_.endpoints) {
            const EndpointModel *entry = role(endpoint, model);
            if (!entry || entry->role == Role::Own || !subscribed(endpoint)) continue;
            carriers.push_back(&endpoint);
            if (entry->delta) {
                asked_.insert(&endpoint);
                by_delta = true;
            }
        }
        if (carriers.empty() && !own_endpoint(model)) plan_.ignored.push_back(model);
        if (by_delta) return;
        for (const Endpoint *carrier : carriers) ask_in_full(*carrier);
    }

    /// A delta of everything leaves out what another delta brings complete and can vouch for.
    void leave_out_implied() {
        std::set<const Endpoint *> needed;
        for (const Endpoint &endpoint : catalogue_.endpoints) {
            if (asked_.count(&endpoint) == 0 || needed.count(&endpoint) > 0 || !state(endpoint).watermark) continue;
            if (const Endpoint *other = vouching(endpoint)) {
                needed.insert(other);
                asked_.erase(&endpoint);
            }
        }
    }

    /// The endpoint that is asked for and whose delta shows all that `endpoint`'s own would; null if there is none.
    const Endpoint *vouching(const Endpoint &endpoint) const {
        for (const Endpoint *other : asked_)
            if (vouched_for(states_, endpoint, *other, now_)) return other;
        return nullptr;
    }

    void make_tasks() {
        for (const Endpoint &endpoint : catalogue_.endpoints) {
            if (asked_.count(&endpoint) == 0) continue;
            const Kind kind = in_full_.count(&endpoint) > 0 ? Kind::Full : request_.kind;
            plan_.tasks.push_back(task_for(catalogue_, states_, endpoint, kind, now_));
        }
        // Those that imply others go first, so that their watermarks are the older ones.
        std::stable_sort(plan_.tasks.begin(), plan_.tasks.end(),
                         [](const Task &a, const Task &b) { return !a.implied.empty() && b.implied.empty(); });
    }

    const Catalogue &catalogue_;
    const std::string &category_;
    const States &states_;
    const FetchRequest &request_;
    kombo::Timestamp now_;
    std::chrono::microseconds min_full_interval_;
    std::set<const Endpoint *> asked_;
    std::set<const Endpoint *> in_full_;
    Plan plan_;
};

} // namespace

Task task_for(const Catalogue &catalogue, const States &states, const Endpoint &endpoint, Kind kind,
              kombo::Timestamp now) {
    Task task;
    task.endpoint = &endpoint;
    task.kind = kind_of_fetch(states, endpoint, kind, now);
    if (task.kind == Kind::Delta) task.updated_after = states.at(endpoint.path).delta_from(now);
    for (const Endpoint &other : catalogue.endpoints)
        if (other.category == endpoint.category && &other != &endpoint && implies(endpoint, other))
            task.implied.push_back(&other);
    return task;
}

bool vouched_for(const States &states, const Endpoint &endpoint, const Endpoint &other, kombo::Timestamp now) {
    const EndpointState &state = states.at(endpoint.path);
    const auto its_own = state.watermark;
    if (&other == &endpoint || !its_own || state.failed || !implies(other, endpoint)) return false;
    if (kind_of_fetch(states, other, Kind::Delta, now) == Kind::Full) return true;
    return *its_own >= *states.at(other.path).delta_from(now);
}

Plan plan(const Catalogue &catalogue, const std::string &category, const States &states, const FetchRequest &request,
          kombo::Timestamp now, std::chrono::microseconds min_full_interval) {
    return Planner(catalogue, category, states, request, now, min_full_interval).make();
}

std::optional<kombo::Timestamp> purge_limit(const Subscription &subscription) {
    if (!subscription.purge_after_micros) return std::nullopt;
    return kombo::current_timestamp() - std::chrono::microseconds(*subscription.purge_after_micros);
}

bool delivers(const States &states, const Endpoint &endpoint) {
    const auto state = states.find(endpoint.path);
    return state != states.end() && state->second.subscription.enabled && !state->second.unavailable;
}

bool own_list_delivers(const Catalogue &catalogue, const States &states, size_t table) {
    return std::any_of(catalogue.endpoints.begin(), catalogue.endpoints.end(),
                       [&](const Endpoint &endpoint) { return endpoint.table == table && delivers(states, endpoint); });
}

bool has_writer(const Catalogue &catalogue, const States &states, size_t table) {
    if (own_list_delivers(catalogue, states, table)) return true;
    return std::any_of(catalogue.endpoints.begin(), catalogue.endpoints.end(),
                       [&](const Endpoint &endpoint) { return endpoint.owns(table) && delivers(states, endpoint); });
}

std::set<size_t> written_tables(const Catalogue &catalogue, const States &states, const Endpoint &endpoint) {
    std::set<size_t> tables = {endpoint.table};
    for (const Nested &nested : endpoint.nested)
        if (nested.relation == Relation::Owned || nested.relation == Relation::Join ||
            (nested.relation == Relation::Linked && !has_writer(catalogue, states, nested.table)))
            tables.insert(nested.table);
    return tables;
}

Dependents dependents(const Catalogue &catalogue, const States &states, const Endpoint &endpoint) {
    Dependents found;
    for (const Nested &nested : endpoint.nested) {
        const bool is_list = nested.relation == Relation::Owned || nested.relation == Relation::Join;
        const bool written = is_list
                                 ? endpoint.owns(nested) || !has_writer(catalogue, states, nested.table)
                                 : nested.relation == Relation::Linked && !nested.parent_column.empty() &&
                                       nested.table != endpoint.table && !has_writer(catalogue, states, nested.table);
        if (written) found.push_back(&nested);
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const Nested *a, const Nested *b) { return a->json_path.size() < b->json_path.size(); });
    return found;
}

} // namespace syncer
