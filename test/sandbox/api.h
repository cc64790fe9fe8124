#pragma once

#include "faults.h"
#include "integration.h"
#include "journal.h"

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>

namespace sandbox {

/// What is the same for all integrations.
struct Settings {
    std::mutex mutex; ///< guards the strings
    std::string api_key;
    std::atomic<int> latency_ms{0};
    std::atomic<int> rate_limit{0};      ///< requests per 60 s; 0 = without limit
    std::atomic<int> page_size_max{250}; ///< pages are cut to this many records
};

/// The requests left in the current window of 60 s of real time.
class RateLimit {
public:
    struct State {
        bool exceeded;
        int remaining;
        int reset; ///< seconds
    };

    /// Counts a request against the limit (0 = none).
    State take(int limit);

    void restart();

private:
    std::mutex mutex_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    int used_ = 0;
};

/// The whole server: state shared by the API under `/v1` and the admin interface.
struct Sandbox {
    Settings settings;
    Integrations integrations;
    Journal journal;
    Faults faults;
    RateLimit rate_limit;
};

/// Answers one request to the API under `/v1`.
void serve_api(Sandbox &sandbox, const httplib::Request &request, httplib::Response &response);

/// Answers one request to `/admin`.
void serve_admin(Sandbox &sandbox, const httplib::Request &request, httplib::Response &response);

} // namespace sandbox
