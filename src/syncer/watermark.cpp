#include "syncer/watermark.h"

#include <algorithm>

namespace syncer {

namespace {

using namespace std::chrono_literals;

/// Kombo's clock when the request was sent; it shows nowhere but in the Date header.
std::optional<kombo::Timestamp> kombos_clock(const kombo::Response &response) {
    const auto header = response.headers.find("date");
    const auto date = header ? kombo::parse_http_date(*header) : std::nullopt;
    if (!date) return std::nullopt;
    return *date - response.elapsed;
}

} // namespace

kombo::Timestamp fetch_start(const kombo::Response &first_response, std::chrono::microseconds overlap) {
    kombo::Timestamp start = first_response.sent_at;
    if (const auto clock = kombos_clock(first_response)) start = std::min(start, *clock);
    return start - overlap;
}

std::optional<kombo::Timestamp> further_back(const kombo::Response &first_response, kombo::Timestamp asked,
                                             std::chrono::microseconds overlap) {
    const auto clock = kombos_clock(first_response);
    if (!clock || *clock + first_response.elapsed + 1s > asked) return std::nullopt; // it shows whole seconds
    // By our clock the last fetch is no longer ago than what was asked for: as long ago by Kombo's clock of now.
    return std::min(*clock - overlap, *clock - (first_response.sent_at - asked));
}

kombo::Timestamp in_order(kombo::Timestamp start, std::optional<kombo::Timestamp> earlier,
                          std::chrono::seconds at_most) {
    return earlier && *earlier > start && *earlier - start <= at_most ? *earlier : start;
}

bool serves_delta(std::optional<kombo::Timestamp> watermark, kombo::Timestamp now) {
    return watermark && now - *watermark <= std::chrono::duration_cast<std::chrono::microseconds>(longest_delta);
}

} // namespace syncer
