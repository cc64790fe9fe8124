#include "syncer/sweep.h"

#include <algorithm>
#include <iterator>

namespace syncer {

namespace {

/// Rows that one step marks or deletes, each with what hangs on it.
constexpr size_t removed_at_once = 1000;

} // namespace

Sweep::Sweep(const Catalogue &catalogue, const States &states, const Task &task, Store &store, Settings settings)
    : catalogue_(catalogue), states_(states), task_(task), store_(store), settings_(settings),
      dependents_(dependents(catalogue, states, *task.endpoint)) {}

bool Sweep::search(SeenIds &seen, kombo::Timestamp fetch_began) {
    draft_ = place_;
    found_.clear();
    if (on_missing() == OnMissing::Keep) return true;
    const auto last = store_.find_missing(*task_.endpoint, draft_.after, seen, fetch_began, found_, draft_.live);
    draft_.after = last.value_or("");
    return !last;
}

std::optional<std::string> Sweep::held() const {
    const auto gone = static_cast<int64_t>(missing());
    const int64_t live = draft_.live;
    const bool everything = live > 10 && gone == live;
    const bool too_much =
        live > 20 && static_cast<double>(gone) > settings_.max_sweep_fraction * static_cast<double>(live);
    if (!(everything || too_much) || states_.at(task_.endpoint->path).accept_sweep) return std::nullopt;
    return "the sweep of " + std::to_string(gone) + " of " + std::to_string(live) + " live rows was held back";
}

bool Sweep::remove(const std::vector<std::string> &gone, SeenIds &seen, kombo::Timestamp fetch_began,
                   TableCounts &counts) {
    draft_ = place_;
    if (on_missing() == OnMissing::Keep) return next_purged(counts);
    if (draft_.removed < gone.size()) {
        const auto first = gone.begin() + static_cast<std::ptrdiff_t>(draft_.removed);
        draft_.removed += std::min(removed_at_once, gone.size() - draft_.removed);
        const std::vector<std::string> ids(first, gone.begin() + static_cast<std::ptrdiff_t>(draft_.removed));
        store_.remove(*task_.endpoint, still_written(), store_.untouched(*task_.endpoint, ids, fetch_began),
                      on_missing(), counts);
        if (draft_.removed < gone.size()) return false;
    }
    return next_orphans(seen, fetch_began, counts) && next_unlinked(counts) && next_purged(counts);
}

/// Without those whose rows another list has begun to write since the fetch began.
Dependents Sweep::still_written() const {
    const Dependents now = dependents(catalogue_, states_, *task_.endpoint);
    Dependents both;
    for (const Nested *nested : dependents_)
        if (std::find(now.begin(), now.end(), nested) != now.end()) both.push_back(nested);
    return both;
}

bool Sweep::purge(TableCounts &counts) {
    draft_ = place_;
    return next_purged(counts);
}

/// A walk that comes to its end has passed few rows: the next one begins in the same step.
bool Sweep::next_orphans(SeenIds &seen, kombo::Timestamp fetch_began, TableCounts &counts) {
    for (; draft_.nested < dependents_.size(); ++draft_.nested) {
        const Nested &nested = *dependents_[draft_.nested];
        // A list of its own looks after it.
        if (nested.relation != Relation::Join && own_list_delivers(catalogue_, states_, nested.table)) continue;
        const auto last = store_.remove_orphans(*task_.endpoint, nested, draft_.after, seen, fetch_began, counts);
        draft_.after = last.value_or("");
        if (last) return false;
    }
    return true;
}

/// Of tables that no list writes: what no stored record names goes, once all lists that could name it have been read.
/// Linked records lie deeper than the record, so that they are looked at later.
bool Sweep::next_unlinked(TableCounts &counts) {
    const auto is_read = [this](const Endpoint &endpoint) {
        return &endpoint == task_.endpoint || states_.at(endpoint.path).last_full_at;
    };
    for (const auto &nested = task_.endpoint->nested; draft_.linked < nested.size(); ++draft_.linked) {
        const Nested &linked = nested[draft_.linked];
        if (!carriers_are(is_read, catalogue_, states_, linked.table)) continue;
        const std::vector<Link> links = keeping_links(catalogue_, states_, *task_.endpoint, linked);
        if (links.empty()) continue;
        const auto last = store_.remove_unlinked(linked.table, links,
                                                 on_missing_links(catalogue_, states_, linked.table, *task_.endpoint),
                                                 draft_.after, counts);
        draft_.after = last.value_or("");
        if (last) return false;
    }
    return true;
}

bool Sweep::next_purged(TableCounts &counts) {
    const auto limit = purge_limit(states_.at(task_.endpoint->path).subscription);
    if (!limit) return true;
    const auto last = store_.purge(*task_.endpoint, still_written(), *limit, draft_.after, counts);
    draft_.after = last.value_or("");
    return !last;
}

void Sweep::committed() {
    place_ = draft_;
    suspects_.insert(suspects_.end(), std::make_move_iterator(found_.begin()), std::make_move_iterator(found_.end()));
    found_.clear();
}

} // namespace syncer
