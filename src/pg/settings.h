#pragma once

/// The settings of the extension (GUCs), defined when the library is loaded.
namespace pg::settings {

extern int overlap_seconds;
extern double max_sweep_fraction;
extern int min_full_interval_seconds;
extern int max_retries;
extern int retention_minutes;
extern bool verbose;

/// Defines them; to be called once, from _PG_init.
void define();

} // namespace pg::settings
