#pragma once

#include "pg/base/spi.h"
#include "pg/store/jsonb_builder.h"
#include "syncer/batch.h"

namespace pg {

/// Adds to `params` an array per carried field of the set, and with Mode::Replace one of `extra`, in the order that
/// statements::compare and upsert expect.
void add_columns(Params &params, const syncer::Table &table, const syncer::RowSet &set, JsonbBuilder &jsonb);

/// The value of a cell, palloc'd. `buffer` is scratch space that is reused. Runs inside pg::guard: it raises for want
/// of memory only, as the value was checked when it was decoded.
Datum make_datum(syncer::Type type, const syncer::Cell &cell, StringInfo buffer, JsonbBuilder &jsonb);

} // namespace pg
