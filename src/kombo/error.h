#pragma once

#include "headers.h"

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

namespace kombo {

/// The meaning of a failure for the caller. Of a response: by `error.code` first, then by HTTP status.
enum class ErrorClass {
    Transport,     ///< no whole answer came: resolve, connect, TLS, timeout, connection lost, too large
    MalformedBody, ///< an unexpected response, such as a 3xx or 4xx without Kombo's error envelope
    Transient,     ///< a server-side failure that passes: 408, 421, 425, 499, 5xx
    RateLimited,   ///< 429 and the limit codes
    SetupPending,  ///< Kombo has not finished its first sync of this integration, or people have to act there
    Unavailable,   ///< the tool or the integration's settings lack this model: concerns the one endpoint
    Unauthorized,  ///< the API key is wrong, as Kombo itself says: concerns the server
    NotFound,      ///< 404 in Kombo's envelope, or no such integration
    InvalidInput,  ///< 400 or 422 in Kombo's envelope: a parameter was refused
    Final          ///< any other refusal
};

/// The name of the class in words, for logs: "transport", "rate limited", …
const char *error_class_name(ErrorClass error_class);

/// A call that failed. All texts that came from the network are valid UTF-8 without control characters, at most 500
/// bytes each, and none of them holds a request header or a query string.
struct ApiError : std::exception {
    ApiError(ErrorClass error_class_, long http_status_, std::string message_);

    /// All in one line: code, HTTP status, title and message.
    const char *what() const noexcept override { return text.c_str(); }

    /// Composes `text` from the other members; to be called after changing them.
    void compose();

    ErrorClass error_class = ErrorClass::Final;
    long http_status = 0;                                 ///< 0 where no answer came
    std::string code;                                     ///< Kombo's `error.code`, empty where there was none
    std::string title;                                    ///< Kombo's `error.title`, may be empty
    std::string message;                                  ///< Kombo's `error.message`, or ours
    std::string log_url;                                  ///< Kombo's `error.log_url`, may be empty
    std::optional<std::chrono::milliseconds> retry_after; ///< how long the server told us to wait
    bool host_unreachable = false; ///< could not resolve, connect or agree on TLS: other calls would fail alike
    bool permanent = false;        ///< of a transport error: trying again cannot help (certificate, bad URL)
    bool too_much = false;         ///< the answer took too long or was too large: fewer records a page may help
    std::string text;              ///< what what() gives
};

/// True if errors of this class are worth another try by themselves.
bool retryable(ErrorClass error_class);

/// True if this very error is worth another try: its class, unless it is permanent.
bool retryable(const ApiError &error);

/// The error that an answer stands for. `body` may be Kombo's error envelope, HTML, plain text or empty; unknown codes
/// are classed by status. Without the envelope only 408, 429 and 5xx mean what they say. Reads the wait that the server
/// demands from the headers (see demanded_wait()).
ApiError classify(long status, std::string_view body, const Headers &headers);

/// True if the body is Kombo's error envelope (`"status":"error"`), whatever its HTTP status was.
bool is_error_envelope(std::string_view body);

/// The time that the server asks us to wait: `retry-after-ms`, `Retry-After` (seconds or an HTTP date, which is read
/// against the `Date` header, else our clock), and with 429 window_end(). Between zero and one day.
std::optional<std::chrono::milliseconds> demanded_wait(long status, const Headers &headers);

/// The time until the window of the rate limit ends, by `ratelimit-reset`: seconds from now, or a time since 1970.
/// Between zero and five minutes: Kombo's windows are of one minute.
std::optional<std::chrono::milliseconds> window_end(const Headers &headers);

/// True if the error is a rate limit of the API key. Limits of the customer's tool, and of actions that run at once,
/// concern one integration.
bool concerns_key(const ApiError &error);

/// Describes a body that is not Kombo's, for a message: the beginning of HTML or plain text; of JSON and XML
/// only the kind, and the names of an object's keys, as the values may be personal data.
std::string outline(std::string_view body);

/// Text from the network made fit for messages: line breaks and tabs become spaces, other control characters and those
/// that change the direction of writing are dropped, invalid UTF-8 becomes U+FFFD; the result has at most `limit` bytes
/// and no half characters.
std::string printable(std::string_view text, size_t limit = 500);

} // namespace kombo
