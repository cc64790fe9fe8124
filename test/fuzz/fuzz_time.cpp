// Dates and times as records and headers have them, compared with the C library's calendar.

#include "expect.h"
#include "kombo/time.h"

#include <cstring>
#include <ctime>

namespace {

constexpr int64_t day = int64_t{86400} * 1'000'000;

/// What our own form of an instant means, read by the C library.
int64_t by_c_library(const std::string &text) {
    std::tm parts{};
    const char *rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    fuzz::expect(rest && rest[0] == '.' && std::string_view(rest + 4) == "Z", "an instant is written in one form",
                 text);
    return (int64_t{timegm(&parts)} * 1000 + std::atoi(rest + 1)) * 1000;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string text(reinterpret_cast<const char *>(data), size);
    const auto instant = kombo::parse_timestamp(text);
    const auto date = kombo::parse_date(text);
    fuzz::expect(instant.has_value() == date.has_value(), "a date is read of just what an instant is read of", text);
    if (instant) {
        const std::string written = kombo::format_timestamp(*instant);
        const int64_t millis = by_c_library(written);
        fuzz::expect(millis <= instant->micros && instant->micros - millis < 1000,
                     "what is written is the instant, rounded down to a millisecond", written);
        const auto again = kombo::parse_timestamp(written);
        fuzz::expect(again && again->micros == millis, "what is written is read as the same", written);
        const int64_t midnight = date->days * day;
        fuzz::expect(midnight <= instant->micros && instant->micros < midnight + day, "a date is the UTC one", text);
        fuzz::expect(!date->exact || midnight == instant->micros, "a date with a time of day is not exact", text);
    }
    if (const auto time = kombo::parse_time_of_day(text))
        fuzz::expect(*time >= 0 && *time <= day, "a time of day is within a day", text);
    if (const auto header = kombo::parse_http_date(text)) {
        // Far from where sums with it overflow.
        const kombo::Timestamp now = kombo::current_timestamp();
        fuzz::expect(now + (*header - now) == *header, "a header's date can be calculated with", text);
    }
    if (size >= sizeof(int64_t)) {
        int64_t micros = 0;
        std::memcpy(&micros, data, sizeof micros);
        const auto again = kombo::parse_timestamp(kombo::format_timestamp({micros}));
        fuzz::expect(again.has_value(), "any instant is written as one that can be read", std::to_string(micros));
    }
    return 0;
}
