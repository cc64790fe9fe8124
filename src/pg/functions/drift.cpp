#include "pg/account/connection.h"
#include "pg/account/integration.h"
#include "pg/account/load_catalogue.h"
#include "pg/base/entry_points.h"
#include "pg/base/memory.h"
#include "pg/base/role.h"
#include "pg/base/spi.h"
#include "pg/base/wait.h"
#include "pg/functions/sync_arguments.h"
#include "pg/store/difference.h"
#include "pg/store/erased.h"
#include "syncer/failure.h"
#include "syncer/plan.h"
#include "syncer/unfold.h"

/// The SQL function drift: what a full sync would change, without changing it.
namespace pg {

namespace {

/// One call of drift.
class Drift {
public:
    Drift(const syncer::Catalogue &catalogue, syncer::States states, const Integration &integration,
          const std::vector<syncer::Task> &tasks, syncer::Connection &connection, ReturnSetInfo *result)
        : catalogue_(catalogue), states_(std::move(states)), integration_(integration), tasks_(tasks),
          connection_(connection),
          differences_(catalogue, states_, integration.id, tasks,
                       [this, result](const Differing &differing) { put(result, differing); }) {}

    void run() {
        for (const syncer::Task &task : tasks_) look_at(task);
        differences_.find_unlinked();
        for (const auto &[table, counts] : totals_) {
            guard([&, name = catalogue_.tables[table].name.c_str(), &counts = counts] {
                ereport(NOTICE, errmsg("%s: %lld missing, %lld surplus, %lld differ", name,
                                       static_cast<long long>(counts.missing), static_cast<long long>(counts.surplus),
                                       static_cast<long long>(counts.differing)));
            });
        }
    }

private:
    struct Counts {
        int64_t missing = 0;
        int64_t surplus = 0;
        int64_t differing = 0;
    };

    void look_at(const syncer::Task &task) {
        const syncer::Endpoint &endpoint = *task.endpoint;
        endpoint.check_tables();
        syncer::Unfolder unfolder(catalogue_,
                                  compile_shape(
                                      catalogue_, endpoint,
                                      [&](size_t table) { return has_writer(catalogue_, states_, table); },
                                      [&](size_t table) { return own_list_delivers(catalogue_, states_, table); }),
                                  purge_limit(states_.at(endpoint.path).subscription));
        kombo::Query query;
        if (endpoint.paginated) query.add("page_size", std::to_string(connection_.page_size));
        if (endpoint.incremental) query.add_flag("include_deleted", true);
        const kombo::Timestamp began = kombo::current_timestamp();
        syncer::PageStream pages(connection_, endpoint.path, integration_.id, query);
        kombo::Arena arena;
        totals_[endpoint.table];
        differences_.begin(endpoint, began);
        while (auto arrived = pages.next(waiter_)) {
            if (!endpoint.paginated) pages.end();
            arena.clear();
            syncer::Batch batch = unfolder.unfold(arrived->page.records(), arena);
            if (has_erased(integration_.id))
                keep_out(catalogue_, batch, arena,
                         [this](const auto &ids) { return find_erased(catalogue_, integration_.id, ids); });
            differences_.compare(batch, arrived->requested_at());
        }
        differences_.find_surplus();
    }

    void put(ReturnSetInfo *result, const Differing &differing) {
        Counts &counts = totals_[differing.table];
        ++(differing.kind == Differing::Kind::Missing   ? counts.missing
           : differing.kind == Differing::Kind::Surplus ? counts.surplus
                                                        : counts.differing);
        constexpr const char *kinds[] = {"missing", "surplus", "differs"};
        const MemoryScope scope;
        guard([&] {
            const auto text = [](const std::string &value) {
                return PointerGetDatum(cstring_to_text_with_len(value.data(), static_cast<int>(value.size())));
            };
            const auto jsonb = [](const std::optional<std::string> &value) {
                return value ? DirectFunctionCall1(jsonb_in, CStringGetDatum(value->c_str())) : Datum(0);
            };
            const Datum columns =
                differing.columns
                    ? OidInputFunctionCall(F_ARRAY_IN, const_cast<char *>(differing.columns->c_str()), TEXTOID, -1)
                    : Datum(0);
            Datum values[] = {text(catalogue_.tables[differing.table].name),
                              text(differing.id),
                              PointerGetDatum(cstring_to_text(kinds[static_cast<int>(differing.kind)])),
                              columns,
                              jsonb(differing.stored),
                              jsonb(differing.live)};
            bool nulls[] = {false, false, false, !differing.columns, !differing.stored, !differing.live};
            tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
        });
    }

    const syncer::Catalogue &catalogue_;
    const syncer::States states_;
    const Integration &integration_;
    const std::vector<syncer::Task> &tasks_;
    syncer::Connection &connection_;
    LatchWaiter waiter_;
    std::map<size_t, Counts> totals_;
    DifferenceFinder differences_;
};

void run_drift(const std::string &id, std::optional<std::vector<std::string>> what, ReturnSetInfo *result) {
    const Oid caller = GetUserId();
    const MemoryScope memory;
    const Spi spi;
    const Oid role = find_sync_role();
    if (OidIsValid(role)) check_sync_role(role);
    const SyncRole as(OidIsValid(role) ? role : caller);
    const std::vector<Integration> integrations = load_integrations(id);
    check_named(id, integrations, role);
    const Integration &integration = integrations.front();
    const syncer::Catalogue catalogue = load_catalogue(integration.category, role);
    syncer::States states = load_states(catalogue, id);
    syncer::FetchRequest request;
    request.kind = syncer::Kind::Full;
    request.what = std::move(what);
    const syncer::Plan plan = syncer::plan(catalogue, integration.category, states, request, kombo::current_timestamp(),
                                           std::chrono::microseconds(0));
    for (const std::string &model : plan.ignored) notice_ignored(model);
    syncer::Connection connection = connect_to(load_server(integration.server, caller));
    Drift(catalogue, std::move(states), integration, plan.tasks, connection, result).run();
}

} // namespace
} // namespace pg

PG_ENTRY(kombo_drift, {
    pg::guard([&] { InitMaterializedSRF(fcinfo, 0); });
    const auto id = pg::text_argument(fcinfo, 0);
    if (!id)
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "integration_id must not be null", "",
                  "kombo.integrations lists those that exist.");
    pg::run_drift(*id, pg::what_argument(fcinfo, 1), reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo));
    return static_cast<Datum>(0);
})
