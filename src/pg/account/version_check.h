#pragma once

#include "pg/base/guard.h"

/// Library and SQL objects of one version fit together: both carry the number of the interface between them.
namespace pg {

/// What the library expects of kombo_internal.interface_number().
constexpr int64_t interface_number = 3;

/// What the SQL objects of this database say. Throws Error.
int64_t found_interface();

/// What to do where the two differ.
std::string interface_remedy(int64_t found);

/// Raises where they differ.
void check_interface();

} // namespace pg
