#include "pg/role.h"

#include "pg/spi.h"

namespace pg {

SyncRole::SyncRole(Oid role) {
    GetUserIdAndSecContext(&user_, &security_context_);
    settings_level_ = NewGUCNestLevel();
    SetUserIdAndSecContext(role, security_context_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    guard([] {
        const char *pinned[][2] = {{"search_path", "pg_catalog, pg_temp"},
                                   {"row_security", "off"},
                                   {"plan_cache_mode", "auto"},
                                   {"quote_all_identifiers", "off"}};
        for (const auto &setting : pinned)
            set_config_option(setting[0], setting[1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    });
}

SyncRole::~SyncRole() {
    AtEOXact_GUC(false, settings_level_);
    SetUserIdAndSecContext(user_, security_context_);
}

Oid find_sync_role() {
    // The caller of a sync needs EXECUTE on the function, not SELECT on the catalogue that this reads.
    const SyncRole owner_of_everything(BOOTSTRAP_SUPERUSERID);
    const Result role = execute("SELECT coalesce(kombo.sync_role()::oid, 0)::bigint");
    return static_cast<Oid>(role.integer(0, 1));
}

} // namespace pg
