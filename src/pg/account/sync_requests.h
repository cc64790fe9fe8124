#pragma once

#include "kombo/time.h"
#include "syncer/request_plan.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

/// The rows of kombo.sync_requests: what the worker is asked to do.
namespace pg {

struct NewRequest {
    int64_t id = 0;
    std::string integration_id;
    std::optional<std::string> endpoint; ///< none where kind is "integration"
    std::string kind;                    ///< delta, full or integration
    std::string trigger;                 ///< webhook, schedule or sql
    std::string server;                  ///< to register an unknown integration with; else empty
    std::string unknown_model;           ///< on whose account every subscribed endpoint is asked for; else empty
    kombo::Timestamp requested_at;
};

/// A planned request as a row. `trigger`: webhook, schedule or sql.
NewRequest to_new_request(const syncer::PlannedRequest &request, const std::string &trigger);

/// True if no run that is under way can have taken the requests that wait for this endpoint (nullopt: the state of the
/// integration): then another like them is not needed.
using NoneTaken = std::function<bool(const NewRequest &)>;

/// That of a session: nobody syncs the integration.
bool nobody_syncs(const NewRequest &request);

/// Appends requests in the caller's transaction and SPI connection, as the current role, but for those that are asked
/// for already by a row that no run has taken, and no full fetch that is to be resumed was begun for. Returns the new
/// rows, with `id` and `requested_at` filled in. Throws Error.
std::vector<NewRequest> append_requests(const std::vector<NewRequest> &requests,
                                        const NoneTaken &none_taken = nobody_syncs);

/// Runs `body`, which inserts into a table of ours with an identity column, in a subtransaction. Where the sequence of
/// that column is behind its table, as logical replication leaves it, it is set past it, and `body` is run once more.
void past_sequences(const std::function<void()> &body);

/// The list may show a change later than the webhook tells of it. What webhooks asked for among these requests, in
/// vain, is asked for again 10 s and 60 s after the first attempt, reaching back to where that began: `asked_from`.
/// Many webhooks share a further attempt. In the transaction that deletes the requests. Throws Error.
void ask_again(const std::string &integration_id, const std::vector<int64_t> &requests, kombo::Timestamp asked_from);

/// Kombo may know a new integration later than its webhook tells of it: these requests are asked for again after 5, 10,
/// 20 and 40 s. In the transaction that deletes them. False: they were asked for often enough. Throws Error.
bool ask_for_integration_again(const std::vector<int64_t> &requests);

/// Has what backs off in these integrations, and those that kombo_sync paused, tried at once. An endpoint that the tool
/// lacks only where `requests` ask for it or for the state of the integration: such news are about other endpoints.
/// Rows that somebody else has locked are left as they are: nobody waits. `at`: when it is tried; nullopt: at once.
/// Returns the integrations where something backed off for longer. Throws Error.
std::vector<std::string> end_back_off(const std::vector<std::string> &integration_ids,
                                      const std::vector<NewRequest> &requests,
                                      std::optional<kombo::Timestamp> at = std::nullopt);

} // namespace pg
