#pragma once

#include "kombo/time.h"
#include "pg/base/guard.h"

namespace pg {

/// A connection to SPI for the life of the object. Left to the transaction's abort when an exception ends the scope.
class Spi {
public:
    Spi();
    ~Spi();
    Spi(const Spi &) = delete;
    Spi &operator=(const Spi &) = delete;

private:
    int exceptions_;
};

/// Parameters of a statement, in order: $1, $2, …
class Params {
public:
    Params &text(std::string_view value);
    Params &maybe_text(const std::optional<std::string> &value);
    Params &jsonb(std::optional<std::string_view> json);
    Params &integer(int64_t value); ///< bigint
    Params &boolean(bool value);
    Params &instant(std::optional<kombo::Timestamp> value); ///< timestamptz
    Params &texts(const std::vector<std::string_view> &values);
    Params &texts(const std::vector<std::string> &values);
    Params &integers(const std::vector<int64_t> &values); ///< bigint[]
    Params &bytes(std::string_view value);                ///< bytea
    Params &datum(Oid type, Datum value);

    const std::vector<Oid> &types() const { return types_; }
    const std::vector<Datum> &values() const { return values_; }
    const std::vector<char> &nulls() const { return nulls_; }

private:
    Params &add(Oid type, Datum value, bool null = false);
    std::vector<Oid> types_;
    std::vector<Datum> values_;
    std::vector<char> nulls_;
};

/// The way in which a statement is planned.
enum class Planning {
    Usual,
    ByKey,      ///< rows are found by key, whatever the statistics say: see key_planning.h
    ByKeyVaried ///< the same for a statement that what Kombo sends gives ever other forms
};

/// The result of a query, valid until the object or the SPI connection goes.
class Result {
public:
    Result(SPITupleTable *table, uint64_t processed) : table_(table), processed_(processed) {}
    ~Result();
    Result(Result &&other) noexcept : table_(std::exchange(other.table_, nullptr)), processed_(other.processed_) {}
    Result &operator=(Result &&) = delete;

    /// Rows returned, or affected by a statement that returns none.
    uint64_t size() const { return processed_; }
    bool null(uint64_t row, int column) const;
    std::string text(uint64_t row, int column) const; ///< empty for NULL
    std::optional<std::string> maybe(uint64_t row, int column) const;
    int64_t integer(uint64_t row, int column) const; ///< of a bigint
    /// Hands over the bytes of a bytea or text; not called for NULL.
    void with_bytes(uint64_t row, int column, const std::function<void(std::string_view)> &take) const;
    bool boolean(uint64_t row, int column) const;
    std::optional<kombo::Timestamp> instant(uint64_t row, int column) const; ///< of a timestamptz

private:
    SPITupleTable *table_;
    uint64_t processed_;
};

/// While the object lives, queries see what is committed now, also in a transaction that keeps to an older snapshot;
/// and nothing can be written. Needs a transaction.
class LatestSnapshot {
public:
    LatestSnapshot();
    ~LatestSnapshot();
    LatestSnapshot(const LatestSnapshot &) = delete;
    LatestSnapshot &operator=(const LatestSnapshot &) = delete;
};

/// Runs a statement; it is prepared once per session and kept, unless `planning` says otherwise. Throws Error.
Result execute(const std::string &sql, const Params &params = {}, Planning planning = Planning::Usual);

/// Runs a query and hands over its first column, of type bytea, a few thousand rows at a time. It is planned anew for
/// the very parameters.
void for_each_bytes(const std::string &sql, const Params &params, const std::function<void(std::string_view)> &take);

Datum text_datum(std::string_view value);
TimestampTz to_timestamptz(kombo::Timestamp value);

/// A time before year 1 or after year 9999, the infinite ones too, becomes the first or last that lies in these.
kombo::Timestamp from_timestamptz(TimestampTz value);

} // namespace pg
