#include "call.h"

#include "page.h"

#include <algorithm>
#include <random>
#include <stdexcept>
#include <utility>

namespace kombo {
namespace {

using std::chrono::milliseconds;

// A 2xx answer this small may be an error envelope even where nobody checks its shape.
constexpr size_t small_body = size_t{64} << 10;

constexpr std::string_view bearer = "Authorization: Bearer ";
constexpr size_t key_prefix_length = 8; // so much of a key in a text is taken for the key, which may have been cut

/// A server or proxy may repeat the key that it was sent.
void mask(std::string &text, std::string_view secret) {
    const std::string_view head = secret.substr(0, key_prefix_length);
    for (size_t at = text.find(head); at != std::string::npos; at = text.find(head, at)) {
        size_t length = head.size();
        while (length < secret.size() && at + length < text.size() && text[at + length] == secret[length]) {
            ++length;
        }
        text.replace(at, length, "***");
    }
}

void mask_key(ApiError &error, const Request &request) {
    for (const std::string &header : request.headers) {
        if (header.compare(0, bearer.size(), bearer) != 0) {
            continue;
        }
        for (std::string *text : {&error.code, &error.title, &error.message, &error.log_url}) {
            mask(*text, std::string_view(header).substr(bearer.size()));
        }
        error.compose();
    }
}

} // namespace

Call::Call(Transfers &transfers, Request request, HttpOptions options, RetryPolicy policy, Check check,
           Listener listener)
    : transfers_(&transfers), request_(std::move(request)), options_(std::move(options)), policy_(policy),
      check_(std::move(check)), listener_(std::move(listener)), wake_at_(Clock::time_point::min()) {}

Call::~Call() {
    if (transfer_) {
        transfers_->cancel(*transfer_);
    }
}

Call::Call(Call &&other) noexcept
    : transfers_(other.transfers_), request_(std::move(other.request_)), options_(std::move(other.options_)),
      policy_(other.policy_), check_(std::move(other.check_)), listener_(std::move(other.listener_)),
      transfer_(std::exchange(other.transfer_, std::nullopt)), wake_at_(std::exchange(other.wake_at_, std::nullopt)),
      result_(std::exchange(other.result_, std::nullopt)), last_error_(std::move(other.last_error_)),
      retries_(other.retries_) {}

void Call::advance(Clock::time_point now) {
    if (transfer_) {
        poll(now);
    } else if (due(now)) {
        send();
    }
}

void Call::poll(Clock::time_point now) {
    if (!transfer_) {
        return;
    }
    if (std::optional<Finished> finished = transfers_->take(*transfer_)) {
        transfer_.reset();
        finish(std::move(*finished), now);
    }
}

void Call::send() {
    wake_at_.reset();
    transfer_ = transfers_->start(request_, options_);
    transfers_->perform();
    poll(Clock::now()); // a quick answer may be here already, and then no socket is left to wake anybody
}

std::optional<Call::Clock::time_point> Call::wake_at() const {
    return wake_at_;
}

Response Call::take() {
    if (!result_) {
        throw std::logic_error("the call is not done");
    }
    Finished result = std::move(*result_);
    result_.reset();
    if (auto *error = std::get_if<ApiError>(&result)) {
        throw ApiError(std::move(*error));
    }
    return std::get<Response>(std::move(result));
}

void Call::finish(Finished finished, Clock::time_point now) {
    if (auto *error = std::get_if<ApiError>(&finished)) {
        fail(std::move(*error), now);
        return;
    }
    auto &response = std::get<Response>(finished);
    if (listener_) {
        listener_(response);
    }
    if (std::optional<ApiError> error = judge(response)) {
        fail(std::move(*error), now);
        return;
    }
    result_ = std::move(finished);
}

std::optional<ApiError> Call::judge(Response &response) const {
    if (response.status < 200 || response.status > 299) {
        return classify(response.status, response.body, response.headers);
    }
    // Only what has the word is read: jansson took a fifth of the time of a small delta.
    if (response.body.size() <= small_body && response.body.find("\"error\"") != std::string::npos &&
        is_error_envelope(response.body)) {
        return classify(response.status, response.body, response.headers);
    }
    if (check_) {
        try {
            check_(response);
        } catch (const MalformedBody &malformed) {
            ApiError error(ErrorClass::MalformedBody, response.status, malformed.what());
            error.retry_after = demanded_wait(response.status, response.headers);
            return error;
        }
    }
    return std::nullopt;
}

void Call::fail(ApiError error, Clock::time_point now) {
    mask_key(error, request_);
    const bool too_long = error.retry_after && *error.retry_after > policy_.longest_wait;
    if (!retryable(error) || too_long || retries_ >= policy_.max_retries) {
        result_ = std::move(error);
        return;
    }
    wake_at_ = now + back_off(error);
    ++retries_;
    last_error_ = std::move(error);
}

milliseconds Call::back_off(const ApiError &error) const {
    static thread_local std::minstd_rand random{std::random_device()()};
    milliseconds ceiling = std::min(policy_.base, policy_.cap);
    for (int i = 0; i < retries_ && ceiling < policy_.cap; ++i) {
        ceiling = std::min(ceiling * 2, policy_.cap);
    }
    std::uniform_int_distribution<int64_t> jitter(0, std::max<int64_t>(0, ceiling.count()));
    const milliseconds own(jitter(random));
    if (!error.retry_after) {
        return own;
    }
    // Later than demanded, never earlier, so that many callers do not come back at the same instant; and a demand of
    // nothing, or of a time that has passed, is no reason to ask more often.
    return std::max(*error.retry_after + std::min(own, policy_.base), own);
}

} // namespace kombo
