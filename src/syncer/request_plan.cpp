#include "syncer/request_plan.h"

namespace syncer {

namespace {

/// States in which everything has just been fetched: what is planned depends on nothing but the subscriptions then.
void forget_past(States &states, kombo::Timestamp now) {
    for (auto &[endpoint, state] : states) {
        state.watermark = now;
        state.last_full_at.reset();
        state.open_full.reset();
    }
}

} // namespace

RequestPlan plan_requests(const Catalogue &catalogue, const std::string &category, States states,
                          const FetchRequest &wanted, const std::string &integration_id) {
    const kombo::Timestamp now = kombo::current_timestamp();
    // Of everything, the watermarks decide what is implied and can be left out.
    if (wanted.what) forget_past(states, now);
    Plan planned = plan(catalogue, category, states, wanted, now, std::chrono::microseconds(0));
    RequestPlan made;
    made.ignored = std::move(planned.ignored);
    for (const Task &task : planned.tasks) {
        PlannedRequest request;
        request.integration_id = integration_id;
        request.endpoint = task.endpoint->path;
        request.kind = wanted.kind;
        // A carrier whose deltas do not show the change.
        if (wanted.what && task.kind == Kind::Full && task.endpoint->incremental) request.kind = Kind::Full;
        made.requests.push_back(std::move(request));
    }
    return made;
}

} // namespace syncer
