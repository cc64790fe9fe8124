#include "pg/base/entry_points.h"
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

LimitedServer *find_limited(Oid server) {
    for (LimitedServer &candidate : segment().limited)
        if (candidate.key != 0 && candidate.server == server && candidate.database == MyDatabaseId) return &candidate;
    return nullptr;
}

/// So that who waits can be told, and the wait be ended, without the key. What is known of the server stays true: it
/// may have another key by now.
void note_server(const Account &account, bool limited) {
    LimitedServer *entry = find_limited(account.server);
    if (!entry && !limited) return;
    for (LimitedServer &candidate : segment().limited)
        if (!entry && candidate.key == 0) entry = &candidate;
    if (!entry) entry = &segment().limited[segment().next_limited++ % limited_servers];
    *entry = {MyDatabaseId, account.server, account.key};
}

void note(kombo::RateBudget &budget, const std::optional<Limit> &limit, int64_t now) {
    if (limit) budget.note(limit->limit, limit->remaining, limit->reset.count(), now);
}

} // namespace

void note_answer(const Account &account, const std::optional<Limit> &limit) {
    if (!available()) return;
    const int64_t now = now_ms();
    const Locked lock(LW_EXCLUSIVE);
    kombo::RateBudget *budget = find(account.key, now, limit.has_value());
    if (!budget) return;
    note(*budget, limit, now);
    budget->answered(now);
}

void note_refusal(const Account &account, const std::optional<Limit> &limit, milliseconds demand) {
    if (!available()) return;
    const int64_t now = now_ms();
    const Locked lock(LW_EXCLUSIVE);
    kombo::RateBudget *budget = find(account.key, now, true);
    note(*budget, limit, now);
    budget->refuse(demand.count(), now);
    note_server(account, true);
}

void block_key(uint64_t key, milliseconds wait) {
    if (!available()) return;
    const int64_t now = now_ms();
    const Locked lock(LW_EXCLUSIVE);
    find(key, now, true)->block(wait.count(), now);
}

std::optional<milliseconds> take_request(const Account &account, bool urgent) {
    if (!available()) return std::nullopt;
    const int64_t now = now_ms();
    const Locked lock(LW_EXCLUSIVE);
    kombo::RateBudget *budget = find(account.key, now, false);
    if (!budget) return std::nullopt;
    const auto wait = budget->take(urgent, now);
    note_server(account, wait.has_value());
    return wait ? std::optional(milliseconds(*wait)) : std::nullopt;
}

std::vector<RateLimit> rate_limits() {
    std::vector<RateLimit> found;
    if (!available()) return found;
    found.reserve(limited_servers);
    const int64_t now = now_ms();
    const Locked lock(LW_SHARED);
    for (const LimitedServer &entry : segment().limited) {
        if (entry.key == 0 || entry.database != MyDatabaseId) continue;
        for (const KeyBudget &known : segment().budgets) {
            if (known.used_at == 0 || known.key != entry.key) continue;
            if (const auto until = known.budget.limited_until(now))
                found.push_back({entry.server, milliseconds(*until - now), known.budget.refusals > 0});
        }
    }
    return found;
}

bool lift_limit(Oid server) {
    if (!available()) return false;
    const int64_t now = now_ms();
    const Locked lock(LW_EXCLUSIVE);
    const LimitedServer *entry = find_limited(server);
    kombo::RateBudget *budget = entry ? find(entry->key, now, false) : nullptr;
    return budget && budget->lift(now);
}

} // namespace pg::shared

PG_ENTRY(rate_limits, {
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    pg::guard([&] { InitMaterializedSRF(fcinfo, 0); });
    for (const pg::shared::RateLimit &limit : pg::shared::rate_limits()) {
        Datum values[2] = {ObjectIdGetDatum(limit.server),
                           TimestampTzGetDatum(GetCurrentTimestamp() + limit.wait.count() * 1000)};
        bool nulls[2] = {};
        pg::guard([&] { tuplestore_putvalues(result->setResult, result->setDesc, values, nulls); });
    }
    return static_cast<Datum>(0);
})

PG_ENTRY(lift_limit, { PG_RETURN_BOOL(pg::shared::lift_limit(PG_GETARG_OID(0))); })
