#include "sync/agenda.h"

#include <algorithm>

namespace syncer {

Urgency urgency_of(const Queued &request) {
    if (request.endpoint.empty()) return Urgency::WebhookDelta; // it decides whether anything else can be done
    if (request.full) return Urgency::Full;
    if (request.trigger == "webhook") return Urgency::WebhookDelta;
    return request.trigger == "sql" ? Urgency::AskedFor : Urgency::Scheduled;
}

bool Agenda::add(const Queued &request) {
    const auto key = std::make_pair(request.endpoint, request.full);
    if (!where_.emplace(request.id, std::make_pair(request.integration_id, key)).second) return false;
    const auto [found, is_new] = entries_.try_emplace(request.integration_id);
    Entry &entry = found->second;
    if (is_new) entry.turn = turns_;
    const Urgency urgency = urgency_of(request);
    Ask &ask = entry.asks[key];
    // Full fetches that only webhooks ask for are held to kombo_sync.min_full_interval.
    if (ask.ids.empty() || urgency < ask.urgency || (request.full && ask.trigger == "webhook")) {
        ask.urgency = urgency;
        ask.trigger = request.trigger;
    }
    ask.ids.push_back(request.id);
    if (!request.server.empty()) ask.server = request.server;
    if (!request.unknown_model.empty()) ask.unknown_models.insert(request.unknown_model);
    entry.not_before = Clock::time_point::min(); // news may change what can be done
    return true;
}

void Agenda::remove(int64_t id) {
    const auto found = where_.find(id);
    if (found == where_.end()) return;
    const auto entry = entries_.find(found->second.first);
    const auto ask = entry->second.asks.find(found->second.second);
    auto &ids = ask->second.ids;
    ids.erase(std::remove(ids.begin(), ids.end(), id), ids.end());
    if (ids.empty()) entry->second.asks.erase(ask);
    if (entry->second.asks.empty()) entries_.erase(entry);
    where_.erase(found);
}

void Agenda::keep_only(const std::set<int64_t> &ids) {
    std::vector<int64_t> gone;
    for (const auto &[id, place] : where_)
        if (ids.count(id) == 0) gone.push_back(id);
    for (const int64_t id : gone) remove(id);
}

Agenda::Entry *Agenda::find(const std::string &integration_id) {
    const auto found = entries_.find(integration_id);
    return found == entries_.end() ? nullptr : &found->second;
}

void Agenda::served(const std::string &integration_id) {
    if (Entry *entry = find(integration_id)) entry->turn = ++turns_;
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
