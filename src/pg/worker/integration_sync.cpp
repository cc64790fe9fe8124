#include "pg/worker/integration_sync.h"

#include "pg/account/connection.h"
#include "pg/account/load_catalogue.h"
#include "pg/base/settings.h"

#include <algorithm>

namespace pg {

namespace {

using syncer::Kind;
using syncer::PendingFetches;

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

void ActiveFetch::show(shared::ProgressPhase phase) {
    const syncer::RunResult &result = run->result();
    progress.update(phase, result.pages, result.received, result.bytes, blocked_by);
}

IntegrationSync::IntegrationSync(const std::string &id, std::optional<Integration> row,
                                 std::unique_ptr<SessionLock> lock, std::shared_ptr<const syncer::Catalogue> catalogue,
                                 const std::string &server)
    : id_(id), row_(std::move(row)), lock_(std::move(lock)), catalogue_(std::move(catalogue)),
      server_(load_server(server, BOOTSTRAP_SUPERUSERID)), account_{budget_key(server_), server_.oid},
      connection_(connection_to(server_, account_)) {
    take_standing();
    if (row_) refresh();
}

void IntegrationSync::take_standing() {
    standing.added = row_.has_value();
    standing.suspended = row_ && row_->suspended;
    standing.next_attempt_at = row_ ? row_->next_attempt_at : std::nullopt;
}

void IntegrationSync::refresh() {
    states_ = load_states(*catalogue_, id_);
    if (!store_) store_ = std::make_unique<SqlStore>(*catalogue_, id_);
}

void IntegrationSync::forget_failures() {
    const auto is_unnoted = [](const auto &fetch) { return fetch->run->has_failed() && fetch->lock_failures > 0; };
    fetches.erase(std::remove_if(fetches.begin(), fetches.end(), is_unnoted), fetches.end());
}

bool IntegrationSync::accept(const std::vector<Integration> &rows) {
    if (!row_ || rows.empty() || !row_->same_as(rows.front())) return false;
    row_ = rows.front();
    take_standing();
    return true;
}

size_t IntegrationSync::in_flight() const {
    const auto flying =
        std::count_if(fetches.begin(), fetches.end(), [](const auto &fetch) { return fetch->run->in_flight(); });
    return static_cast<size_t>(flying) + (check && check->in_flight() ? 1 : 0);
}

void IntegrationSync::show_limit() {
    for (const auto &fetch : fetches)
        if (!fetch->run->in_flight() && !fetch->run->ready()) fetch->show(shared::ProgressPhase::Limited);
}

bool IntegrationSync::can_be_left(bool at_a_loss) const {
    if (check && (check->in_flight() || check->ready())) return false;
    return std::all_of(fetches.begin(), fetches.end(), [&](const auto &fetch) {
        const syncer::Run &run = *fetch->run;
        return !run.in_flight() && !run.ready() &&
               (at_a_loss || run.task().kind == Kind::Full || run.result().pages == 0);
    });
}

syncer::UnderWay IntegrationSync::under_way() const {
    syncer::UnderWay now;
    for (const auto &fetch : fetches) now.fetches.push_back(&fetch->run->task());
    if (check) now.question = &check->requests();
    return now;
}

syncer::Choice IntegrationSync::choice(const PendingFetches &pending) const {
    return {*catalogue_,
            states_,
            standing,
            under_way(),
            pending,
            kombo::current_timestamp(),
            std::chrono::seconds(settings::min_full_interval_seconds)};
}

void IntegrationSync::begin(const PendingFetches &pending) {
    syncer::Choice::Beginning chosen = choice(pending).beginning();
    if (!chosen.task) {
        check = std::make_unique<IntegrationCheck>(connection_, id_, std::move(chosen.requests));
        return;
    }
    auto run = make_run(std::move(*chosen.task));
    const syncer::Task &task = run->task();
    for (const std::string &model : chosen.unknown_models)
        run->add_oddity(syncer::Oddities::Kind::UnknownModel, task.endpoint->path, model);
    fetches.push_back(std::make_unique<ActiveFetch>(std::move(run), chosen.urgency, id_));
    if (task.kind == Kind::Full && standing.had_delta.erase(task.endpoint->path) > 0) fetches.back()->gave_way_at = 0;
}

void IntegrationSync::drop(const ActiveFetch &fetch) {
    const syncer::Task task = fetch.run->task();
    fetches.erase(
        std::find_if(fetches.begin(), fetches.end(), [&](const auto &other) { return other.get() == &fetch; }));
    if (task.kind != Kind::Delta) return;
    const bool first = standing.had_delta.insert(task.endpoint->path).second;
    // The delta may have answered the only request that the first full fetch had: the schedule asks for it again.
    const syncer::EndpointState &state = states_.at(task.endpoint->path);
    if (first && state.open_full && !state.watermark) shared::wake(MyDatabaseId, true);
    for (const auto &other : fetches)
        if (other->run->task().endpoint == task.endpoint) other->gave_way_at = other->run->result().pages;
}

std::unique_ptr<syncer::Run> IntegrationSync::make_run(syncer::Task task) {
    const syncer::Endpoint *endpoint = task.endpoint;
    try {
        return std::make_unique<syncer::Run>(
            *catalogue_, states_, std::move(task), id_, connection_, *store_,
            syncer::Settings{std::chrono::seconds(settings::overlap_seconds), settings::max_sweep_fraction},
            syncer::Durability::PageByPage);
    } catch (const syncer::InvalidRequest &error) {
        throw Unfetchable(error, endpoint);
    }
}

bool IntegrationSync::gives_way(const ActiveFetch &fetch, const PendingFetches *pending) const {
    const syncer::Task &task = fetch.run->task();
    if (task.kind != Kind::Full || fetch.run->phase() != syncer::Run::Phase::Fetching ||
        fetch.run->result().pages <= fetch.gave_way_at)
        return false;
    static const PendingFetches nothing;
    return choice(pending ? *pending : nothing).delta_goes_first(task.endpoint->path);
}

} // namespace pg
