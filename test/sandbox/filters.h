#pragma once

#include "json_text.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace sandbox {

/// The query parameters of a request, decoded.
using Params = std::multimap<std::string, std::string>;

/// Whether the list knows a filter parameter of that name, beyond those that all lists have.
bool is_field_filter(std::string_view path, std::string_view parameter);

/// Whether the record (JSON text) passes all field filters of the request. Different filters are joined by AND,
/// the values of one by OR (Kombo's operation docs).
bool passes_field_filters(std::string_view path, const Params &params, const std::string &record);

/// Whether the request has any field filter that the list knows.
bool has_field_filters(std::string_view path, const Params &params);

/// The values of a comma-joined parameter.
std::set<std::string> split(const std::string &list);

} // namespace sandbox
