#include "pg/base/spi.h"

#include "pg/base/key_planning.h"

#include <algorithm>
#include <deque>

namespace pg {

namespace {

constexpr int64_t epoch_difference = INT64CONST(946684800) * 1000000; // 1970 to 2000

/// While it lives a statement runs; from a trigger others may, too.
struct Running {
    Running() { ++count; }
    ~Running() { --count; }
    Running(const Running &) = delete;
    Running &operator=(const Running &) = delete;
    static int count;
};
int Running::count = 0;

/// Whether SPI is to take the active snapshot and not the transaction's.
bool by_active_snapshot = false;

/// A statement that is planned by key gets a generic plan at once.
SPIPlanPtr prepare(const std::string &sql, const std::vector<Oid> &types, Planning planning) {
    const int options = planning == Planning::Usual ? 0 : CURSOR_OPT_GENERIC_PLAN;
    return guard([&]() -> SPIPlanPtr {
        SPIPlanPtr made =
            SPI_prepare_cursor(sql.c_str(), static_cast<int>(types.size()), const_cast<Oid *>(types.data()), options);
        if (made == nullptr) elog(ERROR, "could not prepare a statement: %s", SPI_result_code_string(SPI_result));
        return made;
    });
}

/// Statements of the session, by their text. Where there are more than `most`, the oldest goes.
class Plans {
public:
    explicit Plans(size_t most) : most_(most) {}

