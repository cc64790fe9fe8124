#pragma once

#include "pg/base/guard.h"
#include "syncer/plan.h"

#include <optional>
#include <string>
#include <vector>

namespace pg {

/// A row of kombo.integrations, as a sync sees it.
struct Integration {
    std::string id;
    std::string server;
    std::string category;
    bool paused = false;                             ///< by the operator
    bool suspended = false;                          ///< by the worker, until an attempt succeeds
    std::string pause_reason;                        ///< of either
    bool restored = false;                           ///< enabled in another database than this
    std::optional<kombo::Timestamp> next_attempt_at; ///< of a suspended one
    std::optional<kombo::Timestamp> data_expired_at; ///< as Kombo last said

    /// True if nothing has changed that a sync depends on.
    bool same_as(const Integration &other) const {
        return server == other.server && category == other.category && paused == other.paused &&
               suspended == other.suspended && restored == other.restored;
    }
};

/// All of them, or the one of that id, by id.
std::vector<Integration> load_integrations(const std::optional<std::string> &integration_id);

/// Ends what the worker has suspended: the integration, or all of its server where it is the key's fault.
void end_suspension(const std::string &integration_id);

/// Gives the task what was asked of the worker and is not yet fulfilled: a fetch that begins now fulfils it.
void take_pending_requests(const std::string &integration_id, syncer::Task &task);

/// Deletes rows of kombo.sync_requests.
void delete_requests(const std::vector<int64_t> &ids);

} // namespace pg
