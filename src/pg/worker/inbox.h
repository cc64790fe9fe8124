#pragma once

#include "pg/account/sync_requests.h"
#include "syncer/catalogue.h"

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

/// kombo.webhook_inbox: what arrived is judged, turned into requests, kept for a while, and deleted.
namespace pg {

struct Judged {
    size_t rows = 0;   ///< that were judged; 0: there are none, or somebody has locked them
    bool more = false; ///< there are further rows, which the next call can judge at once
    std::vector<NewRequest> requests;
    std::map<int64_t, std::string> unstored; ///< rows that stay new, as the database refuses what is to be noted; why
    std::map<int64_t, std::vector<NewRequest>> not_requested; ///< what they ask for, with negative ids
    std::vector<std::string> revived; ///< integrations with a back-off that ended: what was read of it is out of date
};

/// Judges the first rows of the inbox, in the caller's transaction and SPI connection, as the sync role: up to 200
/// rows, about 4 MB of bodies. Every row gets its status, and what it asks for is appended to kombo.sync_requests, once
/// per batch. Rows that somebody has locked are passed over; a locked table raises at once. A row that cannot be judged
/// is rejected with the reason and holds up no other. `catalogue_of(category)` gives the catalogue (cached by the
/// caller); where it throws, only the webhooks that need it are rejected. The rows `but` are left out. Throws Error
/// where the database fails the whole batch.
Judged judge_inbox(const std::function<const syncer::Catalogue &(const std::string &category)> &catalogue_of,
                   const NoneTaken &none_taken, const std::vector<int64_t> &but);

struct Pruned {
    size_t rows = 0;
    size_t kept = 0;                   ///< rows that the database does not let go, as something refers to them
    std::string why;                   ///< of the last of these
    std::optional<int64_t> more_after; ///< where to go on
};

/// Deletes judged rows past kombo_sync.retention, at most 1,000 of those behind `after`. Same caller as judge_inbox.
Pruned prune_inbox(int64_t after);

} // namespace pg
