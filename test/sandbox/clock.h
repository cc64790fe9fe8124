#pragma once

#include "json_text.h"

namespace sandbox {

/// The sandbox's idea of now: the real time plus the skew. It drives `changed_at`, the `Date` header and the
/// wiping of tombstones.
Millis now();

/// Sets the difference to the real time, in milliseconds.
void set_skew(Millis skew);

/// Moves the clock by so many milliseconds from where it stands.
void advance_clock(Millis by);

} // namespace sandbox
