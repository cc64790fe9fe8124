#pragma once

#include "kombo/http.h"
#include "kombo/time.h"

#include <chrono>
#include <optional>

namespace syncer {

/// The time for which Kombo goes on returning a deleted record.
constexpr std::chrono::hours tombstones_are_served{14 * 24};

/// A delta that starts from an older watermark would miss deletions.
constexpr std::chrono::hours longest_delta{13 * 24};

/// The start of a fetch, as the watermark of the next one: the earlier of Kombo's clock (the `Date` header of its first
/// response less the time that the request took) and ours, less `overlap`.
kombo::Timestamp fetch_start(const kombo::Response &first_response, std::chrono::microseconds overlap);

/// The time that a delta has to ask from instead of `asked`, if the response shows that Kombo's clock is behind
/// that: it was put back, and what changed since the last fetch has earlier times. nullopt: it is not behind.
std::optional<kombo::Timestamp> further_back(const kombo::Response &first_response, kombo::Timestamp asked,
                                             std::chrono::microseconds overlap);

/// `start`, or `earlier` where that is later, but by `at_most` only: the start of a fetch that began before. Kombo's
/// clock shows whole seconds, so that a fetch may seem to have begun before one that it followed.
kombo::Timestamp in_order(kombo::Timestamp start, std::optional<kombo::Timestamp> earlier,
                          std::chrono::seconds at_most = std::chrono::seconds(2));

/// True if a delta from this watermark would be complete at `now`.
bool serves_delta(std::optional<kombo::Timestamp> watermark, kombo::Timestamp now);

} // namespace syncer
