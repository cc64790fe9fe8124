#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace fuzz {

/// Ends the program, which libFuzzer takes for a crash and keeps the input of.
inline void expect(bool condition, std::string_view what, std::string_view shown = {}) {
    if (condition) return;
    std::fprintf(stderr, "not true: %.*s\n%.*s\n", static_cast<int>(what.size()), what.data(),
                 static_cast<int>(shown.size()), shown.data());
    std::abort();
}

/// Well-formed UTF-8 (RFC 3629) without a null byte: what a text of PostgreSQL can be. Written from the table there and
/// not from our own decoder.
inline bool is_text(std::string_view text) {
    for (size_t i = 0; i < text.size();) {
        const auto byte = [&](size_t n) { return i + n < text.size() ? static_cast<unsigned char>(text[i + n]) : 0U; };
        const auto tail = [&](size_t n) { return (byte(n) & 0xC0) == 0x80; };
        const unsigned head = byte(0);
        if (head > 0 && head < 0x80)
            i += 1;
        else if (head >= 0xC2 && head < 0xE0 && tail(1))
            i += 2;
        else if ((head & 0xF0) == 0xE0 && tail(1) && tail(2) && !(head == 0xE0 && byte(1) < 0xA0) &&
                 !(head == 0xED && byte(1) >= 0xA0))
            i += 3;
        else if (head >= 0xF0 && head <= 0xF4 && tail(1) && tail(2) && tail(3) && !(head == 0xF0 && byte(1) < 0x90) &&
                 !(head == 0xF4 && byte(1) >= 0x90))
            i += 4;
        else
            return false;
    }
    return true;
}

} // namespace fuzz
