#pragma once

#include "filters.h"

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>

namespace sandbox {

/// What was asked of the API, for tests to look at. Keeps the last 200,000 requests.
class Journal {
public:
    /// Notes a request as begun and returns its number; counts it as in flight.
    std::uint64_t begin(const std::string &path, const std::string &query, const Params &params,
                        const std::string &integration);

    /// Notes the HTTP status it was answered with; 0 = the connection was dropped.
    void end(std::uint64_t number, int status);

    void clear();

    /// All requests and the largest number in flight at once, by integration and path, as JSON text. Requests still
    /// unanswered have status null.
    std::string json() const;

private:
    struct Entry {
        std::uint64_t number;
        std::string path;
        std::string query;
        Params params;
        std::string integration;
        int status;
        bool answered;
        Millis at;
    };
    struct Flight {
        int current = 0;
        int highest = 0;
    };

    mutable std::mutex mutex_;
    std::deque<Entry> entries_;
    std::map<std::string, Flight> flights_;
    std::uint64_t last_number_ = 0;
};

} // namespace sandbox
