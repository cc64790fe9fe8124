#pragma once

#include "pg/base/spi.h"
#include "pg/base/transaction.h"
#include "pg/store/jsonb_builder.h"
#include "syncer/store.h"

namespace pg {

/// The rows of a set that are not stored as they are.
struct Difference {
    syncer::RowSet rows;                        ///< that are new or differ
    int64_t inserted = 0;                       ///< the new ones among them
    std::vector<std::vector<std::string>> gone; ///< per key column: what the lists no longer hold
    std::vector<std::string> dead;              ///< what they do not hold and is marked, where lists lie in it
};

/// Compares a set with what is stored. `list`: the lists that its rows are; null: they are none.
Difference find_difference(const syncer::Catalogue &catalogue, const std::string &integration_id,
                           const syncer::Endpoint &endpoint, const syncer::RowSet &set, const syncer::ListSet *list,
                           kombo::Timestamp requested_at, kombo::Timestamp now, JsonbBuilder &jsonb);

/// Calls `take` for each set of the batch, with the lists that its rows are; for lists without rows with an empty set.
/// The rows of linked lists are in several sets, which come without a list: find_unlisted() has what these lack.
void for_each_set(const syncer::Catalogue &catalogue, const syncer::Endpoint &endpoint, const syncer::Batch &batch,
                  const std::function<void(const syncer::RowSet &, const syncer::ListSet *)> &take);

/// The ids of stored rows that a complete linked list no longer holds.
std::vector<std::string> find_unlisted(const syncer::Catalogue &catalogue, const std::string &integration_id,
                                       const syncer::Endpoint &endpoint, const syncer::ListSet &list,
                                       kombo::Timestamp requested_at, kombo::Timestamp now);

/// Calls `take` for each linked list of the batch.
void for_each_linked(const syncer::Endpoint &endpoint, const syncer::Batch &batch,
                     const std::function<void(const syncer::ListSet &)> &take);

/// The 8-byte hash that ids are compared by.
uint64_t hash_id(std::string_view id);

/// Those of the ids that are not among `seen`.
std::vector<std::string> not_seen(std::vector<std::string> ids, syncer::SeenIds &seen);

/// The half of an integration's store that writes rows of data tables. Needs an open SPI connection.
class RowStore : public syncer::Store {
public:
    /// The worker's duties while a large batch is written: called between two of its statements. It must not
    /// touch the database.
    std::function<void()> meanwhile = [] {};

    void in_subtransaction(const std::function<void()> &body) override { subtransaction(body); }
    void write(const syncer::Endpoint &endpoint, const syncer::Dependents &dependents, const syncer::Batch &batch,
               kombo::Timestamp requested_at, syncer::TableCounts &counts) override;
    uint64_t hash(std::string_view id) override { return hash_id(id); }
    std::optional<std::string> find_missing(const syncer::Endpoint &endpoint, const std::string &after,
                                            syncer::SeenIds &seen, kombo::Timestamp since,
                                            std::vector<std::string> &missing, int64_t &live) override;
    void remove(const syncer::Endpoint &endpoint, const syncer::Dependents &dependents,
                const std::vector<std::string> &ids, syncer::OnMissing how, syncer::TableCounts &counts) override;
    std::vector<std::string> untouched(const syncer::Endpoint &endpoint, const std::vector<std::string> &ids,
                                       kombo::Timestamp since) override;
    std::optional<std::string> remove_orphans(const syncer::Endpoint &endpoint, const syncer::Nested &nested,
                                              const std::string &after, syncer::SeenIds &seen, kombo::Timestamp since,
                                              syncer::TableCounts &counts) override;
    std::optional<std::string> remove_unlinked(size_t target, const std::vector<syncer::Link> &links,
                                               syncer::OnMissing how, const std::string &after,
                                               syncer::TableCounts &counts) override;
    std::optional<std::string> purge(const syncer::Endpoint &endpoint, const syncer::Dependents &dependents,
                                     kombo::Timestamp before, const std::string &after,
                                     syncer::TableCounts &counts) override;

protected:
    RowStore(const syncer::Catalogue &catalogue, std::string integration_id)
        : catalogue_(catalogue), integration_id_(std::move(integration_id)) {}

    const syncer::Catalogue &catalogue() const { return catalogue_; }
    const std::string &integration_id() const { return integration_id_; }
    Params key() const {
        Params params;
        params.text(integration_id_);
        return params;
    }
    const syncer::Table &table(size_t index) const { return catalogue_.tables[index]; }

    /// A run has ended: of the next one it is not known what it brings.
    void begin_anew() { all_new_.clear(); }

private:
    /// A fetch's endpoint, and what goes with its records.
    struct Tree {
        const syncer::Endpoint &endpoint;
        const syncer::Dependents &dependents;
    };

    void remove_dependents(const Tree &tree, const syncer::Nested *holder, const std::vector<std::string> &ids,
                           syncer::OnMissing how, syncer::TableCounts &counts);
    std::vector<std::string> ids_of_parents(size_t target, const std::string &parent_column,
                                            const std::vector<std::string> &parents);
    void remove_rows(size_t target, const std::string &column, const std::vector<std::string> &ids,
                     syncer::OnMissing how, syncer::TableCounts &counts);
    /// Takes the elements from `begin` to `end` of what is to be removed, and tells how many rows that were.
    using Removal = std::function<int64_t(size_t begin, size_t end)>;
    void remove_unreferenced(size_t begin, size_t end, const Removal &remove, const Removal &keep,
                             syncer::RowCounts &count);
    int64_t insert_if_all_new(const syncer::RowSet &set, kombo::Timestamp now);
    bool had_rows_before(const syncer::Endpoint &endpoint, const syncer::ListSet &list, kombo::Timestamp now);
    void remove_from_list(const Tree &tree, const syncer::Nested &list,
                          const std::vector<std::vector<std::string>> &keys, kombo::Timestamp now,
                          syncer::TableCounts &counts);
    void write_set(const Tree &tree, const syncer::RowSet &set, const syncer::ListSet *list,
                   kombo::Timestamp requested_at, syncer::TableCounts &counts);
    void remove_unlisted(const Tree &tree, const syncer::ListSet &list, kombo::Timestamp requested_at,
                         syncer::TableCounts &counts);

    const syncer::Catalogue &catalogue_;
    std::string integration_id_;
    std::map<size_t, bool> all_new_; ///< per table: the run's last batch brought nothing but new rows
    JsonbBuilder jsonb_;
};

} // namespace pg
