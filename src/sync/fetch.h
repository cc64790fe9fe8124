#pragma once

#include "sync/result.h"
#include "sync/store.h"
#include "sync/stream.h"
#include "sync/unfold.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace syncer {

/// One fetch of one endpoint, within the caller's subtransaction: pages are unfolded and written, what the database
/// refuses is parked, and a full fetch ends with the sweep.
class Fetch {
public:
    Fetch(const Catalogue &catalogue, const States &states, const Task &task, Store &store, Settings settings,
          RunResult &result);

    /// Writes one page. Throws DatabaseError, kombo::MalformedJson, TooManyParked.
    void take(const PageStream::Arrived &arrived);

    /// After the last page of a full fetch: sweeps what Kombo did not return. `confirm` gives a stream that asks for
    /// ids. Returns false if the fuse held the sweep back.
    bool sweep(kombo::Timestamp fetch_began,
               const std::function<std::unique_ptr<PageStream>(const std::vector<std::string> &)> &confirm);

    /// Deletes tombstones that are older than the subscription keeps.
    void purge();

private:
    void store(const PageStream::Arrived &arrived, std::unordered_set<std::string> *returned = nullptr);
    Batch unfold(const std::vector<std::string_view> &records);
    void write(const std::vector<std::string_view> &records, kombo::Timestamp requested_at);
    void settle(const std::vector<std::string_view> &records, const Batch &batch, kombo::Timestamp requested_at);
    void remove_past_purge(const Batch &batch);
    void add(const TableCounts &counts);
    void park(std::string_view record, std::optional<std::string_view> id, const std::string &sqlstate,
              const std::string &error);
    std::vector<std::string>
    still_missing(std::vector<std::string> ids,
                  const std::function<std::unique_ptr<PageStream>(const std::vector<std::string> &)> &confirm);
    bool fuse_blows(int64_t gone, int64_t live) const;

    const Catalogue &catalogue_;
    const States &states_;
    const Task &task_;
    Store &store_;
    Settings settings_;
    RunResult &result_;
    std::optional<kombo::Timestamp> purge_before_;
    std::map<size_t, kombo::Timestamp> purge_nested_; ///< per table whose own list has purge_after
    Unfolder unfolder_;
    kombo::Arena arena_;
    std::vector<uint64_t> seen_;
};

/// Records that one run may park.
constexpr int64_t most_parked = 1000;

} // namespace syncer