    SPIPlanPtr get(const std::string &sql, const std::vector<Oid> &types, Planning planning) {
        if (const auto found = plans_.find(sql); found != plans_.end()) return found->second;
        if (plans_.size() >= most_ && Running::count == 0) {
            const auto oldest = plans_.find(by_age_.front());
            SPI_freeplan(oldest->second);
            plans_.erase(oldest);
            by_age_.pop_front();
        }
        SPIPlanPtr made = prepare(sql, types, planning);
        guard([&] { SPI_keepplan(made); });
        plans_.emplace(sql, made);
        by_age_.push_back(sql);
        return made;
    }

private:
    size_t most_;
    std::unordered_map<std::string, SPIPlanPtr> plans_;
    std::deque<std::string> by_age_;
};

/// The bound on those of which there may be ever others keeps what Kombo sends from filling memory: 15 MB at most.
SPIPlanPtr kept(const std::string &sql, const std::vector<Oid> &types, Planning planning) {
    static Plans plans(500);
    static Plans varied(64);
    return (planning == Planning::ByKeyVaried ? varied : plans).get(sql, types, planning);
}

} // namespace

Spi::Spi() : exceptions_(std::uncaught_exceptions()) {
    guard([] { SPI_connect(); });
}

Spi::~Spi() {
    if (std::uncaught_exceptions() != exceptions_) return;
    MemoryContext current = CurrentMemoryContext;
    SPI_finish();
    MemoryContextSwitchTo(current);
}

LatestSnapshot::LatestSnapshot() {
    guard([] { PushActiveSnapshot(GetLatestSnapshot()); });
    by_active_snapshot = true;
}

LatestSnapshot::~LatestSnapshot() {
    by_active_snapshot = false;
    PopActiveSnapshot();
}

Params &Params::add(Oid type, Datum value, bool null) {
    types_.push_back(type);
    values_.push_back(value);
    nulls_.push_back(null ? 'n' : ' ');
    return *this;
}

Params &Params::text(std::string_view value) {
    return add(TEXTOID, text_datum(value));
}

Params &Params::maybe_text(const std::optional<std::string> &value) {
    return value ? text(std::string_view(*value)) : add(TEXTOID, 0, true);
}

Params &Params::jsonb(std::optional<std::string_view> json) {
    if (!json) return add(JSONBOID, 0, true);
    const std::string terminated(*json);
    return add(JSONBOID, guard([&] { return DirectFunctionCall1(jsonb_in, CStringGetDatum(terminated.c_str())); }));
}

Params &Params::integer(int64_t value) {
    return add(INT8OID, Int64GetDatum(value));
}

Params &Params::boolean(bool value) {
    return add(BOOLOID, BoolGetDatum(value));
}

Params &Params::instant(std::optional<kombo::Timestamp> value) {
    return value ? add(TIMESTAMPTZOID, TimestampTzGetDatum(to_timestamptz(*value))) : add(TIMESTAMPTZOID, 0, true);
}

Params &Params::texts(const std::vector<std::string_view> &values) {
    return add(TEXTARRAYOID, guard([&] {
                   auto *elements = static_cast<Datum *>(palloc(sizeof(Datum) * (values.size() + 1)));
                   for (size_t i = 0; i < values.size(); ++i)
                       elements[i] = PointerGetDatum(
                           cstring_to_text_with_len(values[i].data(), static_cast<int>(values[i].size())));
                   return PointerGetDatum(
                       construct_array(elements, static_cast<int>(values.size()), TEXTOID, -1, false, TYPALIGN_INT));
               }));
}

Params &Params::texts(const std::vector<std::string> &values) {
    return texts(std::vector<std::string_view>(values.begin(), values.end()));
}

Params &Params::integers(const std::vector<int64_t> &values) {
    return add(INT8ARRAYOID, guard([&] {
                   auto *elements = static_cast<Datum *>(palloc(sizeof(Datum) * (values.size() + 1)));
                   for (size_t i = 0; i < values.size(); ++i) elements[i] = Int64GetDatum(values[i]);
                   return PointerGetDatum(construct_array(elements, static_cast<int>(values.size()), INT8OID,
                                                          sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
               }));
}

Params &Params::bytes(std::string_view value) {
    return add(BYTEAOID, text_datum(value)); // both are a length and bytes
}

Params &Params::datum(Oid type, Datum value) {
    return add(type, value);
}

Result::~Result() {
    if (table_) SPI_freetuptable(table_);
}

bool Result::null(uint64_t row, int column) const {
    bool is_null = false;
    SPI_getbinval(table_->vals[row], table_->tupdesc, column, &is_null);
    return is_null;
}

std::optional<std::string> Result::maybe(uint64_t row, int column) const {
    char *value = guard([&] { return SPI_getvalue(table_->vals[row], table_->tupdesc, column); });
    if (!value) return std::nullopt;
    std::string text(value);
    pfree(value);
    return text;
}

std::string Result::text(uint64_t row, int column) const {
    return maybe(row, column).value_or("");
}

void Result::with_bytes(uint64_t row, int column, const std::function<void(std::string_view)> &take) const {
    bool is_null = false;
    const Datum value = SPI_getbinval(table_->vals[row], table_->tupdesc, column, &is_null);
    if (is_null) return;
    const bytea *whole = guard([&] { return PG_DETOAST_DATUM_PACKED(value); });
    take({VARDATA_ANY(whole), static_cast<size_t>(VARSIZE_ANY_EXHDR(whole))});
    if (PointerGetDatum(whole) != value) pfree(const_cast<bytea *>(whole));
}

int64_t Result::integer(uint64_t row, int column) const {
    bool is_null = false;
    return DatumGetInt64(SPI_getbinval(table_->vals[row], table_->tupdesc, column, &is_null));
}

bool Result::boolean(uint64_t row, int column) const {
    bool is_null = false;
    return DatumGetBool(SPI_getbinval(table_->vals[row], table_->tupdesc, column, &is_null)) && !is_null;
}

std::optional<kombo::Timestamp> Result::instant(uint64_t row, int column) const {
    bool is_null = false;
    const Datum value = SPI_getbinval(table_->vals[row], table_->tupdesc, column, &is_null);
    if (is_null) return std::nullopt;
    return from_timestamptz(DatumGetTimestampTz(value));
}

Result execute(const std::string &sql, const Params &params, Planning planning) {
    SPIPlanPtr plan = kept(sql, params.types(), planning);
    if (planning != Planning::Usual && plan_cache_mode != PLAN_CACHE_MODE_FORCE_CUSTOM_PLAN) plan_by_key(plan);
    const Running running;
    guard([&] {
        const int code = SPI_execute_plan(plan, const_cast<Datum *>(params.values().data()), params.nulls().data(),
                                          by_active_snapshot, 0);
        if (code < 0) elog(ERROR, "could not run a statement: %s", SPI_result_code_string(code));
    });
    return {SPI_tuptable, SPI_processed};
}

void for_each_bytes(const std::string &sql, const Params &params, const std::function<void(std::string_view)> &take) {
    constexpr long rows_at_a_time = 5000;
    Portal portal = guard([&] {
        return SPI_cursor_open_with_args(nullptr, sql.c_str(), static_cast<int>(params.types().size()),
                                         const_cast<Oid *>(params.types().data()),
                                         const_cast<Datum *>(params.values().data()), params.nulls().data(), false, 0);
    });
    while (true) {
        guard([&] { SPI_cursor_fetch(portal, true, rows_at_a_time); });
        const Result rows(SPI_tuptable, SPI_processed);
        if (rows.size() == 0) break;
        for (uint64_t i = 0; i < rows.size(); ++i) rows.with_bytes(i, 1, take);
    }
    guard([&] { SPI_cursor_close(portal); });
}

Datum text_datum(std::string_view value) {
    return guard(
        [&] { return PointerGetDatum(cstring_to_text_with_len(value.data(), static_cast<int>(value.size()))); });
}

TimestampTz to_timestamptz(kombo::Timestamp value) {
    return value.micros - epoch_difference;
}

kombo::Timestamp from_timestamptz(TimestampTz value) {
    const TimestampTz possible =
        std::clamp(value, to_timestamptz(kombo::first_timestamp), to_timestamptz(kombo::last_timestamp));
    return {possible + epoch_difference};
}

} // namespace pg
