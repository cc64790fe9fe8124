#pragma once

#include "kombo/error.h"
#include "sync/result.h"

#include <exception>
#include <string>

namespace syncer {

/// A failure as it is told to the user: SQLSTATE, primary message, DETAIL, HINT.
struct Failure {
    Status status = Status::Failed;
    std::string sqlstate;
    std::string message;
    std::string detail;
    std::string hint;
    /// Every other endpoint of the integration would end alike.
    bool of_integration = false;
};

/// What an error of the API or the network means to the user.
Failure explain(const kombo::ApiError &error);

/// The same for what may end an endpoint's run. Throws again what is not an endpoint's failure: cancel, timeouts,
/// shutdown, and mistakes in the catalogue.
Failure explain(const std::exception_ptr &caught);

} // namespace syncer
