#pragma once

#include "pg/base/guard.h"

namespace pg {

/// Tells the server's log what keeps the worker from working: a WARNING with DETAIL and HINT, the same cause at most
/// once a minute. `cause` is what many messages may have in common: then one of them is told; empty: `message`.
void log_warning(const std::string &message, const std::string &sqlstate = "01000", const std::string &detail = {},
                 const std::string &hint = {}, const std::string &cause = {});

} // namespace pg
