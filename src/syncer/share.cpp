#include "syncer/share.h"

#include <algorithm>
#include <cstdint>
#include <functional>

namespace syncer {

namespace {

/// Every worker has such a number for every integration, and the one with the highest looks after it (rendezvous
/// hashing). The mixing is that of SplitMix64.
uint64_t score(uint64_t integration, int worker) {
    uint64_t mixed = integration + static_cast<uint64_t>(worker) * 0x9E3779B97F4A7C15;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
    return mixed ^ (mixed >> 31);
}

} // namespace

Share::Share(int own, std::vector<int> workers) : own_(own), workers_(std::move(workers)) {
    std::sort(workers_.begin(), workers_.end());
}

bool Share::has(std::string_view integration_id) const {
    if (workers_.size() < 2) return true;
    const uint64_t integration = std::hash<std::string_view>()(integration_id);
    const uint64_t its_own = score(integration, own_);
    return std::all_of(workers_.begin(), workers_.end(),
                       [&](int other) { return score(integration, other) <= its_own; });
}

} // namespace syncer
