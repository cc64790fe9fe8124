#include "pg/foreign/scan.h"

#include "pg/foreign/callbacks.h"
#include "pg/store/columns.h"

#include <algorithm>
#include <cstring>

namespace pg {

namespace {

syncer::Type type_of(const Form_pg_attribute column, const char *table) {
    switch (column->atttypid) {
    case TEXTOID:
        return syncer::Type::Text;
    case BOOLOID:
        return syncer::Type::Boolean;
    case NUMERICOID:
        if (column->atttypmod < 0) return syncer::Type::Numeric;
        break;
    case DATEOID:
        return syncer::Type::Date;
    case TIMEOID:
        return syncer::Type::Time;
    case TIMESTAMPTZOID:
        return syncer::Type::Timestamptz;
    case JSONBOID:
        return syncer::Type::Jsonb;
    default:
        break;
    }
    const char *name = guard([&] { return format_type_with_typemod(column->atttypid, column->atttypmod); });
    raise(ERRCODE_FDW_INVALID_DATA_TYPE,
          "column \"" + std::string(NameStr(column->attname)) + "\" of foreign table \"" + table + "\" has type " +
              name,
          "Values of Kombo are text, boolean, numeric, date, time, timestamptz or jsonb.",
          "Give the column one of these types, and cast it in the query or in a view.");
}

} // namespace

LiveColumns live_columns(TupleDesc description, const char *table, const LiveList &list, const List *wanted) {
    LiveColumns columns;
    bool whole_row = !wanted;
    ListCell *cell = nullptr;
    foreach (cell, wanted) whole_row = whole_row || lfirst_int(cell) == 0;
    const auto is_wanted = [&](int number) { return whole_row || list_member_int(wanted, number); };
    for (int i = 0; i < description->natts; ++i)
        if (strcmp(NameStr(TupleDescAttr(description, i)->attname), "extra") == 0) columns.extra = i;
    columns.read.extra_wanted = columns.extra >= 0 && is_wanted(columns.extra + 1);
    for (int i = 0; i < description->natts; ++i) {
        const Form_pg_attribute attribute = TupleDescAttr(description, i);
        syncer::LiveRecord::Column column;
        const std::string name = NameStr(attribute->attname);
        if (attribute->attisdropped) {
            column.wanted = false;
        } else {
            column.type = type_of(attribute, table);
            const auto keys = list.json_keys.find(name);
            column.json_keys = keys == list.json_keys.end() ? std::vector<std::string>{name} : keys->second;
            // What does not fit its column is in `extra`.
            column.wanted = columns.read.extra_wanted || is_wanted(i + 1) || name == "id";
            if (list.withheld.keys.count(name) > 0 && keys == list.json_keys.end()) column.json_keys.clear();
        }
        if (name == "integration_id") columns.integration = i;
        if (name == "integration_id" || i == columns.extra) column.json_keys.clear();
        columns.read.fields.push_back(column);
        columns.read.names.push_back(name);
    }
    return columns;
}

void fill(const LiveColumns &columns, const Reader &reader, JsonbBuilder &jsonb, Datum *values, bool *nulls) {
    StringInfoData buffer;
    initStringInfo(&buffer);
    const auto &cells = reader.cells();
    for (size_t i = 0; i < cells.size(); ++i) {
        const int number = static_cast<int>(i);
        syncer::Cell cell = cells[i];
        syncer::Type type = columns.read.fields[i].type;
        if (number == columns.integration) cell = {reader.integration_id(), 0, false};
        if (number == columns.extra) {
            cell = {reader.extra(), 0, reader.extra().empty()};
            type = syncer::Type::Jsonb;
        }
        nulls[i] = cell.null;
        values[i] = cell.null ? Datum(0) : make_datum(type, cell, &buffer, jsonb);
    }
}

Scan::Scan(ForeignScanState *node)
    : node_(node), table_(load_live_table(RelationGetRelid(node->ss.ss_currentRelation))),
      list_(load_live_list(table_.endpoint)), server_(load_server(table_.server, compat::checked_user(node))) {
    auto *plan = reinterpret_cast<ForeignScan *>(node->ss.ps.plan);
    ListCell *cell = nullptr;
    foreach (cell, static_cast<List *>(linitial(plan->fdw_private)))
        conditions_.push_back(from_plan(static_cast<List *>(lfirst(cell))));
    limit_ = intVal(lsecond(plan->fdw_private));
    expressions_ = guard([&] { return ExecInitExprList(plan->fdw_exprs, &node->ss.ps); });
    has_parameters_ = plan->fdw_exprs != NIL && !bms_is_empty(plan->scan.plan.extParam);
}

void Scan::prepare(int flags) {
    auto *plan = reinterpret_cast<ForeignScan *>(node_->ss.ps.plan);
    Relation relation = node_->ss.ss_currentRelation;
    columns_ = live_columns(RelationGetDescr(relation), RelationGetRelationName(relation), list_,
                            static_cast<List *>(lthird(plan->fdw_private)));
    guard([&] {
        row_context_ =
            AllocSetContextCreate(node_->ss.ps.state->es_query_cxt, "kombo_sync live row", ALLOCSET_DEFAULT_SIZES);
    });
    // A scan that is to be read again keeps its rows.
    keeps_rows_ = (flags & EXEC_FLAG_REWIND) != 0 || has_parameters_;
}

void Scan::next(TupleTableSlot *slot) {
    if (!begun_) begin();
    pending_ = false;
    guard([&] { ExecClearTuple(slot); });
    if (reading_kept_ && read_kept(slot)) return;
    reading_kept_ = false;
    if (ended_) return;
    const Reader::Step step = reader_->next(may_wait_);
    pending_ = step == Reader::Step::Pending;
    ended_ = step == Reader::Step::End;
    if (step != Reader::Step::Record) return;
    guard([&] {
        MemoryContextReset(row_context_);
        const MemoryContext before = MemoryContextSwitchTo(row_context_);
        fill(columns_, *reader_, jsonb_, slot->tts_values, slot->tts_isnull);
        ExecStoreVirtualTuple(slot);
        MemoryContextSwitchTo(before);
        if (keeps_rows_) keep(slot);
    });
}

void Scan::begin() {
    std::vector<Part> asked = *parts(false);
    std::string signature;
    for (const Part &part : asked) signature += part.integration_id + '\n' + part.complete().encode() + '\n';
    begun_ = true;
    if (reader_ && keeps_rows_ && signature == asked_) {
        if (kept_) guard([&] { tuplestore_rescan(kept_); });
        reading_kept_ = kept_ != nullptr;
        return;
    }
    if (kept_) guard([&] { tuplestore_clear(kept_); });
    reading_kept_ = false;
    keeps_rows_ = keeps_rows_ || reader_; // what was read again once may be so once more
    asked_ = signature;
    if (!reader_) reader_ = std::make_unique<Reader>(server_, table_, list_, columns_.read);
    ended_ = asked.empty();
    reader_->begin(std::move(asked), limit_ > 0);
}

bool Scan::read_kept(TupleTableSlot *slot) {
    return guard([&] {
        if (!tuplestore_gettupleslot(kept_, true, false, kept_slot_)) return false;
        slot_getallattrs(kept_slot_);
        const auto count = static_cast<size_t>(slot->tts_tupleDescriptor->natts);
        memcpy(slot->tts_values, kept_slot_->tts_values, count * sizeof(Datum));
        memcpy(slot->tts_isnull, kept_slot_->tts_isnull, count * sizeof(bool));
        ExecStoreVirtualTuple(slot);
        return true;
    });
}

/// Runs inside pg::guard.
void Scan::keep(TupleTableSlot *slot) {
    if (!kept_) {
        const MemoryContext before = MemoryContextSwitchTo(node_->ss.ps.state->es_query_cxt);
        kept_ = tuplestore_begin_heap(false, false, work_mem);
        kept_slot_ = MakeSingleTupleTableSlot(slot->tts_tupleDescriptor, &TTSOpsMinimalTuple);
        MemoryContextSwitchTo(before);
    }
    tuplestore_puttupleslot(kept_, slot);
}

void Scan::end() {
    reader_.reset();
    if (!kept_) return;
    guard([&] {
        ExecDropSingleTupleTableSlot(kept_slot_);
        tuplestore_end(kept_);
    });
    kept_ = nullptr;
}

int Scan::page_size() const {
    const int size = table_.page_size.value_or(server_.page_size);
    return limit_ > 0 ? std::min(size, limit_) : size;
}

std::vector<std::string> Scan::registered(bool required) const {
    auto ids = registered_integrations(server_.name, list_);
    if (ids.empty() && required)
        raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
              "no integration of category \"" + list_.category + "\" is registered for server \"" + server_.name + "\"",
              "Foreign table \"" + std::string(RelationGetRelationName(node_->ss.ss_currentRelation)) +
                  "\" reads all that are, unless an option or a condition names some.",
              "Add the condition integration_id = '...', set the option integration_id of the table, or register one "
              "with kombo.add_integration.");
    return ids;
}

