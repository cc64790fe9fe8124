#pragma once

#include "pg/base/guard.h"

/// What fails, fails for itself: the one place that classifies errors of the worker's own work.
namespace pg {

/// Why a piece of work was not done.
struct Trouble {
    std::string message;
    std::string sqlstate;
    std::string detail;
    std::string hint;
    bool passing = false; ///< a lock, a deadlock, a cancel: to be tried again soon, and nothing to tell of at first
};

/// Runs `body`; nullopt: it did what it was to do. An error of any kind is caught and described, but for what ends the
/// process. Database errors must leave a transaction or subtransaction that `body` itself has begun.
std::optional<Trouble> contain(const std::function<void()> &body);

/// The error in flight, to be called from a catch block. Throws again what ends the process.
Trouble describe_trouble();

} // namespace pg
