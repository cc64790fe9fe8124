#include "pg/worker/integration_sync.h"

#include "pg/account/connection.h"
#include "pg/account/load_catalogue.h"
#include "pg/base/settings.h"

#include <algorithm>

namespace pg {

namespace {

using syncer::Ask;
using syncer::Asks;
using syncer::Kind;

bool reads_number(const kombo::Headers &headers, const char *name, int64_t &number) {
    const auto text = headers.find(name);
    if (!text || text->empty() || text->size() > 9) return false;
    number = 0;
    for (const char c : *text) {
        if (c < '0' || c > '9') return false;
        number = number * 10 + (c - '0');
    }
    return true;
}

/// What an answer says of the key's limit: `ratelimit-*` is in Kombo's guide to rate limits.
void note_budget(const shared::Account &account, const kombo::Response &response) {
    std::optional<shared::Limit> limit;
    int64_t of = 0;
    int64_t remaining = 0;
    const auto reset = kombo::window_end(response.headers);
    if (reset && reads_number(response.headers, "ratelimit-remaining", remaining)) {
        if (!reads_number(response.headers, "ratelimit-limit", of)) of = remaining;
        limit = {of, remaining, *reset};
    }
    if (response.status >= 400) {
        const kombo::ApiError error = kombo::classify(response.status, response.body, response.headers);
        if (kombo::concerns_key(error))
            return shared::note_refusal(account, limit, error.retry_after.value_or(std::chrono::milliseconds(0)));
        if (error.error_class == kombo::ErrorClass::RateLimited) limit.reset(); // its numbers are another limit's
    }
    shared::note_answer(account, limit);
}

uint64_t budget_key(const Server &server) {
    return std::hash<std::string>()(server.base_url + " " + api_key(server));
}

syncer::Connection connection_to(const Server &server, const shared::Account &account) {
    syncer::Connection connection = connect_to(server);
    connection.listener = [account](const kombo::Response &response) { note_budget(account, response); };
    return connection;
}

} // namespace

ActiveFetch::ActiveFetch(std::unique_ptr<syncer::Run> run_, syncer::Urgency urgency_, const std::string &integration_id)
    : run(std::move(run_)), urgency(urgency_), progress(integration_id, run->task().endpoint->path,
                                                        syncer::name(run->task().kind), run->task().trigger.c_str()) {}

Rank ActiveFetch::rank(uint64_t turn) const {
    constexpr int long_enough = 10;
    const bool gave_way = run->phase() == syncer::Run::Phase::Fetching && run->result().pages <= gave_way_at;
    const bool next = gave_way || passed_over >= long_enough;
    return {next ? syncer::Urgency::WebhookDelta : urgency, turn, -passed_over};
}

void ActiveFetch::show(shared::Phase phase) {
    const syncer::RunResult &result = run->result();
    progress.update(phase, result.pages, result.received, result.bytes, blocked_by);
}

IntegrationSync::IntegrationSync(const std::string &id, std::optional<Integration> row,
                                 std::unique_ptr<SessionLock> lock, std::shared_ptr<const syncer::Catalogue> catalogue,
                                 const std::string &server)
    : id_(id), row_(std::move(row)), lock_(std::move(lock)), catalogue_(std::move(catalogue)),
      server_(load_server(server, BOOTSTRAP_SUPERUSERID)), account_{budget_key(server_), server_.oid},
      connection_(connection_to(server_, account_)) {
    if (row_) refresh();
}

void IntegrationSync::refresh() {
    states_ = load_states(*catalogue_, id_);
    if (!store_) store_ = std::make_unique<SqlStore>(*catalogue_, id_);
}

bool IntegrationSync::accept(const std::vector<Integration> &rows) {
    if (!row_ || rows.empty() || !row_->same_as(rows.front())) return false;
    row_ = rows.front();
    return true;
}

/// What a run has taken is sorted: a paused integration may have collected tens of thousands.
bool IntegrationSync::all_taken(const Ask &ask) const {
    const auto has = [](const std::vector<int64_t> &taken, int64_t id) {
        return std::binary_search(taken.begin(), taken.end(), id);
    };
    return std::all_of(ask.ids.begin(), ask.ids.end(), [&](int64_t id) {
        return (inquiry && has(inquiry->requests(), id)) ||
               std::any_of(fetches.begin(), fetches.end(),
                           [&](const auto &fetch) { return has(fetch->run->task().requests, id); });
    });
}

bool IntegrationSync::runs(const std::string &endpoint, Kind kind) const {
    return std::any_of(fetches.begin(), fetches.end(), [&](const auto &fetch) {
        return fetch->run->task().endpoint->path == endpoint && fetch->run->task().kind == kind;
    });
}

/// The endpoint whose delta is asked for as well, can be begun, and shows all that a delta of this one would.
const syncer::Endpoint *IntegrationSync::served_by_another(const syncer::Endpoint &endpoint, const Asks &asks,
                                                           kombo::Timestamp now) const {
    for (const auto &[key, ask] : asks) {
        const syncer::Endpoint *other = key.second ? nullptr : catalogue_->find(key.first);
        if (other && !all_taken(ask) && syncer::vouched_for(states_, endpoint, *other, now) &&
            !runs(other->path, Kind::Delta) && states_.at(other->path).next_attempt_at <= std::optional(now))
            return other;
    }
    return nullptr;
}

IntegrationSync::Start IntegrationSync::earliest(const Key &key, const Ask &ask, const Asks &asks,
                                                 kombo::Timestamp now) const {
    if (all_taken(ask)) return std::nullopt;
    const auto &[path, full] = key;
    if (path.empty()) return inquiry ? std::nullopt : Start(std::max(now, inquiry_not_before.value_or(now)));
    if (!row_ || row_->suspended) return std::nullopt;
    const syncer::Endpoint *endpoint = catalogue_->find(path);
    // A full fetch begins beside a delta, and gives way to it: it would never find a moment without one.
    if (!endpoint || (!full && runs(path, Kind::Delta))) return std::nullopt;
    const syncer::EndpointState &state = states_.at(path);
    if (state.next_attempt_at && *state.next_attempt_at > now) return state.next_attempt_at;
    const Kind kind = syncer::task_for(*catalogue_, states_, *endpoint, full ? Kind::Full : Kind::Delta, now).kind;
    if (kind == Kind::Full && runs(path, Kind::Full)) return std::nullopt;
    if (full && ask.trigger == "webhook" && state.last_full_at) {
        const auto allowed = *state.last_full_at + std::chrono::seconds(settings::min_full_interval_seconds);
        if (allowed > now) return allowed;
    }
    if (!full && served_by_another(*endpoint, asks, now)) return std::nullopt;
    return now;
}

const Asks::value_type *IntegrationSync::most_urgent(const Asks &asks) const {
    if (doubtful && !idle()) return nullptr;
    const kombo::Timestamp now = kombo::current_timestamp();
    const Asks::value_type *best = nullptr;
    for (const auto &entry : asks) {
        if (best && entry.second.urgency >= best->second.urgency) continue;
        const Start start = earliest(entry.first, entry.second, asks, now);
        if (start && *start <= now) best = &entry;
    }
    return best;
}

size_t IntegrationSync::in_flight() const {
    const auto flying =
        std::count_if(fetches.begin(), fetches.end(), [](const auto &fetch) { return fetch->run->in_flight(); });
    return static_cast<size_t>(flying) + (inquiry && inquiry->in_flight() ? 1 : 0);
}

void IntegrationSync::show_limit() {
    for (const auto &fetch : fetches)
        if (!fetch->run->in_flight() && !fetch->run->ready()) fetch->show(shared::Phase::Limited);
}

bool IntegrationSync::can_be_left(bool at_a_loss) const {
    if (inquiry && (inquiry->in_flight() || inquiry->ready())) return false;
    return std::all_of(fetches.begin(), fetches.end(), [&](const auto &fetch) {
        const syncer::Run &run = *fetch->run;
        return !run.in_flight() && !run.ready() &&
               (at_a_loss || run.task().kind == Kind::Full || run.result().pages == 0);
    });
}

std::optional<syncer::Urgency> IntegrationSync::urgency(const Asks &asks) const {
    // A suspension ends with an answer of Kombo's, asked for or not.
    const std::optional now(kombo::current_timestamp());
    if (row_ && row_->suspended && !inquiry && row_->next_attempt_at <= now && inquiry_not_before <= now)
        return syncer::Urgency::WebhookDelta;
    const auto *best = most_urgent(asks);
    if (!best) return std::nullopt;
    return best->second.urgency;
}

void IntegrationSync::begin(const Asks &asks) {
    const auto *best = most_urgent(asks);
    if (!best || best->first.first.empty()) {
        const auto asked = asks.find(Key("", false));
        std::vector<int64_t> requests = asked == asks.end() ? std::vector<int64_t>() : asked->second.ids;
        std::sort(requests.begin(), requests.end());
        inquiry = std::make_unique<Inquiry>(connection_, id_, std::move(requests));
        return;
    }
    const auto &[path, full] = best->first;
    syncer::Task task = syncer::task_for(*catalogue_, states_, *catalogue_->find(path), full ? Kind::Full : Kind::Delta,
                                         kombo::current_timestamp());
    task.trigger = best->second.trigger;
    std::set<std::string> unknown_models;
    for (const Ask *ask : fulfilled_by(task, asks)) {
        task.requests.insert(task.requests.end(), ask->ids.begin(), ask->ids.end());
        task.of_webhook = task.of_webhook || ask->trigger == "webhook";
        if (task.updated_after && ask->updated_after)
            task.updated_after = std::min(*task.updated_after, *ask->updated_after);
        unknown_models.insert(ask->unknown_models.begin(), ask->unknown_models.end());
    }
    std::sort(task.requests.begin(), task.requests.end());
    auto run = make_run(std::move(task));
    for (const std::string &model : unknown_models)
        run->remark(syncer::Oddities::Kind::UnknownModel, run->task().endpoint->path, model);
    // The first fetch of a list is long, whoever asked for it.
    const bool long_one = run->task().kind == Kind::Full && run->task().endpoint->incremental;
    fetches.push_back(
        std::make_unique<ActiveFetch>(std::move(run), long_one ? syncer::Urgency::Full : best->second.urgency, id_));
}

std::unique_ptr<syncer::Run> IntegrationSync::make_run(syncer::Task task) {
    const syncer::Endpoint *endpoint = task.endpoint;
    try {
        if (!endpoint->missing_table.empty())
            raise(ERRCODE_UNDEFINED_TABLE, "table kombo.\"" + endpoint->missing_table + "\" does not exist", "",
                  "SELECT kombo.create_tables('" + endpoint->category + "') makes what is missing.");
        return std::make_unique<syncer::Run>(
            *catalogue_, states_, std::move(task), id_, connection_, *store_,
            syncer::Settings{std::chrono::seconds(settings::overlap_seconds), settings::max_sweep_fraction},
            syncer::Durability::PageByPage);
    } catch (const syncer::InvalidRequest &error) {
        throw Unfetchable(error, endpoint);
    }
}

/// What is asked for and not already under way, that this fetch brings: a full fetch brings what a delta would, and a
/// delta what that of an endpoint would which it implies.
std::vector<const Ask *> IntegrationSync::fulfilled_by(const syncer::Task &task, const Asks &asks) const {
    std::vector<const Ask *> fulfilled;
    const kombo::Timestamp now = kombo::current_timestamp();
    const auto &open = states_.at(task.endpoint->path).open_full;
    for (const auto &[key, ask] : asks) {
        const auto &[path, full] = key;
        if (full && task.kind != Kind::Full) continue;
        // A full fetch that is gone on with has pages from before that was asked for.
        if (task.kind == Kind::Full && open && open->alive(now) && ask.latest > open->started_at) continue;
        const syncer::Endpoint *endpoint = catalogue_->find(path);
        if (!endpoint || all_taken(ask)) continue;
        if (endpoint == task.endpoint ||
            (!full && task.kind == Kind::Delta && syncer::vouched_for(states_, *endpoint, *task.endpoint, now)))
            fulfilled.push_back(&ask);
    }
    return fulfilled;
}

IntegrationSync::Start IntegrationSync::next_start(const Asks &asks) const {
    if (row_ && row_->suspended) return std::max(row_->next_attempt_at, inquiry_not_before);
    const kombo::Timestamp now = kombo::current_timestamp();
    Start first;
    for (const auto &[key, ask] : asks) {
        const Start start = earliest(key, ask, asks, now);
        if (start && (!first || *start < *first)) first = start;
    }
    return first;
}

std::vector<int64_t> IntegrationSync::pointless(const Asks &asks) const {
    std::vector<int64_t> ids;
    for (const auto &[key, ask] : asks) {
        if (key.first.empty() || all_taken(ask)) continue;
        const auto state = states_.find(key.first);
        const bool off = state == states_.end() || state->second.subscription.refused ||
                         (!state->second.subscription.enabled && ask.trigger != "sql");
        if (off) ids.insert(ids.end(), ask.ids.begin(), ask.ids.end());
    }
    return ids;
}

bool IntegrationSync::gives_way(const ActiveFetch &fetch, const Asks *asks) const {
    const syncer::Task &task = fetch.run->task();
    if (task.kind != Kind::Full || fetch.run->phase() != syncer::Run::Phase::Fetching ||
        fetch.run->result().pages <= fetch.gave_way_at)
        return false;
    if (runs(task.endpoint->path, Kind::Delta)) return true;
    if (!asks || doubtful) return false; // then nothing is begun beside it
    const Key delta(task.endpoint->path, false);
    const auto asked = asks->find(delta);
    if (asked == asks->end()) return false;
    const kombo::Timestamp now = kombo::current_timestamp();
    const Start start = earliest(delta, asked->second, *asks, now);
    return start && *start <= now;
}

} // namespace pg
