#include "pg/account/integration.h"
#include "pg/account/load_catalogue.h"
#include "pg/account/options.h"
#include "pg/account/sync_requests.h"
#include "pg/base/entry_points.h"
#include "pg/base/memory.h"
#include "pg/base/role.h"
#include "pg/base/spi.h"
#include "pg/functions/sync_arguments.h"
#include "pg/shared/shared.h"

/// The SQL function request_sync.
namespace pg {

namespace {

/// One call of request_sync.
class RequestCall {
public:
    RequestCall(syncer::FetchRequest request) : request_(std::move(request)), caller_(GetUserId()) {}

    /// Returns how many fetches it asked for.
    size_t run(const std::optional<std::string> &integration_id) {
        const MemoryScope memory;
        const Spi spi;
        const Oid role = find_sync_role();
        if (!integration_id) check_tables_exist(role);
        if (OidIsValid(role)) check_sync_role(role);
        const SyncRole as(OidIsValid(role) ? role : caller_);
        const std::vector<Integration> integrations = load_integrations(integration_id);
        if (integration_id)
            check_named_here(*integration_id, integrations, role);
        else
            notice_left_out(integrations, left_out);
        for (const Integration &integration : integrations) {
            if (!integration_id && left_out(integration)) continue;
            ask(integration, role, integration_id.has_value());
        }
        if (requests_.empty() && unknown_) throw syncer::UnknownName(*unknown_);
        append_requests(requests_);
        // A named integration is tried in any case, as with the functions that sync at once.
        if (integration_id) {
            const bool limited = shared::lift_limit(load_server(integrations.front().server, caller_).oid);
            if (!end_back_off({*integration_id}, requests_).empty() || limited)
                execute("SELECT kombo_internal.wake(true)");
        }
        if (!requests_.empty() && !shared::any_worker(MyDatabaseId)) warn_of_no_worker();
        return requests_.size();
    }

private:
    /// The requests of an integration that kombo_sync paused wait until that ends.
    static bool left_out(const Integration &integration) { return integration.paused || integration.restored; }

    static void check_named_here(const std::string &id, const std::vector<Integration> &found, Oid role) {
        check_named(id, found, role);
        if (found.front().restored)
            raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "integration \"" + id + "\" was enabled in another database, of which this one is a copy", "",
                  "SELECT kombo.resume('" + id + "') lets this database call Kombo, too.");
    }

    /// Of all integrations, one that cannot be asked for does not stop the others.
    void ask(const Integration &integration, Oid role, bool named) {
        try {
            load_server(integration.server, caller_); // it is there, and the caller may use it
            auto catalogue = catalogues_.find(integration.category);
            if (catalogue == catalogues_.end())
                catalogue = catalogues_.emplace(integration.category, load_catalogue(integration.category, role)).first;
            const syncer::RequestPlan planned =
                syncer::plan_requests(catalogue->second, integration.category,
                                      load_states(catalogue->second, integration.id), request_, integration.id);
            for (const std::string &model : planned.ignored) notice_ignored(model);
            for (const syncer::PlannedRequest &request : planned.requests)
                requests_.push_back(to_new_request(request, "sql"));
        } catch (const syncer::UnknownName &error) {
            if (named) throw;
            unknown_ = error; // of another category, if some integration knows the name
        } catch (const syncer::InvalidRequest &error) {
            if (named) throw;
            warn(integration.id, error);
        }
    }

    static void warn(const std::string &id, const syncer::InvalidRequest &error) {
        guard([&] {
            ereport(WARNING, errcode(sqlstate_code(error.sqlstate)),
                    errmsg("nothing was requested of \"%s\": %s", id.c_str(), error.what()),
                    error.detail.empty() ? 0 : errdetail_internal("%s", error.detail.c_str()),
                    error.hint.empty() ? 0 : errhint("%s", error.hint.c_str()));
        });
    }

    static void warn_of_no_worker() {
        guard([] {
            ereport(WARNING, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("no background worker serves this database"),
                    errdetail("The request is kept until there is one."),
                    errhint("The first row of kombo.sync_status says what is missing. kombo.kombo_sync_delta and "
                            "kombo.kombo_sync_full do without a worker."));
        });
    }

    syncer::FetchRequest request_;
    Oid caller_;
    std::map<std::string, syncer::Catalogue> catalogues_; ///< by category
    std::vector<NewRequest> requests_;
    std::optional<syncer::UnknownName> unknown_;
};

syncer::Kind kind_of(const std::optional<std::string> &kind) {
    if (kind == "delta") return syncer::Kind::Delta;
    if (kind == "full") return syncer::Kind::Full;
    raise(ERRCODE_INVALID_PARAMETER_VALUE,
          kind ? "kind of a request cannot be \"" + *kind + "\"" : "kind of a request must not be null", "",
          "Use delta or full.");
}

} // namespace
} // namespace pg

PG_ENTRY(request_sync, {
    pg::guard([] {
        PreventCommandDuringRecovery("request_sync()");
        PreventCommandIfReadOnly("request_sync()");
    });
    syncer::FetchRequest request;
    request.kind = pg::kind_of(pg::text_argument(fcinfo, 1));
    request.what = pg::what_argument(fcinfo, 2);
    const size_t asked = pg::RequestCall(std::move(request)).run(pg::text_argument(fcinfo, 0));
    return Int32GetDatum(static_cast<int32>(asked));
})
