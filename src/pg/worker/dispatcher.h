#pragma once

#include "pg/account/sync_requests.h"
#include "pg/base/contain.h"
#include "pg/base/wait.h"
#include "pg/worker/integration_sync.h"
#include "syncer/agenda.h"
#include "syncer/share.h"

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace pg {

/// Drives the fetches of all integrations: it begins fetches, lets them send their requests, and writes what
/// has come, one step at a time. The requests that go out are shared out one by one: the most urgent first, among
/// equals the integration that was served longest ago; so neither a big customer nor a full fetch keeps the others
/// waiting.
class Dispatcher {
public:
    /// The worker as the dispatcher sees it.
    struct Surroundings {
        std::function<bool()> outdated; ///< whether configuration or catalogue have changed since they were read
        std::function<bool()> gone;     ///< whether the extension is not the one any more that all this is for
    };

    /// `role`: the sync role.
    Dispatcher(Oid role, Surroundings surroundings) : role_(role), surroundings_(std::move(surroundings)) {}

    syncer::Agenda &agenda() { return agenda_; }

    /// Looks for answers, and sends what may be sent.
    void exchange();

    /// Does one step of what is ready, the most urgent first, in a transaction. False: nothing is.
    bool step();

    /// Once a second: gives up the locks that somebody waits for, and what has become idle.
    void release_idle();

    /// The configuration has changed: pauses, subscriptions and catalogue are read again.
    void reload();

    /// The state of these integrations has changed in the database: back-offs and suspensions have ended.
    void read_again(const std::vector<std::string> &ids);

    /// Ends what is under way for integrations that another worker looks after.
    void keep_only(const syncer::Share &share);

    /// Ends everything that is under way: the extension is another, or a key has changed.
    void close_all();

    /// The time at which exchange() or step() has something to do; nullopt: none is known.
    std::optional<syncer::Clock::time_point> wake_at() const;

    bool idle() const { return syncs_.empty(); }

    /// True if no run has taken what is asked for there: then another request for the same changes nothing.
    bool none_taken(const NewRequest &request) const;

    /// The trouble of integrations that could not be noted in their state, in words, with the hint.
    std::optional<std::pair<std::string, std::string>> trouble() const;

    /// The catalogue of a category, kept until reload(); in a transaction.
    std::shared_ptr<const syncer::Catalogue> catalogue_of(const std::string &category);

private:
    using Time = syncer::Clock::time_point;
    using Syncs = std::map<std::string, std::unique_ptr<IntegrationSync>>;

    /// One that could send a request.
    struct Candidate {
        IntegrationSync *sync = nullptr;
        ActiveFetch *fetch = nullptr; ///< null: the check
        Rank rank;
    };

    using UnderWay = std::array<size_t, 4>; ///< by syncer::Urgency

    /// Why nothing could be done for an integration, until something can.
    struct Hindrance {
        int count = 0; ///< in a row
        Time since = syncer::Clock::now();
        std::string message;
        std::string hint;
        bool noted = false; ///< in kombo.sync_state
    };

    struct FailedCheck {
        int count = 0;                  ///< in a row
        Time not_before;                ///< that is by a clock that nobody sets
        std::optional<Trouble> unnoted; ///< why the latest answer could not be noted
    };

    void poll(Time now);
    void settle_ailing();
    void close_lost();
    void assign_requests(Time now, bool may_begin);
    void hindered(const std::string &id, const Trouble &trouble);
    void run_recorded(const std::optional<Trouble> &trouble);
    void note_hindrance(const std::string &id, const Trouble &trouble);
    void take_failed_check(IntegrationSync &sync);
    void go_on_asking();
    std::optional<Candidate> best_candidate(Time now);
    std::optional<std::string> best_beginner(Time now, const std::optional<Candidate> &candidate);
    static bool has_turn(const IntegrationSync &sync);
    bool send(const Candidate &candidate, Time now);
    void begin(const std::string &id, Time now);
    void leave_limited(Time now);
    void release_memory();
    std::unique_ptr<IntegrationSync> open(const std::string &id, const syncer::PendingFetches &pending);
    void put_off(IntegrationSync &sync, Time now);
    static bool room_for(syncer::Urgency urgency, bool first_of_its_integration, const UnderWay &under_way);
    size_t in_flight() const;
    size_t share() const;
    UnderWay under_way() const;
    const syncer::PendingFetches *pending_of(const std::string &id);
    void close(const std::string &id);
    void close_if_idle(const std::string &id);

    void pass_over(ActiveFetch &next, Time now);
    void step_fetch(IntegrationSync &sync, ActiveFetch &fetch);
    void write_step(IntegrationSync &sync, ActiveFetch &fetch, bool first_full);
    void after_run(IntegrationSync &sync, const std::string &path, const syncer::RunResult &result, bool first_full);
    void step_failed(IntegrationSync &sync, ActiveFetch &fetch, std::exception_ptr caught, const Trouble &trouble,
                     Time began);
    void step_check(IntegrationSync &sync);
    void check_failed(IntegrationSync &sync, const std::optional<Trouble> &unnoted = std::nullopt);
    void ended(IntegrationSync &sync, ActiveFetch &fetch);
    void came_to_nothing(IntegrationSync &sync, ActiveFetch &fetch, const std::exception_ptr &caught);
    void write_failure(IntegrationSync &sync, ActiveFetch &fetch, const syncer::RunResult &result);
    void cannot_fetch(IntegrationSync &sync, const Unfetchable &error);
    void postpone(IntegrationSync &sync, ActiveFetch &fetch, const Trouble &trouble);

    Oid role_;
    Surroundings surroundings_;
    syncer::Agenda agenda_;
    Syncs syncs_;
    size_t integrations_ = 0; ///< that there are, whether anything is asked of them or not
    std::map<std::string, std::shared_ptr<const syncer::Catalogue>> catalogues_;
    std::string fingerprint_;                     ///< of the catalogue that they were read from
    std::map<uint64_t, Time> blocked_keys_;       ///< no request with this key before
    std::map<uint64_t, Time> blocked_for_others_; ///< the same for what is not urgent
    std::map<std::string, FailedCheck> failed_checks_;
    std::map<std::string, Hindrance> hindrances_;
    std::optional<Trouble> unrecorded_;     ///< why the latest run is not in kombo.sync_runs
    std::map<std::string, Trouble> ailing_; ///< to be closed: what the network brought could not be dealt with
    uint64_t turns_ = 0;
    size_t most_requests_ = 0; ///< in the agenda, since memory was last given back
};

} // namespace pg
