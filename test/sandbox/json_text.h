#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sandbox {

/// Milliseconds since 1970-01-01T00:00:00Z.
using Millis = std::int64_t;

constexpr Millis day_ms = 86'400'000;

/// Appends `text` as a JSON string, quotes included.
void append_quoted(std::string &out, std::string_view text);

/// Appends an ISO time as Kombo writes it, with milliseconds and `Z`, quotes included.
void append_time(std::string &out, Millis at);

/// The time as `YYYY-MM-DDTHH:mm:ss.sssZ`.
std::string iso_time(Millis at);

/// The time as an HTTP date (`Sun, 06 Nov 1994 08:49:37 GMT`).
std::string http_date(Millis at);

/// Reads `YYYY-MM-DD` with an optional time and fraction and an optional `Z`, the pattern that Kombo's
/// specification gives for `updated_after`; nothing for every other text, numeric offsets included.
std::optional<Millis> parse_time(std::string_view text);

} // namespace sandbox
