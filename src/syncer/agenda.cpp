#include "syncer/agenda.h"

#include <algorithm>
#include <map>

namespace syncer {

Urgency urgency_of(const QueuedRequest &request) {
    if (request.endpoint.empty()) return Urgency::WebhookDelta; // it decides whether anything else can be done
    if (request.full) return Urgency::Full;
    if (request.trigger == "webhook") return Urgency::WebhookDelta;
    return request.trigger == "sql" ? Urgency::AskedFor : Urgency::Scheduled;
}

std::optional<Urgency> Agenda::Entry::urgency() const {
    std::optional<Urgency> most;
    for (const auto &[key, wanted] : pending)
        if (!most || wanted.urgency < *most) most = wanted.urgency;
    return most;
}

void PendingFetch::include(const QueuedRequest &request) {
    const Urgency its_own = urgency_of(request);
    // Full fetches that only webhooks ask for are held to kombo_sync.min_full_interval.
    if (ids.empty() || its_own < urgency || (request.full && trigger == "webhook")) {
        urgency = its_own;
        trigger = request.trigger;
    }
    by_schedule = by_schedule && request.trigger == "schedule";
    ids.push_back(request.id);
    latest = std::max(latest, request.requested_at);
    if (request.updated_after && (!updated_after || *request.updated_after < *updated_after))
        updated_after = request.updated_after;
    if (!request.server.empty()) server = request.server;
    if (!request.unknown_model.empty()) unknown_models.insert(request.unknown_model);
}

/// An entry is taken out of the line before its place changes, and put back afterwards.
void Agenda::leave_line(const Entries::value_type &entry) {
    const auto &[id, its] = entry;
    if (its.not_before > Clock::time_point::min())
        put_off_.erase({its.not_before, id});
    else if (const auto urgency = its.urgency())
        line_.erase({*urgency, its.turn, id});
}

void Agenda::join_line(const Entries::value_type &entry) {
    const auto &[id, its] = entry;
    if (its.not_before > Clock::time_point::min())
        put_off_.emplace(its.not_before, id);
    else
        line_.insert({*its.urgency(), its.turn, id});
}

Agenda::Known Agenda::known(const QueuedRequest &request) {
    auto unknown_model = request.unknown_model.empty() ? nullptr : std::make_unique<std::string>(request.unknown_model);
    return {word(request.integration_id), word(request.endpoint), word(request.trigger), word(request.server),
            std::move(unknown_model),     request.full,           request.requested_at,  request.updated_after};
}

QueuedRequest Agenda::queued(int64_t id, const Known &known) {
    QueuedRequest request;
    request.id = id;
    request.integration_id = *known.integration_id;
    request.endpoint = *known.endpoint;
    request.full = known.full;
    request.trigger = *known.trigger;
    request.server = *known.server;
    if (known.unknown_model) request.unknown_model = *known.unknown_model;
    request.requested_at = known.requested_at;
    request.updated_after = known.updated_after;
    return request;
}

bool Agenda::add(const QueuedRequest &request) {
    if (knows(request.id)) return false;
    requests_.emplace(request.id, known(request));
    const auto [entry, is_new] = entries_.try_emplace(request.integration_id);
    if (is_new)
        entry->second.turn = turns_;
    else
        leave_line(*entry);
    entry->second.pending[{request.endpoint, request.full}].include(request);
    entry->second.not_before = Clock::time_point::min(); // news may change what can be done
    join_line(*entry);
    return true;
}

void Agenda::remove(const std::vector<int64_t> &ids) {
    std::map<std::string, std::set<PendingFetches::key_type>> touched;
    for (const int64_t id : ids) {
        const auto found = requests_.find(id);
        if (found == requests_.end()) continue;
        touched[*found->second.integration_id].insert({*found->second.endpoint, found->second.full});
        requests_.erase(found);
    }
    for (const auto &[integration_id, keys] : touched) forget(integration_id, keys);
    if (requests_.empty()) words_.clear();
}

/// Requests for these have been removed.
void Agenda::forget(const std::string &integration_id, const std::set<PendingFetches::key_type> &keys) {
    const auto entry = entries_.find(integration_id);
    leave_line(*entry);
    PendingFetches &pending = entry->second.pending;
    for (const auto &key : keys) {
        PendingFetch left; // what made it urgent may be gone
        const auto wanted = pending.find(key);
        for (const int64_t other : wanted->second.ids)
            if (const auto found = requests_.find(other); found != requests_.end())
                left.include(queued(other, found->second));
        wanted->second = std::move(left);
        if (wanted->second.ids.empty()) pending.erase(wanted);
    }
    if (pending.empty())
        entries_.erase(entry);
    else
        join_line(*entry);
}

void Agenda::keep_only(const std::vector<int64_t> &ids) {
    std::vector<int64_t> gone;
    for (const auto &[id, request] : requests_)
        if (id > 0 && !std::binary_search(ids.begin(), ids.end(), id)) gone.push_back(id);
    remove(gone);
}

const Agenda::Entry *Agenda::find(const std::string &integration_id) const {
    const auto found = entries_.find(integration_id);
    return found == entries_.end() ? nullptr : &found->second;
}

void Agenda::served(const std::string &integration_id) {
    const auto entry = entries_.find(integration_id);
    if (entry == entries_.end()) return;
    leave_line(*entry);
    entry->second.turn = ++turns_;
    join_line(*entry);
}

void Agenda::put_off(const std::string &integration_id, Clock::time_point until) {
    const auto entry = entries_.find(integration_id);
    if (entry == entries_.end()) return;
    leave_line(*entry);
    entry->second.not_before = until;
    join_line(*entry);
}

void Agenda::bring_back(Clock::time_point now) {
    while (!put_off_.empty() && put_off_.begin()->first <= now) {
        const auto entry = entries_.find(put_off_.begin()->second);
        leave_line(*entry);
        entry->second.not_before = Clock::time_point::min();
        join_line(*entry);
    }
}

std::optional<Clock::time_point> Agenda::wake_at(Clock::time_point now) const {
    const auto first = put_off_.lower_bound({now + Clock::duration(1), ""});
    return first == put_off_.end() ? std::nullopt : std::optional(first->first);
}

} // namespace syncer
