#pragma once

#include "kombo/http.h"
#include "pg/base/guard.h"

namespace pg {

/// The options of a server and of its owner's user mapping: how to talk to Kombo, and with which key.
struct Server {
    Oid oid = InvalidOid;
    std::string name;
    Oid owner = InvalidOid;
    Oid user = InvalidOid; ///< whose mapping counts, before PUBLIC's: the owner, or whoever reads a foreign table
    std::string base_url;
    kombo::HttpOptions http;
    int page_size = 250;
    bool accept_unsigned = false; ///< of webhooks
    bool auto_register = false;   ///< integrations that a webhook names
};

/// Reads the options of a server. Raises undefined_object if there is none of that name that belongs to kombo_sync, and
/// insufficient_privilege unless `user` has USAGE on it.
Server load_server(const std::string &name, Oid user);

/// The server of a foreign table that `user` reads, whose own mapping counts.
Server load_server(Oid server, Oid user);

/// All servers that belong to kombo_sync, whoever may use them: for what no caller gets to see.
std::vector<Server> all_servers();

/// The API key of a server: of the mapping of Server::user, else of PUBLIC's; from the option or the file that it
/// names. Raises with a hint if there is none. The key is in no error text.
std::string api_key(const Server &server);

/// The proxy credentials of the same mapping, as user:password; empty: none.
std::string proxy_user_password(const Server &server);

/// The webhook secrets of a server, the current one first: of the same mapping as the API key. None is no error.
struct WebhookSecrets {
    std::vector<std::string> values;
    std::string problem; ///< why the file of the current one could not be read, with its path; empty where it could
};
WebhookSecrets webhook_secrets(const Server &server);

/// The options of a foreign table.
struct LiveTable {
    Oid server = InvalidOid;
    std::string endpoint;
    std::optional<std::string> integration_id; ///< it has rows of this one only
    std::optional<int> page_size;
    bool skip_failed = false; ///< an integration that fails is left out
};
LiveTable load_live_table(Oid relation);

/// Checks an option of IMPORT FOREIGN SCHEMA, which goes to every table.
void check_import_option(const std::string &name, const std::string &value);

} // namespace pg
