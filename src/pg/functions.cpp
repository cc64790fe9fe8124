#include "pg/catalogue.h"
#include "pg/entry_points.h"
#include "pg/memory.h"
#include "pg/network.h"
#include "pg/role.h"
#include "pg/settings.h"
#include "pg/spi.h"
#include "pg/store.h"
#include "pg/wait.h"
#include "sync/run.h"

/// The SQL functions kombo_sync_delta and kombo_sync_full.
namespace pg {
namespace {

/// What the library expects of kombo.interface_number().
constexpr int64_t interface_number = 1;

struct Integration {
    std::string id;
    std::string server;
    std::string category;
    bool paused = false;
    std::string pause_reason;
    bool restored = false;
};

/// Puts the rows that the function returns into its tuplestore, and tells the caller what went wrong.
class Reporter : public syncer::Observer {
public:
    Reporter(ReturnSetInfo *result, std::string integration_id)
        : result_(result), integration_id_(std::move(integration_id)), last_notice_(Clock::now()) {}

    void progress(const syncer::Task &task, const syncer::RunResult &so_far) override {
        if (!settings::verbose || Clock::now() - last_notice_ < std::chrono::seconds(1)) return;
        last_notice_ = Clock::now();
        const std::string text = integration_id_ + " " + task.endpoint->path + ": page " +
                                 std::to_string(so_far.pages) + ", " + std::to_string(so_far.received) + " records";
        guard([&] { ereport(NOTICE, errmsg_internal("%s", text.c_str())); });
    }

    void ended(const syncer::Task &task, const syncer::RunResult &run) override {
        const auto found = run.counts.find(task.endpoint->table);
        const syncer::RowCounts rows = found == run.counts.end() ? syncer::RowCounts() : found->second;
        put(task, run, rows);
        if (!run.error.empty())
            warn(task, run);
        else if (run.parked > 0)
            warn_of_parked(task, run);
    }

private:
    using Clock = std::chrono::steady_clock;

    void put(const syncer::Task &task, const syncer::RunResult &run, const syncer::RowCounts &rows) {
        const MemoryScope scope;
        Datum values[13] = {text_datum(integration_id_),
                            text_datum(task.endpoint->path),
                            text_datum(syncer::name(run.kind)),
                            text_datum(syncer::name(run.status)),
                            Int32GetDatum(run.pages),
                            Int64GetDatum(run.received),
                            Int64GetDatum(rows.inserted),
                            Int64GetDatum(rows.updated),
                            Int64GetDatum(rows.unchanged),
                            Int64GetDatum(rows.deleted),
                            TimestampTzGetDatum(to_timestamptz(run.started_at)),
                            TimestampTzGetDatum(to_timestamptz(run.finished_at)),
                            text_datum(run.error)};
        bool nulls[13] = {};
        nulls[12] = run.error.empty();
        guard([&] { tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls); });
    }

    void warn(const syncer::Task &task, const syncer::RunResult &run) {
        const std::string &state = run.sqlstate;
        const int code =
            state.size() == 5 ? MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]) : ERRCODE_WARNING;
        const std::string message = std::string(syncer::name(run.status)) + ": sync of " + task.endpoint->path +
                                    " of \"" + integration_id_ + "\": " + run.error;
        guard([&] {
            ereport(WARNING, errcode(code), errmsg_internal("%s", message.c_str()),
                    run.detail.empty() ? 0 : errdetail_internal("%s", run.detail.c_str()),
                    run.hint.empty() ? 0 : errhint("%s", run.hint.c_str()));
        });
    }

    void warn_of_parked(const syncer::Task &task, const syncer::RunResult &run) {
        const std::string message = std::to_string(run.parked) + " records of " + task.endpoint->path + " of \"" +
                                    integration_id_ + "\" could not be stored";
        guard([&] {
            ereport(WARNING, errcode(ERRCODE_WARNING), errmsg_internal("%s", message.c_str()),
                    errhint("kombo.rejected_records has them and the reason; the next full sync tries them again."));
        });
    }

    ReturnSetInfo *result_;
    std::string integration_id_;
    Clock::time_point last_notice_;
};

