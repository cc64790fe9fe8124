#pragma once

/// The launcher: one process a cluster, without a database. It keeps kombo_sync.workers workers running in each
/// database of kombo_sync.databases, and says in kombo.sync_status what keeps it from that.
namespace pg::launcher {

/// Registers it with the postmaster; to be called from _PG_init. Does nothing where the
/// library is not in shared_preload_libraries.
void define();

} // namespace pg::launcher
