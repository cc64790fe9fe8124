#pragma once

#include "pg/base/contain.h"
#include "syncer/catalogue.h"

namespace pg {

/// The process that most likely holds the lock which a write of this endpoint could not have; 0 if none is found. A
/// lock on a whole table is told with certainty; of row locks only that somebody has some in one of its tables.
int lock_holder(const syncer::Catalogue &catalogue, const syncer::Endpoint &endpoint);

/// The trouble in words; of a lock with who keeps it, as far as that is a whole table of the extension. In no
/// transaction.
std::string with_locker(const Trouble &trouble);

} // namespace pg
