#include "kombo/rate_budget.h"

#include <algorithm>

namespace kombo {

namespace {

/// How long to wait where nobody has said when the next window begins: the answers on the way will.
constexpr int64_t soon = 250;

/// Two answers of one window may differ by so much, as `reset` is in whole seconds.
constexpr int64_t same_window = 2000;

/// So many requests may be on the way when an answer is given, which it does not count.
constexpr int64_t most_on_the_way = 100;

/// Requests may end without an answer that says anything: then, after so long, no limit is known any more.
constexpr int64_t longest_silence = 5000;

/// Nobody waits longer for a window to end, or after a 429, whatever an answer claims: Kombo's windows are of a minute.
constexpr int64_t longest_wait = 300'000;

/// The least to wait after a first 429.
constexpr int64_t first_wait = 1000;

/// So long the others wait for the answer to the one request that tries whether a limit is over.
constexpr int64_t longest_trial = 10'000;

/// The part of a limit that is kept for urgent requests; a limit of one has nothing to keep.
int64_t reserve(int64_t limit) {
    return std::min(std::max<int64_t>(limit / 10, 1), limit - 1);
}

} // namespace

void RateBudget::note(int64_t of, int64_t left, int64_t reset, int64_t now) {
    if (of <= 0) return;
    begin_window_if_over(now);
    // Later than any time that has been, so never 0.
    const int64_t new_reset_at = now + std::clamp<int64_t>(reset, 1, longest_wait);
    const bool new_window = limit == 0 || (reset_at != 0 && new_reset_at > reset_at + same_window);
    // Within a window answers come in any order, and none counts what is still on the way: the least is true, unless
    // it is further off than that explains.
    remaining = new_window ? left : std::max(std::min(remaining, left), left - most_on_the_way);
    limit = new_window ? of : std::max(limit, of);
    if (new_window || reset_at == 0) reset_at = new_reset_at;
}

void RateBudget::block(int64_t wait, int64_t now) {
    blocked_until = std::max(blocked_until, now + wait);
}

void RateBudget::refuse(int64_t demand, int64_t now) {
    if (now >= blocked_until) ++refusals; // others that were on the way with it say the same
    int64_t own = first_wait;
    for (int64_t i = 1; i < refusals && own < longest_wait; ++i) own *= 2;
    block(std::clamp(demand, std::min(own, longest_wait), longest_wait), now);
    trial_over_at = 0;
}

void RateBudget::answered(int64_t now) {
    // A response to a request that was sent before the limit was met is no sign that it is over.
    if (refusals > 0 && now >= blocked_until && trial_over_at != 0) refusals = trial_over_at = 0;
}

bool RateBudget::lift(int64_t now) {
    if (!limited_until(now)) return false;
    *this = RateBudget();
    refusals = 1;
    return true;
}

std::optional<int64_t> RateBudget::limited_until(int64_t now) const {
    int64_t until = refusals > 0 ? std::max(blocked_until, now) : 0;
    if (limit > 0 && reset_at > now && remaining <= reserve(limit)) until = std::max(until, reset_at);
    return until > 0 ? std::optional(until) : std::nullopt;
}

std::optional<int64_t> RateBudget::take(bool urgent, int64_t now) {
    if (now < blocked_until) return blocked_until - now;
    if (now < trial_over_at) return std::min(soon, trial_over_at - now);
    begin_window_if_over(now);
    if (limit != 0) {
        if (remaining <= (urgent ? 0 : reserve(limit))) return reset_at == 0 ? soon : reset_at - now;
        --remaining;
    }
    if (refusals > 0) trial_over_at = now + longest_trial;
    return std::nullopt;
}

/// Once a window is over the whole limit is there again, until an answer says more.
void RateBudget::begin_window_if_over(int64_t now) {
    if (limit == 0 || now < (reset_at == 0 ? assumed_over_at : reset_at)) return;
    if (reset_at == 0) { // no answer has spoken of a limit since: there may be none any more
        limit = 0;
        return;
    }
    remaining = limit;
    reset_at = 0;
    assumed_over_at = now + longest_silence;
}

} // namespace kombo
