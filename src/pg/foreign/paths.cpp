#include "pg/foreign/callbacks.h"
#include "pg/foreign/pushdown.h"

#include "pg/account/options.h"

#include <algorithm>
#include <cmath>

namespace pg {

namespace {

/// The cost of a millisecond on the network, in the planner's units: a page read from a disk at random costs 4, and
/// takes some.
constexpr double cost_of_ms = 1;

/// What the planner knows of a table while it plans a query.
struct Planned {
    LiveTable table;
    LiveList list;
    ListSize size;
    double page_size = 250;
    double total_rows = 1;
};

Planned &planned_of(RelOptInfo *rel) {
    return *static_cast<Planned *>(rel->fdw_private);
}

/// The clauses that Kombo checks as well. Runs inside pg::guard.
List *pushed_clauses(const Planned &planned, PlannerInfo *root, RelOptInfo *rel, Oid table, List *all) {
    List *found = NIL;
    ListCell *cell = nullptr;
    foreach (cell, all) {
        Pushed ignored;
        if (match_condition(planned.list, root, rel, table, static_cast<RestrictInfo *>(lfirst(cell))->clause, all,
                            &ignored))
            found = lappend(found, lfirst(cell));
    }
    return found;
}

/// Adds a path with the clauses that hold for it. Runs inside pg::guard.
void add_scan_path(const Planned &planned, PlannerInfo *root, RelOptInfo *rel, Oid table, ParamPathInfo *parameters) {
    List *all = rel->baserestrictinfo;
    if (parameters) all = list_concat_copy(all, parameters->ppi_clauses);
    List *pushed = pushed_clauses(planned, root, rel, table, all);
    const double fetched =
        std::max(1.0, planned.total_rows *
                          clauselist_selectivity(root, pushed, static_cast<int>(rel->relid), JOIN_INNER, nullptr));
    const double requests = std::max(planned.table.integration_id ? 1.0 : planned.size.integrations,
                                     std::ceil(fetched / planned.page_size));
    QualCost check;
    cost_qual_eval(&check, all, root);
    const Cost startup = planned.size.page_ms * cost_of_ms + check.startup;
    const Cost total =
        check.startup + requests * planned.size.page_ms * cost_of_ms + fetched * (2 * cpu_tuple_cost + check.per_tuple);
    const double rows = parameters ? parameters->ppi_rows : rel->rows;
    add_path(rel, reinterpret_cast<Path *>(compat::make_foreign_path(
                      root, rel, rows, startup, total, parameters ? parameters->ppi_req_outer : nullptr)));
}

/// The sets of other relations that a join clause which Kombo could check needs. Runs inside pg::guard.
List *outer_relations(const Planned &planned, PlannerInfo *root, RelOptInfo *rel, Oid table) {
    List *clauses = list_copy(rel->joininfo);
    if (rel->has_eclass_joins) {
        // Of each column that a filter, or the integration, is about.
        const auto is_column = [](PlannerInfo *, RelOptInfo *, EquivalenceClass *, EquivalenceMember *member, void *) {
            return IsA(member->em_expr, Var);
        };
        clauses = list_concat(
            clauses, generate_implied_equalities_for_column(root, rel, is_column, nullptr, rel->lateral_referencers));
    }
    List *sets = NIL;
    ListCell *cell = nullptr;
    foreach (cell, clauses) {
        auto *info = static_cast<RestrictInfo *>(lfirst(cell));
        Pushed ignored;
        if (!join_clause_is_movable_to(info, rel) ||
            !match_condition(planned.list, root, rel, table, info->clause, list_make1(info), &ignored))
            continue;
        Relids outer = bms_del_members(bms_union(info->clause_relids, rel->lateral_relids), rel->relids);
        if (bms_is_empty(outer)) continue;
        bool known = false;
        ListCell *other = nullptr;
        foreach (other, sets) known = known || bms_equal(static_cast<Relids>(lfirst(other)), outer);
        if (!known) sets = lappend(sets, outer);
    }
    return sets;
}

/// The rows that a LIMIT lets through, if nothing stands between it and the scan; else 0.
int limit_of(PlannerInfo *root, RelOptInfo *rel, List *clauses, List *pushed) {
    const bool alone = bms_membership(root->all_baserels) == BMS_SINGLETON && rel->reloptkind == RELOPT_BASEREL;
    if (!alone || root->query_pathkeys != NIL || root->limit_tuples <= 0 || root->limit_tuples > 1e6) return 0;
    return list_length(clauses) == list_length(pushed) ? static_cast<int>(root->limit_tuples) : 0;
}

/// The columns that the query needs, by their numbers; a whole row is 0.
List *wanted_columns(RelOptInfo *rel) {
    Bitmapset *used = nullptr;
    pull_varattnos(reinterpret_cast<Node *>(rel->reltarget->exprs), rel->relid, &used);
    ListCell *cell = nullptr;
    foreach (cell, rel->baserestrictinfo)
        pull_varattnos(reinterpret_cast<Node *>(static_cast<RestrictInfo *>(lfirst(cell))->clause), rel->relid, &used);
    foreach (cell, rel->joininfo)
        pull_varattnos(reinterpret_cast<Node *>(static_cast<RestrictInfo *>(lfirst(cell))->clause), rel->relid, &used);
    List *columns = NIL;
    for (int i = bms_next_member(used, -1); i >= 0; i = bms_next_member(used, i))
        columns = lappend_int(columns, i + FirstLowInvalidHeapAttributeNumber);
    return columns;
}

} // namespace

void fdw::get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid table) {
    auto planned = std::make_unique<Planned>();
    planned->table = load_live_table(table);
    planned->list = load_live_list(planned->table.endpoint);
    const Server server = load_server(planned->table.server, GetUserId());
    planned->size = estimate_size(server.name, planned->list);
    planned->page_size = planned->table.page_size.value_or(server.page_size);
    Planned *kept = planned.release();
    delete_with(root->planner_cxt, kept);
    rel->fdw_private = kept;
    kept->total_rows =
        rel->tuples > 0 ? rel->tuples : kept->size.rows * (kept->table.integration_id ? 1 : kept->size.integrations);
    guard([&] {
        rel->tuples = kept->total_rows;
        rel->pages = std::max<BlockNumber>(1, static_cast<BlockNumber>(kept->total_rows / kept->page_size));
        set_baserel_size_estimates(root, rel);
    });
}

