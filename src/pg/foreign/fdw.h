#pragma once
// PostgreSQL's planner and executor, as a foreign data wrapper meets them, and where its majors differ there.

#include "pg/base/guard.h"

extern "C" {
#include <access/sysattr.h>
#include <commands/explain.h>
#if PG_VERSION_NUM >= 180000
#include <commands/explain_format.h>
#include <commands/explain_state.h>
#endif
#include <commands/vacuum.h>
#include <executor/execAsync.h>
#include <executor/executor.h>
#include <foreign/fdwapi.h>
#include <nodes/makefuncs.h>
#include <nodes/nodeFuncs.h>
#include <optimizer/clauses.h>
#include <optimizer/cost.h>
#include <optimizer/optimizer.h>
#include <optimizer/pathnode.h>
#include <optimizer/paths.h>
#include <optimizer/planmain.h>
#include <optimizer/restrictinfo.h>
#include <parser/parsetree.h>
#include <utils/rel.h>
#include <utils/ruleutils.h>
#include <utils/sampling.h>
#include <utils/selfuncs.h>
}

namespace pg::fdw {

inline ForeignPath *make_path(PlannerInfo *root, RelOptInfo *rel, double rows, Cost startup, Cost total,
                              Relids required_outer) {
#if PG_VERSION_NUM >= 180000
    return create_foreignscan_path(root, rel, nullptr, rows, 0, startup, total, NIL, required_outer, nullptr, NIL, NIL);
#elif PG_VERSION_NUM >= 170000
    return create_foreignscan_path(root, rel, nullptr, rows, startup, total, NIL, required_outer, nullptr, NIL, NIL);
#else
    return create_foreignscan_path(root, rel, nullptr, rows, startup, total, NIL, required_outer, nullptr, NIL);
#endif
}

/// The role whose rights count: the caller, or the owner of the view that the table is read through.
inline Oid checked_user(const ForeignScanState *node) {
#if PG_VERSION_NUM >= 160000
    const Oid user = reinterpret_cast<const ForeignScan *>(node->ss.ps.plan)->checkAsUser;
#else
    const auto *scan = reinterpret_cast<const ForeignScan *>(node->ss.ps.plan);
    const Oid user = exec_rt_fetch(scan->scan.scanrelid, node->ss.ps.state)->checkAsUser;
#endif
    return OidIsValid(user) ? user : GetUserId();
}

/// Has the object deleted when the memory context is reset, as it is at the end of whatever it serves, also by an
/// error.
template <class T> void delete_with(MemoryContext context, T *object) {
    guard([&] {
        auto *callback =
            static_cast<MemoryContextCallback *>(MemoryContextAllocZero(context, sizeof(MemoryContextCallback)));
        callback->func = [](void *owned) { delete static_cast<T *>(owned); };
        callback->arg = object;
        MemoryContextRegisterResetCallback(context, callback);
    });
}

} // namespace pg::fdw
