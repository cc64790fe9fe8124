#pragma once

#include "error.h"

#include <chrono>
#include <curl/curl.h>
#include <string>

namespace kombo {

/// The reason why a transfer ended without a response.
struct TransportFailure {
    CURLcode code;
    std::string detail;                  ///< curl's own words
    std::chrono::milliseconds elapsed{}; ///< since the start
    bool connected = false;              ///< the connection, TLS included, was up
    bool too_large = false;              ///< we stopped at max_response_size
    bool out_of_memory = false;          ///< in one of our callbacks
    size_t max_response_size = 0;
    long os_errno = 0;     ///< why the system could not connect; 0: not known
    long proxy_status = 0; ///< the HTTP status of a proxy that was to connect to the host
};

/// The error of class Transport for it: what happened in our words, then curl's.
ApiError transport_error(const TransportFailure &failure);

} // namespace kombo
