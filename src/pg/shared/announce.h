#pragma once

#include "syncer/result.h"

#include <string>

namespace pg {

/// NOTIFY kombo_sync with the integration, the endpoint and how many rows changed, where kombo_sync.notify is on and
/// something did; in the caller's transaction. Where an idle listener has let the notification queue fill up it says
/// nothing: the commit would fail.
void announce(const std::string &integration_id, const std::string &endpoint, const syncer::RunResult &result);

} // namespace pg
