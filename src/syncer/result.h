#pragma once

#include "kombo/time.h"
#include "syncer/batch.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace syncer {

struct RowCounts {
    int64_t inserted = 0;
    int64_t updated = 0;
    int64_t unchanged = 0;
    int64_t deleted = 0;
    int64_t referenced = 0;  ///< that were to be deleted, and stay: another table refers to them
    std::string reference{}; ///< the foreign key by which the last of them is referred to
};
/// By position of the table in the catalogue.
using TableCounts = std::map<size_t, RowCounts>;

/// The counts as JSON: {"table": {"inserted": n, …}}.
std::string rows_by_table(const TableCounts &counts, const Catalogue &catalogue);

enum class Status : uint8_t { Ok, Failed, Held, Skipped, Waiting, Unavailable };
const char *name(Status status);

/// True if a row of any table was written or removed.
bool changed_rows(const TableCounts &counts);

/// The result of one endpoint's run.
struct RunResult {
    Status status = Status::Ok;
    Kind kind = Kind::Delta;
    std::string trigger = "sql";
    bool follows_another = false; ///< failed without a request, as an endpoint before it had shown that it would
    int pages = 0;
    int64_t received = 0;
    TableCounts counts;
    kombo::Timestamp started_at;
    kombo::Timestamp finished_at;
    size_t bytes = 0;
    int retries = 0;
    int64_t parked = 0;
    Oddities oddities;
    /// Of what did not succeed: SQLSTATE and texts for a WARNING and for the run's record.
    std::string sqlstate;
    std::string error;
    std::string detail;
    std::string hint;
    bool of_integration = false; ///< as Failure has it
    bool of_server = false;      ///< the same
    bool lasting = false;        ///< the same
    bool too_many_parked = false;
    std::optional<std::chrono::milliseconds> retry_after;
    /// Of what did not succeed: so many records a page are asked for from now on.
    std::optional<int> page_size;
    /// Of what did not succeed in the worker: no further attempt before this.
    std::optional<kombo::Timestamp> next_attempt_at;
};

struct Settings {
    std::chrono::microseconds overlap;
    double max_sweep_fraction;
};

} // namespace syncer
