#pragma once

#include "filters.h"
#include "integration.h"

#include <optional>
#include <stdexcept>
#include <string>

namespace sandbox {

/// An answer that is an error of Kombo's, with its HTTP status and code.
struct ApiError : std::runtime_error {
    ApiError(int http_status, std::string error_code, const std::string &message)
        : std::runtime_error(message), status(http_status), code(std::move(error_code)) {}
    int status;
    std::string code;
};

/// One page of a list.
struct Page {
    std::string results; ///< a JSON array
    std::optional<std::string> next;
};

/// Reads a page of the list, by Kombo's rules. `page_limit` caps the page size silently.
/// Throws ApiError PLATFORM.INPUT_INVALID for bad parameters and cursors.
Page read_page(const Integration &integration, const Endpoint &endpoint, const Params &params, std::size_t page_limit);

/// The number of records that the list has, with or without deleted ones.
std::size_t count_records(const Integration &integration, const Endpoint &endpoint, bool include_deleted);

} // namespace sandbox
