#pragma once

#include "time.h"

#include <optional>
#include <string>
#include <string_view>

namespace kombo {

/// An integration as `GET /integrations/{id}` describes it.
struct IntegrationInfo {
    std::string status;       ///< ACTIVE, INVALID (credentials are refused) or INACTIVE (switched off)
    std::string setup_status; ///< INCOMPLETE, FINAL_SYNC_PENDING or COMPLETED
    std::string category;
    std::string tool;
    std::optional<Timestamp> data_expired_at; ///< the configuration changed: what was fetched is out of date
};

/// Reads the answer's `data`. A field of another type than expected counts as absent. Throws MalformedBody for what is
/// not an object.
IntegrationInfo parse_integration_info(std::string_view data);

} // namespace kombo
