#include "syncer/decode.h"

#include "kombo/time.h"

namespace syncer {

namespace {

bool is_string(std::string_view raw) {
    return !raw.empty() && raw.front() == '"';
}

bool set(Cell &cell, int64_t number) {
    cell = {{}, number, false};
    return true;
}

bool set(Cell &cell, std::string_view text) {
    cell = {text, 0, false};
    return true;
}

} // namespace

bool decode(Type type, std::string_view raw, kombo::Arena &arena, kombo::Repairs &repairs, Cell &cell, bool &inexact) {
    cell = {};
    if (raw == "null") return true;
    switch (type) {
    case Type::Jsonb:
        return set(cell, kombo::jsonb_text(raw, arena, repairs));
    case Type::Boolean:
        if (raw == "true") return set(cell, 1);
        return raw == "false" && set(cell, 0);
    case Type::Numeric:
        return kombo::number_fits_numeric(raw) && set(cell, raw);
    default:
        break;
    }
    if (!is_string(raw)) return false;
    if (type == Type::Text) return set(cell, kombo::string_value(raw, arena, repairs));

    kombo::Repairs unused;
    const std::string_view text = kombo::string_value(raw, arena, unused);
    if (type == Type::Timestamptz) {
        const auto instant = kombo::parse_timestamp(text);
        return instant && set(cell, instant->micros);
    }
    if (type == Type::Time) {
        const auto time_of_day = kombo::parse_time_of_day(text);
        return time_of_day && set(cell, *time_of_day);
    }
    const auto date = kombo::parse_date(text);
    if (!date) return false;
    inexact = !date->exact;
    return set(cell, date->days);
}

} // namespace syncer
