#pragma once

#include "kombo/time.h"
#include "sync/batch.h"
#include "sync/catalogue.h"
#include "sync/plan.h"
#include "sync/result.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace syncer {

/// The database, as the sync of one integration needs it; `pg` implements it. Every function may throw DatabaseError.
class Store {
public:
    virtual ~Store() = default;

    /// Runs `body` in a subtransaction, which is rolled back if it throws.
    virtual void in_subtransaction(const std::function<void()> &body) = 0;

    /// Writes a batch: inserts what is missing, updates what differs, leaves equal rows alone, and removes from lists
    /// what is no longer in them. A row that was written here after `requested_at` keeps its values if it is newer.
    virtual void write(const Endpoint &endpoint, const Batch &batch, kombo::Timestamp requested_at,
                       TableCounts &counts) = 0;

    /// The 8-byte hash that `missing` compares ids by.
    virtual uint64_t hash(std::string_view id) = 0;

    /// Number of rows of the endpoint's own table that are not tombstones.
    virtual int64_t live_rows(const Endpoint &endpoint) = 0;

    /// Ids of live rows that are not among the hashes, which are sorted, and were not written since `since`.
    virtual std::vector<std::string> missing(const Endpoint &endpoint, const std::vector<uint64_t> &seen,
                                             kombo::Timestamp since) = 0;

    /// Marks or deletes rows that Kombo no longer has, with their owned children and joins.
    virtual void remove(const Endpoint &endpoint, const std::vector<std::string> &ids, OnMissing how,
                        TableCounts &counts) = 0;

    /// Those of the ids whose rows are still live and were not written since `since`.
    virtual std::vector<std::string> untouched(const Endpoint &endpoint, const std::vector<std::string> &ids,
                                               kombo::Timestamp since) = 0;

    /// Removes joins, and owned children that no endpoint of their own looks after, whose parent does not exist.
    virtual void remove_orphans(const Endpoint &endpoint, const std::function<bool(size_t)> &own_endpoint_subscribed,
                                TableCounts &counts) = 0;

    /// Deletes tombstones that are older than `before`, with what belongs to them.
    virtual void purge(const Endpoint &endpoint, kombo::Timestamp before, TableCounts &counts) = 0;

    /// Keeps a record that cannot be stored. `record` is jsonb text.
    virtual void park(const Endpoint &endpoint, std::optional<std::string_view> id, const std::string &record,
                      const std::string &sqlstate, const std::string &error) = 0;

    /// Forgets parked records of the endpoint: those with these ids, or all that were parked before `before`.
    virtual void unpark(const Endpoint &endpoint, const std::vector<std::string_view> &ids) = 0;
    virtual void unpark_before(const Endpoint &endpoint, kombo::Timestamp before) = 0;

    /// Records a success: watermarks of the endpoint and of the implied ones, and the time of a full fetch.
    virtual void succeeded(const Task &task, const States &states, const RunResult &result,
                           kombo::Timestamp watermark) = 0;

    /// Commits how far a full fetch has come that goes over several transactions, with the hashes of the ids that its
    /// latest page, number `page`, brought. The first page's begins a new one.
    virtual void checkpoint(const Task &task, const OpenFull &open, int page, const std::vector<uint64_t> &seen) = 0;

    /// The hashes that the pages of the open full fetch brought.
    virtual std::vector<uint64_t> seen(const Endpoint &endpoint) = 0;

    /// Forgets the open full fetch: the next one begins with the first page.
    virtual void forget_full(const Endpoint &endpoint) = 0;

    /// Records that an endpoint came to nothing.
    virtual void failed(const Task &task, const RunResult &result) = 0;

    /// Writes the row of kombo.sync_runs.
    virtual void record_run(const Task &task, const RunResult &result) = 0;
};

} // namespace syncer
