#pragma once

#include "pg/base/guard.h"

namespace pg {

/// While the object lives, everything runs as the sync role in a security-restricted context, with pinned settings: a
/// trigger that somebody put on a data table has no more rights than that role.
class SyncRole {
public:
    explicit SyncRole(Oid role);
    ~SyncRole();
    SyncRole(const SyncRole &) = delete;
    SyncRole &operator=(const SyncRole &) = delete;

    /// Whether the database has the extension citus.
    bool beside_citus() const { return beside_citus_; }

private:
    Oid user_ = InvalidOid;
    int security_context_ = 0;
    int settings_level_ = 0;
    bool beside_citus_ = false;
};

/// The name of the role that SyncRole last acted as; empty: it never did.
const std::string &sync_role_name();

/// The owner of the data tables; InvalidOid while there are none. Raises if they have several owners.
Oid find_sync_role();

/// As find_sync_role, for a superuser who has checked the interface already.
Oid owner_of_tables();

/// The privileges that the sync role lacks, in words; empty: none. Tables may be given to another role at any time.
struct Lack {
    std::string problem;
    std::string remedy;
};
Lack find_lack(Oid sync_role);

/// Raises if it lacks something.
void check_sync_role(Oid sync_role);

} // namespace pg
