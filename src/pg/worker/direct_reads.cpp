#include "pg/worker/direct_reads.h"

#include "pg/base/spi.h"

namespace pg {

namespace {

/// A table of schema kombo, opened if nobody keeps it locked; closed, and unlocked, with the object.
class OpenTable {
public:
    explicit OpenTable(const char *name) {
        relation_ = guard([&]() -> Relation {
            const Oid schema = get_namespace_oid("kombo", true);
            const Oid table = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
            if (!OidIsValid(table) || !ConditionalLockRelationOid(table, AccessShareLock)) return nullptr;
            Relation opened = try_relation_open(table, NoLock);
            if (opened == nullptr) UnlockRelationOid(table, AccessShareLock);
            return opened;
        });
    }
    ~OpenTable() {
        if (relation_) relation_close(relation_, AccessShareLock);
    }
    OpenTable(const OpenTable &) = delete;
    OpenTable &operator=(const OpenTable &) = delete;
    Relation get() const { return relation_; }

private:
    Relation relation_ = nullptr;
};

} // namespace

Installed installed_extension() {
    Installed found;
    const char *version = guard([&]() -> const char * {
        Relation catalog = table_open(ExtensionRelationId, AccessShareLock);
        ScanKeyData key;
        ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("kombo_sync"));
        SysScanDesc scan = systable_beginscan(catalog, ExtensionNameIndexId, true, nullptr, 1, &key);
        HeapTuple row = systable_getnext(scan);
        const char *its_version = nullptr;
        if (HeapTupleIsValid(row)) {
            found.oid = reinterpret_cast<Form_pg_extension>(GETSTRUCT(row))->oid;
            // Not heap_getattr: it is compiled into this library, and in newer minors calls what older ones lack.
            std::array<Datum, Natts_pg_extension> values{};
            std::array<bool, Natts_pg_extension> nulls{};
            heap_deform_tuple(row, RelationGetDescr(catalog), values.data(), nulls.data());
            constexpr size_t at = Anum_pg_extension_extversion - 1;
            if (!nulls.at(at)) its_version = TextDatumGetCString(values.at(at));
        }
        systable_endscan(scan);
        table_close(catalog, AccessShareLock);
        return its_version;
    });
    if (version) found.version = version;
    return found;
}

bool inbox_has_news() {
    const OpenTable inbox("webhook_inbox");
    const OpenTable unjudged("webhook_inbox_new_idx");
    if (!inbox.get() || !unjudged.get()) return true;
    return guard([&] {
        TupleTableSlot *slot = table_slot_create(inbox.get(), nullptr);
        IndexScanDesc scan = compat::begin_index_scan(inbox.get(), unjudged.get(), 0);
        index_rescan(scan, nullptr, 0, nullptr, 0);
        const bool found = index_getnext_slot(scan, ForwardScanDirection, slot);
        index_endscan(scan);
        ExecDropSingleTupleTableSlot(slot);
        return found;
    });
}

Datum RequestRow::value(const char *column, bool &is_null) const {
    TupleDesc columns = slot_->tts_tupleDescriptor;
    for (int i = 0; i < columns->natts; ++i) {
        const Form_pg_attribute attribute = TupleDescAttr(columns, i);
        if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), column) == 0)
            return slot_getattr(slot_, static_cast<AttrNumber>(i + 1), &is_null);
    }
    raise(ERRCODE_UNDEFINED_COLUMN, std::string("column \"") + column + "\" of kombo.sync_requests does not exist", "",
          altered_extension);
}

std::string RequestRow::string(const char *column) const {
    bool is_null = false;
    const Datum found = value(column, is_null);
    if (is_null) return {};
    char *copy = guard([&] { return TextDatumGetCString(found); });
    std::string result(copy);
    pfree(copy);
    return result;
}

std::optional<kombo::Timestamp> RequestRow::instant(const char *column) const {
    bool is_null = false;
    const Datum found = value(column, is_null);
    return is_null ? std::nullopt : std::optional(from_timestamptz(DatumGetTimestampTz(found)));
}

int64_t RequestRow::id() const {
    bool is_null = false;
    return DatumGetInt64(value("id", is_null));
}

syncer::QueuedRequest RequestRow::request() const {
    syncer::QueuedRequest request;
    request.id = id();
    request.integration_id = integration_id();
    request.endpoint = string("endpoint");
    request.full = string("kind") == "full";
    request.trigger = string("trigger");
    request.server = string("server");
    request.unknown_model = string("unknown_model");
    request.requested_at = instant("requested_at").value_or(kombo::Timestamp());
    request.not_before = instant("not_before");
    request.updated_after = instant("updated_after");
    return request;
}

namespace {

void read_all(Relation requests, TupleTableSlot *slot, const std::function<void(const RequestRow &)> &take) {
    TableScanDesc scan = guard([&] { return compat::begin_table_scan(requests); });
    while (guard([&] { return table_scan_getnextslot(scan, ForwardScanDirection, slot); })) take(RequestRow(slot));
    guard([&] { table_endscan(scan); });
}

void read_after(int64_t id, Relation requests, Relation by_id, TupleTableSlot *slot,
                const std::function<void(const RequestRow &)> &take) {
    IndexScanDesc scan = guard([&] {
        ScanKeyData key;
        ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(id));
        IndexScanDesc begun = compat::begin_index_scan(requests, by_id, 1);
        index_rescan(begun, &key, 1, nullptr, 0);
        return begun;
    });
    while (guard([&] { return index_getnext_slot(scan, ForwardScanDirection, slot); })) take(RequestRow(slot));
    guard([&] { index_endscan(scan); });
}

} // namespace

void read_requests(std::optional<int64_t> after, const std::function<void(const RequestRow &)> &take) {
    const OpenTable requests("sync_requests");
    const OpenTable by_id("sync_requests_pkey");
    if (!requests.get() || !by_id.get())
        raise(ERRCODE_LOCK_NOT_AVAILABLE, "another session keeps kombo.sync_requests locked", "", locked_hint);
    TupleTableSlot *slot = guard([&] { return table_slot_create(requests.get(), nullptr); });
    if (after)
        read_after(*after, requests.get(), by_id.get(), slot, take);
    else
        read_all(requests.get(), slot, take);
    guard([&] { ExecDropSingleTupleTableSlot(slot); });
}

} // namespace pg
