#include "json_text.h"

#include <array>
#include <cstdio>

namespace sandbox {

namespace {

struct CivilTime {
    int year, month, day, hour, minute, second, millisecond, weekday;
};

// Days since 1970 to a calendar date and back, by eras of 400 years (proleptic Gregorian).
CivilTime civil(Millis at) {
    std::int64_t days = at / day_ms;
    std::int64_t rest = at % day_ms;
    if (rest < 0) {
        rest += day_ms;
        --days;
    }
    const std::int64_t z = days + 719468;
    const std::int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    const std::int64_t doe = z - era * 146097;
    const std::int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const std::int64_t mp = (5 * doy + 2) / 153;
    const std::int64_t month = mp < 10 ? mp + 3 : mp - 9;
    CivilTime t{};
    t.year = static_cast<int>(yoe + era * 400 + (month <= 2 ? 1 : 0));
    t.month = static_cast<int>(month);
    t.day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
    t.hour = static_cast<int>(rest / 3'600'000);
    t.minute = static_cast<int>(rest / 60'000 % 60);
    t.second = static_cast<int>(rest / 1000 % 60);
    t.millisecond = static_cast<int>(rest % 1000);
    t.weekday = static_cast<int>(((days + 4) % 7 + 7) % 7);
    return t;
}

std::int64_t days_from_civil(std::int64_t year, std::int64_t month, std::int64_t day) {
    year -= month <= 2 ? 1 : 0;
    const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
    const std::int64_t yoe = year - era * 400;
    const std::int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    const std::int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

void put(std::string &out, int value, int width) {
    std::array<char, 8> digits{};
    for (int i = width - 1; i >= 0; --i) {
        digits[static_cast<std::size_t>(i)] = static_cast<char>('0' + value % 10);
        value /= 10;
    }
    out.append(digits.data(), static_cast<std::size_t>(width));
}

void append_iso(std::string &out, Millis at) {
    const CivilTime t = civil(at);
    put(out, t.year, 4);
    out += '-';
    put(out, t.month, 2);
    out += '-';
    put(out, t.day, 2);
    out += 'T';
    put(out, t.hour, 2);
    out += ':';
    put(out, t.minute, 2);
    out += ':';
    put(out, t.second, 2);
    out += '.';
    put(out, t.millisecond, 3);
    out += 'Z';
}

// Takes `width` digits off the front, or nothing.
std::optional<int> digits(std::string_view &text, std::size_t width) {
    if (text.size() < width) return std::nullopt;
    int value = 0;
    for (std::size_t i = 0; i < width; ++i) {
        if (text[i] < '0' || text[i] > '9') return std::nullopt;
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(width);
    return value;
}

bool take(std::string_view &text, char c) {
    if (text.empty() || text.front() != c) return false;
    text.remove_prefix(1);
    return true;
}

} // namespace

void append_quoted(std::string &out, std::string_view text) {
    out += '"';
    std::size_t plain = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        out.append(text, plain, i - plain);
        plain = i + 1;
        if (c < 0x20) {
            std::array<char, 8> escape{};
            std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
            out += escape.data();
        } else {
            out += '\\';
            out += static_cast<char>(c);
        }
    }
    out.append(text, plain);
    out += '"';
}

void append_time(std::string &out, Millis at) {
    out += '"';
    append_iso(out, at);
    out += '"';
}

std::string iso_time(Millis at) {
    std::string out;
    append_iso(out, at);
    return out;
}

std::string http_date(Millis at) {
    static constexpr std::array<const char *, 7> weekdays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array<const char *, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const CivilTime t = civil(at);
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                  weekdays[static_cast<std::size_t>(t.weekday)], t.day, months[static_cast<std::size_t>(t.month - 1)],
                  t.year, t.hour, t.minute, t.second);
    return text.data();
}

std::optional<Millis> parse_time(std::string_view text) {
    const auto year = digits(text, 4);
    if (!year || !take(text, '-')) return std::nullopt;
    const auto month = digits(text, 2);
    if (!month || !take(text, '-')) return std::nullopt;
    const auto day = digits(text, 2);
    if (!day || *month < 1 || *month > 12 || *day < 1 || *day > 31) return std::nullopt;
    Millis at = days_from_civil(*year, *month, *day) * day_ms;
    if (take(text, 'T')) {
        const auto hour = digits(text, 2);
        if (!hour || !take(text, ':')) return std::nullopt;
        const auto minute = digits(text, 2);
        if (!minute || !take(text, ':')) return std::nullopt;
        const auto second = digits(text, 2);
        if (!second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
        at += (*hour * 3600 + *minute * 60 + *second) * 1000;
        if (take(text, '.')) {
            int scale = 100;
            bool any = false;
            while (const auto d = digits(text, 1)) {
                at += *d * scale;
                scale /= 10;
                any = true;
            }
            if (!any) return std::nullopt;
        }
    }
    take(text, 'Z');
    if (!text.empty()) return std::nullopt;
    return at;
}

} // namespace sandbox
