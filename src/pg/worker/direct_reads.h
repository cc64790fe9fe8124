#pragma once

#include "pg/base/guard.h"
#include "syncer/agenda.h"

#include <functional>
#include <string>

/// The reads that the worker repeats: straight from the tables, without the executor, so that an idle
/// worker leaves no trace in pg_stat_statements. All in the caller's transaction.
namespace pg {

/// The extension as it is installed in this database.
struct Installed {
    Oid oid = InvalidOid; ///< InvalidOid: it is not
    std::string version;
    bool operator==(const Installed &other) const { return oid == other.oid && version == other.version; }
    bool operator!=(const Installed &other) const { return !(*this == other); }
};
Installed installed_extension();

/// True if the inbox has a row that was not judged; also where that cannot be seen, as somebody has locked the table.
bool inbox_has_news();

/// A row of kombo.sync_requests while it is read: what is not asked for takes no time.
class RequestRow {
public:
    explicit RequestRow(TupleTableSlot *slot) : slot_(slot) {}
    int64_t id() const;
    std::string integration_id() const { return string("integration_id"); }
    syncer::QueuedRequest request() const;

private:
    Datum value(const char *column, bool &is_null) const;
    std::string string(const char *column) const;
    std::optional<kombo::Timestamp> instant(const char *column) const;
    TupleTableSlot *slot_;
};

/// Hands over every row of kombo.sync_requests, or those with a higher id than `after`. Raises, and does not wait,
/// where somebody has locked the table.
void read_requests(std::optional<int64_t> after, const std::function<void(const RequestRow &)> &take);

} // namespace pg
