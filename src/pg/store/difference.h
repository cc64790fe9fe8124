#pragma once

#include "pg/store/row_store.h"
#include "syncer/links.h"
#include "syncer/plan.h"

#include <functional>
#include <map>
#include <set>

namespace pg {

/// A row that is not stored as Kombo has it.
struct Differing {
    enum class Kind { Missing, Surplus, Differs };
    size_t table = 0;
    std::string id; ///< of a join row its ids, joined by "/"
    Kind kind = Kind::Differs;
    std::optional<std::string> columns{}; ///< those that differ, a text[] as text
    std::optional<std::string> stored{};  ///< jsonb as text
    std::optional<std::string> live{};    ///< the same
};

/// Finds what a full fetch would change, and changes nothing. Needs an open SPI connection.
class DifferenceFinder {
public:
    /// `tasks`: the lists that will be compared. `found` is told of each difference once.
    DifferenceFinder(const syncer::Catalogue &catalogue, const syncer::States &states, std::string integration_id,
                     const std::vector<syncer::Task> &tasks, std::function<void(const Differing &)> found);

    /// Begins with a list, whose fetch began at `since`.
    void begin(const syncer::Endpoint &endpoint, kombo::Timestamp since);

    /// Compares a page of it. Throws Error.
    void compare(const syncer::Batch &batch, kombo::Timestamp requested_at);

    /// Finds the rows that no page had. Throws Error.
    void find_surplus();

    /// Once all lists are read: finds the rows that come linked in others and that no page named. Throws Error.
    void find_unlinked();

private:
    void report(const Differing &differing);
    void show(const syncer::RowSet &rows);
    void show_surplus(size_t table, const std::vector<std::vector<std::string>> &keys);
    void show_dependents(const syncer::Nested *holder, const std::vector<std::string> &ids);
    void show_surplus_of(const syncer::Nested &nested, const std::vector<std::vector<std::string>> &keys);
    std::vector<std::vector<std::string>> keys_where(size_t table, const std::string &column,
                                                     const std::vector<std::string> &values) const;
    std::vector<std::vector<std::string>> keys_where(size_t table, const std::string &condition,
                                                     const Params &params) const;
    std::vector<std::string> not_stored(const syncer::Table &table, const std::vector<std::string> &ids) const;
    void note_links(const syncer::RowSet &rows);
    void find_surplus_records();
    void for_unseen(size_t target, const std::string &condition, const Params &params, syncer::SeenIds &seen,
                    const std::function<void(const std::vector<std::string> &)> &take) const;
    void find_orphans(const syncer::Nested &nested);

    const syncer::Catalogue &catalogue_;
    const syncer::States &states_;
    std::string integration_id_;
    std::function<void(const Differing &)> found_;
    const syncer::Endpoint *endpoint_ = nullptr;
    syncer::Dependents dependents_;
    kombo::Timestamp since_;
    std::optional<syncer::SeenIds> seen_;
    /// By table of records that come linked: what keeps them, and the ids that pages named there.
    struct Linked {
        std::vector<syncer::Link> links;
        syncer::SeenIds named;
    };
    std::map<size_t, Linked> linked_;
    std::set<std::pair<size_t, std::string>> reported_; ///< a row may come in several lists
    JsonbBuilder jsonb_;
};

} // namespace pg
