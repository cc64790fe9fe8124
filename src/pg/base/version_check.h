#pragma once

#include "pg/base/guard.h"

/// Library and SQL objects of one version fit together: both carry the number of the interface between them.
namespace pg {

/// The result of kombo_internal.interface_number() that the library expects.
constexpr int64_t interface_number = 3;

/// The interface number of the SQL objects in this database. Throws Error.
int64_t found_interface();

/// The advice for numbers that differ.
std::string interface_remedy(int64_t found);

/// Raises where they differ.
void check_interface();

} // namespace pg
