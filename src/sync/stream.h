#pragma once

#include "kombo/call.h"
#include "kombo/http.h"
#include "kombo/page.h"
#include "kombo/request.h"

#include <memory>
#include <optional>
#include <string>

namespace syncer {

/// Waits for the network on the caller's behalf, and answers interrupts while it does.
class Waiter {
public:
    virtual ~Waiter() = default;
    /// Waits until a transfer has something to do or `until` has come. Throws what an interrupt demands.
    virtual void wait(kombo::Transfers &transfers, std::optional<kombo::Call::Clock::time_point> until) = 0;
};

/// How one server is talked to.
struct Connection {
    kombo::Transfers &transfers;
    kombo::Api api;
    kombo::HttpOptions http;
    kombo::RetryPolicy retry;
    int page_size = 250;
};

/// Waits for a call to end. Throws kombo::ApiError, and what the waiter throws.
kombo::Response finish(kombo::Call &call, kombo::Transfers &transfers, Waiter &waiter);

/// The pages of one list, in order; the page that follows is requested before the caller gets one.
class PageStream {
public:
    struct Arrived {
        kombo::Page page;
        kombo::Timestamp requested_at; ///< our clock
    };

    /// `filters` are repeated with every cursor.
    PageStream(Connection &connection, Waiter &waiter, std::string path, std::string integration_id,
               kombo::Query filters);

    /// Sends the first request, if that was not done; does not wait.
    void begin();

    /// The next page, nullopt after the last. Throws kombo::ApiError, also for a cursor that comes twice.
    std::optional<Arrived> next();

    /// True once the last page has arrived.
    bool ended() const { return ended_; }

    /// When the first page was asked for, by our clock: known once it has arrived.
    std::optional<kombo::Timestamp> first_requested_at() const;

    /// When the fetch began, as a watermark: known from the first page on.
    std::optional<kombo::Timestamp> started(std::chrono::microseconds overlap) const;

    int pages() const { return pages_; }
    size_t bytes() const { return bytes_; }
    int retries() const { return retries_ + (call_ ? call_->retries() : 0); }

private:
    void request(const kombo::Query &query);

    Connection &connection_;
    Waiter &waiter_;
    std::string path_;
    std::string integration_id_;
    kombo::Query filters_;
    std::unique_ptr<kombo::Call> call_;
    std::shared_ptr<std::optional<kombo::Page>> parsed_;
    kombo::CursorTrail trail_;
    std::optional<kombo::Response> first_;
    bool ended_ = false;
    int pages_ = 0;
    size_t bytes_ = 0;
    int retries_ = 0;
};

} // namespace syncer
