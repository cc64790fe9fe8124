#pragma once

#include "filters.h"

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>

namespace sandbox {

/// What was asked of the API, for tests to look at. Keeps the last 200,000 requests.
class Journal {
public:
    /// Notes a request as begun and returns its number; counts it as in flight.
    std::uint64_t begin(const std::string &path, const std::string &query, const Params &params,
                        const std::string &integration);

    /// Notes the HTTP status it was answered with; 0 = the connection was dropped.
    void end(std::uint64_t number, int status);

    /// Forgets the requests, and the highest values, too.
    void clear();

    /// What is in flight, and the most that ever was: of all, by integration and by stream (integration and path). A
    /// page that a list is asked for while the same question of the same integration is unanswered counts in
    /// `same_page_twice`. As JSON text.
    std::string concurrency() const;

    /// Forgets the highest values, not what is in flight.
    void clear_concurrency();

    /// All requests and the largest number in flight at once, by integration and path, as JSON text. Requests still
    /// unanswered have status null.
    std::string json() const;

private:
    struct Entry {
        std::uint64_t number;
        std::string path;
        std::string query;
        Params params;
        std::string integration;
        int status;
        bool answered;
        Millis at;
    };
    struct Flight {
        int current = 0;
        int highest = 0;
        int same_page_twice = 0;
    };
    struct Question {
        std::string integration;
        std::string path;
        std::string query;
        Millis at;
    };

    static void append(std::string &out, const Flight &flight);
    void count(const Question &question, int change);
    void start_counting();

    mutable std::mutex mutex_;
    std::deque<Entry> entries_;
    std::map<std::uint64_t, Question> unanswered_;
    Flight all_;
    std::map<std::string, Flight> of_integrations_;
    std::map<std::string, Flight> of_streams_;
    std::uint64_t last_number_ = 0;
};

} // namespace sandbox
