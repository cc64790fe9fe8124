#pragma once

#include "kombo/time.h"
#include "sync/catalogue.h"
#include "sync/open_full.h"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace syncer {

/// What the planner needs to know of one endpoint of the integration.
struct EndpointState {
    Subscription subscription;
    std::optional<kombo::Timestamp> watermark;
    std::optional<kombo::Timestamp> last_full_at;
    bool accept_sweep = false;
    int attempts = 0; ///< that came to nothing, in a row
    std::optional<kombo::Timestamp> next_attempt_at;
    std::optional<OpenFull> open_full; ///< of the worker
    std::optional<int> page_size;      ///< fewer records a page than usual, after answers that were too much

    /// From when a delta has to ask: while the first full fetch is under way, its start serves.
    std::optional<kombo::Timestamp> delta_from(kombo::Timestamp now) const {
        if (watermark || !open_full || !open_full->alive(now)) return watermark;
        return open_full->watermark;
    }
};
using States = std::map<std::string, EndpointState>;

/// What is asked for: `what` holds model names and endpoint paths; nullopt is everything subscribed.
struct Wish {
    Kind kind = Kind::Delta;
    std::optional<std::vector<std::string>> what;
};

struct Task {
    const Endpoint *endpoint = nullptr;
    Kind kind = Kind::Delta;
    std::optional<kombo::Timestamp> updated_after; ///< of a delta
    /// Endpoints whose rows this fetch brings complete, so that it may advance their watermarks.
    std::vector<const Endpoint *> implied;
    std::string trigger = "sql"; ///< what asked for it: webhook, schedule or sql
    /// Rows of kombo.sync_requests that were there when it began: its success fulfils them.
    std::vector<int64_t> requests;
    bool of_webhook = false; ///< a webhook asked for some of them
};

struct Plan {
    std::vector<Task> tasks;
    std::vector<std::string> ignored; ///< models that nothing subscribed carries
};

/// Decides what to fetch for one integration. `states` has an entry for each endpoint of `category`.
/// `min_full_interval`: a full fetch of a carrier, for a model that no delta shows, is planned at most that often.
/// Throws InvalidRequest for a name that the category does not have (the hint lists the valid ones) and for an endpoint
/// that is named but switched off by the operator.
Plan plan(const Catalogue &catalogue, const std::string &category, const States &states, const Wish &wish,
          kombo::Timestamp now, std::chrono::microseconds min_full_interval);

/// The task of one endpoint. A delta becomes a full fetch where no delta can be complete.
Task task_for(const Catalogue &catalogue, const States &states, const Endpoint &endpoint, Kind kind,
              kombo::Timestamp now);

/// Whether a delta of `other` shows all that one of `endpoint` would, so that this needs no request of its own.
bool vouched_for(const States &states, const Endpoint &endpoint, const Endpoint &other, kombo::Timestamp now);

/// Whether the model's rows come with every field through an endpoint that is subscribed as its own.
bool own_endpoint_subscribed(const Catalogue &catalogue, const States &states, size_t table);

} // namespace syncer
