#include "pg/shared/segment.h"

/// The request budgets of the API keys, which all workers share.
namespace pg::shared {

namespace {

using std::chrono::milliseconds;

int64_t now_ms() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<milliseconds>(now).count();
}

/// The key's budget, if there is one; else, with `make`, a new one in the place of the one that was not used for
/// longest.
kombo::RateBudget *find(uint64_t key, int64_t now, bool make) {
    KeyBudget *oldest = nullptr;
    for (KeyBudget &candidate : segment().budgets) {
        if (candidate.used_at != 0 && candidate.key == key) {
            candidate.used_at = now;
            return &candidate.budget;
        }
        if (!oldest || candidate.used_at < oldest->used_at) oldest = &candidate;
    }
    if (!make) return nullptr;
    *oldest = {key, now, {}};
    return &oldest->budget;
}

} // namespace

void note_limit(uint64_t key, const Limit &limit) {
    if (!available()) return;
    const int64_t now = now_ms();
    const Locked lock(LW_EXCLUSIVE);
    find(key, now, true)->note(limit.limit, limit.remaining, limit.reset.count(), now);
}

void block_key(uint64_t key, milliseconds wait) {
    if (!available()) return;
    const int64_t now = now_ms();
    const Locked lock(LW_EXCLUSIVE);
    find(key, now, true)->block(wait.count(), now);
}

std::optional<milliseconds> take_request(uint64_t key, bool urgent) {
    if (!available()) return std::nullopt;
    const int64_t now = now_ms();
    const Locked lock(LW_EXCLUSIVE);
    kombo::RateBudget *budget = find(key, now, false);
    if (!budget) return std::nullopt;
    const auto wait = budget->take(urgent, now);
    return wait ? std::optional(milliseconds(*wait)) : std::nullopt;
}

} // namespace pg::shared
