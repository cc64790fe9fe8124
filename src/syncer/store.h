#pragma once

#include "kombo/time.h"
#include "syncer/batch.h"
#include "syncer/catalogue.h"
#include "syncer/kept_out.h"
#include "syncer/links.h"
#include "syncer/plan.h"
#include "syncer/result.h"
#include "syncer/seen_ids.h"

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
    /// what is no longer in them, with its `dependents`. A row that was written here after `requested_at` keeps its
    /// values if it is newer.
    virtual void write(const Endpoint &endpoint, const Dependents &dependents, const Batch &batch,
                       kombo::Timestamp requested_at, TableCounts &counts) = 0;

    /// True if records of the integration were erased, and must be kept out of what is written.
    virtual bool has_erased() const = 0;

    /// The erased records among those of these ids.
    virtual ErasedRecords find_erased(const std::vector<std::string_view> &ids) = 0;

    /// Erases a record, and what belongs to it, as it belongs to an erased one.
    virtual void erase(const Belonging &record) = 0;

    /// The 8-byte hash that ids are compared by.
    virtual uint64_t hash(std::string_view id) = 0;

    /// Goes through the next live rows of the endpoint's own table, by id, behind `after`: adds their number to `live`,
    /// and to `missing` the ids of those that are not among `seen`, and were not written since `since`. Returns the
    /// last id; nullopt: there are no more.
    virtual std::optional<std::string> find_missing(const Endpoint &endpoint, const std::string &after, SeenIds &seen,
                                                    kombo::Timestamp since, std::vector<std::string> &missing,
                                                    int64_t &live) = 0;

    /// Marks or deletes rows that Kombo no longer has, with their dependents. A row that another table refers to is not
    /// deleted but marked, and counted as `referenced`.
    virtual void remove(const Endpoint &endpoint, const Dependents &dependents, const std::vector<std::string> &ids,
                        OnMissing how, TableCounts &counts) = 0;

    /// Those of the ids whose rows are still live and were not written since `since`.
    virtual std::vector<std::string> untouched(const Endpoint &endpoint, const std::vector<std::string> &ids,
                                               kombo::Timestamp since) = 0;

    /// Goes through the next rows of a nested table, by their parent's id, behind `after`, and removes those whose
    /// parent does not exist. A record of the endpoint does where it is among `seen`, and where its row is live or was
    /// written since `since`: the sweep decides on that. Returns the last parent's id; nullopt: there are no more.
    virtual std::optional<std::string> remove_orphans(const Endpoint &endpoint, const Nested &nested,
                                                      const std::string &after, SeenIds &seen, kombo::Timestamp since,
                                                      TableCounts &counts) = 0;

    /// Goes through the next live rows of a table that comes linked, by id, behind `after`, and removes those that none
    /// of the links names. Returns the last id; nullopt: there are no more.
    virtual std::optional<std::string> remove_unlinked(size_t table, const std::vector<Link> &links, OnMissing how,
                                                       const std::string &after, TableCounts &counts) = 0;

    /// Goes through the next rows of the endpoint's own table, by id, behind `after`, and deletes tombstones that are
    /// older than `before`, with what belongs to them. Returns the last id; nullopt: there are no more.
    virtual std::optional<std::string> purge(const Endpoint &endpoint, const Dependents &dependents,
                                             kombo::Timestamp before, const std::string &after,
                                             TableCounts &counts) = 0;

    /// Keeps a record that cannot be stored. `record` is jsonb text.
    virtual void park(const Endpoint &endpoint, std::optional<std::string_view> id, const std::string &record,
                      const std::string &sqlstate, const std::string &error) = 0;

    /// Forgets parked records of the endpoint: those with these ids, or all that were parked before `before`.
    virtual void unpark(const Endpoint &endpoint, const std::vector<std::string_view> &ids) = 0;
    virtual void unpark_before(const Endpoint &endpoint, kombo::Timestamp before) = 0;

    /// Records a success: watermarks of the endpoint and of the implied ones (nullopt: they stay what they are), and
    /// the time of a full fetch. Its requests are fulfilled.
    virtual void succeeded(const Task &task, const States &states, const RunResult &result,
                           std::optional<kombo::Timestamp> watermark) = 0;

    /// Commits how far a full fetch has come that goes over several transactions, with the hashes of the ids that its
    /// latest page, number `page`, brought. The first page's begins a new one.
    virtual void checkpoint(const Task &task, const OpenFull &open, int page, const std::vector<uint64_t> &seen) = 0;

    /// Commits what such a full fetch has counted since its last page.
    virtual void keep_progress(const Task &task, const std::string &progress) = 0;

    /// The ids that the pages of the open full fetch brought.
    virtual SeenIds seen(const Endpoint &endpoint) = 0;

    /// An empty file for what would take too much memory.
    virtual std::unique_ptr<TemporaryFile> temporary_file() = 0;

    /// Forgets the open full fetch: the next one begins with the first page.
    virtual void forget_full(const Endpoint &endpoint) = 0;

    /// Records that an endpoint came to nothing.
    virtual void failed(const Task &task, const RunResult &result) = 0;

    /// Writes the row of kombo.sync_runs.
    virtual void record_run(const Task &task, const RunResult &result) = 0;
};

} // namespace syncer
