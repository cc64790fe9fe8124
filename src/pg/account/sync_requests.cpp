#include "pg/account/sync_requests.h"

#include "pg/account/integration.h"
#include "pg/account/load_catalogue.h"
#include "pg/account/options.h"
#include "pg/account/version_check.h"
#include "pg/base/entry_points.h"
#include "pg/base/memory.h"
#include "pg/base/role.h"
#include "pg/base/spi.h"
#include "pg/functions/sync_arguments.h"
#include "pg/shared/shared.h"

#include <set>

/// Rows of kombo.sync_requests, and the SQL function request_sync that makes them.
namespace pg {

NewRequest to_new_request(const syncer::PlannedRequest &request, const std::string &trigger) {
    NewRequest row;
    row.integration_id = request.integration_id;
    row.endpoint = request.endpoint;
    row.kind = request.endpoint ? syncer::name(request.kind) : "integration";
    row.trigger = trigger;
    row.server = request.server;
    row.unknown_model = request.unknown_model;
    return row;
}

std::vector<NewRequest> append_requests(const std::vector<NewRequest> &requests) {
    if (requests.empty()) return {};
    std::vector<std::string> integrations, endpoints, kinds, triggers, servers, models;
    for (const NewRequest &request : requests) {
        integrations.push_back(request.integration_id);
        endpoints.push_back(request.endpoint.value_or(""));
        kinds.push_back(request.kind);
        triggers.push_back(request.trigger);
        servers.push_back(request.server);
        models.push_back(request.unknown_model);
    }
    const Result rows = execute(
        R"(
        INSERT INTO kombo.sync_requests AS s (integration_id, endpoint, kind, trigger, server, unknown_model)
        SELECT r.integration_id, nullif(r.endpoint, ''), r.kind, r.trigger, nullif(r.server, ''), nullif(r.model, '')
        FROM unnest($1, $2, $3, $4, $5, $6) AS r (integration_id, endpoint, kind, trigger, server, model)
        RETURNING s.id, s.integration_id, s.endpoint, s.kind, s.trigger, s.server, s.unknown_model, s.requested_at)",
        Params().texts(integrations).texts(endpoints).texts(kinds).texts(triggers).texts(servers).texts(models));
    std::vector<NewRequest> appended;
    for (uint64_t i = 0; i < rows.size(); ++i)
        appended.push_back({rows.integer(i, 1), rows.text(i, 2), rows.maybe(i, 3), rows.text(i, 4), rows.text(i, 5),
                            rows.text(i, 6), rows.text(i, 7), rows.instant(i, 8).value_or(kombo::Timestamp())});
    return appended;
}

std::vector<std::string> end_back_off(const std::vector<std::string> &integration_ids,
                                      const std::vector<NewRequest> &requests) {
    std::vector<std::string> integrations, endpoints;
    for (const NewRequest &request : requests) {
        integrations.push_back(request.integration_id);
        endpoints.push_back(request.endpoint.value_or(""));
    }
    std::set<std::string> revived;
    const auto note = [&](const Result &rows) {
        for (uint64_t i = 0; i < rows.size(); ++i) revived.insert(rows.text(i, 1));
    };
    Params ids;
    ids.texts(integration_ids);
    // Written only where there is something to change: even an UPDATE of no row tells the worker of a new
    // configuration.
    const Result suspended = execute(R"(
        SELECT i.integration_id FROM kombo.integrations i
        WHERE i.integration_id = ANY ($1) AND i.paused_by = 'kombo_sync' AND i.next_attempt_at > now())",
                                     ids);
    if (suspended.size() > 0)
        note(execute(R"(
            UPDATE kombo.integrations u SET next_attempt_at = now()
            FROM (SELECT i.integration_id FROM kombo.integrations i
                  WHERE i.integration_id = ANY ($1) AND i.paused_by = 'kombo_sync' AND i.next_attempt_at > now()
                  FOR UPDATE SKIP LOCKED) f
            WHERE u.integration_id = f.integration_id RETURNING u.integration_id)",
                     ids));
    Params params;
    params.texts(integration_ids).texts(integrations).texts(endpoints);
    note(execute(R"(
        UPDATE kombo.sync_state u SET next_attempt_at = NULL
        FROM (SELECT s.integration_id, s.endpoint FROM kombo.sync_state s
              WHERE s.integration_id = ANY ($1) AND s.next_attempt_at > now()
                AND (s.last_status IS DISTINCT FROM 'unavailable' OR EXISTS (
                        SELECT FROM unnest($2, $3) AS r (integration_id, endpoint)
                        WHERE r.integration_id = s.integration_id AND r.endpoint IN (s.endpoint, '')))
              FOR UPDATE SKIP LOCKED) f
        WHERE u.integration_id = f.integration_id AND u.endpoint = f.endpoint RETURNING u.integration_id)",
                 params));
    return {revived.begin(), revived.end()};
}

namespace {

/// One call of request_sync.
class RequestCall {
public:
    RequestCall(syncer::Wish wish) : wish_(std::move(wish)), caller_(GetUserId()) {}

    /// Returns how many fetches it asked for.
    size_t run(const std::optional<std::string> &integration_id) {
        const MemoryScope memory;
        const Spi spi;
        const Oid role = find_sync_role();
        if (!OidIsValid(role) && !integration_id) return 0; // nothing was ever added
        const SyncRole as(OidIsValid(role) ? role : caller_);
        check_interface();
        const std::vector<Integration> integrations = load_integrations(integration_id);
        if (integration_id) check_named_here(*integration_id, integrations, role);
        for (const Integration &integration : integrations) {
            if (!integration_id && (integration.paused || integration.restored)) continue;
            ask(integration, role, integration_id.has_value());
        }
        if (requests_.empty() && unknown_) throw syncer::UnknownName(*unknown_);
        append_requests(requests_);
        // Who names an integration wants it tried, as with the functions that sync at once.
        if (integration_id && !end_back_off({*integration_id}, requests_).empty()) execute("SELECT kombo.wake(true)");
        if (!requests_.empty() && !shared::any_worker(MyDatabaseId)) warn_of_no_worker();
        return requests_.size();
    }

private:
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
                                      load_states(catalogue->second, integration.id), wish_, integration.id);
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

    syncer::Wish wish_;
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
    syncer::Wish wish;
    wish.kind = pg::kind_of(pg::text_argument(fcinfo, 1));
    wish.what = pg::what_argument(fcinfo, 2);
    const size_t asked = pg::RequestCall(std::move(wish)).run(pg::text_argument(fcinfo, 0));
    return Int32GetDatum(static_cast<int32>(asked));
})
