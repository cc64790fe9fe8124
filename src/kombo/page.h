#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace kombo {

/// A response body that is not what Kombo's API sends: HTML, JSON of another shape, truncated. Says what was expected
/// and what came, as outline() tells it.
struct MalformedBody : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// One page of a list: `{"status":"success","data":{"results":[…],"next":null|""|"cursor"}}`, keys in any order.
/// Source: protocol, envelope and pagination; that an empty `next` ends the list is the behaviour of Kombo's own SDK.
class Page {
public:
    /// Takes over the body. Throws MalformedBody for anything that is not a whole page. Elements of `results` are
    /// delimited, not looked into: one that is not an object is a record text like the others.
    static Page parse(std::string body);

    Page(Page &&) = default;
    Page &operator=(Page &&) = default;

    /// The raw JSON text of each record, in order. Views into this page, each followed by at least SIMDJSON_PADDING
    /// readable bytes, so that a parser can read each in place. They stay valid when the page is moved.
    const std::vector<std::string_view> &records() const { return records_; }

    /// The cursor of the next page; nullopt on the last one.
    const std::optional<std::string> &next() const { return next_; }

    /// Size of the body in bytes (decompressed, without padding).
    size_t bytes() const { return bytes_; }

private:
    Page() = default;

    std::string body_;
    size_t bytes_ = 0;
    std::vector<std::string_view> records_;
    std::optional<std::string> next_;
};

/// The cursors that a list has been asked with, as 8-byte hashes: finds repeated and looping cursors.
class CursorTrail {
public:
    /// Remembers `cursor`; false if it has been seen before, which means the list would never end.
    bool insert(std::string_view cursor);

    /// Number of cursors seen.
    size_t size() const { return seen_.size(); }

private:
    std::unordered_set<uint64_t> seen_;
};

} // namespace kombo
