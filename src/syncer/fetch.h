#pragma once

#include "syncer/result.h"
#include "syncer/store.h"
#include "syncer/stream.h"
#include "syncer/unfold.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace syncer {

/// The writing of one fetch of one endpoint, within the caller's transaction: pages are unfolded and written, what the
/// database refuses is parked.
class Fetch {
public:
    /// Which lists deliver may change from page to page. Throws what Table::check() does.
    Fetch(const Catalogue &catalogue, const States &states, const Task &task, Store &store, RunResult &result);

    /// Writes one page. Throws DatabaseError, kombo::MalformedJson, TooManyParked.
    void take(const PageStream::Arrived &arrived);

    /// Writes what Kombo returned of the ids that were asked for once more, and adds them to `returned`.
    void take_confirmed(const PageStream::Arrived &arrived, std::unordered_set<std::string> &returned);

    /// The hashes of the ids that the pages brought since this was last called.
    std::vector<uint64_t> take_seen();

private:
    std::vector<bool> delivering() const;
    void follow_states();
    void store(const PageStream::Arrived &arrived, std::unordered_set<std::string> *returned = nullptr);
    Batch unfold(const std::vector<std::string_view> &records);
    void write(const std::vector<std::string_view> &records, kombo::Timestamp requested_at);
    void settle(const std::vector<std::string_view> &records, const Batch &batch, kombo::Timestamp requested_at);
    void remove_past_purge(const Batch &batch);
    void add(const TableCounts &counts);
    void park(std::string_view record, std::optional<std::string_view> id, const std::string &sqlstate,
              const std::string &error);
    const Catalogue &catalogue_;
    const States &states_;
    const Task &task_;
    Store &store_;
    RunResult &result_;
    std::optional<kombo::Timestamp> purge_before_;
    std::map<size_t, kombo::Timestamp> purge_nested_; ///< per table whose own list has purge_after
    std::vector<bool> delivering_; ///< per endpoint of the catalogue, when unfolder_ and dependents_ were made
    std::optional<Unfolder> unfolder_;
    Dependents dependents_;
    kombo::Arena arena_;
    std::vector<uint64_t> seen_;
};

/// Records that one run may park.
constexpr int64_t most_parked = 1000;

} // namespace syncer
