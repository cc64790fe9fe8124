#pragma once

#include "syncer/agenda.h"
#include "syncer/plan.h"

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace syncer {

/// The fetches of an integration that are under way.
struct UnderWay {
    std::vector<const Task *> fetches;
    /// The requests that the question for the state of the integration fulfils, sorted; null: it is not asked.
    const std::vector<int64_t> *question = nullptr;

    bool idle() const { return fetches.empty() && !question; }
    bool runs(const std::string &endpoint, Kind kind) const;

    /// True if what is under way has taken all of its requests.
    bool has_taken(const PendingFetch &wanted) const;
};

/// The state of an integration beside those of its endpoints.
struct Standing {
    bool added = true; ///< otherwise Kombo is asked whether there is such an integration
    bool suspended = false;
    std::optional<kombo::Timestamp> next_attempt_at;     ///< of a suspended one
    std::optional<kombo::Timestamp> question_not_before; ///< the last one failed
    /// The last fetch failed in a way that all would: one at a time until one succeeds.
    bool doubtful = false;
    std::set<std::string> had_delta; ///< endpoints that had a delta after a full fetch last began
};

/// Decides what of all that is asked for of one integration is begun next, and what that brings. What it is made from
/// must outlive it.
class Choice {
public:
    Choice(const Catalogue &catalogue, const States &states, const Standing &standing, UnderWay under_way,
           const PendingFetches &pending, kombo::Timestamp now, std::chrono::seconds min_full_interval)
        : catalogue_(catalogue), states_(states), standing_(standing), under_way_(std::move(under_way)),
          pending_(pending), now_(now), min_full_interval_(min_full_interval) {}

    /// The highest urgency of all that can begin now; nullopt: nothing can.
    std::optional<Urgency> urgency() const;

    struct Beginning {
        std::optional<Task> task;      ///< nullopt: the question for the state of the integration
        std::vector<int64_t> requests; ///< of that question, sorted
        std::set<std::string> unknown_models;
        Urgency urgency = Urgency::WebhookDelta;
    };

    /// The fetch to begin. Must not be called if urgency() is nullopt.
    Beginning beginning() const;

    /// The time at which a pending fetch can begin; nullopt: when something else ends, or never.
    std::optional<kombo::Timestamp> next_start() const;

    /// Requests that nothing can come of: the endpoint is not in the catalogue, switched off, or was fetched meanwhile.
    std::vector<int64_t> pointless() const;

    /// True if a full fetch of the endpoint has to let a delta go first: one that runs, or could be begun now.
    bool delta_goes_first(const std::string &endpoint) const;

private:
    using Key = PendingFetches::key_type;
    std::optional<kombo::Timestamp> earliest(const Key &key, const PendingFetch &wanted) const;
    bool has_turn(const Key &key) const;
    const Endpoint *served_by_another(const Endpoint &endpoint) const;
    const PendingFetches::value_type *most_urgent() const;
    std::vector<const PendingFetch *> fulfilled_by(const Task &task) const;

    const Catalogue &catalogue_;
    const States &states_;
    const Standing &standing_;
    UnderWay under_way_;
    const PendingFetches &pending_;
    kombo::Timestamp now_;
    std::chrono::seconds min_full_interval_;
};

} // namespace syncer
