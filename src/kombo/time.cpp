#include "time.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstdio>

namespace kombo {
namespace {

constexpr int64_t micros_per_second = 1'000'000;
constexpr int64_t micros_per_minute = 60 * micros_per_second;
constexpr int64_t micros_per_day = 24 * 60 * micros_per_minute;
constexpr int64_t first_micros = first_timestamp.micros;
constexpr int64_t last_micros = last_timestamp.micros;

struct Civil {
    int year;
    int month;
    int day;
};

// Days since 1970-01-01 in the proleptic Gregorian calendar; years begin in March so that leap days come last.
int32_t days_from_civil(Civil date) {
    const int year = date.month <= 2 ? date.year - 1 : date.year;
    const int era = (year >= 0 ? year : year - 399) / 400;
    const int year_of_era = year - era * 400;
    const int day_of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

Civil civil_from_days(int64_t days) {
    days += 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const int day_of_era = static_cast<int>(days - era * 146097);
    const int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int shifted_month = (5 * day_of_year + 2) / 153;
    const int month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    const int year = static_cast<int>(era * 400) + year_of_era + (month <= 2 ? 1 : 0);
    return {year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1};
}

int days_in_month(int year, int month) {
    constexpr int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

class Reader {
public:
    explicit Reader(std::string_view text) : text_(text) {}

    bool at_end() const { return position_ == text_.size(); }

    bool take(char wanted) {
        if (at_end() || text_[position_] != wanted) {
            return false;
        }
        ++position_;
        return true;
    }

    // Exactly `width` digits.
    std::optional<int> number(size_t width) {
        if (text_.size() - position_ < width) {
            return std::nullopt;
        }
        int value = 0;
        for (size_t i = 0; i < width; ++i) {
            const char c = text_[position_ + i];
            if (c < '0' || c > '9') {
                return std::nullopt;
            }
            value = value * 10 + (c - '0');
        }
        position_ += width;
        return value;
    }

    // The digits after a decimal point as microseconds; nullopt if there is none. Clears `exact` where any are lost.
    std::optional<int> fraction(bool &exact) {
        int value = 0;
        int digits = 0;
        while (!at_end() && text_[position_] >= '0' && text_[position_] <= '9') {
            const int digit = text_[position_++] - '0';
            if (digits++ < 6) {
                value = value * 10 + digit;
            } else if (digit != 0) {
                exact = false;
            }
        }
        if (digits == 0) {
            return std::nullopt;
        }
        for (; digits < 6; ++digits) {
            value *= 10;
        }
        return value;
    }

private:
    std::string_view text_;
    size_t position_ = 0;
};

std::optional<int32_t> read_date(Reader &reader) {
    const auto year = reader.number(4);
    if (!year || *year < 1 || !reader.take('-')) {
        return std::nullopt;
    }
    const auto month = reader.number(2);
    if (!month || *month < 1 || *month > 12 || !reader.take('-')) {
        return std::nullopt;
    }
    const auto day = reader.number(2);
    if (!day || *day < 1 || *day > days_in_month(*year, *month)) {
        return std::nullopt;
    }
    return days_from_civil({*year, *month, *day});
}

std::optional<int64_t> read_time(Reader &reader, bool &exact) {
    const auto hour = reader.number(2);
    if (!hour || *hour > 24 || !reader.take(':')) {
        return std::nullopt;
    }
    const auto minute = reader.number(2);
    if (!minute || *minute > 59) {
        return std::nullopt;
    }
    int second = 0;
    int micros = 0;
    if (reader.take(':')) {
        const auto read_second = reader.number(2);
        if (!read_second || *read_second > 60) {
            return std::nullopt;
        }
        second = *read_second;
        if (reader.take('.')) {
            const auto fraction = reader.fraction(exact);
            if (!fraction) {
                return std::nullopt;
            }
            micros = *fraction;
        }
    }
    const int64_t result = (*hour * 60 + *minute) * micros_per_minute + second * micros_per_second + micros;
    if (result > micros_per_day || (second == 60 && micros != 0)) {
        return std::nullopt;
    }
    return result;
}

// The offset from UTC in minutes; no zone is UTC.
std::optional<int> read_zone(Reader &reader) {
    if (reader.at_end() || reader.take('Z') || reader.take('z')) {
        return 0;
    }
    const bool west = reader.take('-');
    if (!west && !reader.take('+')) {
        return std::nullopt;
    }
    const auto hours = reader.number(2);
    if (!hours || *hours > 23) {
        return std::nullopt;
    }
    int minutes = 0;
    if (!reader.at_end()) {
        reader.take(':');
        const auto read_minutes = reader.number(2);
        if (!read_minutes || *read_minutes > 59) {
            return std::nullopt;
        }
        minutes = *read_minutes;
    }
    const int offset = *hours * 60 + minutes;
    return west ? -offset : offset;
}

struct DateTime {
    int64_t micros;
    bool exact; // no digit was dropped
};

std::optional<DateTime> read_date_time(std::string_view text) {
    Reader reader(text);
    const auto days = read_date(reader);
    if (!days) {
        return std::nullopt;
    }
    int64_t micros = *days * micros_per_day;
    bool exact = true;
    if (reader.take('T') || reader.take('t') || reader.take(' ')) {
        const auto time = read_time(reader, exact);
        const auto zone = time ? read_zone(reader) : std::nullopt;
        if (!zone) {
            return std::nullopt;
        }
        micros += *time - *zone * micros_per_minute;
    } else {
        reader.take('Z');
    }
    if (!reader.at_end() || micros < first_micros || micros > last_micros) {
        return std::nullopt;
    }
    return DateTime{micros, exact};
}

int64_t floor_divide(int64_t value, int64_t divisor) {
    return value / divisor - (value % divisor < 0 ? 1 : 0);
}

} // namespace

Timestamp current_timestamp() {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count()};
}

Timestamp by_our_clock(std::chrono::steady_clock::time_point moment) {
    const auto ahead = moment - std::chrono::steady_clock::now();
    return current_timestamp() + std::chrono::duration_cast<std::chrono::microseconds>(ahead);
}

std::string format_timestamp(Timestamp timestamp) {
    const int64_t micros = std::clamp(timestamp.micros, first_micros, last_micros);
    const int64_t days = floor_divide(micros, micros_per_day);
    const Civil date = civil_from_days(days);
    const int milliseconds = static_cast<int>((micros - days * micros_per_day) / 1000);
    const int seconds = milliseconds / 1000;
    char text[64];
    std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", date.year, date.month, date.day,
                  seconds / 3600, seconds / 60 % 60, seconds % 60, milliseconds % 1000);
    return text;
}

std::optional<Timestamp> parse_timestamp(std::string_view text) {
    const auto parsed = read_date_time(text);
    if (!parsed) {
        return std::nullopt;
    }
    return Timestamp{parsed->micros};
}

std::optional<CalendarDate> parse_date(std::string_view text) {
    const auto parsed = read_date_time(text);
    if (!parsed) {
        return std::nullopt;
    }
    const int64_t days = floor_divide(parsed->micros, micros_per_day);
    return CalendarDate{static_cast<int32_t>(days), parsed->exact && parsed->micros == days * micros_per_day};
}

std::optional<int64_t> parse_time_of_day(std::string_view text) {
    Reader reader(text);
    bool exact = true;
    const auto time = read_time(reader, exact);
    if (!time || !reader.at_end()) {
        return std::nullopt;
    }
    return time;
}

std::optional<Timestamp> parse_http_date(std::string_view text) {
    const std::string copy(text);
    const time_t seconds = curl_getdate(copy.c_str(), nullptr);
    if (seconds == -1 || copy.find('\0') != std::string::npos) {
        return std::nullopt;
    }
    if (seconds < first_micros / micros_per_second || seconds > last_micros / micros_per_second) { // of any year
        return std::nullopt;
    }
    return Timestamp{static_cast<int64_t>(seconds) * micros_per_second};
}

} // namespace kombo
