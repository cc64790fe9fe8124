#pragma once

#include "kombo/time.h"
#include "syncer/result.h"

#include <chrono>

namespace syncer {

/// The time at which an endpoint is retried after failures. `attempts` is the number of failures in a
/// row, this one included; `jitter`, from 0 to 1, spreads those that failed together.
///
/// A failure that may pass: after 5 s, 10 s, 20 s … an hour at most. Kombo has no data yet: after 5 minutes, rising to
/// an hour. The tool lacks the model, or somebody has to act: after a day. Never before the time that Kombo named.
kombo::Timestamp next_attempt(const RunResult &result, int attempts, double jitter, kombo::Timestamp now);

/// The same for a wait of `attempts` times that doubles from `first` to `most`; half of it is jitter.
std::chrono::milliseconds back_off(int attempts, std::chrono::milliseconds first, std::chrono::milliseconds most,
                                   double jitter);

} // namespace syncer
