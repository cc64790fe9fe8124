#include "headers.h"

#include <algorithm>

namespace kombo {
namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_name(std::string_view a, std::string_view b) {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) {
        return {};
    }
    return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

} // namespace

void Headers::add(std::string_view name, std::string_view value) {
    entries_.emplace_back(trimmed(name), trimmed(value));
}

void Headers::add_line(std::string_view line) {
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos) {
        add(line.substr(0, colon), line.substr(colon + 1));
    }
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
    const auto found = std::find_if(entries_.rbegin(), entries_.rend(),
                                    [name](const auto &entry) { return same_name(entry.first, name); });
    if (found == entries_.rend()) {
        return std::nullopt;
    }
    return std::string_view(found->second);
}

void Headers::clear() {
    entries_.clear();
}

} // namespace kombo
