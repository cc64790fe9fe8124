#pragma once

#include "pg/store/jsonb_builder.h"
#include "syncer/batch.h"

namespace pg {

/// A seed for digests by chance. With a new one for each comparison, a change that a digest hides (one in 2^64) is seen
/// by the next.
int64_t random_seed();

/// The digests of a set's rows by their `columns`, and with Mode::Replace `extra`: what kombo_internal.row_digest gives
/// for a record of the same values in the table's order.
std::vector<int64_t> row_digests(const syncer::Table &table, const syncer::RowSet &set,
                                 const syncer::ColumnSet &columns, int64_t seed, JsonbBuilder &jsonb);

} // namespace pg
