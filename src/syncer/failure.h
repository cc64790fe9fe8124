#pragma once

#include "kombo/error.h"
#include "syncer/result.h"

#include <chrono>
#include <exception>
#include <optional>
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
    /// Every other integration of the server would, too: the key is refused.
    bool of_server = false;
    /// Trying again soon cannot help: somebody has to do something.
    bool lasting = false;
    bool too_many_parked = false;
    /// Fewer records a page may help: the answer took too long, or was too large.
    bool too_much = false;
    /// The time that Kombo asks to wait.
    std::optional<std::chrono::milliseconds> retry_after = std::nullopt;

    /// It passes when others end their transactions, or when the statement is run again: a lock, a deadlock, a cancel.
    bool passing() const;
};

/// The meaning of an error of the API or the network for the user.
Failure explain(const kombo::ApiError &error);

/// The same for every exception. Throws again what ends more than one piece of work: cancel, timeouts, shutdown.
Failure explain(const std::exception_ptr &caught);

} // namespace syncer
