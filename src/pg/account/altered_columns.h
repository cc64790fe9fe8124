#pragma once

#include "pg/base/guard.h"

/// Nobody reports that a data table was altered, and the worker keeps the catalogue that it has read.
namespace pg {

/// Remembers which columns the table has. Needs a transaction. Throws Error.
void watch_columns(Oid table);

/// True if a table that is watched has other columns, or other types, than when this was last asked, or the table was
/// first watched. Costs nothing unless something has happened to one of them. Needs a transaction. Throws Error.
bool columns_altered();

} // namespace pg
