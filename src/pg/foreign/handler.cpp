#include "pg/base/entry_points.h"
#include "pg/foreign/callbacks.h"

/// What kombo_sync_handler gives PostgreSQL: each callback is a function of callbacks.h in pg::entry.
namespace pg::fdw {

namespace {

FdwRoutine *make_routine() {
    FdwRoutine *routine = guard([] { return makeNode(FdwRoutine); });
    routine->GetForeignRelSize = [](PlannerInfo *root, RelOptInfo *rel, Oid table) {
        entry([&] { get_rel_size(root, rel, table); });
    };
    routine->GetForeignPaths = [](PlannerInfo *root, RelOptInfo *rel, Oid table) {
        entry([&] { get_paths(root, rel, table); });
    };
    routine->GetForeignPlan = [](PlannerInfo *root, RelOptInfo *rel, Oid table, ForeignPath *best, List *targets,
                                 List *clauses, Plan *outer_plan) {
        return entry([&] { return get_plan(root, rel, table, best, targets, clauses, outer_plan); });
    };
    routine->BeginForeignScan = [](ForeignScanState *node, int flags) { entry([&] { begin_scan(node, flags); }); };
    routine->IterateForeignScan = [](ForeignScanState *node) { return entry([&] { return iterate_scan(node); }); };
    routine->ReScanForeignScan = [](ForeignScanState *node) { entry([&] { rescan(node); }); };
    routine->EndForeignScan = [](ForeignScanState *node) { entry([&] { end_scan(node); }); };
    routine->ExplainForeignScan = [](ForeignScanState *node, ExplainState *explain) {
        entry([&] { explain_scan(node, explain); });
    };
    routine->AnalyzeForeignTable = [](Relation table, AcquireSampleRowsFunc *function, BlockNumber *pages) {
        return entry([&] { return analyze(table, function, pages); });
    };
    routine->ImportForeignSchema = [](ImportForeignSchemaStmt *statement, Oid server) {
        return entry([&] { return import_schema(statement, server); });
    };
    routine->PlanForeignModify = [](PlannerInfo *root, ModifyTable *, Index relation, int) -> List * {
        entry([&] { plan_modify(root, relation); });
        return NIL;
    };
    routine->IsForeignPathAsyncCapable = [](ForeignPath *) { return is_async_capable(); };
    routine->ForeignAsyncRequest = [](AsyncRequest *request) { entry([&] { request_async(request); }); };
    routine->ForeignAsyncConfigureWait = [](AsyncRequest *request) { entry([&] { configure_async_wait(request); }); };
    routine->ForeignAsyncNotify = [](AsyncRequest *request) { entry([&] { notify_async(request); }); };
    return routine;
}

} // namespace
} // namespace pg::fdw

PG_ENTRY(kombo_sync_handler, { return PointerGetDatum(pg::fdw::make_routine()); })
