#include "faults.h"

#include <algorithm>

namespace sandbox {

namespace {

Json copy_at(const json_t *rule, const char *key) {
    const json_t *value = json_object_get(rule, key);
    return value ? Json(json_deep_copy(value)) : Json();
}

int small_at(const json_t *rule, const char *key, int otherwise) {
    return static_cast<int>(integer_at(rule, key, otherwise));
}

} // namespace

Fault::Fault(const json_t *rule)
    : path(text_at(rule, "path", "*")), integration(text_at(rule, "integration")), skip(small_at(rule, "skip", 0)),
      times(small_at(rule, "times", 1)), status(small_at(rule, "status", 0)), code(text_at(rule, "code")),
      message(text_at(rule, "message")), content_type(text_at(rule, "content_type")),
      delay_ms(small_at(rule, "delay_ms", 0)), drip_ms(0), drip_bytes(std::max(1, small_at(rule, "drip_bytes", 1))),
      without_length(flag_at(rule, "no_length")), hang(flag_at(rule, "hang")), close(flag_at(rule, "close")),
      html(flag_at(rule, "html")), other_json(flag_at(rule, "other_json")),
      repeat_cursor(flag_at(rule, "repeat_cursor")),
      loop_cursors(static_cast<std::size_t>(std::max(0, small_at(rule, "loop_cursors", 0)))),
      action(copy_at(rule, "record_action")), action_after(copy_at(rule, "record_action_after")) {
    if (json_is_string(json_object_get(rule, "body"))) body = text_at(rule, "body");
    if (flag_at(rule, "drip")) drip_ms = std::max(1, small_at(rule, "drip_ms", 1000));
    if (const std::int64_t bytes = integer_at(rule, "truncate", -1); bytes >= 0)
        truncate = static_cast<std::size_t>(bytes);
    const char *name = nullptr;
    json_t *value = nullptr;
    json_object_foreach(json_object_get(rule, "headers"), name, value) {
        if (json_is_string(value)) headers[name] = json_string_value(value);
    }
}

void Fault::turn_cursor(const Params &params, Page &page) {
    if (repeat_cursor) {
        const auto asked = params.find("cursor");
        if (asked != params.end()) page.next = asked->second;
        return;
    }
    if (loop_cursors == 0) return;
    const std::lock_guard lock(mutex_);
    if (cursors_.size() < loop_cursors && page.next)
        cursors_.push_back(*page.next);
    else if (!cursors_.empty())
        page.next = cursors_[turns_++ % cursors_.size()];
}

void Faults::add(std::shared_ptr<Fault> fault) {
    const std::lock_guard lock(mutex_);
    rules_.push_back(std::move(fault));
}

void Faults::clear() {
    const std::lock_guard lock(mutex_);
    rules_.clear();
    ++generation_;
}

std::shared_ptr<Fault> Faults::take(const std::string &path, const std::string &integration) {
    const std::lock_guard lock(mutex_);
    for (const std::shared_ptr<Fault> &rule : rules_) {
        const bool concerns = (rule->path == "*" || path.compare(0, rule->path.size(), rule->path) == 0) &&
                              (rule->integration.empty() || rule->integration == integration);
        if (!concerns || rule->times == 0) continue;
        if (rule->skip > 0) {
            --rule->skip;
            continue;
        }
        if (rule->times > 0) --rule->times;
        return rule;
    }
    return nullptr;
}

std::size_t Faults::left() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::count_if(rules_.begin(), rules_.end(), [](const auto &rule) { return rule->times != 0; }));
}

} // namespace sandbox
