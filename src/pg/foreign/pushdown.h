#pragma once

#include "pg/foreign/fdw.h"
#include "pg/foreign/requests.h"

namespace pg {

/// A condition of a query that Kombo checks as well, as the planner finds it.
struct Pushed {
    Test test = Test::Value;
    int filter = -1;       ///< position in LiveList::filters
    Expr *value = nullptr; ///< what the column is compared with; null for NotDeleted
    bool array = false;    ///< an array of such values
    bool pattern = false;  ///< of Test::Like: a pattern of LIKE, and not the text itself
};

/// Matches a condition on a table of the list. `all` are the conditions that hold together. Runs inside pg::guard.
bool match_condition(const LiveList &list, PlannerInfo *root, RelOptInfo *rel, Oid table, Expr *clause, List *all,
                     Pushed *pushed);

/// A pushed condition in the form that a plan keeps, and back. The first runs inside pg::guard.
List *to_plan(const LiveList &list, const Pushed &pushed, int expression);
struct PlannedCondition {
    Condition condition; ///< without its values
    std::string element_key;
    bool array = false;
    bool pattern = false;
    int expression = -1; ///< position in fdw_exprs
};
PlannedCondition from_plan(List *planned);

/// The condition with the value that its expression has now: as text, by its type. nullopt: it cannot be sent. Runs
/// outside pg::guard.
std::optional<Condition> evaluate(const PlannedCondition &planned, Datum value, bool is_null, Oid type);

} // namespace pg
