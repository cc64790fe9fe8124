#include "sync/watermark.h"

#include <algorithm>

namespace syncer {

kombo::Timestamp fetch_start(const kombo::Response &first_response, std::chrono::microseconds overlap) {
    kombo::Timestamp start = first_response.sent_at;
    // Kombo's clock shows nowhere but in the Date header.
    if (const auto header = first_response.headers.find("date"))
        if (const auto date = kombo::parse_http_date(*header)) start = std::min(start, *date - first_response.elapsed);
    return start - overlap;
}

kombo::Timestamp advance(std::optional<kombo::Timestamp> old, kombo::Timestamp to) {
    return old ? std::max(*old, to) : to;
}

bool serves_delta(std::optional<kombo::Timestamp> watermark, kombo::Timestamp now) {
    return watermark && now - *watermark <= std::chrono::duration_cast<std::chrono::microseconds>(longest_delta);
}

} // namespace syncer
