#pragma once

#include "syncer/plan.h"

#include <optional>
#include <string>
#include <vector>

namespace syncer {

/// A request to the worker.
struct PlannedRequest {
    std::string integration_id;
    std::optional<std::string> endpoint; ///< none: ask for the state of the integration
    Kind kind = Kind::Delta;             ///< of a fetch
    std::string server;                  ///< to register an unknown integration with
    std::string unknown_model;           ///< on whose account every subscribed endpoint is asked for
};

struct RequestPlan {
    std::vector<PlannedRequest> requests;
    std::vector<std::string> ignored; ///< models that nothing subscribed carries
};

/// Plans what to ask for. A request is about later: whether a delta will have to be a full fetch, because there is no
/// watermark or the endpoint has no deltas, is for the worker to see when its turn comes, and so is how often a carrier
/// may be fetched in full. `states` and errors as of plan().
RequestPlan plan_requests(const Catalogue &catalogue, const std::string &category, States states,
                          const FetchRequest &request, const std::string &integration_id);

} // namespace syncer
