#include "pg/base/citus.h"

#include "pg/base/spi.h"

namespace pg::citus {

const char *const node_problem = "this server is a node of a Citus cluster";
const char *const node_remedy = "nothing to do here: kombo_sync works, and is set up, on the coordinator";

bool present() {
    return OidIsValid(guard([] { return get_extension_oid("citus", true); }));
}

bool on_node() {
    if (!present()) return false;
    const Spi spi;
    const Result local = execute("SELECT groupid <> 0 FROM pg_catalog.pg_dist_local_group");
    return local.size() > 0 && local.boolean(0, 1);
}

void propagate_lock_timeout() {
    if (LockTimeout == 0) return;
    guard([] {
        set_config_option("citus.propagate_set_commands", "local", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true,
                          0, false);
    });
    execute("SET LOCAL lock_timeout = " + std::to_string(LockTimeout));
}

} // namespace pg::citus
