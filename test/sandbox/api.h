#pragma once

#include "churn.h"
#include "faults.h"
#include "integration.h"
#include "journal.h"
#include "webhooks.h"

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace sandbox {

/// What is the same for all integrations.
struct Settings {
    std::mutex mutex; ///< guards the strings
    std::string api_key;
    std::atomic<int> latency_ms{0};
    std::atomic<int> rate_limit{0}; ///< requests per window; 0 = without limit
    std::atomic<int> rate_window_s{60};
    std::atomic<int> page_size_max{250}; ///< pages are cut to this many records
};

/// The requests left in the current window of real time.
class RateLimit {
public:
    struct State {
        bool exceeded;
        int remaining;
        int reset; ///< seconds
    };

    /// Counts a request against the limit (0 = none) of a window.
    State take(int limit, std::chrono::seconds window);

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
    Webhooks webhooks;

    std::mutex churn_mutex;
    std::map<std::string, std::unique_ptr<Churn>> churns; ///< by integration; last, as it uses the others

    /// Tells of changed models by webhook, where that is on.
    void tell_changed(const Integration &integration, const ModelNames &models);
};

/// Answers one request to the API under `/v1`.
void serve_api(Sandbox &sandbox, const httplib::Request &request, httplib::Response &response);

/// Answers one request to `/admin`.
void serve_admin(Sandbox &sandbox, const httplib::Request &request, httplib::Response &response);

} // namespace sandbox
