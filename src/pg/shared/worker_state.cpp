#include "pg/base/citus.h"
#include "pg/base/entry_points.h"
#include "pg/base/role.h"
#include "pg/base/settings.h"
#include "pg/base/spi.h"
#include "pg/shared/segment.h"

#include <algorithm>

/// The first row of kombo.sync_status: whether a worker serves this database, and if not, why.
namespace pg::shared {

namespace {

struct State {
    std::string state;
    std::optional<TimestampTz> since;
    std::string reason;
    std::string next;
};

/// A copy of what the shared memory has about this database.
struct Sight {
    int launcher_pid = 0;
    std::optional<ServedDatabase> database;
    std::vector<std::pair<int, TimestampTz>> working; ///< pid, since
    std::optional<State> troubled;                    ///< the first worker that does not work
    std::string part;                                 ///< what one that works cannot do
    std::string remedy;                               ///< of that
};

Sight look(const std::string &name) {
    Sight sight;
    sight.working.reserve(worker_slots);
    const Locked lock(LW_SHARED);
    sight.launcher_pid = segment().launcher_pid;
    for (const ServedDatabase &database : segment().databases)
        if (name == database.name) sight.database = database;
    for (const WorkerSlot &slot : segment().workers) {
        if (slot.pid == 0 || slot.database != MyDatabaseId) continue;
        if (!slot.works) {
            sight.troubled = State{"not working", slot.since, slot.trouble, slot.remedy};
            continue;
        }
        sight.working.emplace_back(slot.pid, slot.since);
        if (slot.trouble[0] == '\0') continue;
        sight.part = slot.trouble;
        sight.remedy = slot.remedy;
    }
    return sight;
}

bool is_listed(const std::string &name) {
    const std::vector<std::string> names = settings::databases();
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// The statement that adds the database: one string, in which names with capitals are quoted.
std::string add_to_list(const std::string &name) {
    std::vector<std::string> names = settings::databases();
    names.push_back(name);
    std::string list;
    for (const std::string &listed : names) {
        if (!list.empty()) list += ", ";
        list += guard([&] { return quote_identifier(listed.c_str()); });
    }
    const char *literal = guard([&] { return quote_literal_cstr(list.c_str()); });
    return std::string("ALTER SYSTEM SET kombo_sync.databases = ") + literal;
}

/// Whether the configuration file has the library among those that a restart would load. Whoever asks need not be
/// allowed to see the file.
bool awaits_restart() {
    const SyncRole owner_of_everything(BOOTSTRAP_SUPERUSERID);
    const Spi spi;
    const Result rows = execute(R"(
        SELECT f.setting ~ '(^|[\s,"/])kombo_sync($|[\s,".])' FROM pg_file_settings f
        WHERE f.name = 'shared_preload_libraries' ORDER BY f.seqno DESC LIMIT 1)");
    return rows.size() > 0 && rows.boolean(0, 1);
}

State not_preloaded() {
    if (awaits_restart())
        return {"no worker",
                {},
                "kombo_sync is in shared_preload_libraries, but PostgreSQL has not been restarted since",
                "restart PostgreSQL"};
    return {"no worker",
            {},
            "kombo_sync is not in shared_preload_libraries",
            "nothing syncs by itself: call kombo.kombo_sync_delta and kombo.kombo_sync_full, or add it there, "
            "and this database to kombo_sync.databases, and restart the server"};
}

/// The reason with the value of the setting, so that a typing error is seen.
std::string not_listed(const std::string &name) {
    const char *list = guard([] { return GetConfigOption("kombo_sync.databases", true, false); });
    if (!list || !*list) return "kombo_sync.databases is empty";
    return "kombo_sync.databases is '" + std::string(list) + "', which does not name this database, \"" + name + "\"";
}

/// The reason why no worker runs, in the whole cluster or in this database.
std::optional<State> none_wanted(const std::string &name) {
    const std::string reload = "; SELECT pg_reload_conf()";
    if (!available()) return not_preloaded();
    if (guard([] { return RecoveryInProgress(); }))
        return State{"no worker", {}, "this server is a standby", "the worker starts when it is promoted"};
    if (citus::on_node()) return State{"no worker", {}, citus::node_problem, citus::node_remedy};
    if (!settings::enabled)
        return State{"no worker", {}, "kombo_sync.enabled is off", "ALTER SYSTEM SET kombo_sync.enabled = on" + reload};
    if (!is_listed(name)) return State{"no worker", {}, not_listed(name), "add it: " + add_to_list(name) + reload};
    return std::nullopt;
}

std::string names_of(const std::vector<std::pair<int, TimestampTz>> &workers) {
    std::string names = workers.size() == 1 ? "pid " : "pids ";
    for (const auto &[pid, since] : workers)
        names += (&pid == &workers.front().first ? "" : ", ") + std::to_string(pid);
    return names;
}

State describe(const Sight &sight) {
    const bool hindered = sight.database && sight.database->trouble[0] != '\0';
    if (!sight.working.empty()) {
        TimestampTz since = sight.working.front().second;
        for (const auto &worker : sight.working) since = std::min(since, worker.second);
        State state{"running", since, names_of(sight.working), sight.remedy};
        if (!sight.part.empty()) state.reason += "; " + sight.part;
        if (!hindered || static_cast<int>(sight.working.size()) >= sight.database->workers) return state;
        state.reason += "; of " + std::to_string(sight.database->workers) + " wanted: " + sight.database->trouble;
        if (state.next.empty()) state.next = sight.database->remedy;
        return state;
    }
    if (sight.troubled) return *sight.troubled;
    if (sight.launcher_pid == 0)
        return {"no worker",
                {},
                "the launcher does not run",
                "it is started again after 5 seconds; if not, the server's log says why: max_worker_processes may be "
                "too low"};
    if (hindered) return {"no worker", sight.database->since, sight.database->trouble, sight.database->remedy};
    return {"no worker", {}, "it is being started", "wait: it takes seconds"};
}

Datum result_row(FunctionCallInfo fcinfo, const State &state) {
    TupleDesc description = nullptr;
    guard([&] {
        if (get_call_result_type(fcinfo, nullptr, &description) != TYPEFUNC_COMPOSITE)
            elog(ERROR, "worker_state must return a row");
        BlessTupleDesc(description);
    });
    Datum values[4] = {text_datum(state.state), TimestampTzGetDatum(state.since.value_or(0)), text_datum(state.reason),
                       text_datum(state.next)};
    bool nulls[4] = {false, !state.since, state.reason.empty(), state.next.empty()};
    return guard([&] { return HeapTupleGetDatum(heap_form_tuple(description, values, nulls)); });
}

} // namespace
} // namespace pg::shared

PG_ENTRY(worker_state, {
    using namespace pg::shared;
    const std::string name = pg::guard([] { return get_database_name(MyDatabaseId); });
    const auto none = none_wanted(name);
    return result_row(fcinfo, none ? *none : describe(look(name)));
})
