#include "pg/settings.h"

#include "pg/headers.h"

namespace pg::settings {

int overlap_seconds = 60;
double max_sweep_fraction = 0.5;
int min_full_interval_seconds = 3600;
int max_retries = 5;
int retention_minutes = 30 * 24 * 60;
bool verbose = false;

void define() {
    DefineCustomIntVariable("kombo_sync.overlap",
                            "Time by which a delta reaches back before the start of the last fetch.",
                            "What comes twice is not written twice.", &overlap_seconds, 60, 0, 24 * 3600, PGC_SUSET,
                            GUC_UNIT_S, nullptr, nullptr, nullptr);
    DefineCustomRealVariable("kombo_sync.max_sweep_fraction",
                             "Fraction of the live rows of a table that one full sync may sweep.",
                             "A sweep of more is held back until kombo.accept_sweep().", &max_sweep_fraction, 0.5, 0, 1,
                             PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("kombo_sync.min_full_interval",
                            "Least time between two full fetches of an endpoint for a model that no delta shows.",
                            nullptr, &min_full_interval_seconds, 3600, 0, 30 * 24 * 3600, PGC_SUSET, GUC_UNIT_S,
                            nullptr, nullptr, nullptr);
    DefineCustomIntVariable("kombo_sync.max_retries", "How often a failed request is sent again.", nullptr,
                            &max_retries, 5, 0, 100, PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("kombo_sync.retention", "How long run records are kept.", nullptr, &retention_minutes,
                            30 * 24 * 60, 60, 3650 * 24 * 60, PGC_SIGHUP, GUC_UNIT_MIN, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("kombo_sync.verbose", "Tells the caller of a sync once a second how far it has come.",
                             nullptr, &verbose, false, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    MarkGUCPrefixReserved("kombo_sync");
}

} // namespace pg::settings
