#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kombo {

/// Response headers: names compare without regard to case, the last one of a name counts.
class Headers {
public:
    /// Adds a header; white space around the value is dropped.
    void add(std::string_view name, std::string_view value);

    /// Adds a raw header line `Name: value`; a line without a colon is ignored.
    void add_line(std::string_view line);

    /// The value of the header, nullopt where there is none.
    std::optional<std::string_view> find(std::string_view name) const;

    void clear();
    size_t size() const { return entries_.size(); }

private:
    std::vector<std::pair<std::string, std::string>> entries_;
};

} // namespace kombo
