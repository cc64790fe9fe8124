#include "syncer/decode.h"

#include "kombo/time.h"

#include <utility>

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

std::optional<Type> type_named(std::string_view name) {
    constexpr std::pair<std::string_view, Type> types[] = {
        {"text", Type::Text}, {"boolean", Type::Boolean}, {"numeric", Type::Numeric},        {"date", Type::Date},
        {"time", Type::Time}, {"jsonb", Type::Jsonb},     {"timestamptz", Type::Timestamptz}};
    for (const auto &[known, type] : types)
        if (known == name) return type;
    return std::nullopt;
}

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
