#pragma once

#include "pg/account/sync_requests.h"
#include "sync/catalogue.h"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

/// kombo.webhook_inbox: what arrived is judged, turned into requests, kept for a while, and deleted.
namespace pg {

struct Judged {
    size_t rows = 0;   ///< that were judged; 0: there are none, or they are locked by somebody else
    bool more = false; ///< there are further rows, which the next call can judge at once
    std::vector<NewRequest> requests;
    std::vector<std::string> revived; ///< integrations with a back-off that ended: what was read of it is out of date
};

/// Judges the first rows of the inbox, in the caller's transaction and SPI connection, as the sync role: up to 200
/// rows, about 4 MB of bodies. Every row gets its status, and what it asks for is appended to kombo.sync_requests, once
/// per batch. Rows or tables that somebody has locked are passed over without waiting. A row that cannot be judged is
/// rejected with the reason and holds up no other. `catalogue_of(category)` gives the catalogue (cached by the caller);
/// where it throws, only the webhooks that need it are rejected. Throws Error where the database fails the whole batch.
Judged judge_inbox(const std::function<const syncer::Catalogue &(const std::string &category)> &catalogue_of);

/// Deletes judged rows past kombo_sync.retention, at most 1,000 of them; returns how many. Same caller as judge_inbox.
size_t prune_inbox();

} // namespace pg
