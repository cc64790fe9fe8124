#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kombo {

/// An instant: microseconds since 1970-01-01T00:00:00Z.
struct Timestamp {
    int64_t micros = 0;

    friend bool operator==(Timestamp a, Timestamp b) { return a.micros == b.micros; }
    friend bool operator!=(Timestamp a, Timestamp b) { return a.micros != b.micros; }
    friend bool operator<(Timestamp a, Timestamp b) { return a.micros < b.micros; }
    friend bool operator<=(Timestamp a, Timestamp b) { return a.micros <= b.micros; }
    friend bool operator>(Timestamp a, Timestamp b) { return a.micros > b.micros; }
    friend bool operator>=(Timestamp a, Timestamp b) { return a.micros >= b.micros; }
    friend Timestamp operator+(Timestamp t, std::chrono::microseconds d) { return {t.micros + d.count()}; }
    friend Timestamp operator-(Timestamp t, std::chrono::microseconds d) { return {t.micros - d.count()}; }
    friend std::chrono::microseconds operator-(Timestamp a, Timestamp b) {
        return std::chrono::microseconds(a.micros - b.micros);
    }
};

/// The first and the last time that is read or written: those of the years 1 to 9999.
constexpr Timestamp first_timestamp{-719'162 * 86'400'000'000};
constexpr Timestamp last_timestamp{2'932'897 * 86'400'000'000 - 1};

/// A calendar date: days since 1970-01-01. Of a date-time it is the UTC date; `exact` tells that no time of day was
/// lost (none was given, or it was midnight UTC).
struct CalendarDate {
    int32_t days = 0;
    bool exact = true;
};

/// Our clock, now.
Timestamp current_timestamp();

/// What our clock says now of a moment by the clock that nobody sets, whatever it said then.
Timestamp by_our_clock(std::chrono::steady_clock::time_point moment);

/// `YYYY-MM-DDTHH:MM:SS.mmmZ`, rounded down to the millisecond: the one form that fits the pattern which Kombo's
/// schema gives for `updated_after` (UTC with `Z`, no numeric offset). The year must be 0001 to 9999, else it is
/// clamped to that range.
std::string format_timestamp(Timestamp timestamp);

/// Reads an ISO 8601 date-time: `T` or a space, seconds and fraction optional (any number of digits, rounded down to
/// the microsecond), `Z`, `±HH`, `±HHMM` or `±HH:MM`; without a zone it is UTC; a plain `yyyy-mm-dd` is midnight UTC.
/// `24:00:00` and a leap second `:60` are the second that follows, as in PostgreSQL. Only years 0001 to 9999 (before
/// and after applying the zone) and days that the calendar has; anything else gives nullopt.
std::optional<Timestamp> parse_timestamp(std::string_view text);

/// Reads what parse_timestamp() reads as a calendar date.
std::optional<CalendarDate> parse_date(std::string_view text);

/// Reads `HH:mm`, `HH:mm:ss` or `HH:mm:ss.fff` as microseconds since midnight, `24:00:00` included.
std::optional<int64_t> parse_time_of_day(std::string_view text);

/// Reads the date of an HTTP header (`Date`, `Retry-After`): IMF-fixdate and the two obsolete forms of RFC 9110 5.6.7.
/// Only years 0001 to 9999.
std::optional<Timestamp> parse_http_date(std::string_view text);

} // namespace kombo
