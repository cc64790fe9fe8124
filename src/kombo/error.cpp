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
constexpr milliseconds longest_window = std::chrono::minutes(5);
constexpr milliseconds first_epoch_time = std::chrono::hours(10 * 365 * 24); // what is longer is no duration
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
    case 408: // request timeout
    case 421: // misdirected: it came over the connection of another host
    case 425: // too early
    case 499: // the client went away, as a gateway in between saw it
        return ErrorClass::Transient;
    case 429:
        return ErrorClass::RateLimited;
    default:
        return status >= 500 ? ErrorClass::Transient : ErrorClass::Final;
    }
}

/// Kombo says what is wrong in its envelope. A redirect or a 4xx without one comes from something in between (a proxy,
/// a firewall, a load balancer), and says nothing of the request or the key.
ErrorClass class_without_envelope(long status) {
    if (status == 429) {
        return ErrorClass::RateLimited;
    }
    return status == 408 || status >= 500 ? ErrorClass::Transient : ErrorClass::MalformedBody;
}

ErrorClass class_of(std::string_view code, long status) {
    const auto *const known = std::find_if(std::begin(known_codes), std::end(known_codes),
                                           [code](const auto &entry) { return entry.first == code; });
    return known == std::end(known_codes) ? class_of_status(status) : known->second;
}

/// 504 is a gateway's, 524 Cloudflare's.
bool is_timeout(long status, std::string_view code) {
    return status == 504 || status == 524 || code == "PLATFORM.TASK_TIMED_OUT";
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

/// Only the shape: the values may be anybody's data.
std::string outline_of_json(std::string_view body) {
    if (body.front() == '"') {
        return "a JSON string";
    }
    if (body.front() == '[') {
        return "a JSON array";
    }
    const JsonPointer root(
        body.size() > largest_error_body ? nullptr : json_loadb(body.data(), body.size(), JSON_ALLOW_NUL, nullptr));
    if (!root) {
        return "what begins like a JSON object";
    }
    std::string names;
    const char *key = nullptr;
    json_t *value = nullptr;
    json_object_foreach(root.get(), key, value) {
        if (names.size() > 60) {
            names += ", ...";
            break;
        }
        names += (names.empty() ? "" : ", ") + printable(key, 30);
    }
    return names.empty() ? "an empty JSON object" : "a JSON object with " + names;
}

std::string message_without_envelope(long status, std::string_view body) {
    if (status >= 300 && status < 400) {
        return "the server answered with a redirect, and redirects are not followed";
    }
    return body.empty() ? "empty response" : "the body is " + outline(body);
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
            whole = std::min<int64_t>(whole * 10 + (c - '0'), int64_t{1} << 50);
        } else if (scale < 1000) {
            fraction = fraction * 10 + (c - '0');
            scale *= 10;
        }
    }
    const int64_t rest = scale > 1 ? fraction * milliseconds_per_unit / scale : 0;
    return milliseconds(whole * milliseconds_per_unit + rest);
}

Timestamp server_clock(const Headers &headers) {
    const auto text = headers.find("date");
    const auto now = text ? parse_http_date(*text) : std::nullopt;
    return now.value_or(current_timestamp());
}

std::optional<milliseconds> until_date(const Headers &headers) {
    const auto text = headers.find("retry-after");
    const auto date = text ? parse_http_date(*text) : std::nullopt;
    if (!date) {
        return std::nullopt;
    }
    return std::chrono::ceil<milliseconds>(*date - server_clock(headers));
}

/// A time since 1970, in seconds or milliseconds, becomes the time from now until then.
milliseconds from_now(milliseconds given, const Headers &headers) {
    if (given < first_epoch_time) {
        return given;
    }
    const milliseconds since_1970 = given < first_epoch_time * 1000 ? given : given / 1000;
    return since_1970 - std::chrono::floor<milliseconds>(std::chrono::microseconds(server_clock(headers).micros));
}

/// Characters that show nothing and change in which order the others are shown: with them a message reads otherwise
/// than it is.
bool reorders_text(std::string_view character) {
    constexpr std::string_view all[] = {"\u061C", "\u200E", "\u200F", "\u202A", "\u202B", "\u202C", "\u202D",
                                        "\u202E", "\u2066", "\u2067", "\u2068", "\u2069", "\uFEFF"};
    return std::find(std::begin(all), std::end(all), character) != std::end(all);
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
    ApiError error(class_without_envelope(status), status, "");
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
    error.too_much = is_timeout(status, error.code);
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
    if (wait) {
        wait = from_now(*wait, headers);
    }
    if (!wait && status == 429) {
        wait = window_end(headers);
    }
    if (wait) {
        wait = std::clamp(*wait, milliseconds(0), longest_demand);
    }
    return wait;
}

std::optional<milliseconds> window_end(const Headers &headers) {
    const auto given = duration(headers.find("ratelimit-reset"), 1000);
    if (!given) {
        return std::nullopt;
    }
    return std::clamp(from_now(*given, headers), milliseconds(0), longest_window);
}

bool concerns_key(const ApiError &error) {
    const auto begins_with = [&](std::string_view family) { return error.code.compare(0, family.size(), family) == 0; };
    return error.error_class == ErrorClass::RateLimited && !begins_with("REMOTE.") && !begins_with("INTEGRATION.") &&
           error.code != "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED";
}

std::string outline(std::string_view body) {
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
    if (body.substr(0, byte_order_mark.size()) == byte_order_mark) {
        body.remove_prefix(byte_order_mark.size());
    }
    body.remove_prefix(std::min(body.find_first_not_of(" \t\r\n"), body.size()));
    if (body.empty()) {
        return "an empty response";
    }
    const auto is_html = [&] {
        constexpr std::string_view names[] = {"<!doctype", "<html", "<head", "<body", "<!--"};
        return std::any_of(std::begin(names), std::end(names), [&](std::string_view name) {
            return body.size() >= name.size() &&
                   std::equal(name.begin(), name.end(), body.begin(), [](char a, char b) { return a == (b | 0x20); });
        });
    };
    if (body.front() == '<') {
        return is_html() ? printable(body, 60) : "XML";
    }
    constexpr std::string_view structures = "{[\"";
    if (structures.find(body.front()) != std::string_view::npos) {
        return outline_of_json(body);
    }
    // A text is shown up to where records may begin.
    const std::string text = printable(body.substr(0, std::min(body.find_first_of("{[\"<"), body.size())), 60);
    return text.empty() ? "binary data" : text;
}

std::string printable(std::string_view text, size_t limit) {
    std::string result;
    for (size_t position = 0; position < text.size();) {
        const size_t length = utf8_length(text, position);
        const char c = text[position];
        std::string_view piece = length == 0 ? replacement_character : text.substr(position, length);
        if (c == '\n' || c == '\r' || c == '\t' || piece == "\u2028" || piece == "\u2029") {
            piece = " ";
        } else if (length > 1 && reorders_text(piece)) {
            piece = "";
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
