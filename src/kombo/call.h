#pragma once

#include "error.h"
#include "http.h"

#include <chrono>
#include <functional>
#include <optional>

namespace kombo {

/// The number of retries and the times between them. Back-off is exponential with full jitter: up to min(cap, base *
/// 2^n).
struct RetryPolicy {
    int max_retries = 5;
    std::chrono::milliseconds base{500};
    std::chrono::milliseconds cap{30'000};
    std::chrono::milliseconds longest_wait{60'000}; ///< a server that demands more fails the call at once
};

/// One logical GET with its retries: a state machine that never waits. The caller drives the transfers, and calls
/// advance() after each of their events and when wake_at() has come; or poll() and, where it is due(), send(), if it
/// decides itself when a request may go out.
class Call {
public:
    using Clock = std::chrono::steady_clock;

    /// Looks at a 2xx answer (and may take its body); throwing MalformedBody makes the call try again.
    using Check = std::function<void(Response &)>;

    /// Is told of every answer that came, of whatever status.
    using Listener = std::function<void(const Response &)>;

    /// `transfers` must outlive the call. Nothing happens before advance() or send().
    Call(Transfers &transfers, Request request, HttpOptions options, RetryPolicy policy, Check check = {},
         Listener listener = {});
    ~Call();
    Call(const Call &) = delete;
    Call &operator=(const Call &) = delete;
    Call(Call &&other) noexcept;
    Call &operator=(Call &&) = delete;

    /// Starts the request, notices its end, schedules and starts the retry. What `check` throws, other than
    /// MalformedBody, goes through.
    void advance(Clock::time_point now);

    /// Notices the end of the request, and schedules the retry.
    void poll(Clock::time_point now);

    /// True if a request, the first or a repeated one, is to be sent now.
    bool due(Clock::time_point now) const { return wake_at_ && now >= *wake_at_; }

    /// Sends it; a quick answer may be here at once.
    void send();

    /// True if a request has been sent and not been answered.
    bool in_flight() const { return transfer_.has_value(); }

    /// True if take() has something to give.
    bool done() const { return result_.has_value(); }

    /// The end of the back-off; nullopt if none is running. Before the first advance(): the beginning of time.
    std::optional<Clock::time_point> wake_at() const;

    /// The answer (2xx, not an error envelope), once. Throws ApiError; std::logic_error where the call is not done().
    Response take();

    /// The number of times that the request was sent again.
    int retries() const { return retries_; }

    /// The error that caused the last retry; nullopt where there was none.
    const std::optional<ApiError> &last_error() const { return last_error_; }

private:
    void finish(Finished finished, Clock::time_point now);
    std::optional<ApiError> judge(Response &response) const;
    void fail(ApiError error, Clock::time_point now);
    std::chrono::milliseconds back_off(const ApiError &error) const;

    Transfers *transfers_;
    Request request_;
    HttpOptions options_;
    RetryPolicy policy_;
    Check check_;
    Listener listener_;
    std::optional<Transfers::Id> transfer_;
    std::optional<Clock::time_point> wake_at_;
    std::optional<Finished> result_;
    std::optional<ApiError> last_error_;
    int retries_ = 0;
};

} // namespace kombo
