#pragma once

#include "pg/account/options.h"
#include "syncer/stream.h"

namespace pg {

/// The transfers of this backend: connections and TLS sessions live as long as the session.
kombo::Transfers &session_transfers();

/// The connection to the server, with its key.
syncer::Connection connect_to(const Server &server);

} // namespace pg
