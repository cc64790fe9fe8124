#pragma once

#include "pg/base/guard.h"

namespace pg {

/// Plans that look rows up by key must not depend on statistics. While a table is small all its indexes cost the same,
/// and a plan settles on any one that begins with integration_id: it then reads the whole integration for every row of
/// every batch (measured: a first full sync of 1,000 employees took 79 s instead of 0.4 s). So such plans are made as
/// if every table were large, through the hook that PostgreSQL has for what the planner believes of a relation.
void install_key_planning();

/// Makes sure that the statement's generic plan exists and is one of that kind. Costs nothing once it is there.
void plan_by_key(SPIPlanPtr plan);

} // namespace pg