std::optional<std::vector<Part>> Scan::parts(bool only_constants) {
    std::vector<Condition> conditions;
    auto *plan = reinterpret_cast<ForeignScan *>(node_->ss.ps.plan);
    for (const PlannedCondition &planned : conditions_) {
        Datum value = 0;
        bool is_null = false;
        Oid type = InvalidOid;
        if (planned.expression >= 0) {
            auto *expression = static_cast<Expr *>(list_nth(plan->fdw_exprs, planned.expression));
            if (only_constants && !guard([&] { return bms_is_empty(pull_paramids(expression)); })) return std::nullopt;
            type = exprType(reinterpret_cast<Node *>(expression));
            value = guard([&] {
                ExprContext *context = node_->ss.ps.ps_ExprContext;
                const MemoryContext before = MemoryContextSwitchTo(context->ecxt_per_tuple_memory);
                const Datum result = ExecEvalExpr(static_cast<ExprState *>(list_nth(expressions_, planned.expression)),
                                                  context, &is_null);
                MemoryContextSwitchTo(before);
                return result;
            });
        }
        if (auto condition = evaluate(planned, value, is_null, type)) conditions.push_back(std::move(*condition));
    }
    return plan_parts(list_, conditions, table_.integration_id, page_size(),
                      [&] { return registered(!only_constants); });
}

