#include "pg/worker/known_servers.h"

#include "kombo/time.h"
#include "pg/account/options.h"
#include "pg/base/spi.h"
#include "syncer/exceptions.h"

#include <functional>
#include <utility>

namespace pg {

namespace {

size_t hash_of(const Server &server) {
    std::string all = server.base_url + " " + server.http.ca_file + " " + server.http.proxy + " " +
                      proxy_user_password(server) + " " + std::to_string(server.page_size) + " " +
                      std::to_string(server.http.request_timeout.count()) + " " +
                      std::to_string(server.http.max_response_size) + " ";
    try {
        all += api_key(server);
    } catch (const syncer::InvalidRequest &) {
        all += "none";
    }
    return std::hash<std::string>()(all);
}

} // namespace

bool KnownServers::look() {
    std::map<std::string, size_t> found;
    for (const Server &server : all_servers()) found.emplace(server.name, hash_of(server));
    if (hashes_ == found) return false;
    for (const auto &[name, hash] : found) {
        const bool same = hashes_ && hashes_->count(name) > 0 && hashes_->at(name) == hash;
        if (!same) changed_.push_back(name);
    }
    hashes_ = std::move(found);
    return true;
}

void KnownServers::end_waits() const {
    const Params parameters = Params().instant(kombo::current_timestamp()).texts(changed_);
    execute("UPDATE kombo.integrations i SET next_attempt_at = $1 "
            "WHERE i.paused_by = 'kombo_sync' AND i.next_attempt_at > $1 AND i.server = ANY ($2)",
            parameters);
    execute("UPDATE kombo.sync_state s SET next_attempt_at = NULL FROM kombo.integrations i "
            "WHERE i.integration_id = s.integration_id AND i.server = ANY ($2) "
            "AND s.last_status = 'failed' AND s.next_attempt_at > $1",
            parameters);
}

} // namespace pg
