#pragma once

#include "pg/base/spi.h"
#include "pg/store/jsonb_builder.h"
#include "syncer/batch.h"

namespace pg {

/// Adds to `params` an array per carried field of the set, and with Mode::Replace one of `extra`, in the order that
/// statements::compare and upsert expect.
void add_columns(Params &params, const syncer::Table &table, const syncer::RowSet &set, JsonbBuilder &jsonb);

} // namespace pg
