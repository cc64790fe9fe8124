#pragma once

#include "pg/account/integration.h"
#include "pg/account/options.h"
#include "pg/account/sync_lock.h"
#include "pg/shared/shared.h"
#include "pg/store/sql_store.h"
#include "pg/worker/integration_check.h"
#include "syncer/choice.h"
#include "syncer/run.h"

namespace pg {

/// By this the next request or step of a fetch is told from those of others: the least comes first. Urgency, turn of
/// the integration, and the negative of how often it was passed over.
using Rank = std::tuple<syncer::Urgency, uint64_t, int>;

/// A fetch that the worker has under way.
struct ActiveFetch {
    ActiveFetch(std::unique_ptr<syncer::Run> run_, syncer::Urgency urgency_, const std::string &integration_id);

    std::unique_ptr<syncer::Run> run;
    syncer::Urgency urgency;
    shared::Progress progress;
    syncer::Clock::time_point step_not_before = syncer::Clock::time_point::min(); ///< a lock was not to be had
    int lock_failures = 0;
    int blocked_by = 0;   ///< pid of who has the lock, as far as it could be found out
    int gave_way_at = -1; ///< pages of a full fetch when a delta of its endpoint last ended: it gets one more first
    int passed_over = 0;  ///< steps of more urgent fetches since its last one, while it waited

    /// Returns the fetch's place in line: one that has waited long enough is next. `turn`: of its integration.
    Rank rank(uint64_t turn) const;

    /// Tells kombo.sync_progress.
    void show(shared::ProgressPhase phase);
};

/// An endpoint that the catalogue says nothing usable of.
struct Unfetchable : syncer::InvalidRequest {
    Unfetchable(const syncer::InvalidRequest &error, const syncer::Endpoint *endpoint_)
        : InvalidRequest(error), endpoint(endpoint_) {}
    const syncer::Endpoint *endpoint;
};

/// One integration while the worker syncs it: its lock, what is known of it, and its fetches.
class IntegrationSync {
public:
    /// In a transaction, as the sync role. Throws syncer::InvalidRequest where the server cannot be talked to.
    IntegrationSync(const std::string &id, std::optional<Integration> row, std::unique_ptr<SessionLock> lock,
                    std::shared_ptr<const syncer::Catalogue> catalogue, const std::string &server);
    IntegrationSync(const IntegrationSync &) = delete;
    IntegrationSync &operator=(const IntegrationSync &) = delete;

    const std::string &id() const { return id_; }
    const std::optional<Integration> &row() const { return row_; }
    const std::string &server() const { return server_.name; }
    const shared::Account &account() const { return account_; }
    const syncer::States &states() const { return states_; }
    const syncer::Catalogue &catalogue() const { return *catalogue_; }
    SqlStore &store() { return *store_; }
    bool lock_wanted() const { return lock_->wanted(); }
    bool lock_lost() const { return lock_->lost(); }

    /// Reads states and subscriptions again; in a transaction.
    void refresh();

    /// Ends fetches whose failure could not be noted so far: somebody may have mended meanwhile what it was about.
    void forget_failures();

    /// Takes over the row as it is now; false where so much has changed that everything has to be begun anew.
    bool accept(const std::vector<Integration> &rows);

    /// The highest urgency of all that can begin now; nullopt: nothing can.
    std::optional<syncer::Urgency> urgency(const syncer::PendingFetches &pending) const {
        return choice(pending).urgency();
    }

    /// Begins that, which may be several requests at once. Must not be called where urgency() says nothing. Throws
    /// Unfetchable.
    void begin(const syncer::PendingFetches &pending);

    /// The fetch has ended, well or not.
    void drop(const ActiveFetch &fetch);

    /// The time at which a pending fetch can begin; nullopt: when something else ends, or never.
    std::optional<kombo::Timestamp> next_start(const syncer::PendingFetches &pending) const {
        return choice(pending).next_start();
    }

    /// Requests that nothing can come of: the endpoint is not in the catalogue, switched off, or was fetched meanwhile.
    std::vector<int64_t> pointless(const syncer::PendingFetches &pending) const { return choice(pending).pointless(); }

    /// True if a full fetch has to give way to a delta of its endpoint: one that runs, or could be begun now.
    bool gives_way(const ActiveFetch &fetch, const syncer::PendingFetches *pending) const;

    bool idle() const { return fetches.empty() && !check; }

    /// True if runs that are under way have taken all of its requests.
    bool all_taken(const syncer::PendingFetch &wanted) const { return under_way().has_taken(wanted); }

    /// Tells kombo.sync_progress of the fetches that wait for the end of a rate limit.
    void show_limit();

    /// True if all that it does is wait, and ending it loses no page of a delta; `at_a_loss`: that, too, is no reason.
    bool can_be_left(bool at_a_loss) const;

    /// Its requests that are on the way.
    size_t in_flight() const;

    std::vector<std::unique_ptr<ActiveFetch>> fetches;
    std::unique_ptr<IntegrationCheck> check;
    syncer::Standing standing;
    uint64_t turn = 0;
    int requests_sent = 0; ///< since it was opened

private:
    syncer::UnderWay under_way() const;
    syncer::Choice choice(const syncer::PendingFetches &pending) const;
    void take_standing();
    std::unique_ptr<syncer::Run> make_run(syncer::Task task);

    std::string id_;
    std::optional<Integration> row_;
    std::unique_ptr<SessionLock> lock_;
    std::shared_ptr<const syncer::Catalogue> catalogue_;
    Server server_;
    shared::Account account_;
    syncer::Connection connection_;
    syncer::States states_;
    std::unique_ptr<SqlStore> store_;
};

} // namespace pg
