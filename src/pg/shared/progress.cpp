#include "pg/base/entry_points.h"
#include "pg/base/memory.h"
#include "pg/base/spi.h"
#include "pg/shared/segment.h"

/// The lines of kombo.sync_progress.
namespace pg::shared {

namespace {

void free_own_lines(int, Datum) {
    const Locked lock(LW_EXCLUSIVE);
    for (ProgressLine &line : segment().lines)
        if (line.pid == MyProcPid) line.pid = 0;
}

/// A process may end without running destructors.
void free_lines_at_exit() {
    static bool registered = false;
    if (registered) return;
    guard([] { before_shmem_exit(free_own_lines, 0); });
    registered = true;
}

} // namespace

Progress::Progress(const std::string &integration, const std::string &endpoint, const char *kind, const char *trigger) {
    if (!available()) return;
    free_lines_at_exit();
    const Locked lock(LW_EXCLUSIVE);
    for (int i = 0; i < progress_lines; ++i) {
        ProgressLine &line = segment().lines[i];
        if (line.pid != 0) continue;
        line = ProgressLine();
        line.pid = MyProcPid;
        line.database = MyDatabaseId;
        put(line.integration, integration);
        put(line.endpoint, endpoint);
        put(line.kind, kind);
        put(line.trigger, trigger);
        line.started_at = GetCurrentTimestamp();
        line_ = i;
        return;
    }
}

Progress::~Progress() {
    if (line_ < 0) return;
    const Locked lock(LW_EXCLUSIVE);
    segment().lines[line_].pid = 0;
}

void Progress::update(ProgressPhase phase, int pages, int64_t rows, uint64_t bytes, int blocked_by) {
    if (line_ < 0) return;
    const Locked lock(LW_EXCLUSIVE);
    ProgressLine &line = segment().lines[line_];
    line.phase = phase;
    line.pages = pages;
    line.rows = rows;
    line.bytes = bytes;
    line.blocked_by = blocked_by;
}

namespace {

const char *name(ProgressPhase phase) {
    switch (phase) {
    case ProgressPhase::Starting:
        return "starting";
    case ProgressPhase::Fetching:
        return "fetching";
    case ProgressPhase::Writing:
        return "writing";
    case ProgressPhase::Locked:
        return "locked";
    case ProgressPhase::Sweeping:
        return "sweeping";
    case ProgressPhase::Confirming:
        return "confirming";
    case ProgressPhase::Yielding:
        return "yielding";
    case ProgressPhase::Limited:
        return "limited";
    }
    return "";
}

std::vector<ProgressLine> lines_of(Oid database) {
    std::vector<ProgressLine> found;
    if (!available()) return found;
    found.reserve(progress_lines);
    const Locked lock(LW_SHARED);
    for (const ProgressLine &line : segment().lines)
        if (line.pid != 0 && line.database == database) found.push_back(line);
    return found;
}

void put_line(ReturnSetInfo *result, const ProgressLine &line) {
    const MemoryScope scope;
    const double seconds = static_cast<double>(GetCurrentTimestamp() - line.started_at) / USECS_PER_SEC;
    Datum values[12] = {Int32GetDatum(line.pid),
                        text_datum(line.integration),
                        text_datum(line.endpoint),
                        text_datum(line.kind),
                        text_datum(line.trigger),
                        text_datum(name(line.phase)),
                        Int32GetDatum(line.pages),
                        Int64GetDatum(line.rows),
                        Int64GetDatum(static_cast<int64>(line.bytes)),
                        Int64GetDatum(seconds > 0 ? static_cast<int64>(static_cast<double>(line.rows) / seconds) : 0),
                        TimestampTzGetDatum(line.started_at),
                        Int32GetDatum(line.blocked_by)};
    bool nulls[12] = {};
    nulls[11] = line.blocked_by == 0;
    guard([&] { tuplestore_putvalues(result->setResult, result->setDesc, values, nulls); });
}

} // namespace
} // namespace pg::shared

PG_ENTRY(progress, {
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    pg::guard([&] { InitMaterializedSRF(fcinfo, 0); });
    for (const auto &line : pg::shared::lines_of(MyDatabaseId)) pg::shared::put_line(result, line);
    return static_cast<Datum>(0);
})
