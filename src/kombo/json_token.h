#pragma once

#include "json.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kombo {

/// Without the white space of JSON at both ends.
std::string_view trimmed_json(std::string_view text);

/// White space as JSON defines it.
inline bool is_json_space(char c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/// The first position from `position` on that is a quote, a backslash or a control character, else the end.
size_t skip_plain(std::string_view text, size_t position);

/// One escape sequence of a string; a surrogate pair counts as one.
struct Escape {
    enum class Repair { None, Nul, Surrogate };
    uint32_t code_point; ///< U+FFFD where a repair is needed
    size_t length;       ///< in the text; 6 where a repair is needed
    Repair repair;
};

/// Reads the escape whose backslash is at `position`. Throws MalformedJson.
Escape read_escape(std::string_view text, size_t position);

/// Counts the repair of an escape.
void count_repair(Escape::Repair repair, Repairs &repairs);

/// A number at the beginning of a text.
struct Number {
    size_t length = 0; ///< 0: it is not a number
    bool fits = false; ///< PostgreSQL's numeric holds it
};

/// Reads the number that `text` begins with.
Number read_number(std::string_view text);

} // namespace kombo
