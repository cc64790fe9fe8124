#include "syncer/retry.h"

#include <algorithm>

namespace syncer {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds day = 24h;
constexpr std::chrono::milliseconds longest = 1h;

std::chrono::milliseconds wait_after(const RunResult &result, int attempts, double jitter) {
    switch (result.status) {
    case Status::Waiting:
        return back_off(attempts, 5min, longest, jitter);
    case Status::Unavailable:
        return back_off(1, day, day, jitter);
    default:
        break;
    }
    // A named time means that the trouble passes.
    if (result.lasting && !result.retry_after) return back_off(1, day, day, jitter);
    return back_off(attempts, 5s, longest, jitter);
}

} // namespace

std::chrono::milliseconds back_off(int attempts, std::chrono::milliseconds first, std::chrono::milliseconds most,
                                   double jitter) {
    auto wait = first;
    for (int i = 1; i < attempts && wait < most; ++i) wait *= 2;
    wait = std::min(wait, most);
    return wait - std::chrono::milliseconds(static_cast<int64_t>(static_cast<double>(wait.count()) * jitter / 2));
}

kombo::Timestamp next_attempt(const RunResult &result, int attempts, double jitter, kombo::Timestamp now) {
    auto wait = wait_after(result, attempts, jitter);
    // A demand is the least; that Kombo asks for none, or has its clock wrong, does not end the back-off.
    if (result.retry_after) wait = std::max(wait, *result.retry_after + back_off(1, 1s, 1s, jitter));
    return now + wait;
}

} // namespace syncer
