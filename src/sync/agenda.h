#pragma once

#include "sync/catalogue.h"
#include "sync/stream.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace syncer {

/// A row of kombo.sync_requests.
struct Queued {
    int64_t id = 0;
    std::string integration_id;
    std::string endpoint; ///< empty: ask Kombo about the integration itself
    bool full = false;
    std::string trigger;       ///< webhook, schedule or sql
    std::string server;        ///< of an integration that is not added yet
    std::string unknown_model; ///< named by a webhook, and not in the catalogue
    kombo::Timestamp requested_at;
    std::optional<kombo::Timestamp> not_before;    ///< it is not due earlier
    std::optional<kombo::Timestamp> updated_after; ///< a delta has to reach back to here
};

/// What goes first. Webhook deltas are what somebody waits for; a full fetch can wait.
enum class Urgency : uint8_t { WebhookDelta, AskedFor, Scheduled, Full };

/// All requests for one endpoint of one kind: one fetch serves them.
struct Ask {
    std::vector<int64_t> ids;
    Urgency urgency = Urgency::Full;
    std::string trigger;     ///< of the most urgent request
    bool by_schedule = true; ///< nobody but the schedule asked
    std::string server;
    std::set<std::string> unknown_models;
    kombo::Timestamp latest;                       ///< when the last of them was asked for
    std::optional<kombo::Timestamp> updated_after; ///< the earliest that one of them has to reach back to

    void include(const Queued &request);
};

/// What is asked for of one integration, by endpoint (empty: the integration itself) and whether it is a full fetch.
using Asks = std::map<std::pair<std::string, bool>, Ask>;

/// What is left to do, by integration. Knows nothing of who may do it: a worker offers itself, and takes the
/// integration whose turn it is: the most urgent first, among equals round robin.
class Agenda {
public:
    struct Entry {
        Asks asks;
        Clock::time_point not_before = Clock::time_point::min(); ///< nothing can be begun earlier
        uint64_t turn = 0;                                       ///< when it was last served: the lowest is next

        /// Of the most urgent request; nullopt: there is none.
        std::optional<Urgency> urgency() const;
    };

    /// Adds a request that is due; one that is known already changes nothing. Returns whether it was new.
    bool add(const Queued &request);

    /// The requests are fulfilled, or somebody else has fulfilled them. Takes time by their number.
    void remove(const std::vector<int64_t> &ids);

    /// Forgets all but the requests of these ids.
    void keep_only(const std::set<int64_t> &ids);

    bool knows(int64_t id) const { return requests_.count(id) > 0; }
    bool empty() const { return entries_.empty(); }
    size_t requests() const { return requests_.size(); }

    /// The integration's entry; null where nothing is asked of it.
    Entry *find(const std::string &integration_id);
    const Entry *find(const std::string &integration_id) const;

    /// The integration to begin something for, among those that `may_begin` says yes to (with the urgency of what it
    /// would be); nullopt if there is none.
    template <typename MayBegin> std::optional<std::string> next(Clock::time_point now, MayBegin &&may_begin) const {
        const std::string *best = nullptr;
        Urgency best_urgency = Urgency::Full;
        for (const auto &[turn, id] : line_) { // those that were served longest ago first
            const Entry &entry = entries_.at(id);
            if (entry.not_before > now) continue;
            const std::optional<Urgency> urgency = may_begin(id, entry);
            if (!urgency || (best && *urgency >= best_urgency)) continue;
            best = &id;
            best_urgency = *urgency;
            if (best_urgency == Urgency::WebhookDelta) break; // those behind it can only be equal
        }
        if (!best) return std::nullopt;
        return *best;
    }

    /// The integration has been served: it is the last in line now.
    void served(const std::string &integration_id);

    /// Nothing of the integration can be begun before that.
    void put_off(const std::string &integration_id, Clock::time_point until);

    /// All that was put off is looked at again.
    void wake_all();

    /// When the first of those that are put off comes back; nullopt if none is.
    std::optional<Clock::time_point> wake_at(Clock::time_point now) const;

private:
    std::unordered_map<std::string, Entry> entries_;
    std::set<std::pair<uint64_t, std::string>> line_; ///< of the entries: turn, integration
    std::unordered_map<int64_t, Queued> requests_;
    uint64_t turns_ = 0;
};

/// How urgent a request is.
Urgency urgency_of(const Queued &request);

} // namespace syncer
