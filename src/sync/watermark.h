#pragma once

#include "kombo/http.h"
#include "kombo/time.h"

#include <chrono>
#include <optional>

namespace syncer {

/// How long Kombo goes on returning a record that was deleted.
constexpr std::chrono::hours tombstones_are_served{14 * 24};

/// A delta that starts from an older watermark would miss deletions.
constexpr std::chrono::hours longest_delta{13 * 24};

/// When a fetch began, as the watermark of the next one: the earlier of Kombo's clock (the `Date` header of its first
/// response less the time that the request took) and ours, less `overlap`.
kombo::Timestamp fetch_start(const kombo::Response &first_response, std::chrono::microseconds overlap);

/// The later of the two: a watermark is never moved back.
kombo::Timestamp advance(std::optional<kombo::Timestamp> old, kombo::Timestamp to);

/// Whether a delta from this watermark would be complete at `now`.
bool serves_delta(std::optional<kombo::Timestamp> watermark, kombo::Timestamp now);

} // namespace syncer
