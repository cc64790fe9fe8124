#pragma once

#include "pg/base/spi.h"
#include "pg/store/jsonb_builder.h"
#include "syncer/batch.h"

namespace pg {

/// PostgreSQL's description of a type.
struct ElementType {
    Oid oid;
    int16 length;
    bool by_value;
    char align;
};
ElementType element_type(syncer::Type type);

/// Adds to `params` an array per field that is among `columns`, in the table's order.
void add_fields(Params &params, const syncer::Table &table, const syncer::RowSet &set, const syncer::ColumnSet &columns,
                JsonbBuilder &jsonb);

/// The same of all that the set carries, and with Mode::Replace an array of `extra`, as statements::upsert expects.
void add_columns(Params &params, const syncer::Table &table, const syncer::RowSet &set, JsonbBuilder &jsonb);

/// The value of a cell, palloc'd. `buffer` is scratch space that is reused. Runs inside pg::guard: it raises for want
/// of memory only, as the value was checked when it was decoded.
Datum make_datum(syncer::Type type, const syncer::Cell &cell, StringInfo buffer, JsonbBuilder &jsonb);

} // namespace pg
