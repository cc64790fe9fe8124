#pragma once

#include "kombo/integration_info.h"
#include "pg/account/integration.h"
#include "syncer/failure.h"
#include "syncer/stream.h"

namespace pg {

/// The question what state an integration is in, `GET /integrations/{id}`: whatever a webhook said of that, only the
/// answer is believed. Like a fetch it never waits; settle() is the database side.
class IntegrationCheck {
public:
    /// `requests` are the rows of kombo.sync_requests that the answer fulfils.
    IntegrationCheck(syncer::Connection &connection, std::string integration_id, std::vector<int64_t> requests);

    bool wants_to_send(syncer::Clock::time_point now) const { return !outcome() && call_.due(now); }
    void send();
    void poll(syncer::Clock::time_point now);
    bool in_flight() const { return call_.in_flight(); }
    std::optional<syncer::Clock::time_point> wake_at() const { return call_.wake_at(); }
    bool ready() const { return outcome(); }

    const std::vector<int64_t> &requests() const { return requests_; }

    /// Why Kombo gave no answer; nullopt: it did.
    const std::optional<syncer::Failure> &failure() const { return failure_; }

    /// Writes what Kombo said, in the caller's transaction as the sync role: the integration is suspended or no longer
    /// so, data that is fresh again is requested in full, an integration that is not there yet is registered with
    /// `server`; if Kombo does not know it yet it is asked again a few times. `known` is its row. The requests are
    /// fulfilled but where trying again may help.
    void settle(const std::optional<Integration> &known, const std::string &server) const;

private:
    bool outcome() const { return failure_ || info_; }
    void note_state(const Integration &known) const;
    void register_with(const std::string &server) const;
    void give_up(const std::string &why) const;

    std::string integration_id_;
    std::vector<int64_t> requests_;
    kombo::Call call_;
    std::optional<kombo::IntegrationInfo> info_;
    std::optional<syncer::Failure> failure_;
};

/// True if there is such a server and integrations that it tells of are to be registered. Read anew where it counts: a
/// request may have been written by somebody else than the worker, or before the option was switched off.
bool registers(const std::string &server);

/// Suspends the integration until an attempt succeeds; an operator's pause stays what it is. Tried again in a day.
void suspend(const std::string &integration_id, const std::string &reason);

/// The same for all integrations of a server whose key Kombo refuses.
void suspend_server(const std::string &server, const std::string &reason);

} // namespace pg
