#include "pg/account/lock_holder.h"

#include "pg/base/role.h"
#include "pg/base/spi.h"
#include "pg/base/transaction.h"

namespace pg {

int lock_holder(const syncer::Catalogue &catalogue, const syncer::Endpoint &endpoint) {
    std::vector<std::string> tables = {"sync_state", "sync_runs", "sync_requests", "sync_seen", "rejected_records"};
    tables.push_back(catalogue.tables[endpoint.table].name);
    for (const syncer::Nested &nested : endpoint.nested) tables.push_back(catalogue.tables[nested.table].name);
    // Locks of others and when their transactions began are for superusers to see; only catalogs are read.
    const SyncRole as(BOOTSTRAP_SUPERUSERID);
    const Result found = execute(R"(
        SELECT l.pid::bigint
        FROM pg_locks l
        JOIN pg_class c ON c.oid = l.relation AND c.relnamespace = 'kombo'::regnamespace AND c.relname = ANY ($1)
        LEFT JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
          AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
          AND l.mode IN ('RowShareLock', 'RowExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                         'AccessExclusiveLock')
        ORDER BY l.mode IN ('RowShareLock', 'RowExclusiveLock'), a.xact_start
        LIMIT 1)",
                                 Params().texts(tables));
    return found.size() > 0 ? static_cast<int>(found.integer(0, 1)) : 0;
}

namespace {

/// The holder of a lock on a whole table of the extension: "pid 123 has locked kombo.sync_state"; empty: nobody.
std::string table_locker() {
    const SyncRole as(BOOTSTRAP_SUPERUSERID);
    const Result found = execute(R"(
        SELECT format('%s has locked kombo.%I', coalesce('pid ' || l.pid, 'a prepared transaction'), c.relname)
        FROM pg_locks l
        JOIN pg_class c ON c.oid = l.relation AND c.relnamespace = to_regnamespace('kombo') AND c.relkind = 'r'
        JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
        WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
          AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
          AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        ORDER BY l.pid, c.relname LIMIT 1)");
    return found.size() > 0 ? found.text(0, 1) : std::string();
}

} // namespace

std::string with_locker(const Trouble &trouble) {
    if (trouble.sqlstate != "55P03") return trouble.message;
    std::string locker;
    contain([&] {
        in_transaction([&] {
            const Spi spi;
            locker = table_locker();
        });
    });
    return trouble.message + (locker.empty() ? "" : "; " + locker);
}

} // namespace pg
