#include "pg/base/version_check.h"

#include "pg/base/citus.h"
#include "pg/base/spi.h"

namespace pg {

int64_t found_interface() {
    // Older versions have all their functions in one schema.
    const bool of_its_own =
        execute("SELECT to_regprocedure('kombo_internal.interface_number()') IS NOT NULL").boolean(0, 1);
    return execute(of_its_own ? "SELECT kombo_internal.interface_number()::bigint"
                              : "SELECT kombo.interface_number()::bigint")
        .integer(0, 1);
}

std::string interface_remedy(int64_t found) {
    return found < interface_number ? "run ALTER EXTENSION kombo_sync UPDATE, then reconnect"
                                    : "restart PostgreSQL, so that it loads the library that is installed";
}

void check_interface() {
    if (citus::on_node())
        raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, citus::node_problem, "",
              "Connect to the coordinator: kombo_sync works, and is set up, there.");
    const int64_t found = found_interface();
    if (found == interface_number) return;
    std::string hint = interface_remedy(found) + ".";
    hint[0] = static_cast<char>(std::toupper(hint[0]));
    raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
          "the library kombo_sync and the extension's SQL objects are of different versions",
          "The library expects interface " + std::to_string(interface_number) + ", the SQL objects have " +
              std::to_string(found) + ".",
          hint);
}

} // namespace pg
