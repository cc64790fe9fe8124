#pragma once

#include "admin_json.h"
#include "query.h"

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace sandbox {

/// A rule that breaks some answers of the API. See the README for what each field does.
struct Fault {
    explicit Fault(const json_t *rule);

    std::string path;        ///< prefix of the request path, or `*`
    std::string integration; ///< empty = any
    int skip;                ///< matching requests that pass before the first hit
    int times;               ///< hits left; negative = without end
    int status;              ///< 0 = as without the fault
    std::string code;
    std::string message;
    std::optional<std::string> body;
    std::string content_type;
    std::map<std::string, std::string> headers;
    int delay_ms;
    int drip_ms; ///< 0 = off
    int drip_bytes;
    std::optional<std::size_t> truncate;
    bool without_length;
    bool hang;
    bool close;
    bool html;
    bool other_json;
    bool repeat_cursor;
    std::size_t loop_cursors;
    Json action;       ///< record operations before the page is read
    Json action_after; ///< and after it was read

    /// Changes the cursor of a page for `repeat_cursor` and `loop_cursors`.
    void turn_cursor(const Params &params, Page &page);

private:
    std::mutex mutex_;
    std::vector<std::string> cursors_;
    std::size_t turns_ = 0;
};

/// The rules in force, tried in the order they were added; the first that hits wins.
class Faults {
public:
    void add(std::shared_ptr<Fault> fault);

    /// Removes all rules and lets go of the requests that hang.
    void clear();

    /// The rule that applies to this request, if any; counts it.
    std::shared_ptr<Fault> take(const std::string &path, const std::string &integration);

    /// Grows with every `clear`; a hanging request ends when it does.
    std::uint64_t generation() const { return generation_.load(); }

    /// The number of rules with hits left.
    std::size_t left() const;

private:
    mutable std::mutex mutex_;
    std::deque<std::shared_ptr<Fault>> rules_;
    std::atomic<std::uint64_t> generation_{0};
};

} // namespace sandbox
