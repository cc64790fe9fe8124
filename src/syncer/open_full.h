#pragma once

#include "kombo/time.h"
#include "syncer/result.h"

#include <chrono>
#include <string>

namespace syncer {

/// A full fetch that is under way over several transactions, as far as it is committed: what it takes to go on with it
/// after a restart.
struct OpenFull {
    kombo::Timestamp started_at; ///< its first request, by our clock
    kombo::Timestamp watermark;  ///< what becomes the endpoint's, and serves deltas until then
    std::string query;           ///< the filters that it was begun with
    std::string cursor;          ///< of the next page; empty: all pages are here
    kombo::Timestamp cursor_at;  ///< when the cursor came
    std::string progress;        ///< JSON: what the run has counted so far

    /// True if its cursor may still be good. How long Kombo keeps one is not documented. After our clock was put back,
    /// its start is no measure of what was asked for since.
    bool alive(kombo::Timestamp now) const { return started_at <= now && now - cursor_at < longest_life; }

    static constexpr std::chrono::hours longest_life{1};
};

/// The counts of a run as JSON, by the names of tables.
std::string progress_json(const RunResult &result, const Catalogue &catalogue);

/// Puts them back. What does not fit is left out: they are counts.
void restore_progress(const std::string &json, const Catalogue &catalogue, RunResult &result);

} // namespace syncer
