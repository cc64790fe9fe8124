#include "pg/worker/dispatcher.h"

#include "pg/account/connection.h"
#include "pg/account/load_catalogue.h"
#include "pg/account/lock_holder.h"
#include "pg/base/log_throttle.h"
#include "pg/base/settings.h"
#include "pg/base/spi.h"
#include "pg/base/transaction.h"
#include "syncer/retry.h"

#include <algorithm>
#include <malloc.h>

/// The dispatcher's network side: what it begins and sends. dispatcher_steps.cpp has what it writes.
namespace pg {

namespace {

using namespace std::chrono_literals;
using syncer::Clock;

/// Fetches that may be under way for each request that may be: they are suspended between two pages.
constexpr size_t fetches_per_request = 4;

/// The number of requests of an integration before another one of the same urgency has its turn: opening one takes as
/// long as some requests.
constexpr int requests_a_turn = 16;

/// How soon an integration is tried again that another session syncs.
constexpr auto busy_retry = 1s;

Clock::time_point by_steady_clock(kombo::Timestamp when) {
    return Clock::now() + std::chrono::duration_cast<Clock::duration>(when - kombo::current_timestamp());
}

/// Whether its requests may use the last tenth of the key's limit. Null: the check.
bool is_urgent(const ActiveFetch *fetch) {
    return !fetch || fetch->urgency == syncer::Urgency::WebhookDelta;
}

/// Those that are rows: what a webhook asks for that cannot be stored has a negative number.
std::vector<int64_t> ids_of(const syncer::PendingFetches &pending) {
    std::vector<int64_t> ids;
    for (const auto &[key, wanted] : pending)
        std::copy_if(wanted.ids.begin(), wanted.ids.end(), std::back_inserter(ids), [](int64_t id) { return id > 0; });
    return ids;
}

/// The requests that another worker, or a function, has fulfilled since the queue was read. In a transaction, with the
/// integration's lock.
std::vector<int64_t> fulfilled_elsewhere(const syncer::PendingFetches &pending) {
    const Result rows = execute("SELECT a.id FROM unnest($1) AS a(id) "
                                "WHERE NOT EXISTS (SELECT FROM kombo.sync_requests r WHERE r.id = a.id)",
                                Params().integers(ids_of(pending)), Planning::ByKey);
    std::vector<int64_t> gone;
    for (uint64_t i = 0; i < rows.size(); ++i) gone.push_back(rows.integer(i, 1));
    return gone;
}

} // namespace

void Dispatcher::exchange() {
    close_lost();
    const auto now = Clock::now();
    poll(now);
    assign_requests(now, true);
    settle_ailing();
}

/// While a large batch is written: what has come is noticed and what follows it asked for; else the longest list would
/// wait for a part of every page of the others. Nothing is begun or closed: that takes a transaction.
void Dispatcher::go_on_asking() {
    session_transfers().look();
    const auto now = Clock::now();
    poll(now);
    assign_requests(now, false);
}

void Dispatcher::poll(Time now) {
    for (const auto &[id, owned] : syncs_) {
        IntegrationSync *sync = owned.get(); // a lambda cannot capture a binding
        if (ailing_.count(id) > 0) continue;
        const auto trouble = contain([&] {
            if (sync->check) sync->check->poll(now);
            for (const auto &fetch : sync->fetches) fetch->run->poll(now);
        });
        if (trouble) ailing_.emplace(id, *trouble);
    }
}

void Dispatcher::settle_ailing() {
    for (const auto &[id, trouble] : std::exchange(ailing_, {})) {
        close(id);
        hindered(id, trouble);
    }
}

/// A rollback has dropped their locks, and somebody else was quicker to take them.
void Dispatcher::close_lost() {
    std::vector<std::string> lost;
    for (const auto &[id, sync] : syncs_)
        if (sync->lock_lost()) lost.push_back(id);
    for (const std::string &id : lost) {
        close(id);
        agenda_.put_off(id, Clock::now() + busy_retry);
    }
}

size_t Dispatcher::in_flight() const {
    size_t count = 0;
    for (const auto &[id, sync] : syncs_) count += sync->in_flight();
    return count;
}

/// How many requests one integration may have on the way: where there are others, a quarter is theirs, even if none of
/// its requests is ever answered.
size_t Dispatcher::share() const {
    const size_t all = static_cast<size_t>(settings::max_concurrency);
    return integrations_ < 2 || all < 2 ? all : all - std::max<size_t>(1, all / 4);
}

/// For each urgency the fetches and checks that are as urgent or more.
Dispatcher::UnderWay Dispatcher::under_way() const {
    UnderWay count{};
    const auto add = [&](syncer::Urgency most) {
        for (size_t urgency = static_cast<size_t>(most); urgency < count.size(); ++urgency) ++count[urgency];
    };
    for (const auto &[id, sync] : syncs_) {
        if (sync->check) add(syncer::Urgency::WebhookDelta);
        for (const auto &fetch : sync->fetches) add(fetch->urgency);
    }
    return count;
}

/// Sends what may be sent, and begins what is more urgent; if that may not be begun now, it comes first later on.
void Dispatcher::assign_requests(Time now, bool may_begin) {
    size_t flying = in_flight();
    while (flying < static_cast<size_t>(settings::max_concurrency)) {
        const auto candidate = best_candidate(now);
        if (const auto beginner = best_beginner(now, candidate)) {
            if (!may_begin) return;
            if (const auto trouble = contain([&] { begin(*beginner, now); }))
                hindered(*beginner, *trouble);
            else if (syncs_.count(*beginner) > 0)
                hindrances_.erase(*beginner);
        } else if (!candidate) {
            return;
        } else {
            bool sent = false;
            const auto trouble = contain([&] { sent = send(*candidate, now); });
            if (trouble) ailing_.emplace(candidate->sync->id(), *trouble);
            if (sent) ++flying;
        }
    }
}

/// Nothing could be done for an integration: it is put off, longer each time, and the others go on.
void Dispatcher::hindered(const std::string &id, const Trouble &trouble) {
    close_if_idle(id);
    if (surroundings_.gone()) return;
    Hindrance &hindrance = hindrances_[id];
    const Clock::duration wait = trouble.passing() ? Clock::duration(busy_retry)
                                                   : Clock::duration(syncer::back_off(++hindrance.count, 1s, 5min, 0));
    agenda_.put_off(id, Clock::now() + wait);
    // A lock is nothing to tell of, unless it stays.
    if (trouble.passing() && Clock::now() - hindrance.since < tell_of_lock_after) return;
    const std::string message = with_locker(trouble);
    log_warning("integration \"" + id + "\" cannot be synced: " + message, trouble.sqlstate, trouble.detail,
                trouble.hint, message);
    if (std::exchange(hindrance.message, message) == message) return;
    hindrance.hint = trouble.hint;
    hindrance.noted = !contain([&] { note_hindrance(id, trouble); });
}

void Dispatcher::run_recorded(const std::optional<Trouble> &trouble) {
    unrecorded_ = trouble;
    if (trouble) log_warning(trouble->message, trouble->sqlstate, trouble->detail, trouble->hint);
}

bool Dispatcher::none_taken(const NewRequest &request) const {
    const auto sync = syncs_.find(request.integration_id);
    if (sync == syncs_.end()) return is_free(request.integration_id);
    const syncer::Agenda::Entry *entry = agenda_.find(request.integration_id);
    if (!entry) return false;
    const auto wanted = entry->pending.find({request.endpoint.value_or(""), request.kind == "full"});
    return wanted != entry->pending.end() && !sync->second->all_taken(wanted->second);
}

/// Tells kombo.sync_status, by the state of what is asked for.
void Dispatcher::note_hindrance(const std::string &id, const Trouble &trouble) {
    const auto *pending = pending_of(id);
    if (!pending) return;
    syncer::RunResult result;
    result.status = syncer::Status::Failed;
    result.error = trouble.message;
    result.hint = trouble.hint;
    as_sync_role(role_, [&] {
        const syncer::Catalogue none;
        SqlStore store(none, id);
        if (load_integrations(id).empty()) return;
        for (const auto &[key, wanted] : *pending) {
            syncer::Endpoint endpoint;
            endpoint.path = key.first;
            syncer::Task task;
            task.endpoint = &endpoint;
            if (!key.first.empty()) store.failed(task, result);
        }
    });
}

std::optional<std::pair<std::string, std::string>> Dispatcher::trouble() const {
    std::optional<std::pair<std::string, std::string>> first;
    size_t more = 0;
    for (const auto &[id, hindrance] : hindrances_) {
        if (hindrance.message.empty() || hindrance.noted) continue;
        if (first)
            ++more;
        else
            first.emplace("integration \"" + id + "\": " + hindrance.message, hindrance.hint);
    }
    for (const auto &[id, failed] : failed_checks_)
        if (!first && failed.unnoted)
            first.emplace("the state of integration \"" + id + "\" could not be noted: " + failed.unnoted->message,
                          failed.unnoted->hint);
    if (!first && unrecorded_) first.emplace(unrecorded_->message, unrecorded_->hint);
    if (more > 0) first->first += " (and " + std::to_string(more) + " more integrations)";
    return first;
}

const syncer::PendingFetches *Dispatcher::pending_of(const std::string &id) {
    const syncer::Agenda::Entry *entry = agenda_.find(id);
    return entry ? &entry->pending : nullptr;
}

std::optional<Dispatcher::Candidate> Dispatcher::best_candidate(Time now) {
    std::optional<Candidate> best;
    const auto blocked = [&](const std::map<uint64_t, Time> &keys, uint64_t key) {
        const auto found = keys.find(key);
        return found != keys.end() && found->second > now;
    };
    for (const auto &[id, owned] : syncs_) {
        IntegrationSync *sync = owned.get(); // a lambda cannot capture a binding
        if (ailing_.count(id) > 0 || blocked(blocked_keys_, sync->account().key) || sync->in_flight() >= share())
            continue;
        const auto offer = [&](ActiveFetch *fetch, const Rank &rank) {
            if (!is_urgent(fetch) && blocked(blocked_for_others_, sync->account().key)) return;
            if (!best || rank < best->rank) best = {sync, fetch, rank};
        };
        if (sync->check && sync->check->wants_to_send(now))
            offer(nullptr, {syncer::Urgency::WebhookDelta, sync->turn, 0});
        for (const auto &fetch : sync->fetches) {
            if (!fetch->run->wants_to_send(now)) continue;
            if (sync->gives_way(*fetch, pending_of(id)))
                fetch->show(shared::ProgressPhase::Yielding);
            else
                offer(fetch.get(), fetch->rank(sync->turn));
        }
    }
    return best;
}

/// Whether so many fetches are under way that no further one of this urgency is to begin. An integration that has none
/// may always have its first, up to the limit that memory sets. What is less urgent takes no room: a full fetch that
/// gives way to a delta would wait for ever for one that waits for it to end.
bool Dispatcher::room_for(syncer::Urgency urgency, bool first_of_its_integration, const UnderWay &under_way) {
    const size_t requests = static_cast<size_t>(settings::max_concurrency);
    const size_t count = under_way[static_cast<size_t>(urgency)];
    if (urgency == syncer::Urgency::WebhookDelta) return count < 2 * fetches_per_request * requests;
    return count < (first_of_its_integration ? fetches_per_request * requests : requests);
}

/// The integration for which something is to be begun now, if that is more urgent than what could be sent. Takes time
/// by the number of those that are open, and not of those that wait.
std::optional<std::string> Dispatcher::best_beginner(Time now, const std::optional<Candidate> &candidate) {
    const UnderWay counts = under_way();
    if (!room_for(syncer::Urgency::WebhookDelta, true, counts)) return std::nullopt;
    const auto fits = [&](std::optional<syncer::Urgency> urgency, bool first) {
        return urgency && room_for(*urgency, first, counts) &&
               !(candidate && *urgency > std::get<syncer::Urgency>(candidate->rank));
    };
    // If the first one does not fit, those behind it, which are less urgent, do not fit either.
    auto best = agenda_.next(now, [&](const std::string &id) { return syncs_.count(id) > 0; });
    if (best && !fits(best->urgency, true)) best.reset();
    for (const auto &[id, sync] : syncs_) {
        const syncer::Agenda::Entry *entry = agenda_.find(id);
        const bool first = sync->fetches.empty();
        if (!entry || entry->not_before > now || !fits(entry->urgency(), first)) continue;
        const auto urgency = sync->urgency(entry->pending);
        if (!fits(urgency, first)) continue;
        const syncer::Agenda::Place place{*urgency, sync->idle() && has_turn(*sync) ? 0 : entry->turn, id};
        if (!best || place < *best) best = place;
    }
    if (!best) return std::nullopt;
    return best->integration_id;
}

/// Whether it may go on before others of the same urgency are begun.
bool Dispatcher::has_turn(const IntegrationSync &sync) {
    return sync.requests_sent < requests_a_turn;
}

bool Dispatcher::send(const Candidate &candidate, Time now) {
    IntegrationSync &sync = *candidate.sync;
    const bool urgent = is_urgent(candidate.fetch);
    if (const auto wait = shared::take_request(sync.account(), urgent)) {
        // Not for the whole of it: another worker, or a session, may end it.
        (urgent ? blocked_keys_ : blocked_for_others_)[sync.account().key] =
            now + std::clamp<Clock::duration>(*wait, 10ms, 5s);
        return false;
    }
    if (candidate.fetch) {
        candidate.fetch->run->send();
        candidate.fetch->show(candidate.fetch->run->phase() == syncer::Run::Phase::Confirming
                                  ? shared::ProgressPhase::Confirming
                                  : shared::ProgressPhase::Fetching);
    } else {
        sync.check->send();
    }
    sync.turn = ++turns_;
    ++sync.requests_sent;
    agenda_.served(sync.id());
    return true;
}

void Dispatcher::begin(const std::string &id, Time now) {
    const syncer::Agenda::Entry &entry = *agenda_.find(id);
    auto sync = syncs_.find(id);
    if (sync == syncs_.end()) {
        std::unique_ptr<IntegrationSync> opened = open(id, entry.pending);
        if (!opened) return;
        sync = syncs_.emplace(id, std::move(opened)).first;
    }
    IntegrationSync &opened = *sync->second;
    const auto pointless = opened.row() ? opened.pointless(entry.pending) : std::vector<int64_t>();
    if (!pointless.empty()) {
        as_sync_role(role_, [&] { delete_requests(pointless); });
        agenda_.remove(pointless);
        close_if_idle(id);
    } else if (opened.urgency(entry.pending)) {
        try {
            opened.begin(entry.pending);
        } catch (const Unfetchable &error) {
            cannot_fetch(opened, error);
            close_if_idle(id);
        }
    } else {
        put_off(opened, now);
        close_if_idle(id);
    }
}

/// Nothing of the integration can be begun now: when can it?
void Dispatcher::put_off(IntegrationSync &sync, Time now) {
    const auto *pending = pending_of(sync.id());
    if (!pending) return;
    const auto start = sync.next_start(*pending);
    agenda_.put_off(sync.id(), start ? std::max(by_steady_clock(*start), now + 10ms) : Time::max());
}

std::shared_ptr<const syncer::Catalogue> Dispatcher::catalogue_of(const std::string &category) {
    auto &catalogue = catalogues_[category];
    if (!catalogue) {
        catalogue = std::make_shared<const syncer::Catalogue>(load_catalogue(category, role_));
        // What has changed since the fingerprint was taken, and changes back, would pass for what was read.
        if (catalogue_fingerprint() != fingerprint_) fingerprint_.clear();
    }
    return catalogue;
}

/// Takes the integration's lock and reads what is known of it; null where it cannot be synced now.
std::unique_ptr<IntegrationSync> Dispatcher::open(const std::string &id, const syncer::PendingFetches &pending) {
    auto lock = SessionLock::try_acquire(id);
    // kombo.exclude_field has the lock while it changes the catalogue: what is known may be from before that.
    if (!lock || surroundings_.outdated()) {
        agenda_.put_off(id, Clock::now() + (lock ? 10ms : busy_retry));
        return nullptr;
    }
    std::unique_ptr<IntegrationSync> opened;
    std::vector<int64_t> gone;
    as_sync_role(role_, [&] {
        gone = fulfilled_elsewhere(pending);
        const auto rows = load_integrations(id);
        const auto question = pending.find({"", false});
        if (!rows.empty()) {
            const Integration &row = rows.front();
            if (row.paused || row.restored) return;
            opened =
                std::make_unique<IntegrationSync>(id, row, std::move(lock), catalogue_of(row.category), row.server);
            opened->store().meanwhile = [this] { go_on_asking(); };
            opened->store().record_attempts = 2;
            opened->store().run_recorded = [this](const std::optional<Trouble> &trouble) { run_recorded(trouble); };
        } else if (question != pending.end() && registers(question->second.server)) {
            opened =
                std::make_unique<IntegrationSync>(id, std::nullopt, std::move(lock),
                                                  std::make_shared<const syncer::Catalogue>(), question->second.server);
        } else {
            gone = ids_of(pending);
            delete_requests(gone); // of an integration that was removed, or that no server is to register
        }
    });
    agenda_.remove(gone);
    if (!pending_of(id)) return nullptr;
    if (!opened) {
        agenda_.put_off(id, Time::max());
        return nullptr;
    }
    take_failed_check(*opened);
    return opened;
}

void Dispatcher::take_failed_check(IntegrationSync &sync) {
    const auto failed = failed_checks_.find(sync.id());
    if (failed != failed_checks_.end())
        sync.standing.question_not_before = kombo::by_our_clock(failed->second.not_before);
}

void Dispatcher::release_idle() {
    std::vector<std::string> given_up;
    for (const auto &[id, sync] : syncs_)
        if (sync->lock_wanted()) given_up.push_back(id);
    for (const std::string &id : given_up) {
        close(id);
        agenda_.put_off(id, Clock::now() + busy_retry);
    }
    leave_limited(Clock::now());
    std::vector<std::string> idle;
    for (const auto &[id, sync] : syncs_)
        if (sync->idle()) idle.push_back(id);
    for (const std::string &id : idle) close_if_idle(id);
    release_memory();
}

/// Gives memory back to the system: after thousands of requests it is free, but the C library keeps it.
void Dispatcher::release_memory() {
    constexpr size_t many = 1000;
    most_requests_ = std::max(most_requests_, agenda_.requests());
    if (most_requests_ < many || !agenda_.empty() || !idle()) return;
    most_requests_ = 0;
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

/// While Kombo refuses a key for more than a moment, sessions may sync its integrations: they find the lock free, and
/// so does whatever else waits for it. Where only the window of the limit has to end, which is soon, what is under way
/// stays.
void Dispatcher::leave_limited(Time now) {
    std::vector<std::pair<std::string, Time>> left;
    const auto limits = shared::rate_limits();
    for (const auto &[id, owned] : syncs_) {
        IntegrationSync *sync = owned.get(); // a lambda cannot capture a binding
        const auto limit = std::find_if(limits.begin(), limits.end(), [&](const shared::RateLimit &candidate) {
            return candidate.server == sync->account().server;
        });
        if (limit == limits.end()) continue;
        sync->show_limit();
        const bool long_one = limit->wait > 1min;
        if ((long_one || (limit->refused && limit->wait > 2s)) && sync->can_be_left(long_one))
            left.emplace_back(id, now + limit->wait);
    }
    for (const auto &[id, until] : left) {
        close(id);
        agenda_.put_off(id, until);
    }
}

/// Ends what is under way: a full fetch goes on later where its last page was committed, a delta begins anew.
void Dispatcher::close(const std::string &id) {
    syncs_.erase(id);
}

/// Nobody is to wait for the lock of an integration for which there is nothing to do now, or for which it is not the
/// turn to do it; nor is there memory and locks for all that wait.
void Dispatcher::close_if_idle(const std::string &id) {
    const auto found = syncs_.find(id);
    if (found == syncs_.end() || !found->second->idle()) return;
    IntegrationSync &sync = *found->second;
    const auto *pending = pending_of(id);
    const auto urgency = pending ? sync.urgency(*pending) : std::nullopt;
    if (urgency && has_turn(sync)) {
        const auto next = agenda_.next(Clock::now(), [&](const std::string &other) { return syncs_.count(other) > 0; });
        if (!next || next->urgency >= *urgency) return;
    }
    if (!urgency) put_off(sync, Clock::now());
    syncs_.erase(found);
}

void Dispatcher::keep_only(const syncer::Share &share) {
    const auto drop = [&](auto &by_integration) {
        for (auto i = by_integration.begin(); i != by_integration.end();)
            i = share.has(i->first) || agenda_.find(i->first) ? std::next(i) : by_integration.erase(i);
    };
    drop(syncs_);
    drop(hindrances_);
}

void Dispatcher::close_all() {
    syncs_.clear();
    catalogues_.clear();
    agenda_.wake_all();
    blocked_keys_.clear();
    blocked_for_others_.clear();
}

void Dispatcher::read_again(const std::vector<std::string> &ids) {
    for (const std::string &id : ids) {
        agenda_.put_off(id, Time::min());
        const auto sync = syncs_.find(id);
        if (sync == syncs_.end()) continue;
        const bool refreshed = sync->second->row() && !sync->second->row()->suspended &&
                               !contain([&] { as_sync_role(role_, [&] { sync->second->refresh(); }); });
        if (!refreshed) close(id);
    }
}

void Dispatcher::reload() {
    std::vector<std::string> changed;
    bool all_changed = false;
    std::string fingerprint;
    as_sync_role(role_, [&] {
        fingerprint = catalogue_fingerprint();
        all_changed = fingerprint_ != fingerprint;
        std::map<std::string, Integration> rows;
        for (Integration &row : load_integrations(std::nullopt)) rows.emplace(row.id, row);
        integrations_ = rows.size();
        if (all_changed) return;
        for (const auto &[id, sync] : syncs_) {
            const auto row = rows.find(id);
            const bool same = row != rows.end() && sync->row() && sync->row()->same_as(row->second);
            // An integration that cannot be read does not affect the others: it is opened anew, and its trouble is told
            // then.
            if (!same || contain([&, one = sync.get()] { subtransaction([&] { one->refresh(); }); }))
                changed.push_back(id);
            sync->forget_failures();
            take_failed_check(*sync);
        }
    });
    fingerprint_ = fingerprint; // not before: what throws is tried again
    blocked_keys_.clear();      // somebody may have ended the wait
    blocked_for_others_.clear();
    if (all_changed) return close_all();
    for (const std::string &id : changed) close(id);
    agenda_.wake_all();
}

std::optional<Dispatcher::Time> Dispatcher::wake_at() const {
    const auto now = Clock::now();
    std::optional<Time> first = agenda_.wake_at(now);
    const auto consider = [&](std::optional<Time> when) {
        if (when && *when > now && (!first || *when < *first)) first = when;
    };
    for (const auto *blocked : {&blocked_keys_, &blocked_for_others_})
        for (const auto &[key, until] : *blocked) consider(until);
    for (const auto &[id, sync] : syncs_) {
        if (sync->check) consider(sync->check->wake_at());
        for (const auto &fetch : sync->fetches) {
            consider(fetch->run->wake_at());
            consider(fetch->step_not_before);
        }
    }
    return first;
}

} // namespace pg
