#pragma once

#include "pg/store/row_store.h"

#include <functional>
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
    /// `found` is told of each difference once.
    DifferenceFinder(const syncer::Catalogue &catalogue, std::string integration_id,
                     std::function<void(const Differing &)> found);

    /// Begins with a list, whose fetch began at `since`. `how`: what becomes of rows that it lacks.
    void begin(const syncer::Endpoint &endpoint, syncer::OnMissing how, kombo::Timestamp since);

    /// Compares a page of it. Throws Error.
    void compare(const syncer::Batch &batch, kombo::Timestamp requested_at);

    /// Finds the rows that no page had. Throws Error.
    void find_surplus();

private:
    void report(const Differing &differing);
    void show(const syncer::RowSet &rows);
    void show_surplus(size_t table, const std::vector<std::vector<std::string>> &keys);
    void find_surplus_records();
    void find_orphans(const syncer::Nested &nested);

    const syncer::Catalogue &catalogue_;
    std::string integration_id_;
    std::function<void(const Differing &)> found_;
    const syncer::Endpoint *endpoint_ = nullptr;
    syncer::OnMissing how_ = syncer::OnMissing::Mark;
    kombo::Timestamp since_;
    std::optional<syncer::SeenIds> seen_;
    std::set<std::pair<size_t, std::string>> reported_; ///< a row may come in several lists
    JsonbBuilder jsonb_;
};

} // namespace pg
