#pragma once
// Differences between the majors of PostgreSQL, each behind one name. postgres.h includes this file behind PostgreSQL's
// headers, and no other file asks for PG_VERSION_NUM. 16 and 19 cannot be tried here: 16 gets what 15 and 17 share, or
// what its headers say; 19 gets what the headers of its release candidate say.

#if PG_VERSION_NUM < 150000
#error "kombo_sync needs PostgreSQL 15 or later"
#elif PG_VERSION_NUM >= 190000 && !defined(KOMBO_SYNC_UNTRIED)
#error "kombo_sync has not been tried with this PostgreSQL; make COPT=-DKOMBO_SYNC_UNTRIED builds it all the same"
#endif

extern "C" {
#if PG_VERSION_NUM >= 180000
#include <commands/explain_format.h>
#include <commands/explain_state.h>
#endif
#if PG_VERSION_NUM >= 160000
#include <varatt.h>
#endif
}

// port.h gives these names to PostgreSQL's own functions, and so breaks std::snprintf in headers that come behind it.
#undef vsnprintf
#undef snprintf
#undef vsprintf
#undef sprintf
#undef vfprintf
#undef fprintf
#undef vprintf
#undef printf

namespace pg::compat {

/// transaction_timeout (17) ends a transaction of the worker, too.
inline constexpr bool has_transaction_timeout = PG_VERSION_NUM >= 170000;

/// The set belongs to no resource owner: its maker frees it.
inline WaitEventSet *create_wait_event_set(int events) {
#if PG_VERSION_NUM >= 170000
    return CreateWaitEventSet(nullptr, events);
#else
    return CreateWaitEventSet(TopMemoryContext, events);
#endif
}

inline bool may_use_server(Oid server, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(ForeignServerRelationId, server, role, ACL_USAGE) == ACLCHECK_OK;
#else
    return pg_foreign_server_aclcheck(server, role, ACL_USAGE) == ACLCHECK_OK;
#endif
}

inline TableScanDesc begin_table_scan(Relation table) {
#if PG_VERSION_NUM >= 190000
    return table_beginscan(table, GetActiveSnapshot(), 0, nullptr, SO_NONE);
#else
    return table_beginscan(table, GetActiveSnapshot(), 0, nullptr);
#endif
}

inline IndexScanDesc begin_index_scan(Relation table, Relation index, int keys) {
#if PG_VERSION_NUM >= 190000
    return index_beginscan(table, index, GetActiveSnapshot(), nullptr, keys, 0, SO_NONE);
#elif PG_VERSION_NUM >= 180000
    return index_beginscan(table, index, GetActiveSnapshot(), nullptr, keys, 0);
#else
    return index_beginscan(table, index, GetActiveSnapshot(), keys, 0);
#endif
}

inline ForeignPath *make_foreign_path(PlannerInfo *root, RelOptInfo *rel, double rows, Cost startup, Cost total,
                                      Relids required_outer) {
#if PG_VERSION_NUM >= 180000
    return create_foreignscan_path(root, rel, nullptr, rows, 0, startup, total, NIL, required_outer, nullptr, NIL, NIL);
#elif PG_VERSION_NUM >= 170000
    return create_foreignscan_path(root, rel, nullptr, rows, startup, total, NIL, required_outer, nullptr, NIL, NIL);
#else
    return create_foreignscan_path(root, rel, nullptr, rows, startup, total, NIL, required_outer, nullptr, NIL);
#endif
}

/// The role whose rights count: the caller, or the owner of the view that the foreign table is read through.
inline Oid checked_user(const ForeignScanState *node) {
#if PG_VERSION_NUM >= 160000
    const Oid user = reinterpret_cast<const ForeignScan *>(node->ss.ps.plan)->checkAsUser;
#else
    const auto *scan = reinterpret_cast<const ForeignScan *>(node->ss.ps.plan);
    const Oid user = exec_rt_fetch(scan->scan.scanrelid, node->ss.ps.state)->checkAsUser;
#endif
    return OidIsValid(user) ? user : GetUserId();
}

/// The cache that a callback of CacheRegisterSyscacheCallback is told of.
#if PG_VERSION_NUM >= 190000
using CacheId = SysCacheIdentifier;
#else
using CacheId = int;
#endif

/// Sees each table that is planned for, and may change what the planner takes it for.
inline void (*adjust_relation)(RelOptInfo *) = nullptr;

#if PG_VERSION_NUM >= 190000
inline build_simple_rel_hook_type previous_relation_hook = nullptr;

inline void relation_hook(PlannerInfo *root, RelOptInfo *info, RangeTblEntry *entry) {
    if (previous_relation_hook) previous_relation_hook(root, info, entry);
    if (entry->rtekind == RTE_RELATION) adjust_relation(info);
}

inline void install_relation_hook() {
    previous_relation_hook = build_simple_rel_hook;
    build_simple_rel_hook = relation_hook;
}
#else
inline get_relation_info_hook_type previous_relation_hook = nullptr;

inline void relation_hook(PlannerInfo *root, Oid relation, bool inherited, RelOptInfo *info) {
    if (previous_relation_hook) previous_relation_hook(root, relation, inherited, info);
    adjust_relation(info);
}

inline void install_relation_hook() {
    previous_relation_hook = get_relation_info_hook;
    get_relation_info_hook = relation_hook;
}
#endif

} // namespace pg::compat
