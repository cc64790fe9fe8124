#include "json_token.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace kombo {
namespace {

constexpr int64_t numeric_digits_before_point = 131072; // PostgreSQL manual, numeric types
constexpr int64_t numeric_digits_after_point = 16383;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Ends a run of plain characters: the quote, the backslash and the control characters.
bool is_special(char c) {
    return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
}

// How many of eight characters come before the first special one: of each byte the highest bit is left where it is
// below a limit, or zero once it is compared (Bit Twiddling Hacks, "Determine if a word has a zero byte" and "... a
// byte less than n"). A borrow may set that bit wrongly, but only behind one that is set rightly.
size_t plain_of(uint64_t word) {
    constexpr uint64_t each = ~uint64_t{0} / 0xff;
    const auto less = [](uint64_t bytes, uint64_t than) { return (bytes - each * than) & ~bytes & (each * 0x80); };
    const uint64_t special = less(word, 0x20) | less(word ^ (each * '"'), 1) | less(word ^ (each * '\\'), 1);
    return special == 0 ? sizeof word : static_cast<size_t>(__builtin_ctzll(special)) / 8;
}

// Eight characters, the first one lowest.
uint64_t eight(const char *text) {
    uint64_t word;
    std::memcpy(&word, text, sizeof word);
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? word : __builtin_bswap64(word);
}

std::optional<uint32_t> hex4(std::string_view text, size_t position) {
    if (text.size() < position + 4) {
        return std::nullopt;
    }
    uint32_t value = 0;
    for (const char c : text.substr(position, 4)) {
        uint32_t digit;
        if (is_digit(c)) {
            digit = static_cast<uint32_t>(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = static_cast<uint32_t>(c - 'a' + 10);
        } else if (c >= 'A' && c <= 'F') {
            digit = static_cast<uint32_t>(c - 'A' + 10);
        } else {
            return std::nullopt;
        }
        value = value * 16 + digit;
    }
    return value;
}

Escape unicode_escape(std::string_view text, size_t position) {
    using Repair = Escape::Repair;
    const auto first = hex4(text, position + 2);
    if (!first) {
        throw MalformedJson("\\u must be followed by four hexadecimal digits");
    }
    if (*first == 0) {
        return {0xFFFD, 6, Repair::Nul};
    }
    if (*first < 0xD800 || *first > 0xDFFF) {
        return {*first, 6, Repair::None};
    }
    if (*first <= 0xDBFF && text.substr(position + 6, 2) == "\\u") {
        const auto second = hex4(text, position + 8);
        if (second && *second >= 0xDC00 && *second <= 0xDFFF) {
            return {0x10000 + ((*first - 0xD800) << 10) + (*second - 0xDC00), 12, Repair::None};
        }
    }
    return {0xFFFD, 6, Repair::Surrogate};
}

} // namespace

std::string_view trimmed_json(std::string_view text) {
    while (!text.empty() && is_json_space(text.back())) {
        text.remove_suffix(1);
    }
    while (!text.empty() && is_json_space(text.front())) {
        text.remove_prefix(1);
    }
    return text;
}

// Eight at a time, which takes a tenth off the decoding of a page.
size_t skip_plain(std::string_view text, size_t position) {
    while (position + sizeof(uint64_t) <= text.size()) {
        const size_t plain = plain_of(eight(text.data() + position));
        position += plain;
        if (plain < sizeof(uint64_t)) {
            return position;
        }
    }
    while (position < text.size() && !is_special(text[position])) {
        ++position;
    }
    return position;
}

Escape read_escape(std::string_view text, size_t position) {
    const char kind = position + 1 < text.size() ? text[position + 1] : '\0';
    const auto plain = [](char c) { return Escape{static_cast<uint32_t>(c), 2, Escape::Repair::None}; };
    switch (kind) {
    case '"':
    case '\\':
    case '/':
        return plain(kind);
    case 'b':
        return plain('\b');
    case 'f':
        return plain('\f');
    case 'n':
        return plain('\n');
    case 'r':
        return plain('\r');
    case 't':
        return plain('\t');
    case 'u':
        return unicode_escape(text, position);
    default:
        throw MalformedJson("unknown escape in a string");
    }
}

void count_repair(Escape::Repair repair, Repairs &repairs) {
    if (repair == Escape::Repair::Nul) {
        ++repairs.nul;
    } else if (repair == Escape::Repair::Surrogate) {
        ++repairs.surrogate;
    }
}

Number read_number(std::string_view text) {
    const auto at = [text](size_t i) { return i < text.size() ? text[i] : '\0'; };
    size_t i = at(0) == '-' ? 1 : 0;
    const size_t integer_begin = i;
    while (is_digit(at(i))) {
        ++i;
    }
    const int64_t integer_digits = static_cast<int64_t>(i - integer_begin);
    if (integer_digits == 0 || (integer_digits > 1 && text[integer_begin] == '0')) {
        return {};
    }
    // The power of ten of the first digit that is not zero, before the exponent is applied.
    std::optional<int64_t> leading_power;
    if (text[integer_begin] != '0') {
        leading_power = integer_digits - 1;
    }
    int64_t fraction_digits = 0;
    if (at(i) == '.') {
        const size_t fraction_begin = ++i;
        while (is_digit(at(i))) {
            if (!leading_power && text[i] != '0') {
                leading_power = -1 - static_cast<int64_t>(i - fraction_begin);
            }
            ++i;
        }
        fraction_digits = static_cast<int64_t>(i - fraction_begin);
        if (fraction_digits == 0) {
            return {};
        }
    }
    int64_t exponent = 0;
    if (at(i) == 'e' || at(i) == 'E') {
        ++i;
        const bool negative = at(i) == '-';
        if (negative || at(i) == '+') {
            ++i;
        }
        if (!is_digit(at(i))) {
            return {};
        }
        for (; is_digit(at(i)); ++i) {
            exponent = std::min<int64_t>(exponent * 10 + (text[i] - '0'), INT32_MAX / 4);
        }
        exponent = negative ? -exponent : exponent;
    }
    // numeric_in() refuses exponents near INT_MAX / 2 even of zero; nothing useful lies beyond the digits it can hold.
    const bool sane = std::abs(exponent) <= numeric_digits_before_point + numeric_digits_after_point + fraction_digits;
    const bool before = !leading_power || *leading_power + exponent < numeric_digits_before_point;
    const bool after = fraction_digits - exponent <= numeric_digits_after_point;
    return {i, sane && before && after};
}

} // namespace kombo
