#pragma once

#include "payload.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace sandbox {

/// A webhook as it goes over the wire.
struct Webhook {
    std::string id;
    std::string type;
    std::string integration;
    std::string body;
    std::string signature;

    /// `{"id":…,"body":…,"signature":…}`
    std::string json() const;
};

/// Makes a webhook and signs it. `options` may have `id`, `data` (merged into the data) and `body` (the text in place
/// of all that). Throws AdminError 400 for an unknown type.
Webhook make_webhook(const std::string &type, const Subject &subject, const ModelNames &models,
                     const std::string &secret, const json_t *options = nullptr);

/// What a receiver answered.
struct Answer {
    int status = 0; ///< 0 = nothing came
    std::string error;

    bool good() const { return status >= 200 && status < 300; }
};

/// Posts the webhook to the url over a connection of its own.
Answer post(const Webhook &webhook, const std::string &url, std::chrono::milliseconds timeout);

/// The webhooks of the sandbox: it tells of changes, as Kombo does, once `configure` has switched that on. Threads of
/// its own send them; without a url they are held for `take_held`.
class Webhooks {
public:
    ~Webhooks();

    /// Takes url, secret, debounce_ms, retries, retry_ms, timeout_ms, senders and types; those left out stay.
    /// Throws AdminError 400 for a url that is not http://.
    void configure(const json_t *options);

    /// Switches off and forgets everything but the settings.
    void stop();

    /// Tells of changed models: at once, or together with others when the integration's interval is over.
    void changed(const Subject &subject, const ModelNames &models);

    /// Tells of an event of another type.
    void happened(const std::string &type, const Subject &subject);

    std::string url() const;
    std::string secret() const;
    std::chrono::milliseconds timeout() const;

    /// Settings, counts, and the last `deliveries`, as JSON text.
    std::string json(std::size_t deliveries) const;

    /// The webhooks that are held, as a JSON array; they are held no longer.
    std::string take_held();

private:
    using Clock = std::chrono::steady_clock;
    struct Settings {
        bool on = false;
        std::string url;
        std::string secret = "sandbox-secret";
        std::chrono::milliseconds debounce{0};
        int retries = 3;
        std::chrono::milliseconds retry_after{1000};
        std::chrono::milliseconds timeout{10'000};
        std::set<std::string> types; ///< empty = all
    };
    // What is due at a time: a webhook, or (without a body) the changes that an integration has gathered.
    struct Task {
        Webhook webhook;
        int attempt = 1;
    };
    struct Window {
        Subject subject;
        ModelNames gathered;
        Clock::time_point ends;
    };
    struct Delivery {
        std::string id, type, integration;
        int attempt;
        Answer answer;
        Millis at;
        std::chrono::microseconds took;
    };

    bool tells(const std::string &type) const;
    void start_senders(std::size_t count);
    void enqueue(Webhook webhook);
    void run();
    void flush(Window &window);
    void deliver(std::unique_lock<std::mutex> &lock, Task task);
    void note(const Task &task, const Answer &answer, Millis at, std::chrono::microseconds took);

    mutable std::mutex mutex_;
    std::condition_variable news_;
    Settings settings_;
    std::multimap<Clock::time_point, Task> queue_;
    std::map<std::string, Window> windows_;
    std::deque<Webhook> held_;
    std::deque<Delivery> deliveries_;
    std::uint64_t generation_ = 0;
    std::size_t being_sent_ = 0;
    std::size_t sent_ = 0;
    std::size_t failed_ = 0;
    std::size_t attempts_ = 0;
    bool ends_ = false;
    std::vector<std::thread> senders_;
};

} // namespace sandbox
