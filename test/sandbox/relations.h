#pragma once

#include "records.h"

namespace sandbox {

/// The time that a list compares with `updated_after`: the last change of the record or of one of the relations
/// that Kombo's reference page names for the list (`y` triggers, `n` does not).
Millis moved_at(const Records &records, Model model, Index index);

} // namespace sandbox
