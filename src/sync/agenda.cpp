#include "sync/agenda.h"

#include <algorithm>
#include <map>

namespace syncer {

Urgency urgency_of(const Queued &request) {
    if (request.endpoint.empty()) return Urgency::WebhookDelta; // it decides whether anything else can be done
    if (request.full) return Urgency::Full;
    if (request.trigger == "webhook") return Urgency::WebhookDelta;
    return request.trigger == "sql" ? Urgency::AskedFor : Urgency::Scheduled;
}

std::optional<Urgency> Agenda::Entry::urgency() const {
    std::optional<Urgency> most;
    for (const auto &[key, ask] : asks)
        if (!most || ask.urgency < *most) most = ask.urgency;
    return most;
}

void Ask::include(const Queued &request) {
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

bool Agenda::add(const Queued &request) {
    if (!requests_.emplace(request.id, request).second) return false;
    const auto [found, is_new] = entries_.try_emplace(request.integration_id);
    Entry &entry = found->second;
    if (is_new) {
        entry.turn = turns_;
        line_.emplace(entry.turn, request.integration_id);
    }
    entry.asks[{request.endpoint, request.full}].include(request);
    entry.not_before = Clock::time_point::min(); // news may change what can be done
    return true;
}

void Agenda::remove(const std::vector<int64_t> &ids) {
    std::map<std::string, std::set<Asks::key_type>> touched;
    for (const int64_t id : ids) {
        const auto found = requests_.find(id);
        if (found == requests_.end()) continue;
        touched[found->second.integration_id].insert({found->second.endpoint, found->second.full});
        requests_.erase(found);
    }
    for (const auto &[integration_id, keys] : touched) {
        const auto entry = entries_.find(integration_id);
        for (const auto &key : keys) {
            Ask left; // what made it urgent may be gone
            const auto ask = entry->second.asks.find(key);
            for (const int64_t other : ask->second.ids)
                if (const auto known = requests_.find(other); known != requests_.end()) left.include(known->second);
            ask->second = std::move(left);
            if (ask->second.ids.empty()) entry->second.asks.erase(ask);
        }
        if (!entry->second.asks.empty()) continue;
        line_.erase({entry->second.turn, entry->first});
        entries_.erase(entry);
    }
}

void Agenda::keep_only(const std::set<int64_t> &ids) {
    std::vector<int64_t> gone;
    for (const auto &[id, request] : requests_)
        if (id > 0 && ids.count(id) == 0) gone.push_back(id);
    remove(gone);
}

Agenda::Entry *Agenda::find(const std::string &integration_id) {
    const auto found = entries_.find(integration_id);
    return found == entries_.end() ? nullptr : &found->second;
}

const Agenda::Entry *Agenda::find(const std::string &integration_id) const {
    const auto found = entries_.find(integration_id);
    return found == entries_.end() ? nullptr : &found->second;
}

void Agenda::served(const std::string &integration_id) {
    Entry *entry = find(integration_id);
    if (!entry) return;
    line_.erase({entry->turn, integration_id});
    entry->turn = ++turns_;
    line_.emplace(entry->turn, integration_id);
}

void Agenda::put_off(const std::string &integration_id, Clock::time_point until) {
    if (Entry *entry = find(integration_id)) entry->not_before = until;
}

void Agenda::wake_all() {
    for (auto &[id, entry] : entries_) entry.not_before = Clock::time_point::min();
}

std::optional<Clock::time_point> Agenda::wake_at(Clock::time_point now) const {
    std::optional<Clock::time_point> first;
    for (const auto &[id, entry] : entries_)
        if (entry.not_before > now && (!first || entry.not_before < *first)) first = entry.not_before;
    return first;
}

} // namespace syncer
