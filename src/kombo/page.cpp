#include "page.h"

#include "envelope.h"
#include "json.h"

#include <functional>
#include <utility>

namespace kombo {
namespace {

using simdjson::ondemand::value;

constexpr std::string_view expected_list = "a list {\"status\":\"success\",\"data\":{\"results\":[...],\"next\":...}}";

std::vector<std::string_view> read_results(value results, std::string_view body) {
    if (scalar_token(results) != "[") {
        throw unexpected_body(expected_list, body);
    }
    std::vector<std::string_view> records;
    for (auto element : results.get_array()) {
        records.push_back(raw_text(element.value()));
    }
    return records;
}

std::optional<std::string> read_next(value next, std::string_view body) {
    const std::string_view token = scalar_token(next);
    if (token == "null") {
        return std::nullopt;
    }
    if (token.empty() || token.front() != '"') {
        throw unexpected_body(expected_list, body);
    }
    Arena arena;
    Repairs repairs;
    std::string cursor(string_value(token, arena, repairs));
    return cursor.empty() ? std::nullopt : std::optional(std::move(cursor));
}

} // namespace

Page Page::parse(std::string body) {
    Page page;
    page.bytes_ = body.size();
    page.body_ = std::move(body);
    // The padding also keeps the text on the heap, where views into it outlive a move.
    page.body_.append(simdjson::SIMDJSON_PADDING, ' ');
    const std::string_view text(page.body_.data(), page.bytes_);
    bool results = false;
    read_envelope(text, [&](value data) {
        Arena arena;
        Repairs repairs;
        if (scalar_token(data) != "{") {
            throw unexpected_body(expected_list, text);
        }
        for_each_field(data.get_object(), arena, repairs, [&](std::string_view key, value field) {
            if (key == "results") {
                page.records_ = read_results(field, text);
                results = true;
            } else if (key == "next") {
                page.next_ = read_next(field, text);
            }
        });
    });
    if (!results) {
        throw unexpected_body(expected_list, text);
    }
    return page;
}

bool CursorTrail::insert(std::string_view cursor) {
    return seen_.insert(std::hash<std::string_view>()(cursor)).second;
}

} // namespace kombo
