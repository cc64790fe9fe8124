#pragma once

#include "pg/foreign/fdw.h"

/// What PostgreSQL calls for a foreign table of ours, in the files that have it.
namespace pg::fdw {

// paths.cpp: the planner
void get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid table);
void get_paths(PlannerInfo *root, RelOptInfo *rel, Oid table);
ForeignScan *get_plan(PlannerInfo *root, RelOptInfo *rel, Oid table, ForeignPath *best, List *targets, List *clauses,
                      Plan *outer_plan);
void plan_modify(PlannerInfo *root, Index relation);

// scan.cpp: the executor
void begin_scan(ForeignScanState *node, int flags);
TupleTableSlot *iterate_scan(ForeignScanState *node);
void rescan(ForeignScanState *node);
void end_scan(ForeignScanState *node);
void explain_scan(ForeignScanState *node, ExplainState *explain);

// async.cpp: Append, which reads several scans side by side
bool is_async_capable();
void request_async(AsyncRequest *request);
void configure_async_wait(AsyncRequest *request);
void notify_async(AsyncRequest *request);

// sample.cpp: ANALYZE
bool analyze(Relation table, AcquireSampleRowsFunc *function, BlockNumber *pages);

// import.cpp: IMPORT FOREIGN SCHEMA
List *import_schema(ImportForeignSchemaStmt *statement, Oid server);

} // namespace pg::fdw