/// Nested calls (a trigger on a data table that syncs) would meet the outer call's advisory lock as their own.
class OneAtATime {
public:
    OneAtATime() {
        if (running())
            raise(ERRCODE_OBJECT_IN_USE, "a sync is already running in this session", "",
                  "Do not call a sync function from a trigger on a data table.");
        running() = true;
    }
    ~OneAtATime() { running() = false; }
    OneAtATime(const OneAtATime &) = delete;
    OneAtATime &operator=(const OneAtATime &) = delete;

private:
    static bool &running() {
        static bool flag = false;
        return flag;
    }
};

void check_interface() {
    const int64_t found = execute("SELECT kombo.interface_number()::bigint").integer(0, 1);
    if (found != interface_number)
        raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
              "the library kombo_sync and the extension's SQL objects are of different versions",
              "The library expects interface " + std::to_string(interface_number) + ", the SQL objects have " +
                  std::to_string(found) + ".",
              "Run ALTER EXTENSION kombo_sync UPDATE, then reconnect.");
}

std::vector<Integration> load_integrations(const std::optional<std::string> &integration_id) {
    Params params;
    params.maybe_text(integration_id);
    const Result rows = execute(R"(
        SELECT i.integration_id, i.server, i.category, i.paused_at IS NOT NULL, i.pause_reason,
            (i.system_identifier, i.database_oid) IS DISTINCT FROM
                (c.system_identifier, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
        FROM kombo.integrations i CROSS JOIN pg_control_system() c
        WHERE $1 IS NULL OR i.integration_id = $1
        ORDER BY i.integration_id)",
                                params);
    std::vector<Integration> integrations;
    for (uint64_t i = 0; i < rows.size(); ++i)
        integrations.push_back({rows.text(i, 1), rows.text(i, 2), rows.text(i, 3), rows.boolean(i, 4), rows.text(i, 5),
                                rows.boolean(i, 6)});
    return integrations;
}

/// Takes the integration's lock for the transaction; otherwise says who has it.
std::optional<std::string> lock(const std::string &integration_id) {
    Params params;
    params.text(integration_id);
    if (execute("SELECT pg_try_advisory_xact_lock(hashtextextended('kombo_sync:' || $1, 0))", params).boolean(0, 1))
        return std::nullopt;
    const Result holder = execute(R"(
        SELECT l.pid::text FROM pg_locks l
        WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
            AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
            AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('kombo_sync:' || $1, 0))",
                                  params);
    return "another session syncs this integration" + (holder.size() > 0 ? " (pid " + holder.text(0, 1) + ")" : "");
}

class SyncCall {
public:
    SyncCall(syncer::Wish wish, ReturnSetInfo *result)
        : wish_(std::move(wish)), result_(result), caller_(GetUserId()) {}

    void run(const std::optional<std::string> &integration_id) {
        const OneAtATime guard_against_recursion;
        const MemoryScope memory;
        const Spi spi;
        const Oid role = find_sync_role();
        if (!OidIsValid(role) && !integration_id) return; // nothing was ever added
        const SyncRole as(OidIsValid(role) ? role : caller_);
        check_interface();
        const std::vector<Integration> integrations = load_integrations(integration_id);
        if (integration_id && integrations.empty())
            raise(ERRCODE_UNDEFINED_OBJECT, "integration \"" + *integration_id + "\" does not exist", "",
                  "Add it with kombo.add_integration; kombo.integrations lists those that exist.");
        if (!OidIsValid(role))
            raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "there are no data tables", "",
                  "Make them with kombo.create_tables, as in SELECT kombo.create_tables('HRIS', owner => "
                  "'kombo_owner').");
        for (const Integration &integration : integrations)
            if (may_sync(integration, integration_id.has_value())) sync_one(integration, role);
        prune_runs();
    }

