#include "pg/base/role.h"

#include "pg/base/citus.h"
#include "pg/base/entry_points.h"
#include "pg/base/spi.h"
#include "pg/base/version_check.h"

namespace pg {

static std::string acted_as;

SyncRole::SyncRole(Oid role) {
    GetUserIdAndSecContext(&user_, &security_context_);
    settings_level_ = NewGUCNestLevel();
    SetUserIdAndSecContext(role, security_context_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    const char *name = guard([&] { return GetUserNameFromId(role, true); });
    if (name && role != BOOTSTRAP_SUPERUSERID) acted_as = name;
    // Citus takes no generic plan of a statement that inserts.
    beside_citus_ = citus::present();
    const char *plans = beside_citus_ ? "force_custom_plan" : "auto";
    guard([&] {
        const char *pinned[][2] = {{"search_path", "pg_catalog, pg_temp"},
                                   {"row_security", "off"},
                                   {"plan_cache_mode", plans},
                                   {"jit", "off"}, // the costs of key_planning.h are assumed: compiling would not pay
                                   {"quote_all_identifiers", "off"},
                                   {"kombo_sync.writing", "on"}};
        const auto pin = [](const char *setting, const char *value) {
            set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
        };
        for (const auto &one : pinned) pin(one[0], one[1]);
        if (beside_citus_) { // which sends values as text
            pin("DateStyle", "ISO, MDY");
            pin("IntervalStyle", "postgres");
        }
    });
}

SyncRole::~SyncRole() {
    AtEOXact_GUC(false, settings_level_);
    SetUserIdAndSecContext(user_, security_context_);
}

const std::string &sync_role_name() {
    return acted_as;
}

Oid find_sync_role() {
    // The caller of a sync needs EXECUTE on the function, not SELECT on the catalogue that this reads.
    const SyncRole owner_of_everything(BOOTSTRAP_SUPERUSERID);
    check_interface();
    return owner_of_tables();
}

Oid owner_of_tables() {
    const Result role = execute("SELECT coalesce(kombo_internal.sync_role()::oid, 0)::bigint");
    return static_cast<Oid>(role.integer(0, 1));
}

Lack find_lack(Oid sync_role) {
    const SyncRole owner_of_everything(BOOTSTRAP_SUPERUSERID);
    const Result missing = execute(R"(
        SELECT r.rolname FROM pg_roles r WHERE r.oid::bigint = $1
            AND NOT (has_schema_privilege(r.oid, 'kombo', 'USAGE')
                     AND has_schema_privilege(r.oid, 'kombo_internal', 'USAGE')
                     AND has_table_privilege(r.oid, to_regclass('kombo.sync_seen'), 'DELETE')
                     AND has_function_privilege(r.oid, to_regprocedure('kombo_internal.request_due()'), 'EXECUTE')
                     AND has_function_privilege(r.oid, to_regprocedure('kombo_internal.take_lock(text, boolean)'),
                                                'EXECUTE')))",
                                   Params().integer(static_cast<int64_t>(sync_role)));
    if (missing.size() == 0) return {};
    return {"role \"" + missing.text(0, 1) + "\" owns the data tables, but lacks what syncing needs",
            "SELECT kombo.create_tables('HRIS') grants it to the owner"};
}

void check_sync_role(Oid sync_role) {
    const Lack lack = find_lack(sync_role);
    if (!lack.problem.empty()) raise(ERRCODE_INSUFFICIENT_PRIVILEGE, lack.problem, "", lack.remedy + ".");
}

} // namespace pg

PG_ENTRY(execute_as_sync_role, {
    const char *statement = pg::guard([&] { return text_to_cstring(PG_GETARG_TEXT_PP(0)); });
    const pg::Spi spi;
    const Oid role = pg::find_sync_role();
    if (!OidIsValid(role) || !pg::guard([&] { return has_privs_of_role(GetUserId(), role); }))
        pg::raise(ERRCODE_INSUFFICIENT_PRIVILEGE, "permission denied to act as the owner of the data tables", "",
                  "Members of that role and superusers may.");
    pg::check_sync_role(role);
    const pg::SyncRole as(role);
    pg::guard([&] {
        const int code = SPI_execute(statement, false, 0);
        if (code < 0) elog(ERROR, "could not run a statement: %s", SPI_result_code_string(code));
    });
    return Int64GetDatum(static_cast<int64>(SPI_processed));
})
