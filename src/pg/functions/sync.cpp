#include "pg/account/connection.h"
#include "pg/account/integration.h"
#include "pg/account/load_catalogue.h"
#include "pg/account/sync_lock.h"
#include "pg/base/entry_points.h"
#include "pg/base/memory.h"
#include "pg/base/role.h"
#include "pg/base/settings.h"
#include "pg/base/spi.h"
#include "pg/base/wait.h"
#include "pg/functions/patience.h"
#include "pg/functions/reporter.h"
#include "pg/functions/sync_arguments.h"
#include "pg/shared/shared.h"
#include "pg/store/sql_store.h"
#include "syncer/failure.h"
#include "syncer/runner.h"

/// The SQL functions kombo_sync_delta and kombo_sync_full.
namespace pg {
namespace {

/// Nested calls (a trigger on a data table that syncs) would meet the outer call's lock as their own.
class OneAtATime {
public:
    OneAtATime() {
        if (running() || shared::is_worker())
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

/// Takes the integration's lock for the transaction; otherwise says who has it.
std::optional<std::string> lock(const std::string &integration_id) {
    if (lock_for_transaction(integration_id, false)) return std::nullopt;
    const std::string holder = holder_of(integration_id);
    return "another session syncs this integration" + (holder.empty() ? "" : " (" + holder + ")");
}

/// One call of a sync function, for one integration or all.
class SyncCall {
public:
    SyncCall(syncer::FetchRequest request, ReturnSetInfo *result)
        : request_(std::move(request)), result_(result), caller_(GetUserId()) {}

    void run(const std::optional<std::string> &integration_id) {
        const OneAtATime guard_against_recursion;
        const MemoryScope memory;
        const Spi spi;
        const Oid role = find_sync_role();
        if (!integration_id) check_tables_exist(role);
        if (OidIsValid(role)) check_sync_role(role);
        const SyncRole as(OidIsValid(role) ? role : caller_);
        const std::vector<Integration> integrations = load_integrations(integration_id);
        if (integration_id)
            check_named(*integration_id, integrations, role);
        else
            notice_left_out(integrations, left_out);
        // Errors that are known before the first request are found for all integrations before anything is requested.
        const auto jobs = integration_id ? prepare_named(integrations.front(), role) : prepare_all(integrations, role);
        for (const auto &job : jobs) sync(*job);
        if (const auto failure = contained([] { prune_runs(); }))
            warn("could not delete old rows of kombo.sync_runs: ", *failure,
                 "What was synced is kept. Look for a trigger on that table, or a foreign key to it.");
    }

private:
    static bool left_out(const Integration &integration) {
        return integration.paused || integration.suspended || integration.restored;
    }

    /// The needs of one integration's sync.
    struct Job {
        Integration integration;
        syncer::Connection connection;
        Oid role;
    };
    using Jobs = std::vector<std::unique_ptr<Job>>;

    Jobs prepare_named(const Integration &integration, Oid role) {
        Jobs jobs;
        jobs.push_back(prepare(integration, role));
        return jobs;
    }

    /// All that are enabled. One that cannot be synced (its server is gone, say) does not stop the others; where none
    /// can, that is an error like that of one which is named.
    Jobs prepare_all(const std::vector<Integration> &integrations, Oid role) {
        Jobs jobs;
        std::vector<std::pair<std::string, syncer::InvalidRequest>> errors;
        std::optional<syncer::InvalidRequest> unknown;
        for (const Integration &integration : integrations) {
            if (left_out(integration)) continue;
            try {
                jobs.push_back(prepare(integration, role));
            } catch (const syncer::UnknownName &error) {
                unknown = error; // of another category, if some integration knows the name
            } catch (const syncer::InvalidRequest &error) {
                errors.emplace_back(integration.id, error);
            }
        }
        if (jobs.empty() && !errors.empty()) throw syncer::InvalidRequest(errors.front().second);
        if (jobs.empty() && unknown) throw syncer::InvalidRequest(*unknown);
        for (const auto &[id, error] : errors)
            Reporter(result_, id, patience_).not_begun(request_.kind, syncer::explain(std::make_exception_ptr(error)));
        return jobs;
    }

    std::unique_ptr<Job> prepare(const Integration &integration, Oid role) {
        auto catalogue = catalogues_.find(integration.category);
        if (catalogue == catalogues_.end())
            catalogue = catalogues_.emplace(integration.category, load_catalogue(integration.category, role)).first;
        if (request_.what) make_plan(integration, catalogue->second, load_states(catalogue->second, integration.id));
        const Server server = load_server(integration.server, caller_);
        return std::make_unique<Job>(Job{integration, connect_to(server), role});
    }

    syncer::Plan make_plan(const Integration &integration, const syncer::Catalogue &catalogue,
                           const syncer::States &states) const {
        return syncer::plan(catalogue, integration.category, states, request_, kombo::current_timestamp(),
                            std::chrono::seconds(settings::min_full_interval_seconds));
    }

    /// Whatever is wrong with what is known of one integration stops no other.
    void sync(Job &job) {
        Reporter reporter(result_, job.integration.id, patience_);
        std::optional<std::string> busy;
        syncer::Catalogue catalogue;
        syncer::States states;
        syncer::Plan plan;
        std::unique_ptr<SqlStore> store;
        const auto failure = contained([&] {
            busy = lock(job.integration.id);
            catalogue = catalogue_of_now(job);
            states = load_states(catalogue, job.integration.id);
            plan = make_plan(job.integration, catalogue, states);
            store = std::make_unique<SqlStore>(catalogue, job.integration.id);
        });
        if (failure) return reporter.not_begun(request_.kind, *failure);
        for (const std::string &model : plan.ignored) notice_ignored(model);
        if (busy) return report_skipped(plan, *busy, reporter);
        take_requests(job.integration.id, plan);
        store->run_recorded = [this](const std::optional<Trouble> &trouble) { run_recorded(trouble); };

        LatchWaiter waiter;
        syncer::Runner runner(catalogue, states, job.integration.id, job.connection, waiter, *store, reporter,
                              {std::chrono::seconds(settings::overlap_seconds), settings::max_sweep_fraction});
        runner.run(plan.tasks);
        if (!job.integration.suspended || !runner.succeeded_once()) return;
        if (const auto unended = contained([&] { end_suspension(job.integration.id); }))
            warn("could not end the pause of \"" + job.integration.id + "\": ", *unended, unended->hint);
    }

    /// The others of the call most likely fail alike.
    void run_recorded(const std::optional<Trouble> &trouble) {
        if (!trouble) return;
        if (trouble->passing()) patience_.met_lock();
        if (!std::exchange(told_of_runs_, true)) warn("", *trouble, trouble->hint);
    }

    /// Requests that cannot be read stay, and are fulfilled once more by the worker.
    void take_requests(const std::string &integration_id, syncer::Plan &plan) {
        const auto failure = contained([&] {
            for (syncer::Task &task : plan.tasks) take_pending_requests(integration_id, task);
        });
        if (failure) warn("could not read kombo.sync_requests: ", *failure, failure->hint);
    }

    /// Runs `body` in a subtransaction; nullopt: it did what it was to do. Cancel and the like go through.
    std::optional<syncer::Failure> contained(const std::function<void()> &body) {
        try {
            subtransaction(body);
            return std::nullopt;
        } catch (const std::exception &) {
            syncer::Failure failure = syncer::explain(std::current_exception());
            if (failure.passing()) patience_.met_lock();
            patience_.reconsider();
            return failure;
        }
    }

    static void warn(const std::string &what, const syncer::Failure &failure, const std::string &hint) {
        const std::string message = what + failure.message;
        guard([&] {
            ereport(WARNING, errcode(sqlstate_code(failure.sqlstate)), errmsg_internal("%s", message.c_str()),
                    failure.detail.empty() ? 0 : errdetail_internal("%s", failure.detail.c_str()),
                    hint.empty() ? 0 : errhint("%s", hint.c_str()));
        });
    }

    /// Read again: kombo.exclude_field holds the integration's lock while it changes the catalogue, and what it commits
    /// counts in a transaction, too, whose snapshot is older.
    static syncer::Catalogue catalogue_of_now(const Job &job) {
        const LatestSnapshot now;
        return load_catalogue(job.integration.category, job.role);
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

    syncer::FetchRequest request_;
    ReturnSetInfo *result_;
    Oid caller_;
    Patience patience_;
    bool told_of_runs_ = false;
    std::map<std::string, syncer::Catalogue> catalogues_; ///< by category
};

Datum sync_function(FunctionCallInfo fcinfo, syncer::Kind kind, const char *name) {
    guard([&] {
        PreventCommandDuringRecovery(name);
        PreventCommandIfReadOnly(name);
        InitMaterializedSRF(fcinfo, 0);
    });
    syncer::FetchRequest request;
    request.kind = kind;
    request.what = what_argument(fcinfo, 1);
    SyncCall(std::move(request), reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo)).run(text_argument(fcinfo, 0));
    return Datum(0);
}

} // namespace
} // namespace pg

PG_ENTRY(kombo_sync_delta, { return pg::sync_function(fcinfo, syncer::Kind::Delta, "kombo_sync_delta()"); })

PG_ENTRY(kombo_sync_full, { return pg::sync_function(fcinfo, syncer::Kind::Full, "kombo_sync_full()"); })
