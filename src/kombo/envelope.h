#pragma once

#include "page.h"

#include <functional>
#include <simdjson.h>
#include <string_view>

namespace kombo {

/// A MalformedBody that says what was expected, and how the body begins.
MalformedBody unexpected_body(std::string_view expected, std::string_view body);

/// Reads `{"status":"success","data":{…}}` and calls `read_data` with the value of `data`. `body` must be followed by
/// SIMDJSON_PADDING readable bytes. Throws MalformedBody where the body is no JSON, of another shape or not whole, and
/// where `read_data` throws MalformedJson or simdjson_error.
void read_envelope(std::string_view body, const std::function<void(simdjson::ondemand::value)> &read_data);

} // namespace kombo
