#pragma once

#include "pg/foreign/fdw.h"
#include "pg/foreign/pushdown.h"
#include "pg/foreign/reader.h"
#include "pg/store/jsonb_builder.h"

namespace pg {

/// The columns of a foreign table, and where those are that no record has.
struct LiveColumns {
    Reader::Columns read;
    int integration = -1;
    int extra = -1;
};

/// `wanted`: numbers of columns, 0 for all; NIL: all. Raises on a column of a type that Kombo has no values of.
LiveColumns live_columns(TupleDesc description, const char *table, const LiveList &list, const List *wanted);

/// Fills in the values of the record that was read, in the current memory context. Runs inside pg::guard.
void fill(const LiveColumns &columns, const Reader &reader, JsonbBuilder &jsonb, Datum *values, bool *nulls);

} // namespace pg
