#pragma once

#include "admin_json.h"
#include "integration.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace sandbox {

/// A stream of random changes to one integration, made by a thread of its own until `stop`: values, new records,
/// deletions, returns, and links, all such that webhooks and deltas can show them.
class Churn {
public:
    using Tell = std::function<void(const Integration &, const ModelNames &)>;

    /// Takes `per_second` (10), `seed` (1), `models` (all that have deltas), `ops` ({"change": 6, …}: weights) and
    /// `count` (after so many it ends by itself). Throws AdminError 400.
    Churn(std::shared_ptr<Integration> integration, const json_t *options, Tell tell);

    ~Churn() { stop(); }

    /// Ends it; afterwards nothing changes any more.
    void stop();

    /// What it has done, as JSON text.
    std::string json() const;

private:
    void run();
    ModelNames step();
    Json next_op();
    Json link_op();
    Json fields(Model model);
    std::optional<Index> some(Model model);
    std::uint64_t below(std::uint64_t limit) { return limit == 0 ? 0 : random_() % limit; }

    std::shared_ptr<Integration> integration_;
    Tell tell_;
    std::mt19937_64 random_;
    std::vector<Model> models_;
    std::vector<std::pair<std::string, std::uint64_t>> weights_;
    std::chrono::nanoseconds interval_;
    std::int64_t left_; ///< negative = without end
    std::uint64_t number_ = 0;
    std::vector<std::pair<Model, Index>> deleted_;

    mutable std::mutex mutex_; ///< guards what follows
    std::condition_variable news_;
    bool ends_ = false;
    bool runs_ = true;
    std::map<std::string, std::int64_t> done_;
    std::thread thread_;
};

} // namespace sandbox
