#include "error.h"

#include "time.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <jansson.h>
#include <memory>
#include <utility>

namespace kombo {
namespace {

using std::chrono::milliseconds;

constexpr size_t largest_error_body = size_t{1} << 20;
constexpr milliseconds longest_demand = std::chrono::hours(24);
constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

// Source: protocol, errors. A code that is not here is classed by HTTP status.
constexpr std::pair<std::string_view, ErrorClass> known_codes[] = {
    {"PLATFORM.RATE_LIMIT_EXCEEDED", ErrorClass::RateLimited},
    {"PLATFORM.CONCURRENCY_LIMIT_EXCEEDED", ErrorClass::RateLimited},
    {"PLATFORM.INTEGRATION_NOT_FOUND", ErrorClass::NotFound},
    {"PLATFORM.INPUT_INVALID", ErrorClass::InvalidInput},
    {"PLATFORM.UNKNOWN_ERROR", ErrorClass::Transient},
    {"PLATFORM.IP_NOT_WHITELISTED", ErrorClass::Final},
    {"PLATFORM.AUTHENTICATION_INVALID", ErrorClass::Unauthorized},
    {"PLATFORM.TASK_TIMED_OUT", ErrorClass::Transient},
    {"INTEGRATION.PERMISSION_MISSING", ErrorClass::Final},
    {"INTEGRATION.AUTHENTICATION_INVALID", ErrorClass::Final},
    {"INTEGRATION.QA_FAILED", ErrorClass::SetupPending},
    {"INTEGRATION.SETUP_SYNC_PENDING", ErrorClass::SetupPending},
    {"INTEGRATION.SETUP_INCOMPLETE", ErrorClass::SetupPending},
    {"INTEGRATION.INACTIVE", ErrorClass::Final},
    {"INTEGRATION.MODEL_NOT_AVAILABLE", ErrorClass::Unavailable},
    {"INTEGRATION.MODEL_DISABLED", ErrorClass::Unavailable},
    {"INTEGRATION.ACTION_NOT_AVAILABLE", ErrorClass::Unavailable},
    {"INTEGRATION.ACTION_DISABLED", ErrorClass::Unavailable},
    {"REMOTE.SERVICE_UNAVAILABLE", ErrorClass::Transient},
    {"REMOTE.RATE_LIMIT_EXCEEDED", ErrorClass::RateLimited},
    {"REMOTE.UNKNOWN_HTTP_ERROR", ErrorClass::Transient},
    {"REMOTE.INPUT_INVALID", ErrorClass::Final},
};

ErrorClass class_of_status(long status) {
    switch (status) {
    case 400:
    case 422:
        return ErrorClass::InvalidInput;
    case 401:
        return ErrorClass::Unauthorized;
    case 404:
        return ErrorClass::NotFound;
    case 408:
        return ErrorClass::Transient;
    case 429:
        return ErrorClass::RateLimited;
    default:
        return status >= 500 ? ErrorClass::Transient : ErrorClass::Final;
    }
}

ErrorClass class_of(std::string_view code, long status) {
    const auto *const known = std::find_if(std::begin(known_codes), std::end(known_codes),
                                           [code](const auto &entry) { return entry.first == code; });
    return known == std::end(known_codes) ? class_of_status(status) : known->second;
}

struct JsonDeleter {
    void operator()(json_t *json) const { json_decref(json); }
};
using JsonPointer = std::unique_ptr<json_t, JsonDeleter>;

std::string text_member(const json_t *object, const char *key) {
    const json_t *const value = json_object_get(object, key);
    return json_is_string(value) ? printable({json_string_value(value), json_string_length(value)}) : std::string();
}

struct Envelope {
    std::string code;
    std::string title;
    std::string message;
    std::string log_url;
};

std::optional<Envelope> read_error_envelope(std::string_view body) {
    if (body.empty() || body.size() > largest_error_body) {
        return std::nullopt;
    }
    const JsonPointer root(json_loadb(body.data(), body.size(), JSON_ALLOW_NUL, nullptr));
    if (text_member(root.get(), "status") != "error") {
        return std::nullopt;
    }
    const json_t *const error = json_object_get(root.get(), "error");
    return Envelope{text_member(error, "code"), text_member(error, "title"), text_member(error, "message"),
                    text_member(error, "log_url")};
}

std::string message_without_envelope(long status, std::string_view body) {
    if (status >= 300 && status < 400) {
        return "the server answered with a redirect, and redirects are not followed";
    }
    const std::string beginning = printable(body, 60);
    return beginning.empty() ? "empty answer" : "the answer is not Kombo's: " + beginning;
}

// A number of seconds or milliseconds, a fraction allowed; nullopt for anything else.
std::optional<milliseconds> duration(std::optional<std::string_view> text, int64_t milliseconds_per_unit) {
    if (!text || text->empty()) {
        return std::nullopt;
    }
    int64_t whole = 0;
    int64_t fraction = 0;
    int64_t scale = 0; // 0: before the point
    for (const char c : *text) {
        if (c == '.' && scale == 0) {
            scale = 1;
        } else if (c < '0' || c > '9') {
            return std::nullopt;
        } else if (scale == 0) {
            whole = std::min<int64_t>(whole * 10 + (c - '0'), longest_demand.count());
        } else if (scale < 1000) {
            fraction = fraction * 10 + (c - '0');
            scale *= 10;
        }
    }
    const int64_t rest = scale > 1 ? fraction * milliseconds_per_unit / scale : 0;
    return milliseconds(whole * milliseconds_per_unit + rest);
}

std::optional<milliseconds> until_date(const Headers &headers) {
    const auto text = headers.find("retry-after");
    const auto date = text ? parse_http_date(*text) : std::nullopt;
    if (!date) {
        return std::nullopt;
    }
    const auto server_clock = headers.find("date");
    const auto now = server_clock ? parse_http_date(*server_clock) : std::nullopt;
    return std::chrono::ceil<milliseconds>(*date - now.value_or(current_timestamp()));
}

// The length of the valid UTF-8 sequence at `position`; 0 where there is none.
size_t utf8_length(std::string_view text, size_t position) {
    const auto byte = [&](size_t i) {
        return position + i < text.size() ? static_cast<unsigned char>(text[position + i]) : 0U;
    };
    const unsigned first = byte(0);
    const auto continues = [&](size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
        return byte(i) >= low && byte(i) <= high;
    };
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        return continues(1) ? 2 : 0;
    }
    if (first >= 0xE0 && first <= 0xEF) {
        const bool second = continues(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF);
        return second && continues(2) ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const bool second = continues(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF);
        return second && continues(2) && continues(3) ? 4 : 0;
    }
    return 0;
}

} // namespace

