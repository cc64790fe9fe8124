#include "sync/stream.h"

#include "sync/watermark.h"

namespace syncer {

kombo::Response finish(kombo::Call &call, kombo::Transfers &transfers, Waiter &waiter) {
    while (true) {
        call.advance(kombo::Call::Clock::now());
        if (call.done()) return call.take();
        waiter.wait(transfers, call.wake_at());
    }
}

PageStream::PageStream(Connection &connection, Waiter &waiter, std::string path, std::string integration_id,
                       kombo::Query filters)
    : connection_(connection), waiter_(waiter), path_(std::move(path)), integration_id_(std::move(integration_id)),
      filters_(std::move(filters)), parsed_(std::make_shared<std::optional<kombo::Page>>()) {}

void PageStream::begin() {
    if (!call_ && pages_ == 0) request(filters_);
}

void PageStream::request(const kombo::Query &query) {
    // A page is parsed where its body is judged: one that is cut short is asked for again like any other failure.
    auto parsed = parsed_;
    call_ = std::make_unique<kombo::Call>(
        connection_.transfers, connection_.api.list(path_, integration_id_, query), connection_.http, connection_.retry,
        [parsed](kombo::Response &response) { parsed->emplace(kombo::Page::parse(std::move(response.body))); });
    call_->advance(kombo::Call::Clock::now());
    connection_.transfers.perform();
}

std::optional<PageStream::Arrived> PageStream::next() {
    if (ended_) return std::nullopt;
    begin();
    kombo::Response response = finish(*call_, connection_.transfers, waiter_);
    retries_ += call_->retries();
    call_.reset();
    kombo::Page page = std::move(**parsed_);
    parsed_->reset();
    ++pages_;
    bytes_ += response.wire_bytes;
    const kombo::Timestamp requested_at = response.sent_at;
    if (!first_) first_ = std::move(response);

    if (!page.next()) {
        ended_ = true;
    } else if (!trail_.insert(*page.next())) {
        throw kombo::ApiError(kombo::ErrorClass::MalformedBody, 0,
                              "the list does not end: page " + std::to_string(pages_) +
                                  " has a cursor that an earlier page had");
    } else {
        request(filters_.with_cursor(*page.next()));
    }
    return Arrived{std::move(page), requested_at};
}

std::optional<kombo::Timestamp> PageStream::first_requested_at() const {
    if (!first_) return std::nullopt;
    return first_->sent_at;
}

std::optional<kombo::Timestamp> PageStream::started(std::chrono::microseconds overlap) const {
    if (!first_) return std::nullopt;
    return fetch_start(*first_, overlap);
}

} // namespace syncer
