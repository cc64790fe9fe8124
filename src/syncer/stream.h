#pragma once

#include "kombo/call.h"
#include "kombo/http.h"
#include "kombo/page.h"
#include "kombo/request.h"

#include <memory>
#include <optional>
#include <string>

namespace syncer {

using Clock = kombo::Call::Clock;

/// Waits for the network on the caller's behalf, and answers interrupts while it does.
class Waiter {
public:
    virtual ~Waiter() = default;
    /// Waits until a transfer has something to do or `until` has come. Throws what an interrupt demands.
    virtual void wait(kombo::Transfers &transfers, std::optional<Clock::time_point> until) = 0;
};

/// The way to talk to one server.
struct Connection {
    kombo::Transfers &transfers;
    kombo::Api api;
    kombo::HttpOptions http;
    kombo::RetryPolicy retry;
    int page_size = 250;
    kombo::Call::Listener listener; ///< is told of every answer
};

/// Waits for a call to end. Throws kombo::ApiError, and what the waiter throws.
kombo::Response finish(kombo::Call &call, kombo::Transfers &transfers, Waiter &waiter);

/// The pages of one list, in order. It never waits, but for next(): whoever drives several of them calls poll() when
/// the network has moved, take() where a page has arrived, and send() where it may.
class PageStream {
public:
    struct Arrived {
        kombo::Page page;
        Clock::time_point requested;
        /// The same by our clock as it goes now: it may have been set meanwhile.
        kombo::Timestamp requested_at() const { return kombo::by_our_clock(requested); }
    };

    /// `filters` are repeated with every cursor. With `cursor` the list is taken up there.
    PageStream(Connection &connection, std::string path, std::string integration_id, kombo::Query filters,
               std::optional<std::string> cursor = std::nullopt);

    /// True if a request can be sent now: the first, that of the next page, or one that failed and is due again.
    bool wants_to_send(Clock::time_point now) const;

    /// Sends it.
    void send();

    /// Looks whether the answer has come. What is wrong with it comes out of take().
    void poll(Clock::time_point now);

    /// True if take() has something to give.
    bool answered() const { return call_ && call_->done(); }

    /// True if a request is on its way.
    bool in_flight() const { return call_ && call_->in_flight(); }

    /// The time at which a failed request is due again; nullopt: none waits for that.
    std::optional<Clock::time_point> wake_at() const;

    /// The page that has arrived. Throws kombo::ApiError, also for a cursor that comes twice.
    Arrived take();

    /// Asks for nothing more, whatever cursor the last page had.
    void end();

    /// Waits for the next page and asks for the one that follows; nullopt after the last. Throws kombo::ApiError, and
    /// what the waiter throws.
    std::optional<Arrived> next(Waiter &waiter);

    /// True once the last page has arrived.
    bool ended() const { return ended_; }

    /// The cursor of the page that follows the last one taken; nullopt before the first and after the last.
    const std::optional<std::string> &cursor() const { return cursor_; }

    /// The answer with the first page, without its body; null: it has not arrived.
    const kombo::Response *first_response() const { return first_ ? &*first_ : nullptr; }

    int pages() const { return pages_; }
    size_t bytes() const { return bytes_; }
    int retries() const { return retries_ + (call_ ? call_->retries() : 0); }

private:
    void prepare();

    Connection &connection_;
    std::string path_;
    std::string integration_id_;
    kombo::Query filters_;
    std::unique_ptr<kombo::Call> call_; ///< of the page that follows
    std::shared_ptr<std::optional<kombo::Page>> parsed_;
    kombo::CursorTrail trail_;
    std::optional<std::string> cursor_;
    std::optional<kombo::Response> first_;
    bool ended_ = false;
    int pages_ = 0;
    size_t bytes_ = 0;
    int retries_ = 0;
};

} // namespace syncer
