#pragma once

#include <cstdint>
#include <optional>

namespace kombo {

/// What is known of an API key's rate limit, and who may send a request now. Plain data, as it lives in shared memory.
/// Times are in ms of one clock that only goes forward; everything zero: nothing is known, and everybody may.
/// Kombo answers with ratelimit-limit, ratelimit-remaining and ratelimit-reset (whole seconds until the window ends).
struct RateBudget {
    int64_t limit = 0; ///< requests a window; 0: not known
    int64_t remaining = 0;
    int64_t reset_at = 0; ///< 0: the window is over and no answer has said when the next one is
    int64_t blocked_until = 0;
    int64_t assumed_over_at = 0; ///< while reset_at is 0: nobody answers, and the window counts as over then

    /// Notes what an answer said: `of` requests a window, of which `left` remain for `reset` ms from `now`.
    void note(int64_t of, int64_t left, int64_t reset, int64_t now);

    /// No request for `wait` ms (429).
    void block(int64_t wait, int64_t now);

    /// Takes one request: nullopt = go, otherwise for how many ms to wait. `urgent` ones may use the last tenth of the
    /// limit as well.
    std::optional<int64_t> take(bool urgent, int64_t now);

private:
    void begin_window_if_over(int64_t now);
};

} // namespace kombo
