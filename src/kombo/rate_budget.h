#pragma once

#include <cstdint>
#include <optional>

namespace kombo {

/// The rate limit of an API key, and who may send a request now. Plain data, as it lives in shared memory.
/// Times are in ms of one clock that only goes forward; everything zero: nothing is known, and everybody may.
/// Kombo answers with ratelimit-limit, ratelimit-remaining and ratelimit-reset (whole seconds until the window ends).
struct RateBudget {
    int64_t limit = 0; ///< requests a window; 0: not known
    int64_t remaining = 0;
    int64_t reset_at = 0; ///< 0: the window is over and no answer has said when the next one is
    int64_t blocked_until = 0;
    int64_t assumed_over_at = 0; ///< while reset_at is 0: nobody answers, and the window counts as over then
    int64_t refusals = 0;        ///< 429s in a row; while there are any, one request at a time tries whether it is over
    int64_t trial_over_at = 0;   ///< until then nobody sends another beside that one

    /// Notes what an answer said: `of` requests a window, of which `left` remain for `reset` ms from `now`.
    void note(int64_t of, int64_t left, int64_t reset, int64_t now);

    /// No request for `wait` ms.
    void block(int64_t wait, int64_t now);

    /// Notes a 429, with the `demand` for so many ms that it came with, if any. No request for so long, or a time that
    /// doubles with each in a row if that is longer, but five minutes at most; then one that tries.
    void refuse(int64_t demand, int64_t now);

    /// Notes any other answer.
    void answered(int64_t now);

    /// Ends the wait, if there is one: the next request is the one that tries.
    bool lift(int64_t now);

    /// The time at which a request that is not urgent may go out, if known; nullopt: now, no limit is met.
    std::optional<int64_t> limited_until(int64_t now) const;

    /// Takes one request: nullopt = go, otherwise for how many ms to wait. `urgent` ones may use the last tenth of the
    /// limit as well.
    std::optional<int64_t> take(bool urgent, int64_t now);

private:
    void begin_window_if_over(int64_t now);
};

} // namespace kombo