namespace {

std::string joined(const std::vector<std::string> &texts) {
    std::string all;
    for (const std::string &text : texts) all += (all.empty() ? "" : ", ") + text;
    return all;
}

} // namespace

void fdw::begin_scan(ForeignScanState *node, int flags) {
    auto scan = std::make_unique<Scan>(node);
    if ((flags & EXEC_FLAG_EXPLAIN_ONLY) == 0) scan->prepare(flags);
    Scan *kept = scan.release();
    node->fdw_state = kept;
    delete_with(node->ss.ps.state->es_query_cxt, kept);
}

TupleTableSlot *fdw::iterate_scan(ForeignScanState *node) {
    TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
    fdw::scan_of(node).next(slot);
    return slot;
}

void fdw::rescan(ForeignScanState *node) {
    fdw::scan_of(node).again();
}

void fdw::end_scan(ForeignScanState *node) {
    if (node->fdw_state) fdw::scan_of(node).end();
}

void fdw::explain_scan(ForeignScanState *node, ExplainState *explain) {
    Scan &scan = fdw::scan_of(node);
    const auto text = [&](const char *label, const std::string &value) {
        guard([&] { ExplainPropertyText(label, value.c_str(), explain); });
    };
    const auto number = [&](const char *label, const char *unit, int64_t value) {
        guard([&] { ExplainPropertyInteger(label, unit, value, explain); });
    };
    if (explain->verbose) {
        if (const auto parts = scan.parts(true)) {
            std::vector<std::string> integrations;
            std::string query;
            for (const Part &part : *parts) {
                if (integrations.empty() || integrations.back() != part.integration_id)
                    integrations.push_back(part.integration_id);
                if (query.empty()) query = part.complete().encode();
            }
            text("Kombo Request",
                 parts->empty() ? "none" : "GET " + scan.list().path + (query.empty() ? "" : "?" + query));
            number("Kombo Requests", nullptr, static_cast<int64_t>(parts->size()));
            if (integrations.size() > 5) {
                const size_t others = integrations.size() - 5;
                integrations.resize(5);
                integrations.push_back("and " + std::to_string(others) + " more");
            }
            text("Kombo Integrations", joined(integrations));
        } else {
            std::vector<std::string> parameters;
            for (const PlannedCondition &planned : scan.conditions())
                if (!planned.condition.parameter.empty()) parameters.push_back(planned.condition.parameter);
            text("Kombo Request", "GET " + scan.list().path + ", with values that a run gives " + joined(parameters));
        }
    }
    if (!explain->analyze || !scan.reader()) return;
    const ReadCosts *costs = &scan.reader()->costs();
    number("Kombo Pages", nullptr, costs->pages);
    number("Kombo Records", nullptr, costs->records);
    number("Kombo Bytes", nullptr, costs->bytes);
    number("Kombo Retries", nullptr, costs->retries);
    guard([&] {
        if (explain->timing)
            ExplainPropertyFloat("Kombo Network Time", "ms", static_cast<double>(costs->network.count()) / 1000, 3,
                                 explain);
    });
}

} // namespace pg
