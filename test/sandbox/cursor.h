#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sandbox {

/// What a cursor carries: where to go on, and for which set of filters it was made.
struct Cursor {
    std::uint64_t filters;
    std::uint64_t position;
};

/// The cursor as clients see it: text without meaning.
std::string encode(const Cursor &cursor);

/// Reads a cursor made by `encode`; nothing for any other text.
std::optional<Cursor> decode(std::string_view text);

} // namespace sandbox
