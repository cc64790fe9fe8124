#include "pg/account/connection.h"

#include "pg/base/settings.h"

namespace pg {

kombo::Transfers &session_transfers() {
    static kombo::Transfers transfers;
    return transfers;
}

syncer::Connection connect_to(const Server &server) {
    kombo::RetryPolicy retry;
    retry.max_retries = settings::max_retries;
    return {
        session_transfers(), kombo::Api(server.base_url, api_key(server)), server.http, retry, server.page_size, {}};
}

} // namespace pg
