#include "syncer/choice.h"

#include <algorithm>

namespace syncer {

bool UnderWay::runs(const std::string &endpoint, Kind kind) const {
    return std::any_of(fetches.begin(), fetches.end(),
                       [&](const Task *task) { return task->endpoint->path == endpoint && task->kind == kind; });
}

/// The requests that a run has taken are sorted: a paused integration may have collected tens of thousands.
bool UnderWay::has_taken(const PendingFetch &wanted) const {
    const auto has = [](const std::vector<int64_t> &taken, int64_t id) {
        return std::binary_search(taken.begin(), taken.end(), id);
    };
    return std::all_of(wanted.ids.begin(), wanted.ids.end(), [&](int64_t id) {
        return (question && has(*question, id)) ||
               std::any_of(fetches.begin(), fetches.end(), [&](const Task *task) { return has(task->requests, id); });
    });
}

std::optional<Urgency> Choice::urgency() const {
    // A suspension ends with an answer of Kombo's, asked for or not.
    const std::optional now(now_);
    if (standing_.added && standing_.suspended && !under_way_.question && standing_.next_attempt_at <= now &&
        standing_.question_not_before <= now)
        return Urgency::WebhookDelta;
    const auto *best = most_urgent();
    if (!best) return std::nullopt;
    return has_turn(best->first) ? Urgency::WebhookDelta : best->second.urgency;
}

const PendingFetches::value_type *Choice::most_urgent() const {
    if (standing_.doubtful && !under_way_.idle()) return nullptr;
    const auto rank = [&](const PendingFetches::value_type &entry) {
        return std::make_pair(!has_turn(entry.first), entry.second.urgency);
    };
    const PendingFetches::value_type *best = nullptr;
    for (const auto &entry : pending_) {
        if (best && rank(entry) >= rank(*best)) continue;
        const auto start = earliest(entry.first, entry.second);
        if (start && *start <= now_) best = &entry;
    }
    return best;
}

/// A full fetch of a list whose last fetch was a delta comes first: under a stream of webhooks there is always a
/// further delta, and none would ever be the last.
bool Choice::has_turn(const Key &key) const {
    return key.second && standing_.had_delta.count(key.first) > 0;
}

std::optional<kombo::Timestamp> Choice::earliest(const Key &key, const PendingFetch &wanted) const {
    if (under_way_.has_taken(wanted)) return std::nullopt;
    const auto &[path, full] = key;
    if (path.empty()) {
        if (under_way_.question) return std::nullopt;
        return std::max(now_, standing_.question_not_before.value_or(now_));
    }
    if (!standing_.added || standing_.suspended) return std::nullopt;
    const Endpoint *endpoint = catalogue_.find(path);
    if (!endpoint || under_way_.runs(path, Kind::Delta)) return std::nullopt;
    const EndpointState &state = states_.at(path);
    if (state.next_attempt_at && *state.next_attempt_at > now_) return state.next_attempt_at;
    const Kind kind = task_for(catalogue_, states_, *endpoint, full ? Kind::Full : Kind::Delta, now_).kind;
    if (kind == Kind::Full && under_way_.runs(path, Kind::Full)) return std::nullopt;
    if (full && wanted.trigger == "webhook" && state.last_full_at) {
        const auto allowed = *state.last_full_at + min_full_interval_;
        if (allowed > now_) return allowed;
    }
    if (!full && served_by_another(*endpoint)) return std::nullopt;
    return now_;
}

/// The endpoint whose delta is asked for as well, can be begun, and shows all that a delta of this one would.
const Endpoint *Choice::served_by_another(const Endpoint &endpoint) const {
    for (const auto &[key, wanted] : pending_) {
        const Endpoint *other = key.second ? nullptr : catalogue_.find(key.first);
        if (other && !under_way_.has_taken(wanted) && vouched_for(states_, endpoint, *other, now_) &&
            !under_way_.runs(other->path, Kind::Delta) &&
            states_.at(other->path).next_attempt_at <= std::optional(now_))
            return other;
    }
    return nullptr;
}

Choice::Beginning Choice::beginning() const {
    Beginning begun;
    const auto *best = most_urgent();
    if (!best || best->first.first.empty()) {
        const auto asked = pending_.find(Key("", false));
        if (asked != pending_.end()) begun.requests = asked->second.ids;
        std::sort(begun.requests.begin(), begun.requests.end());
        return begun;
    }
    const auto &[path, full] = best->first;
    Task task = task_for(catalogue_, states_, *catalogue_.find(path), full ? Kind::Full : Kind::Delta, now_);
    task.trigger = best->second.trigger;
    for (const PendingFetch *wanted : fulfilled_by(task)) {
        task.requests.insert(task.requests.end(), wanted->ids.begin(), wanted->ids.end());
        task.of_webhook = task.of_webhook || wanted->trigger == "webhook";
        if (task.updated_after && wanted->updated_after)
            task.updated_after = std::min(*task.updated_after, *wanted->updated_after);
        begun.unknown_models.insert(wanted->unknown_models.begin(), wanted->unknown_models.end());
    }
    std::sort(task.requests.begin(), task.requests.end());
    // The first fetch of a list is long, whoever asked for it.
    begun.urgency = task.kind == Kind::Full && task.endpoint->incremental ? Urgency::Full : best->second.urgency;
    begun.task = std::move(task);
    return begun;
}

/// The pending fetches, not yet under way, that this fetch fulfils: a full fetch fulfils a delta, and a delta fulfils
/// those of the endpoints that it implies.
std::vector<const PendingFetch *> Choice::fulfilled_by(const Task &task) const {
    std::vector<const PendingFetch *> fulfilled;
    const auto &open = states_.at(task.endpoint->path).open_full;
    for (const auto &[key, wanted] : pending_) {
        const auto &[path, full] = key;
        if (full && task.kind != Kind::Full) continue;
        // A full fetch that is resumed has pages from before the request.
        if (task.kind == Kind::Full && open && open->alive(now_) && wanted.latest > open->started_at) continue;
        const Endpoint *endpoint = catalogue_.find(path);
        if (!endpoint || under_way_.has_taken(wanted)) continue;
        if (endpoint == task.endpoint ||
            (!full && task.kind == Kind::Delta && vouched_for(states_, *endpoint, *task.endpoint, now_)))
            fulfilled.push_back(&wanted);
    }
    return fulfilled;
}

std::optional<kombo::Timestamp> Choice::next_start() const {
    if (standing_.added && standing_.suspended)
        return std::max(standing_.next_attempt_at, standing_.question_not_before);
    std::optional<kombo::Timestamp> first;
    for (const auto &[key, wanted] : pending_) {
        const auto start = earliest(key, wanted);
        if (start && (!first || *start < *first)) first = start;
    }
    return first;
}

std::vector<int64_t> Choice::pointless() const {
    std::vector<int64_t> ids;
    for (const auto &[key, wanted] : pending_) {
        if (key.first.empty() || under_way_.has_taken(wanted)) continue;
        const auto state = states_.find(key.first);
        const bool off = state == states_.end() || state->second.subscription.refused ||
                         (!state->second.subscription.enabled && wanted.trigger != "sql");
        // The schedule asks for a full fetch because none has ended, and one that was under way by then will do.
        const bool done = key.second && wanted.by_schedule && !off && state->second.last_full_at > wanted.latest;
        if (off || done) ids.insert(ids.end(), wanted.ids.begin(), wanted.ids.end());
    }
    return ids;
}

bool Choice::delta_goes_first(const std::string &endpoint) const {
    if (under_way_.runs(endpoint, Kind::Delta)) return true;
    if (standing_.doubtful) return false; // then nothing is begun beside it
    const Key delta(endpoint, false);
    const auto asked = pending_.find(delta);
    if (asked == pending_.end()) return false;
    const auto start = earliest(delta, asked->second);
    return start && *start <= now_;
}

} // namespace syncer
