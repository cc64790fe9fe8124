#pragma once

#include <string>
#include <vector>

/// The settings of the extension (GUCs), defined when the library is loaded.
namespace pg::settings {

extern int overlap_seconds;
extern double max_sweep_fraction;
extern int min_full_interval_seconds;
extern int max_retries;
extern int max_concurrency;
extern bool notify;
extern int retention_minutes;
extern bool show_progress;

// Of the background worker; they follow the configuration file.
extern bool enabled;
extern int workers; ///< per database
extern int poll_interval_ms;

/// The names in kombo_sync.databases, each once.
std::vector<std::string> databases();

/// Defines them; to be called once, from _PG_init.
void define();

} // namespace pg::settings