private:
    static bool may_sync(const Integration &integration, bool named) {
        if (integration.paused && named)
            raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "integration \"" + integration.id + "\" is paused",
                  integration.pause_reason.empty() ? "" : "Reason given: " + integration.pause_reason + ".",
                  "SELECT kombo.resume('" + integration.id + "') ends the pause.");
        return named || (!integration.paused && !integration.restored);
    }

    void sync_one(const Integration &integration, Oid role) {
        const Server server = load_server(integration.server, caller_);
        syncer::Connection connection = connect_to(server);
        const syncer::Catalogue catalogue = load_catalogue(integration.category, role);
        const auto busy = lock(integration.id);
        const syncer::States states = load_states(catalogue, integration.id);
        const syncer::Plan plan =
            syncer::plan(catalogue, integration.category, states, wish_, kombo::current_timestamp(),
                         std::chrono::seconds(settings::min_full_interval_seconds));
        for (const std::string &model : plan.ignored) notice_ignored(model);
        Reporter reporter(result_, integration.id);
        if (busy) return report_skipped(plan, *busy, reporter);

        SqlStore store(catalogue, integration.id);
        LatchWaiter waiter;
        syncer::Runner runner(catalogue, states, integration.id, connection, waiter, store, reporter,
                              {std::chrono::seconds(settings::overlap_seconds), settings::max_sweep_fraction});
        runner.run(plan.tasks);
    }

    static void report_skipped(const syncer::Plan &plan, const std::string &reason, Reporter &reporter) {
        for (const syncer::Task &task : plan.tasks) {
            syncer::RunResult run;
            run.kind = task.kind;
            run.status = syncer::Status::Skipped;
            run.started_at = run.finished_at = kombo::current_timestamp();
            run.sqlstate = "55P03";
            run.error = reason;
            reporter.ended(task, run);
        }
    }

    static void notice_ignored(const std::string &model) {
        guard([&] {
            ereport(NOTICE, errmsg("model \"%s\" is not carried by any subscribed endpoint", model.c_str()),
                    errhint("Subscribe to an endpoint that kombo.endpoint_models names for it."));
        });
    }

    syncer::Wish wish_;
    ReturnSetInfo *result_;
    Oid caller_;
};

std::vector<std::string> names_of(ArrayType *array) {
    Datum *elements = nullptr;
    bool *nulls = nullptr;
    int count = 0;
    guard([&] { deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count); });
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) {
        if (nulls[i])
            raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "\"what\" must not hold nulls", "",
                  "Leave \"what\" out, or give NULL for it, to sync everything subscribed.");
        names.emplace_back(guard([&] { return TextDatumGetCString(elements[i]); }));
    }
    return names;
}

Datum sync_function(FunctionCallInfo fcinfo, syncer::Kind kind, const char *name) {
    guard([&] {
        PreventCommandDuringRecovery(name);
        PreventCommandIfReadOnly(name);
        InitMaterializedSRF(fcinfo, 0);
    });
    syncer::Wish wish;
    wish.kind = kind;
    if (!PG_ARGISNULL(1)) wish.what = names_of(guard([&] { return PG_GETARG_ARRAYTYPE_P(1); }));
    std::optional<std::string> integration_id;
    if (!PG_ARGISNULL(0)) integration_id = guard([&] { return text_to_cstring(PG_GETARG_TEXT_PP(0)); });
    SyncCall(std::move(wish), reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo)).run(integration_id);
    return Datum(0);
}

} // namespace
} // namespace pg

PG_ENTRY(kombo_sync_delta, { return pg::sync_function(fcinfo, syncer::Kind::Delta, "kombo_sync_delta()"); })

PG_ENTRY(kombo_sync_full, { return pg::sync_function(fcinfo, syncer::Kind::Full, "kombo_sync_full()"); })
