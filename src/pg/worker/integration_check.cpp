#include "pg/worker/integration_check.h"

#include "kombo/data.h"
#include "kombo/error.h"
#include "pg/account/options.h"
#include "pg/account/sync_requests.h"
#include "pg/base/log_throttle.h"
#include "pg/base/role.h"
#include "pg/base/spi.h"

#include <algorithm>

namespace pg {

namespace {

constexpr auto try_again_after = std::chrono::hours(24);

/// All that is subscribed is fetched in full.
void request_everything(const std::string &integration_id) {
    execute(R"(
        INSERT INTO kombo.sync_requests (integration_id, endpoint, kind, trigger)
        SELECT i.integration_id, e.path, 'full', 'schedule'
        FROM kombo.integrations i
        JOIN kombo.endpoints e ON e.category = i.category
        LEFT JOIN kombo.subscriptions s ON s.integration_id = i.integration_id AND s.endpoint = e.path
        WHERE i.integration_id = $1 AND coalesce(s.enabled, e.enabled))",
            Params().text(integration_id));
}

void suspend_where(const std::string &condition, const std::string &name, const std::string &reason) {
    const kombo::Timestamp now = kombo::current_timestamp();
    execute("UPDATE kombo.integrations i SET paused_at = coalesce(i.paused_at, $3), paused_by = 'kombo_sync', "
            "pause_reason = $2, next_attempt_at = $4 WHERE i.paused_by IS DISTINCT FROM 'operator' AND " +
                condition,
            Params().text(name).text(reason).instant(now).instant(now + try_again_after));
}

} // namespace

IntegrationCheck::IntegrationCheck(syncer::Connection &connection, std::string integration_id,
                                   std::vector<int64_t> requests)
    : integration_id_(std::move(integration_id)), requests_(std::move(requests)),
      call_(
          connection.transfers, connection.api.integration(integration_id_), connection.http, connection.retry,
          [this](kombo::Response &response) {
              info_ = kombo::parse_integration_info(kombo::data_object(response.body));
          },
          connection.listener) {}

void IntegrationCheck::send() {
    call_.send();
    poll(syncer::Clock::now()); // it may be answered
}

void IntegrationCheck::poll(syncer::Clock::time_point now) {
    call_.poll(now);
    if (!call_.done()) return;
    try {
        call_.take();
    } catch (const kombo::ApiError &error) {
        failure_ = syncer::explain(error);
    }
}

void IntegrationCheck::settle(const std::optional<Integration> &known, const std::string &server) const {
    if (failure_) {
        if (failure_->of_server) suspend_server(known ? known->server : server, failure_->message);
        if (!failure_->lasting || failure_->of_server) return;
        if (known)
            suspend(integration_id_, failure_->message);
        else if (!ask_for_integration_again(requests_))
            give_up(failure_->message);
    } else if (known) {
        note_state(*known);
    } else {
        register_with(server);
    }
    delete_requests(requests_);
}

void IntegrationCheck::note_state(const Integration &known) const {
    Params params;
    params.text(integration_id_).instant(kombo::current_timestamp()).instant(info_->data_expired_at);
    params.maybe_text(info_->tool.empty() ? std::nullopt : std::optional(info_->tool));
    execute("UPDATE kombo.integrations i SET checked_at = $2, data_expired_at = $3, tool = coalesce($4, i.tool) "
            "WHERE i.integration_id = $1",
            params);
    // INVALID: Kombo's own syncs fail for want of valid credentials; INACTIVE: they are switched off.
    if (info_->status == "INVALID" || info_->status == "INACTIVE")
        return suspend(integration_id_, "Kombo says that the integration is " + info_->status);
    if (known.suspended) end_suspension(integration_id_);
    if (known.data_expired_at && !info_->data_expired_at) request_everything(integration_id_);
}

void IntegrationCheck::register_with(const std::string &server) const {
    if (!registers(server)) return;
    if (info_->status != "ACTIVE") return give_up("Kombo says that it is " + kombo::printable(info_->status, 100));
    // The extension's own function and nothing of a user's: the sync role may not add integrations.
    const SyncRole as(BOOTSTRAP_SUPERUSERID);
    execute("SELECT kombo.add_integration($1, $2, $3)",
            Params().text(integration_id_).text(server).text(info_->category));
}

bool registers(const std::string &server) {
    const std::vector<Server> servers = all_servers();
    return std::any_of(servers.begin(), servers.end(),
                       [&](const Server &known) { return known.name == server && known.auto_register; });
}

/// Told in the log, and beside the webhooks that named the integration.
void IntegrationCheck::give_up(const std::string &why) const {
    const std::string message = "the integration was not registered: " + why;
    log_warning("integration \"" + integration_id_ + "\" was not registered: " + why, "55000", "",
                "If it is yours, SELECT kombo.add_integration(integration_id, server) adds it once Kombo knows it.");
    execute("UPDATE kombo.webhook_inbox i SET error = $2 WHERE i.integration_id = $1 AND i.status = 'done'",
            Params().text(integration_id_).text(message));
}

void suspend(const std::string &integration_id, const std::string &reason) {
    suspend_where("i.integration_id = $1", integration_id, reason);
}

void suspend_server(const std::string &server, const std::string &reason) {
    suspend_where("i.server = $1", server, reason);
}

} // namespace pg