const char *error_class_name(ErrorClass error_class) {
    constexpr std::array names = {"transport",   "malformed body", "transient", "rate limited",  "setup pending",
                                  "unavailable", "unauthorized",   "not found", "invalid input", "final"};
    return names[static_cast<size_t>(error_class)];
}

ApiError::ApiError(ErrorClass error_class_, long http_status_, std::string message_)
    : error_class(error_class_), http_status(http_status_), message(std::move(message_)) {
    compose();
}

void ApiError::compose() {
    text = code;
    if (http_status != 0) {
        text += (text.empty() ? "HTTP " : " (HTTP ") + std::to_string(http_status) + (text.empty() ? "" : ")");
    }
    for (const std::string &part : {title, message}) {
        if (!part.empty()) {
            text += (text.empty() ? "" : ": ") + part;
        }
    }
}

bool retryable(ErrorClass error_class) {
    switch (error_class) {
    case ErrorClass::Transport:
    case ErrorClass::MalformedBody:
    case ErrorClass::Transient:
    case ErrorClass::RateLimited:
        return true;
    default:
        return false;
    }
}

bool retryable(const ApiError &error) {
    return retryable(error.error_class) && !error.permanent;
}

ApiError classify(long status, std::string_view body, const Headers &headers) {
    const std::optional<Envelope> envelope = read_error_envelope(body);
    ApiError error(class_of_status(status), status, "");
    if (envelope) {
        error.error_class = class_of(envelope->code, status);
        error.code = envelope->code;
        error.title = envelope->title;
        error.message = envelope->message;
        error.log_url = envelope->log_url;
    } else {
        error.message = message_without_envelope(status, body);
    }
    error.retry_after = demanded_wait(status, headers);
    error.compose();
    return error;
}

bool is_error_envelope(std::string_view body) {
    return read_error_envelope(body).has_value();
}

std::optional<milliseconds> demanded_wait(long status, const Headers &headers) {
    std::optional<milliseconds> wait = duration(headers.find("retry-after-ms"), 1);
    if (!wait) {
        wait = duration(headers.find("retry-after"), 1000);
    }
    if (!wait) {
        wait = until_date(headers);
    }
    if (!wait && status == 429) {
        wait = duration(headers.find("ratelimit-reset"), 1000);
    }
    if (wait) {
        wait = std::clamp(*wait, milliseconds(0), longest_demand);
    }
    return wait;
}

std::string printable(std::string_view text, size_t limit) {
    std::string result;
    for (size_t position = 0; position < text.size();) {
        const size_t length = utf8_length(text, position);
        const char c = text[position];
        std::string_view piece = length == 0 ? replacement_character : text.substr(position, length);
        if (c == '\n' || c == '\r' || c == '\t') {
            piece = " ";
        } else if (length == 1 && (static_cast<unsigned char>(c) < 0x20 || c == '\x7F')) {
            piece = "";
        } else if (length == 2 && c == '\xC2' && static_cast<unsigned char>(text[position + 1]) < 0xA0) {
            piece = ""; // the control characters U+0080 to U+009F
        }
        if (result.size() + piece.size() > limit) {
            break;
        }
        result += piece;
        position += std::max<size_t>(length, 1);
    }
    return result;
}

} // namespace kombo
