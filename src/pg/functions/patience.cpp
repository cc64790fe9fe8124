#include "pg/functions/patience.h"

namespace pg {

namespace {

constexpr const char *at_first = "10s";
constexpr const char *afterwards = "200ms";

void wait_at_most(const char *time) {
    guard(
        [&] { set_config_option("lock_timeout", time, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false); });
}

} // namespace

Patience::Patience() : level_(guard([] { return NewGUCNestLevel(); })), ours_(LockTimeout == 0) {
    if (ours_) wait_at_most(at_first);
}

Patience::~Patience() {
    AtEOXact_GUC(false, level_);
}

void Patience::reconsider() {
    if (ours_ && std::exchange(met_lock_, false)) wait_at_most(afterwards);
}

} // namespace pg
