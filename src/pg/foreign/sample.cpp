#include "pg/foreign/callbacks.h"
#include "pg/foreign/scan.h"

namespace pg {

namespace {

/// Reads as many rows as ANALYZE wants: Kombo has no random access, so these are the first ones, of each integration
/// in turn.
int read_sample(Relation relation, int level, HeapTuple *rows, int wanted, double *total, double *dead) {
    const LiveTable table = load_live_table(RelationGetRelid(relation));
    const LiveList list = load_live_list(table.endpoint);
    const Server server = load_server(table.server, GetUserId());
    const LiveColumns columns = live_columns(RelationGetDescr(relation), RelationGetRelationName(relation), list, NIL);
    Reader reader(server, table, list, columns.read);
    std::vector<std::string> ids;
    reader.begin(plan_parts(list, {}, table.integration_id, table.page_size.value_or(server.page_size),
                            [&] { return ids = registered_integrations(server.name, list); }),
                 true);
    JsonbBuilder jsonb;
    int count = 0;
    bool more = true;
    while (count < wanted && (more = reader.next() == Reader::Step::Record)) {
        rows[count++] = guard([&] {
            const auto natts = static_cast<size_t>(RelationGetDescr(relation)->natts);
            auto *values = static_cast<Datum *>(palloc0(natts * sizeof(Datum)));
            auto *nulls = static_cast<bool *>(palloc0(natts * sizeof(bool)));
            fill(columns, reader, jsonb, values, nulls);
            return heap_form_tuple(RelationGetDescr(relation), values, nulls);
        });
    }
    const ListSize size = estimate_size(server.name, list);
    *total = more ? std::max<double>(count, size.rows * (table.integration_id ? 1 : size.integrations)) : count;
    *dead = 0;
    guard([&] {
        ereport(level,
                errmsg("\"%s\": read %lld pages with %d rows%s", RelationGetRelationName(relation),
                       static_cast<long long>(reader.costs().pages), count,
                       more ? ", the first ones of the list; the others are taken to be like them" : ", which is all"));
    });
    return count;
}

int acquire_sample_rows(Relation relation, int level, HeapTuple *rows, int wanted, double *total, double *dead) {
    return entry([&] { return read_sample(relation, level, rows, wanted, total, dead); });
}

} // namespace

bool fdw::analyze(Relation table, AcquireSampleRowsFunc *function, BlockNumber *pages) {
    const LiveTable live = load_live_table(RelationGetRelid(table));
    const LiveList list = load_live_list(live.endpoint);
    const Server server = load_server(live.server, GetUserId());
    const ListSize size = estimate_size(server.name, list);
    *function = acquire_sample_rows;
    const double rows = size.rows * (live.integration_id ? 1 : size.integrations);
    *pages = std::max<BlockNumber>(1, static_cast<BlockNumber>(rows / live.page_size.value_or(server.page_size)));
    return true;
}

} // namespace pg
