#pragma once

#include "syncer/catalogue.h"
#include "syncer/stream.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace syncer {

/// A row of kombo.sync_requests.
struct QueuedRequest {
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

/// The order of fetches: somebody waits for webhook deltas; a full fetch can wait.
enum class Urgency : uint8_t { WebhookDelta, AskedFor, Scheduled, Full };

/// All requests for one endpoint of one kind: one fetch serves them.
struct PendingFetch {
    std::vector<int64_t> ids;
    Urgency urgency = Urgency::Full;
    std::string trigger;     ///< of the most urgent request
    bool by_schedule = true; ///< nobody but the schedule asked
    std::string server;
    std::set<std::string> unknown_models;
    kombo::Timestamp latest;                       ///< when the last of them was asked for
    std::optional<kombo::Timestamp> updated_after; ///< the earliest that one of them has to reach back to

    void include(const QueuedRequest &request);
};

/// The pending fetches of one integration, by endpoint (empty: the integration itself) and whether it is a full fetch.
using PendingFetches = std::map<std::pair<std::string, bool>, PendingFetch>;

/// The work that is left, by integration. It does not know who may do it: a worker takes the integration whose turn it
/// is, the most urgent first, among equals round robin. Each call takes time by the logarithm of their number.
class Agenda {
public:
    /// The place of an integration in line: the least is next.
    struct Place {
        Urgency urgency = Urgency::Full;
        uint64_t turn = 0; ///< when it was last served
        std::string integration_id;

        bool operator<(const Place &other) const {
            return std::tie(urgency, turn, integration_id) < std::tie(other.urgency, other.turn, other.integration_id);
        }
    };

    struct Entry {
        PendingFetches pending;
        Clock::time_point not_before = Clock::time_point::min(); ///< nothing can be begun earlier
        uint64_t turn = 0;                                       ///< when it was last served: the lowest is next

        /// Of the most urgent request; nullopt: there is none.
        std::optional<Urgency> urgency() const;
    };

    /// Adds a request that is due; one that is known already changes nothing. Returns whether it was new.
    bool add(const QueuedRequest &request);

    /// The requests are fulfilled, or somebody else has fulfilled them. Takes time by their number.
    void remove(const std::vector<int64_t> &ids);

    /// Forgets all but the requests of these ids, which are sorted, and those that are no rows. Takes time by the
    /// number of all.
    void keep_only(const std::vector<int64_t> &ids);

    bool knows(int64_t id) const { return requests_.count(id) > 0; }
    bool empty() const { return entries_.empty(); }
    size_t requests() const { return requests_.size(); }

    /// The integration's entry; null where nothing is asked of it.
    const Entry *find(const std::string &integration_id) const;

    /// The first in line of those for which `passed_over` says no. It is asked of each before that one.
    template <typename PassedOver> std::optional<Place> next(Clock::time_point now, PassedOver &&passed_over) {
        bring_back(now);
        for (const Place &place : line_)
            if (!passed_over(place.integration_id)) return place;
        return std::nullopt;
    }

    /// The integration has been served: it is the last of its urgency now.
    void served(const std::string &integration_id);

    /// Nothing of the integration can be begun before that.
    void put_off(const std::string &integration_id, Clock::time_point until);

    /// All that was put off is looked at again.
    void wake_all() { bring_back(Clock::time_point::max()); }

    /// The time at which the first of those that are put off comes back; nullopt if none is.
    std::optional<Clock::time_point> wake_at(Clock::time_point now) const;

private:
    using Entries = std::unordered_map<std::string, Entry>;

    /// A request, less its id. There may be hundreds of thousands, of few words.
    struct Known {
        const std::string *integration_id, *endpoint, *trigger, *server;
        std::unique_ptr<std::string> unknown_model; ///< of few requests, and each may have another
        bool full;
        kombo::Timestamp requested_at;
        std::optional<kombo::Timestamp> updated_after;
    };

    const std::string *word(const std::string &text) { return &*words_.insert(text).first; }
    Known known(const QueuedRequest &request);
    static QueuedRequest queued(int64_t id, const Known &known);
    void leave_line(const Entries::value_type &entry);
    void join_line(const Entries::value_type &entry);
    void bring_back(Clock::time_point now);
    void forget(const std::string &integration_id, const std::set<PendingFetches::key_type> &keys);

    Entries entries_; ///< each of them is in line, or put off
    std::set<Place> line_;
    std::set<std::pair<Clock::time_point, std::string>> put_off_; ///< until when, integration
    std::unordered_map<int64_t, Known> requests_;
    std::unordered_set<std::string> words_; ///< of the requests
    uint64_t turns_ = 1;                    ///< so that 0 is before all
};

/// The urgency of a request.
Urgency urgency_of(const QueuedRequest &request);

} // namespace syncer
