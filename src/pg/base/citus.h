#pragma once

#include "pg/base/guard.h"

/// What syncing heeds in a database that has the extension citus. Facts about Citus are of version 13.2.
namespace pg::citus {

/// Whether the database has the extension. In a transaction.
bool present();

/// Whether this server is a node of a Citus cluster and not its coordinator. Citus brings extension, servers and empty
/// tables to the nodes, but neither keys nor configuration. In a transaction.
bool on_node();

/// The words for that.
extern const char *const node_problem;
extern const char *const node_remedy;

/// Has lock_timeout act on the nodes, too, until the transaction ends: Citus keeps settings to itself by default, and
/// a page would wait there without limit for the lock of one row. Only where the extension is present. Needs SPI and a
/// transaction block.
void propagate_lock_timeout();

} // namespace pg::citus
