#include "pg/base/settings.h"

#include "pg/base/guard.h"

#include <algorithm>

namespace pg::settings {

int overlap_seconds = 60;
double max_sweep_fraction = 0.5;
int min_full_interval_seconds = 3600;
int max_retries = 5;
int max_concurrency = 8;
bool notify = false;
int retention_minutes = 30 * 24 * 60;
bool show_progress = false;
bool enabled = true;
int workers = 1;
int poll_interval_ms = 5000;

namespace {

char *database_list = nullptr;
bool writing = false;

/// The names in a list as PostgreSQL reads them: separated by commas, unquoted ones in lower case. Nothing where its
/// syntax is wrong.
std::optional<std::vector<std::string>> parse(const char *list) {
    std::vector<std::string> found;
    List *names = NIL;
    char *copy = nullptr; // the names point into it
    const bool valid = guard([&] {
        copy = pstrdup(list);
        return SplitIdentifierString(copy, ',', &names);
    });
    for (int i = 0; valid && i < list_length(names); ++i) {
        std::string name = static_cast<const char *>(list_nth(names, i));
        if (std::find(found.begin(), found.end(), name) == found.end()) found.push_back(std::move(name));
    }
    guard([&] {
        list_free(names);
        pfree(copy);
    });
    if (!valid) return std::nullopt;
    return found;
}

bool check_databases(char **list, void **, GucSource) {
    return entry([&] {
        if (parse(*list)) return true;
        guard([] {
            GUC_check_errdetail("List syntax is invalid.");
            GUC_check_errhint("Separate names of databases with commas; put those with capitals in double quotes.");
        });
        return false;
    });
}

void define_sync();
void define_worker();

} // namespace

std::vector<std::string> databases() {
    return parse(database_list).value_or(std::vector<std::string>());
}

void define() {
    define_sync();
    define_worker();
    MarkGUCPrefixReserved("kombo_sync");
}

namespace {

void define_sync() {
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
    DefineCustomIntVariable("kombo_sync.max_concurrency", "How many requests a background worker has on the way.",
                            nullptr, &max_concurrency, 8, 1, 100, PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("kombo_sync.notify", "Sends NOTIFY kombo_sync after every run that changed rows.", nullptr,
                             &notify, false, PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("kombo_sync.retention", "How long run records and judged webhooks are kept.", nullptr,
                            &retention_minutes, 30 * 24 * 60, 60, 3650 * 24 * 60, PGC_SIGHUP, GUC_UNIT_MIN, nullptr,
                            nullptr, nullptr);
    DefineCustomBoolVariable("kombo_sync.show_progress",
                             "Tells the caller of a sync once a second how far it has come.", nullptr, &show_progress,
                             false, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    // What SyncRole pins, and the log of changes tells syncs by.
    DefineCustomBoolVariable("kombo_sync.writing", "Whether kombo_sync itself writes.", nullptr, &writing, false,
                             PGC_USERSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE, nullptr, nullptr,
                             nullptr);
}

void define_worker() {
    DefineCustomBoolVariable("kombo_sync.enabled", "Whether background workers sync.", nullptr, &enabled, true,
                             PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomStringVariable("kombo_sync.databases", "The databases that background workers serve.", nullptr,
                               &database_list, "", PGC_SIGHUP, GUC_LIST_INPUT, check_databases, nullptr, nullptr);
    DefineCustomIntVariable("kombo_sync.workers", "How many background workers serve each database.", nullptr, &workers,
                            1, 1, 16, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("kombo_sync.poll_interval",
                            "How often a background worker looks for work that nobody woke it for.",
                            "Rows that come by logical replication or a restore wake nobody.", &poll_interval_ms, 5000,
                            100, 3600 * 1000, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr, nullptr);
}

} // namespace
} // namespace pg::settings
