#include "pg/base/entry_points.h"
#include "pg/base/spi.h"
#include "syncer/decode.h"

namespace pg {

namespace {

std::string_view bytes_of(const text *value) {
    return {VARDATA_ANY(value), static_cast<size_t>(VARSIZE_ANY_EXHDR(value))};
}

/// What a sync stores of a value: its text or, of boolean, date, time and timestamptz, its number.
std::optional<std::string> decoded(std::string_view value, std::string_view type_name) {
    const auto type = syncer::type_named(type_name);
    if (!type) return std::nullopt;
    const simdjson::padded_string padded(value); // a decoder may look a little beyond
    kombo::Arena arena;
    kombo::Repairs repairs;
    syncer::Cell cell;
    bool inexact = false;
    if (!syncer::decode(*type, std::string_view(padded), arena, repairs, cell, inexact) || cell.null)
        return std::nullopt;
    const bool is_text = *type == syncer::Type::Text || *type == syncer::Type::Numeric || *type == syncer::Type::Jsonb;
    return (inexact ? "~" : "=") + (is_text ? std::string(cell.text) : std::to_string(cell.number));
}

} // namespace
} // namespace pg

PG_ENTRY(decode_value, {
    const text *value = pg::guard([&] { return PG_GETARG_TEXT_PP(0); });
    const text *type = pg::guard([&] { return PG_GETARG_TEXT_PP(1); });
    const auto stored = pg::decoded(pg::bytes_of(value), pg::bytes_of(type));
    if (!stored) PG_RETURN_NULL();
    return pg::text_datum(*stored);
})
