#include "journal.h"

#include "clock.h"
#include "integration.h"

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
    const Question question{integration, path, query, now()};
    count(question, 1);
    const auto same = [&](const auto &other) {
        return other.second.integration == integration && other.second.path == path && other.second.query == query;
    };
    if (endpoint_at(path) && std::any_of(unanswered_.begin(), unanswered_.end(), same)) {
        for (Flight *flight : {&all_, &of_integrations_[integration], &of_streams_[integration + " " + path]})
            ++flight->same_page_twice;
    }
    unanswered_.emplace(last_number_, question);
    return last_number_;
}

void Journal::count(const Question &question, int change) {
    for (Flight *flight :
         {&all_, &of_integrations_[question.integration], &of_streams_[question.integration + " " + question.path]}) {
        flight->current += change;
        flight->highest = std::max(flight->highest, flight->current);
    }
}

void Journal::end(std::uint64_t number, int status) {
    const std::lock_guard lock(mutex_);
    if (const auto found = unanswered_.find(number); found != unanswered_.end()) {
        count(found->second, -1);
        unanswered_.erase(found);
    }
    const auto found = std::lower_bound(entries_.begin(), entries_.end(), number,
                                        [](const Entry &entry, std::uint64_t n) { return entry.number < n; });
    if (found == entries_.end() || found->number != number) return;
    found->status = status;
    found->answered = true;
}

void Journal::clear() {
    const std::lock_guard lock(mutex_);
    entries_.clear();
    start_counting();
}

void Journal::clear_concurrency() {
    const std::lock_guard lock(mutex_);
    start_counting();
}

void Journal::start_counting() {
    all_ = {};
    of_integrations_.clear();
    of_streams_.clear();
    for (const auto &[number, question] : unanswered_) count(question, 1);
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
    for (const auto &[key, flight] : of_streams_) {
        out += separator;
        append_quoted(out, key);
        out += ':' + std::to_string(flight.highest);
        separator = ",";
    }
    out += "}}";
    return out;
}

void Journal::append(std::string &out, const Flight &flight) {
    out += "\"in_flight\":" + std::to_string(flight.current) + ",\"max_in_flight\":" + std::to_string(flight.highest) +
           ",\"same_page_twice\":" + std::to_string(flight.same_page_twice);
}

std::string Journal::concurrency() const {
    const std::lock_guard lock(mutex_);
    std::string out = "{";
    append(out, all_);
    for (const auto &[name, flights] :
         {std::pair("integrations", &of_integrations_), std::pair("streams", &of_streams_)}) {
        out += std::string(",\"") + name + "\":{";
        const char *separator = "";
        for (const auto &[key, flight] : *flights) {
            out += separator;
            append_quoted(out, key);
            out += ":{";
            append(out, flight);
            out += '}';
            separator = ",";
        }
        out += '}';
    }
    out += ",\"requests\":[";
    for (const auto &[number, question] : unanswered_) {
        if (out.back() != '[') out += ',';
        out += "{\"n\":" + std::to_string(number) + ",\"integration\":";
        append_quoted(out, question.integration);
        out += ",\"path\":";
        append_quoted(out, question.path);
        out += ",\"query\":";
        append_quoted(out, question.query);
        out += ",\"at\":";
        append_time(out, question.at);
        out += '}';
    }
    return out + "]}";
}

} // namespace sandbox
