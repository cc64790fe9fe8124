#pragma once

#include "syncer/failure.h"

#include <functional>

/// Containment: errors of the worker's own work are caught here, so that a failure stops nothing else.
namespace pg {

/// Why a piece of work was not done.
using Trouble = syncer::Failure;

/// A lock, or what else passes, is told of when it has lasted for so long.
constexpr std::chrono::seconds tell_of_lock_after(2);

/// Runs `body`; nullopt: it did what it was to do. An error of any kind is caught and described, but for what ends the
/// process. Database errors must leave a transaction or subtransaction that `body` itself has begun.
std::optional<Trouble> contain(const std::function<void()> &body);

/// The error in flight, to be called from a catch block. Throws again what ends the process; a cancel does not.
Trouble describe_trouble();

} // namespace pg
