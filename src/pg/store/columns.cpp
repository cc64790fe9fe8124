#include "pg/store/columns.h"

namespace pg {

namespace {

constexpr int64_t epoch_days = 10957; // 1970-01-01 to 2000-01-01

/// Input functions want a terminated string; `buffer` is scratch space that is reused.
Datum by_input_function(PGFunction input, std::string_view text, StringInfo buffer) {
    resetStringInfo(buffer);
    appendBinaryStringInfo(buffer, text.data(), static_cast<int>(text.size()));
    return DirectFunctionCall3(input, CStringGetDatum(buffer->data), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/// An array of what `cell_of(row)` gives for each row of the set.
template <class CellOf>
void add_array(Params &params, syncer::Type type, const syncer::RowSet &set, JsonbBuilder &jsonb, CellOf cell_of) {
    const ElementType element = element_type(type);
    const Datum array = guard([&] {
        const size_t count = set.rows.size();
        auto *values = static_cast<Datum *>(palloc(count * sizeof(Datum)));
        auto *nulls = static_cast<bool *>(palloc(count * sizeof(bool)));
        StringInfoData buffer;
        initStringInfo(&buffer);
        for (size_t i = 0; i < count; ++i) {
            const syncer::Cell cell = cell_of(set.rows[i]);
            nulls[i] = cell.null;
            values[i] = cell.null ? Datum(0) : make_datum(type, cell, &buffer, jsonb);
        }
        int dimension = static_cast<int>(count);
        int lower_bound = 1;
        return PointerGetDatum(construct_md_array(values, nulls, 1, &dimension, &lower_bound, element.oid,
                                                  element.length, element.by_value, element.align));
    });
    params.datum(guard([&] { return get_array_type(element.oid); }), array);
}

} // namespace

ElementType element_type(syncer::Type type) {
    switch (type) {
    case syncer::Type::Boolean:
        return {BOOLOID, 1, true, TYPALIGN_CHAR};
    case syncer::Type::Numeric:
        return {NUMERICOID, -1, false, TYPALIGN_INT};
    case syncer::Type::Date:
        return {DATEOID, 4, true, TYPALIGN_INT};
    case syncer::Type::Time:
        return {TIMEOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE};
    case syncer::Type::Timestamptz:
        return {TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE};
    case syncer::Type::Jsonb:
        return {JSONBOID, -1, false, TYPALIGN_INT};
    case syncer::Type::Text:
        break;
    }
    return {TEXTOID, -1, false, TYPALIGN_INT};
}

Datum make_datum(syncer::Type type, const syncer::Cell &cell, StringInfo buffer, JsonbBuilder &jsonb) {
    switch (type) {
    case syncer::Type::Boolean:
        return BoolGetDatum(cell.number != 0);
    case syncer::Type::Numeric:
        return by_input_function(numeric_in, cell.text, buffer);
    case syncer::Type::Date:
        return DateADTGetDatum(static_cast<DateADT>(cell.number - epoch_days));
    case syncer::Type::Time:
        return TimeADTGetDatum(cell.number);
    case syncer::Type::Timestamptz:
        return TimestampTzGetDatum(to_timestamptz({cell.number}));
    case syncer::Type::Jsonb:
        return jsonb.build(cell.text);
    case syncer::Type::Text:
        break;
    }
    return PointerGetDatum(cstring_to_text_with_len(cell.text.data(), static_cast<int>(cell.text.size())));
}

void add_fields(Params &params, const syncer::Table &table, const syncer::RowSet &set, const syncer::ColumnSet &columns,
                JsonbBuilder &jsonb) {
    for (size_t field = 0; field < table.fields.size(); ++field)
        if (columns.test(field))
            add_array(params, table.fields[field].type, set, jsonb,
                      [&](const syncer::Row &row) { return row.cells[field]; });
}

void add_columns(Params &params, const syncer::Table &table, const syncer::RowSet &set, JsonbBuilder &jsonb) {
    add_fields(params, table, set, set.columns, jsonb);
    if (set.mode == syncer::Mode::Replace) add_array(params, syncer::Type::Jsonb, set, jsonb, syncer::extra_of);
}

} // namespace pg
