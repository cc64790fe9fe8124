#pragma once

#include "pg/base/guard.h"
#include "sync/agenda.h"

#include <functional>
#include <string>

/// What the worker looks at again and again: read straight from the tables, without the executor, so that an idle
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

/// Whether the inbox has a row that was not judged; also where that cannot be seen, as somebody has locked the table.
bool inbox_has_news();

/// Hands over every row of kombo.sync_requests. Raises, and does not wait, where somebody has locked the table.
void read_requests(const std::function<void(const syncer::Queued &)> &take);

} // namespace pg
