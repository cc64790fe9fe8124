#pragma once

#include "pg/base/postgres.h"

#include <chrono>

namespace pg {

/// Notices when the clock is set: by how far it is ahead of the one that nobody sets.
class ClockWatch {
public:
    ClockWatch();

    /// True if the clock was set since the last look, or the machine has slept: what is due is due at another time.
    bool look();

    /// Whether times that the database keeps may have to be put right: when the worker begins, and when the clock was
    /// set.
    bool changed() const { return changed_; }

    /// Has kombo_internal.heed_clock() put them right, as the sync role.
    void heed(Oid role);

private:
    std::chrono::microseconds lead_;
    std::chrono::microseconds set_back_{0}; ///< since heed()
    bool changed_ = true;
};

} // namespace pg
