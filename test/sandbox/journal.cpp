#include "journal.h"

#include "clock.h"

#include <algorithm>

namespace sandbox {

namespace {
constexpr std::size_t kept = 200'000;
}

std::uint64_t Journal::begin(const std::string &path, const std::string &query, const Params &params,
                             const std::string &integration) {
    const std::lock_guard lock(mutex_);
    entries_.push_back({++last_number_, path, query, params, integration, 0, false, now()});
    if (entries_.size() > kept) entries_.pop_front();
    Flight &flight = flights_[integration + " " + path];
    flight.highest = std::max(flight.highest, ++flight.current);
    return last_number_;
}

void Journal::end(std::uint64_t number, int status) {
    const std::lock_guard lock(mutex_);
    const auto found = std::lower_bound(entries_.begin(), entries_.end(), number,
                                        [](const Entry &entry, std::uint64_t n) { return entry.number < n; });
    if (found == entries_.end() || found->number != number) return;
    found->status = status;
    found->answered = true;
    Flight &flight = flights_[found->integration + " " + found->path];
    flight.current = std::max(0, flight.current - 1);
}

void Journal::clear() {
    const std::lock_guard lock(mutex_);
    entries_.clear();
    flights_.clear();
}

std::string Journal::json() const {
    const std::lock_guard lock(mutex_);
    std::string out = "{\"requests\":[";
    for (const Entry &entry : entries_) {
        if (&entry != &entries_.front()) out += ',';
        out += "{\"n\":" + std::to_string(entry.number) + ",\"path\":";
        append_quoted(out, entry.path);
        out += ",\"query\":";
        append_quoted(out, entry.query);
        out += ",\"params\":{";
        const char *separator = "";
        for (const auto &[name, value] : entry.params) {
            out += separator;
            append_quoted(out, name);
            out += ':';
            append_quoted(out, value);
            separator = ",";
        }
        out += "},\"integration\":";
        append_quoted(out, entry.integration);
        out += ",\"status\":" + (entry.answered ? std::to_string(entry.status) : std::string("null")) + ",\"at\":";
        append_time(out, entry.at);
        out += '}';
    }
    out += "],\"max_in_flight\":{";
    const char *separator = "";
    for (const auto &[key, flight] : flights_) {
        out += separator;
        append_quoted(out, key);
        out += ':' + std::to_string(flight.highest);
        separator = ",";
    }
    out += "}}";
    return out;
}

} // namespace sandbox
