#include "pg/account/altered_columns.h"

namespace pg {

namespace {

struct Watched {
    uint64 columns = 0;
    bool touched = false;
};

std::map<Oid, Watched> watched;
bool any_touched = false;

/// Called by PostgreSQL when a relation's entry in its cache is out of date; nothing that raises may be called.
void note_invalidation(Datum, Oid relation) {
    for (auto &[table, state] : watched)
        if (!OidIsValid(relation) || table == relation) state.touched = any_touched = true;
}

/// A hash of owner, indexes, names and types; 0 if there is no such table.
uint64 columns_of(Oid table) {
    return guard([&]() -> uint64 {
        Relation relation = RelationIdGetRelation(table);
        if (!RelationIsValid(relation)) return 0;
        uint64 hash = hash_combine64(1, RelationGetForm(relation)->relowner);
        List *indexes = RelationGetIndexList(relation);
        ListCell *cell = nullptr;
        foreach (cell, indexes) hash = hash_combine64(hash, lfirst_oid(cell));
        list_free(indexes);
        const TupleDesc columns = RelationGetDescr(relation);
        for (int i = 0; i < columns->natts; ++i) {
            const FormData_pg_attribute *column = TupleDescAttr(columns, i);
            const int32 facts[] = {static_cast<int32>(column->atttypid), column->atttypmod, column->attisdropped};
            hash = hash_combine64(hash, DatumGetUInt64(hash_any_extended(reinterpret_cast<const unsigned char *>(facts),
                                                                         sizeof facts, 0)));
            hash = hash_combine64(hash, DatumGetUInt64(hash_any_extended(
                                            reinterpret_cast<const unsigned char *>(NameStr(column->attname)),
                                            static_cast<int>(strlen(NameStr(column->attname))), 0)));
        }
        RelationClose(relation);
        return hash;
    });
}

} // namespace

void watch_columns(Oid table) {
    static bool listening = false;
    if (!std::exchange(listening, true)) CacheRegisterRelcacheCallback(note_invalidation, 0);
    watched[table] = {columns_of(table), false};
}

bool columns_altered() {
    if (!std::exchange(any_touched, false)) return false;
    bool altered = false;
    for (auto &[table, state] : watched) {
        if (!std::exchange(state.touched, false)) continue;
        const uint64 now = columns_of(table);
        altered |= std::exchange(state.columns, now) != now;
    }
    return altered;
}

} // namespace pg
