#include "pg/store/row_digest.h"

#include "pg/base/entry_points.h"
#include "pg/store/columns.h"

/// Digests of rows, and the SQL function row_digest. A page is compared with what is stored by them: the values of rows
/// that are stored as they are go nowhere, least of all as text to another node of a Citus cluster.
namespace pg {

namespace {

uint64 with_bytes(uint64 digest, const char *bytes, size_t length) {
    return hash_bytes_extended(reinterpret_cast<const unsigned char *>(bytes), static_cast<int>(length), digest);
}

uint64 with_null(uint64 digest) {
    return hash_combine64(digest, 1);
}

/// With the very bytes of a value, as record_image_eq compares them: that a number's digits count.
uint64 with_value(uint64 digest, Datum value, bool by_value, int length) {
    if (by_value) return with_bytes(digest, reinterpret_cast<const char *>(&value), sizeof value);
    if (length > 0) return with_bytes(digest, DatumGetPointer(value), static_cast<size_t>(length));
    if (length != -1) elog(ERROR, "row_digest takes no type of length %d", length); // cstring
    const struct varlena *whole = PG_DETOAST_DATUM_PACKED(value);
    digest = with_bytes(digest, VARDATA_ANY(whole), VARSIZE_ANY_EXHDR(whole));
    if (PointerGetDatum(whole) != value) pfree(const_cast<struct varlena *>(whole));
    return digest;
}

uint64 with_cell(uint64 digest, syncer::Type type, const syncer::Cell &cell, StringInfo buffer, JsonbBuilder &jsonb) {
    if (cell.null) return with_null(digest);
    if (type == syncer::Type::Text) return with_bytes(digest, cell.text.data(), cell.text.size());
    const ElementType element = element_type(type);
    const Datum value = make_datum(type, cell, buffer, jsonb);
    digest = with_value(digest, value, element.by_value, element.length);
    if (!element.by_value) pfree(DatumGetPointer(value));
    return digest;
}

uint64 with_record(uint64 digest, HeapTupleHeader record) {
    const TupleDesc columns =
        lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(record), HeapTupleHeaderGetTypMod(record));
    HeapTupleData tuple;
    tuple.t_len = HeapTupleHeaderGetDatumLength(record);
    ItemPointerSetInvalid(&tuple.t_self);
    tuple.t_tableOid = InvalidOid;
    tuple.t_data = record;
    const auto count = static_cast<size_t>(columns->natts);
    auto *values = static_cast<Datum *>(palloc(count * sizeof(Datum)));
    auto *nulls = static_cast<bool *>(palloc(count * sizeof(bool)));
    heap_deform_tuple(&tuple, columns, values, nulls);
    for (size_t i = 0; i < count; ++i) {
        const auto *column = TupleDescAttr(columns, static_cast<int>(i));
        digest = nulls[i] ? with_null(digest) : with_value(digest, values[i], column->attbyval, column->attlen);
    }
    ReleaseTupleDesc(columns);
    return digest;
}

} // namespace

int64_t random_seed() {
    return guard([] {
        int64 seed = 0;
        if (!pg_strong_random(&seed, sizeof seed)) elog(ERROR, "could not generate random values");
        return seed;
    });
}

std::vector<int64_t> row_digests(const syncer::Table &table, const syncer::RowSet &set,
                                 const syncer::ColumnSet &columns, int64_t seed, JsonbBuilder &jsonb) {
    std::vector<int64_t> digests(set.rows.size(), seed);
    guard([&] {
        StringInfoData buffer;
        initStringInfo(&buffer);
        for (size_t i = 0; i < set.rows.size(); ++i) {
            const syncer::Row &row = set.rows[i];
            auto digest = static_cast<uint64>(seed);
            for (size_t field = 0; field < table.fields.size(); ++field)
                if (columns.test(field))
                    digest = with_cell(digest, table.fields[field].type, row.cells[field], &buffer, jsonb);
            if (set.mode == syncer::Mode::Replace)
                digest = with_cell(digest, syncer::Type::Jsonb, syncer::extra_of(row), &buffer, jsonb);
            digests[i] = static_cast<int64_t>(digest);
        }
    });
    return digests;
}

} // namespace pg

PG_ENTRY(row_digest, {
    return pg::guard([&] {
        return UInt64GetDatum(pg::with_record(static_cast<uint64>(PG_GETARG_INT64(1)), PG_GETARG_HEAPTUPLEHEADER(0)));
    });
})
