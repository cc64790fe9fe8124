#pragma once

#include <string_view>
#include <vector>

namespace syncer {

/// The integrations that one of several workers looks after. A share saves work and nothing else: whoever has the lock
/// of an integration is the only one to sync it, also while workers disagree about who is there.
class Share {
public:
    Share() = default;

    /// `workers`: the numbers of those that are there, this one's included, in any order.
    Share(int own, std::vector<int> workers);

    /// If a worker comes or goes, only what it gets or had is another one's.
    bool has(std::string_view integration_id) const;

    /// True if it does what one worker does for all of them.
    bool leads() const { return !workers_.empty() && workers_.front() == own_; }

    bool operator==(const Share &other) const { return own_ == other.own_ && workers_ == other.workers_; }

private:
    int own_ = 0;
    std::vector<int> workers_; ///< sorted
};

} // namespace syncer
