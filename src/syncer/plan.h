#pragma once

#include "kombo/time.h"
#include "syncer/catalogue.h"
#include "syncer/open_full.h"

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace syncer {

/// The state of one endpoint of the integration, as the planner needs it.
struct EndpointState {
    Subscription subscription;
    std::optional<kombo::Timestamp> watermark;
    std::optional<kombo::Timestamp> last_full_at;
    bool accept_sweep = false;
    bool unavailable = false; ///< at its last attempt Kombo did not offer the model
    bool failed = false;      ///< its last attempt came to nothing: only one of its own ends that
    int attempts = 0;         ///< that came to nothing, in a row
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

/// A request of a user: `what` holds model names and endpoint paths; nullopt is everything subscribed.
struct FetchRequest {
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
Plan plan(const Catalogue &catalogue, const std::string &category, const States &states, const FetchRequest &request,
          kombo::Timestamp now, std::chrono::microseconds min_full_interval);

/// The task of one endpoint. A delta becomes a full fetch where no delta can be complete.
Task task_for(const Catalogue &catalogue, const States &states, const Endpoint &endpoint, Kind kind,
              kombo::Timestamp now);

/// True if a delta of `other` shows all that one of `endpoint` would, so that this needs no request of its own. Not if
/// the last one of its own failed: it would be told of as failed until its next full fetch.
bool vouched_for(const States &states, const Endpoint &endpoint, const Endpoint &other, kombo::Timestamp now);

/// Tombstones that are older than this are not kept; nullopt: all are.
std::optional<kombo::Timestamp> purge_limit(const Subscription &subscription);

/// True if the endpoint is subscribed and Kombo offers its model.
bool delivers(const States &states, const Endpoint &endpoint);

/// True if a list whose records are rows of the table delivers.
bool own_list_delivers(const Catalogue &catalogue, const States &states, size_t table);

/// True if the table's rows come complete: from a list of their own, or from one that owns them. Each table has one
/// writer of its rows: where there is such a list, copies that are nested in other records store nothing.
bool has_writer(const Catalogue &catalogue, const States &states, size_t table);

/// The tables that a fetch of the endpoint writes.
std::set<size_t> written_tables(const Catalogue &catalogue, const States &states, const Endpoint &endpoint);

/// The nested records of the endpoint whose rows go with the record that they are nested in: joins, owned lists, and
/// linked ones that are complete with each parent, where no other list writes their rows. An outer one comes first.
using Dependents = std::vector<const Nested *>;
Dependents dependents(const Catalogue &catalogue, const States &states, const Endpoint &endpoint);

} // namespace syncer
