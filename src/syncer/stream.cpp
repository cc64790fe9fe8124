#include "syncer/stream.h"

namespace syncer {

kombo::Response finish(kombo::Call &call, kombo::Transfers &transfers, Waiter &waiter) {
    while (true) {
        call.advance(Clock::now());
        if (call.done()) return call.take();
        waiter.wait(transfers, call.wake_at());
    }
}

PageStream::PageStream(Connection &connection, std::string path, std::string integration_id, kombo::Query filters,
                       std::optional<std::string> cursor)
    : connection_(connection), path_(std::move(path)), integration_id_(std::move(integration_id)),
      filters_(std::move(filters)), parsed_(std::make_shared<std::optional<kombo::Page>>()),
      cursor_(std::move(cursor)) {
    if (cursor_) trail_.insert(*cursor_);
    prepare();
}

/// Makes the call of the page that follows.
void PageStream::prepare() {
    const kombo::Query query = cursor_ ? filters_.with_cursor(*cursor_) : filters_;
    // A page is parsed where its body is judged: one that is cut short is asked for again like any other failure.
    auto parsed = parsed_;
    call_ = std::make_unique<kombo::Call>(
        connection_.transfers, connection_.api.list(path_, integration_id_, query), connection_.http, connection_.retry,
        [parsed](kombo::Response &response) { parsed->emplace(kombo::Page::parse(std::move(response.body))); },
        connection_.listener);
}

bool PageStream::wants_to_send(Clock::time_point now) const {
    return call_ && call_->due(now);
}

void PageStream::send() {
    call_->send();
}

void PageStream::poll(Clock::time_point now) {
    if (call_) call_->poll(now);
}

std::optional<Clock::time_point> PageStream::wake_at() const {
    return call_ ? call_->wake_at() : std::nullopt;
}

PageStream::Arrived PageStream::take() {
    kombo::Response response = call_->take();
    retries_ += call_->retries();
    call_.reset();
    kombo::Page page = std::move(**parsed_);
    parsed_->reset();
    ++pages_;
    bytes_ += response.wire_bytes;
    const Clock::time_point requested = response.started;
    if (!first_) first_ = std::move(response);

    cursor_ = page.next();
    if (!cursor_) {
        ended_ = true;
    } else if (!trail_.insert(*cursor_)) {
        throw kombo::ApiError(kombo::ErrorClass::MalformedBody, 0,
                              "the list does not end: page " + std::to_string(pages_) +
                                  " has a cursor that an earlier page had");
    } else {
        prepare();
    }
    return Arrived{std::move(page), requested};
}

void PageStream::end() {
    call_.reset();
    cursor_.reset();
    ended_ = true;
}

std::optional<PageStream::Arrived> PageStream::next(Waiter &waiter) {
    if (ended_) return std::nullopt;
    while (!answered()) {
        const auto now = Clock::now();
        poll(now);
        if (wants_to_send(now)) send();
        if (!answered()) waiter.wait(connection_.transfers, wake_at());
    }
    Arrived arrived = take();
    if (!ended_) send();
    return arrived;
}

} // namespace syncer
