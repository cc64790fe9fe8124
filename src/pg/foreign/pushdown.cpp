#include "pg/foreign/pushdown.h"

#include "kombo/time.h"
#include "pg/base/spi.h"

#include <algorithm>

namespace pg {

namespace {

constexpr std::chrono::milliseconds a_little(1);
constexpr int64_t epoch_days = 10957; // 1970-01-01 to 2000-01-01

/// A comparison of a column of the table with something that has no column of it.
struct Comparison {
    AttrNumber column = InvalidAttrNumber;
    RegProcedure function = InvalidOid; ///< as if the column stood on the left
    Expr *value = nullptr;
    bool array = false;
    Oid collation = InvalidOid;
};

bool is_value(PlannerInfo *root, RelOptInfo *rel, Node *node) {
    return !bms_overlap(pull_varnos(root, node), rel->relids) && !contain_volatile_functions(node) &&
           !contain_subplans(node);
}

AttrNumber column_of(RelOptInfo *rel, Node *node) {
    if (!IsA(node, Var)) return InvalidAttrNumber;
    const auto *var = reinterpret_cast<Var *>(node);
    const bool ours = bms_is_member(var->varno, rel->relids) && var->varlevelsup == 0 && var->varattno > 0;
    return ours ? var->varattno : AttrNumber(InvalidAttrNumber);
}

bool read_comparison(PlannerInfo *root, RelOptInfo *rel, Expr *clause, Comparison *found) {
    if (IsA(clause, OpExpr)) {
        const auto *op = reinterpret_cast<OpExpr *>(clause);
        if (list_length(op->args) != 2) return false;
        auto *left = static_cast<Node *>(linitial(op->args));
        auto *right = static_cast<Node *>(lsecond(op->args));
        Oid number = op->opno;
        if (column_of(rel, left) == InvalidAttrNumber) {
            std::swap(left, right);
            number = get_commutator(number);
        }
        found->column = column_of(rel, left);
        if (found->column == InvalidAttrNumber || !OidIsValid(number) || !is_value(root, rel, right)) return false;
        found->function = get_opcode(number);
        found->value = reinterpret_cast<Expr *>(right);
        found->collation = op->inputcollid;
        return true;
    }
    if (IsA(clause, ScalarArrayOpExpr)) {
        const auto *op = reinterpret_cast<ScalarArrayOpExpr *>(clause);
        if (!op->useOr) return false;
        auto *right = static_cast<Node *>(lsecond(op->args));
        found->column = column_of(rel, static_cast<Node *>(linitial(op->args)));
        if (found->column == InvalidAttrNumber || !is_value(root, rel, right)) return false;
        found->function = get_opcode(op->opno);
        found->value = reinterpret_cast<Expr *>(right);
        found->array = true;
        found->collation = op->inputcollid;
        return true;
    }
    return false;
}

/// Equal texts of such a collation may differ in their characters.
bool compares_characters(Oid collation) {
    return !OidIsValid(collation) || get_collation_isdeterministic(collation);
}

/// The condition is not true for a row whose column is null.
bool demands(PlannerInfo *root, RelOptInfo *rel, Oid table, Expr *clause, const std::string &column) {
    AttrNumber number = InvalidAttrNumber;
    Comparison comparison;
    if (IsA(clause, NullTest) && reinterpret_cast<NullTest *>(clause)->nulltesttype == IS_NOT_NULL)
        number = column_of(rel, reinterpret_cast<Node *>(reinterpret_cast<NullTest *>(clause)->arg));
    else if (read_comparison(root, rel, clause, &comparison) && func_strict(comparison.function))
        number = comparison.column;
    return number != InvalidAttrNumber && column == get_attname(table, number, false);
}

bool is_demanded(PlannerInfo *root, RelOptInfo *rel, Oid table, List *all, const std::string &column) {
    ListCell *cell = nullptr;
    foreach (cell, all)
        if (demands(root, rel, table, static_cast<RestrictInfo *>(lfirst(cell))->clause, column)) return true;
    return false;
}

std::optional<Test> test_of(const Filter &filter, const Comparison &comparison) {
    const RegProcedure f = comparison.function;
    const bool equal = f == F_TEXTEQ && compares_characters(comparison.collation);
    if (filter.op == "=" && equal) return Test::Value;
    if (comparison.array) return std::nullopt;
    if (filter.op == "like" && (equal || (f == F_TEXTLIKE && compares_characters(comparison.collation))))
        return Test::Like;
    if (filter.op == ">" && (f == F_TIMESTAMPTZ_GT || f == F_TIMESTAMPTZ_GE || f == F_DATE_GT || f == F_DATE_GE))
        return Test::After;
    if (filter.op == "<" && (f == F_TIMESTAMPTZ_LT || f == F_TIMESTAMPTZ_LE || f == F_DATE_LT || f == F_DATE_LE))
        return Test::Before;
    if (filter.op == "@>" && f == F_JSONB_CONTAINS) return Test::Element;
    return std::nullopt;
}

/// The longest text that every text has which is like the pattern.
std::string demanded_text(const std::string &pattern) {
    std::string longest, current;
    for (size_t i = 0; i < pattern.size(); ++i) {
        const char c = pattern[i];
        if (c == '%' || c == '_') {
            if (current.size() > longest.size()) longest = current;
            current.clear();
        } else if (c != '\\') {
            current += c;
        } else if (++i < pattern.size()) {
            current += pattern[i];
        }
    }
    return current.size() > longest.size() ? current : longest;
}

/// The text under the key of the first element of a list.
std::optional<std::string> element_value(Datum value, const std::string &key) {
    std::optional<std::string> found;
    const std::pair<const char *, int> text = guard([&]() -> std::pair<const char *, int> {
        Jsonb *json = DatumGetJsonbP(value);
        if (!JB_ROOT_IS_ARRAY(json) || JB_ROOT_IS_SCALAR(json)) return {nullptr, 0};
        JsonbValue *element = getIthJsonbValueFromContainer(&json->root, 0);
        if (!element || element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
            return {nullptr, 0};
        JsonbValue *id =
            getKeyJsonValueFromContainer(element->val.binary.data, key.c_str(), static_cast<int>(key.size()), nullptr);
        if (!id || id->type != jbvString) return {nullptr, 0};
        return {id->val.string.val, id->val.string.len};
    });
    if (text.first) found.emplace(text.first, static_cast<size_t>(text.second));
    return found;
}

std::string text_of(Datum value) {
    return guard([&]() -> const char * { return TextDatumGetCString(value); });
}

std::optional<std::string> moment(Test test, Datum value, Oid type) {
    const bool after = test != Test::Before;
    if (type == DATEOID) {
        const DateADT date = DatumGetDateADT(value);
        if (DATE_NOT_FINITE(date)) return std::nullopt;
        const int64_t days = static_cast<int64_t>(date) + epoch_days;
        const std::string text = kombo::format_timestamp({days * 86'400'000'000});
        return text.substr(0, 10);
    }
    const TimestampTz time = DatumGetTimestampTz(value);
    if (TIMESTAMP_NOT_FINITE(time)) return std::nullopt;
    // Kombo's times have milliseconds, and whether a bound itself counts is not public.
    const kombo::Timestamp instant = from_timestamptz(time);
    return kombo::format_timestamp(after ? instant - a_little : instant + 2 * a_little);
}

} // namespace

bool match_condition(const LiveList &list, PlannerInfo *root, RelOptInfo *rel, Oid table, Expr *clause, List *all,
                     Pushed *pushed) {
    if (IsA(clause, NullTest)) {
        const auto *test = reinterpret_cast<NullTest *>(clause);
        const AttrNumber column = column_of(rel, reinterpret_cast<Node *>(test->arg));
        if (!list.incremental || test->nulltesttype != IS_NULL || column == InvalidAttrNumber ||
            strcmp(get_attname(table, column, false), "remote_deleted_at") != 0)
            return false;
        *pushed = {Test::NotDeleted, -1, nullptr, false, false};
        return true;
    }
    Comparison comparison;
    if (!read_comparison(root, rel, clause, &comparison)) return false;
    const char *column = get_attname(table, comparison.column, false);
    const RegProcedure f = comparison.function;
    if (strcmp(column, "integration_id") == 0) {
        *pushed = {Test::Integration, -1, comparison.value, comparison.array, false};
        return f == F_TEXTEQ && compares_characters(comparison.collation);
    }
    if (list.incremental && strcmp(column, "changed_at") == 0) {
        *pushed = {Test::Changed, -1, comparison.value, false, false};
        return !comparison.array && (f == F_TIMESTAMPTZ_GT || f == F_TIMESTAMPTZ_GE);
    }
    for (size_t i = 0; i < list.filters.size(); ++i) {
        const Filter &filter = list.filters[i];
        if (filter.column != column) continue;
        const auto test = test_of(filter, comparison);
        if (!test || (!filter.not_null.empty() && !is_demanded(root, rel, table, all, filter.not_null))) continue;
        // A list that cannot be told to ignore a filter which the tool lacks would be empty.
        if (!list.incremental && *test != Test::Value) continue;
        *pushed = {*test, static_cast<int>(i), comparison.value, comparison.array, f == F_TEXTLIKE};
        return true;
    }
    return false;
}

List *to_plan(const LiveList &list, const Pushed &pushed, int expression) {
    const Filter *filter = pushed.filter < 0 ? nullptr : &list.filters[static_cast<size_t>(pushed.filter)];
    const auto text = [](const char *value) { return makeString(pstrdup(value)); };
    List *allowed = NIL;
    if (filter && filter->allowed)
        for (const std::string &value : *filter->allowed) allowed = lappend(allowed, text(value.c_str()));
    const char *parameter = pushed.test == Test::Changed ? "updated_after" : "";
    List *planned =
        list_make4(makeInteger(static_cast<int>(pushed.test)), text(filter ? filter->parameter.c_str() : parameter),
                   text(filter ? filter->column.c_str() : ""), makeInteger(filter ? filter->values : 1));
    planned = lappend(planned, allowed);
    planned = lappend(planned, text(filter ? filter->element_key.c_str() : ""));
    planned = lappend(planned, makeInteger(pushed.array ? 1 : 0));
    planned = lappend(planned, makeInteger(pushed.pattern ? 1 : 0));
    return lappend(planned, makeInteger(expression));
}

PlannedCondition from_plan(List *planned) {
    const auto number = [&](int position) { return intVal(list_nth(planned, position)); };
    PlannedCondition condition;
    condition.condition.test = static_cast<Test>(number(0));
    condition.condition.parameter = strVal(list_nth(planned, 1));
    condition.condition.column = strVal(list_nth(planned, 2));
    condition.condition.most = static_cast<size_t>(number(3));
    ListCell *cell = nullptr;
    foreach (cell, static_cast<List *>(list_nth(planned, 4))) {
        if (!condition.condition.allowed) condition.condition.allowed.emplace();
        condition.condition.allowed->insert(strVal(lfirst(cell)));
    }
    condition.element_key = strVal(list_nth(planned, 5));
    condition.array = number(6) != 0;
    condition.pattern = number(7) != 0;
    condition.expression = number(8);
    return condition;
}

std::optional<Condition> evaluate(const PlannedCondition &planned, Datum value, bool is_null, Oid type) {
    Condition condition = planned.condition;
    if (condition.test == Test::NotDeleted || is_null) return condition;
    if (planned.array) {
        Datum *elements = nullptr;
        bool *nulls = nullptr;
        int count = 0;
        guard([&] {
            deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
        });
        for (int i = 0; i < count; ++i)
            if (!nulls[i]) condition.values.insert(text_of(elements[i]));
        return condition;
    }
    std::optional<std::string> sent;
    switch (condition.test) {
    case Test::After:
    case Test::Before:
    case Test::Changed:
        sent = moment(condition.test, value, type);
        break;
    case Test::Element:
        sent = element_value(value, planned.element_key);
        break;
    case Test::Like:
        sent = planned.pattern ? demanded_text(text_of(value)) : text_of(value);
        break;
    default:
        sent = text_of(value);
    }
    if (!sent) return std::nullopt;
    condition.values.insert(*sent);
    return condition;
}

} // namespace pg
