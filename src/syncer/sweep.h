#pragma once

#include "syncer/plan.h"
#include "syncer/result.h"
#include "syncer/store.h"

#include <optional>
#include <string>
#include <vector>

namespace syncer {

/// The end of a full fetch: finds the live rows that Kombo did not return, removes those that it does not know any
/// more, and what has lost its parent. In steps of bounded size, so that none is a long transaction: one that is rolled
/// back is done again, until committed() says that it was not.
class Sweep {
public:
    /// The references must outlive the object.
    Sweep(const Catalogue &catalogue, const States &states, const Task &task, Store &store, Settings settings);

    /// Compares the next live rows with the ids that Kombo returned. True at the end.
    bool search(SeenIds &seen, kombo::Timestamp fetch_began);

    /// After the last step of search(): number of rows that Kombo did not return.
    size_t missing() const { return suspects_.size() + found_.size(); }

    /// The same: why the fuse holds the sweep back; nullopt: it does not.
    std::optional<std::string> held() const;

    /// The ids of those rows, once the last step of search() is committed. Gives them up.
    std::vector<std::string> take_suspects() { return std::move(suspects_); }

    /// Removes the next of the rows `gone`, but for what was written since the fetch began; then what has lost its
    /// parent, what no record links any more, and tombstones that the subscription does not keep. True at the end.
    bool remove(const std::vector<std::string> &gone, SeenIds &seen, kombo::Timestamp fetch_began, TableCounts &counts);

    /// Removes the next of such tombstones alone. True at the end.
    bool purge(TableCounts &counts);

    /// The latest step is committed.
    void committed();

private:
    /// The progress of the sweep.
    struct Place {
        std::string after;  ///< the last key of a walk that is under way
        int64_t live = 0;   ///< rows that search() has passed
        size_t removed = 0; ///< of the rows that are gone
        size_t nested = 0;  ///< the dependents whose orphans are removed
        size_t linked = 0;  ///< those of which what is not linked any more is removed
    };

    Dependents still_written() const;
    bool next_orphans(SeenIds &seen, kombo::Timestamp fetch_began, TableCounts &counts);
    bool next_unlinked(TableCounts &counts);
    bool next_purged(TableCounts &counts);
    OnMissing on_missing() const { return states_.at(task_.endpoint->path).subscription.on_missing; }

    const Catalogue &catalogue_;
    const States &states_;
    const Task &task_;
    Store &store_;
    Settings settings_;
    Dependents dependents_;
    Place place_;                       ///< as committed
    Place draft_;                       ///< as the latest step has made it
    std::vector<std::string> found_;    ///< by the latest step of search()
    std::vector<std::string> suspects_; ///< by those before
};

} // namespace syncer
