#include "pg/base/key_planning.h"

#include "pg/base/memory.h"

extern "C" {
#include <optimizer/cost.h>
}

namespace pg {

namespace {

constexpr double assumed_rows = 1e7;
constexpr BlockNumber assumed_pages = 1000000;

bool planning_by_key = false;

/// While it lives, the planner takes every table for a large one, and looks rows up by a plain index scan: a bitmap
/// that is built anew for each key took a quarter of the time of an unchanged sync.
struct Assumption {
    Assumption() : bitmaps_(std::exchange(enable_bitmapscan, false)) { planning_by_key = true; }
    ~Assumption() {
        planning_by_key = false;
        enable_bitmapscan = bitmaps_;
    }
    Assumption(const Assumption &) = delete;
    Assumption &operator=(const Assumption &) = delete;

private:
    bool bitmaps_;
};

void assume_large(RelOptInfo *info) {
    if (!planning_by_key) return;
    info->tuples = Max(info->tuples, assumed_rows);
    info->pages = Max(info->pages, assumed_pages);
    ListCell *cell = nullptr;
    foreach (cell, info->indexlist) {
        auto *index = static_cast<IndexOptInfo *>(lfirst(cell));
        index->tuples = Max(index->tuples, assumed_rows);
        index->pages = Max(index->pages, assumed_pages / 4);
    }
}

} // namespace

void install_key_planning() {
    compat::adjust_relation = assume_large;
    compat::install_relation_hook();
}

void plan_by_key(SPIPlanPtr plan) {
    const MemoryScope planners; // it leaves some hundred kilobytes behind
    const Assumption large;
    guard([&] {
        CachedPlan *cached = SPI_plan_get_cached_plan(plan);
        if (cached) ReleaseCachedPlan(cached, CurrentResourceOwner);
    });
}

} // namespace pg
