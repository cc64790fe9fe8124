#include "envelope.h"

#include "error.h"
#include "json.h"

#include <optional>

namespace kombo {
namespace {

using simdjson::ondemand::value;

/// Bytes of a body for which the parser is ready without asking for memory again.
constexpr size_t largest_kept = size_t{4} << 20;

struct Parts {
    bool success = false;
    bool data = false;
};

Parts read_parts(simdjson::ondemand::document &document, const std::function<void(value)> &read_data) {
    Parts parts;
    Arena arena;
    Repairs repairs;
    for_each_field(document.get_object(), arena, repairs, [&](std::string_view key, value field) {
        if (key == "status") {
            parts.success = scalar_token(field) == "\"success\"";
        } else if (key == "data") {
            if (parts.data) {
                throw MalformedJson("data is there twice");
            }
            parts.data = true;
            read_data(field);
        }
    });
    return parts;
}

} // namespace

MalformedBody unexpected_body(std::string_view expected, std::string_view body) {
    return MalformedBody("expected " + std::string(expected) + ", got " + outline(body));
}

void read_envelope(std::string_view body, const std::function<void(value)> &read_data) {
    constexpr std::string_view expected = "Kombo's JSON {\"status\":\"success\",\"data\":{...}}";
    Parts parts;
    try {
        // Kept, as its buffers are five times the body: to fetch them anew for each page took half the time of reading
        // it.
        static simdjson::ondemand::parser parser;
        if (parser.capacity() > largest_kept) {
            parser = simdjson::ondemand::parser();
        }
        simdjson::ondemand::document document =
            parser.iterate(body.data(), body.size(), body.size() + simdjson::SIMDJSON_PADDING);
        parts = read_parts(document, read_data);
        if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
            throw MalformedJson("more text after the JSON");
        }
    } catch (const simdjson::simdjson_error &error) {
        throw unexpected_body(std::string(expected) + " (" + error.what() + ")", body);
    } catch (const MalformedJson &error) {
        throw unexpected_body(std::string(expected) + " (" + error.what() + ")", body);
    }
    if (!parts.success || !parts.data) {
        throw unexpected_body(expected, body);
    }
}

} // namespace kombo