void fdw::get_paths(PlannerInfo *root, RelOptInfo *rel, Oid table) {
    const Planned &planned = planned_of(rel);
    guard([&] {
        add_scan_path(planned, root, rel, table,
                      bms_is_empty(rel->lateral_relids) ? nullptr
                                                        : get_baserel_parampathinfo(root, rel, rel->lateral_relids));
        ListCell *cell = nullptr;
        foreach (cell, outer_relations(planned, root, rel, table))
            add_scan_path(planned, root, rel, table,
                          get_baserel_parampathinfo(root, rel, static_cast<Relids>(lfirst(cell))));
    });
}

ForeignScan *fdw::get_plan(PlannerInfo *root, RelOptInfo *rel, Oid table, ForeignPath *, List *targets, List *clauses,
                           Plan *) {
    const Planned &planned = planned_of(rel);
    return guard([&] {
        List *conditions = NIL, *expressions = NIL, *pushed = NIL;
        ListCell *cell = nullptr;
        foreach (cell, clauses) {
            auto *info = static_cast<RestrictInfo *>(lfirst(cell));
            Pushed match;
            if (!match_condition(planned.list, root, rel, table, info->clause, clauses, &match)) continue;
            pushed = lappend(pushed, info);
            conditions = lappend(conditions, to_plan(planned.list, match, match.value ? list_length(expressions) : -1));
            if (match.value) expressions = lappend(expressions, match.value);
        }
        List *kept = list_make3(conditions, makeInteger(limit_of(root, rel, clauses, pushed)), wanted_columns(rel));
        // All are checked here as well: what Kombo lets through may be more.
        return make_foreignscan(targets, extract_actual_clauses(clauses, false), rel->relid, expressions, kept, NIL,
                                NIL, nullptr);
    });
}

void fdw::plan_modify(PlannerInfo *root, Index relation) {
    const char *name = guard([&] { return get_rel_name(planner_rt_fetch(relation, root)->relid); });
    raise(ERRCODE_FEATURE_NOT_SUPPORTED, "cannot change foreign table \"" + std::string(name) + "\"",
          "It reads a list of Kombo's, which kombo_sync never writes to.");
}

} // namespace pg
