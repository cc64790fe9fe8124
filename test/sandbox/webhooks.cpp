#include "webhooks.h"

#include "clock.h"
#include "signature.h"

#include <httplib.h>

#include <algorithm>

namespace sandbox {

namespace {

constexpr std::size_t kept_deliveries = 20'000;
constexpr std::size_t kept_held = 100'000;

// "http://host:port" and the path of a url.
std::pair<std::string, std::string> split_url(const std::string &url) {
    const std::size_t slash = url.find('/', std::string("http://").size());
    if (slash == std::string::npos) return {url, "/"};
    return {url.substr(0, slash), url.substr(slash)};
}

std::chrono::milliseconds milliseconds_at(const json_t *options, const char *key, std::chrono::milliseconds otherwise) {
    return std::chrono::milliseconds(std::max<std::int64_t>(0, integer_at(options, key, otherwise.count())));
}

} // namespace

std::string Webhook::json() const {
    std::string out = "{\"id\":";
    append_quoted(out, id);
    out += ",\"body\":";
    append_quoted(out, body);
    out += ",\"signature\":";
    append_quoted(out, signature);
    return out + '}';
}

Webhook make_webhook(const std::string &type, const Subject &subject, const ModelNames &models,
                     const std::string &secret, const json_t *options) {
    Webhook webhook{text_at(options, "id", new_event_id()), type, subject.id, text_at(options, "body"), {}};
    if (!json_is_string(json_object_get(options, "body"))) {
        const Json data = webhook_data(type, subject, models);
        if (json_t *more = json_object_get(options, "data")) json_object_update_recursive(data.get(), more);
        const Json body(
            json_pack("{s:s, s:s, s:O}", "id", webhook.id.c_str(), "type", type.c_str(), "data", data.get()));
        webhook.body = dump_json(body.get());
    }
    webhook.signature = sign(webhook.body, secret);
    return webhook;
}

Answer post(const Webhook &webhook, const std::string &url, std::chrono::milliseconds timeout) {
    const auto [origin, path] = split_url(url);
    httplib::Client client(origin);
    client.set_tcp_nodelay(true);
    client.set_connection_timeout(timeout);
    client.set_read_timeout(timeout);
    client.set_write_timeout(timeout);
    const auto result =
        client.Post(path, {{"X-Kombo-Signature", webhook.signature}}, webhook.body, "application/json; charset=utf-8");
    if (!result) return {0, httplib::to_string(result.error())};
    if (result->status < 300) return {result->status, {}};
    std::string error = result->body.substr(0, 200);
    // It may be cut within a character, or be no text at all.
    std::replace_if(
        error.begin(), error.end(), [](char c) { return c <= 0; }, '?');
    return {result->status, error};
}

Webhooks::~Webhooks() {
    {
        const std::lock_guard lock(mutex_);
        ends_ = true;
    }
    news_.notify_all();
    for (std::thread &sender : senders_) sender.join();
}

void Webhooks::configure(const json_t *options) {
    const std::lock_guard lock(mutex_);
    Settings wanted = settings_;
    wanted.on = flag_at(options, "on", true);
    wanted.url = text_at(options, "url", wanted.url);
    if (json_is_null(json_object_get(options, "url"))) wanted.url.clear();
    if (!wanted.url.empty() && wanted.url.compare(0, 7, "http://") != 0)
        throw AdminError(400, "\"url\" must start with http://");
    wanted.secret = text_at(options, "secret", wanted.secret);
    wanted.debounce = milliseconds_at(options, "debounce_ms", wanted.debounce);
    wanted.retries = static_cast<int>(integer_at(options, "retries", wanted.retries));
    wanted.retry_after = milliseconds_at(options, "retry_ms", wanted.retry_after);
    wanted.timeout = milliseconds_at(options, "timeout_ms", wanted.timeout);
    if (const json_t *types = json_object_get(options, "types")) {
        wanted.types.clear();
        for (std::size_t i = 0; i < json_array_size(types); ++i)
            if (json_is_string(json_array_get(types, i)))
                wanted.types.insert(json_string_value(json_array_get(types, i)));
    }
    settings_ = wanted;
    start_senders(static_cast<std::size_t>(std::clamp<std::int64_t>(integer_at(options, "senders", 4), 1, 64)));
}

void Webhooks::start_senders(std::size_t count) {
    while (senders_.size() < count) senders_.emplace_back([this] { run(); });
}

void Webhooks::stop() {
    const std::lock_guard lock(mutex_);
    settings_.on = false;
    ++generation_;
    queue_.clear();
    windows_.clear();
    held_.clear();
    deliveries_.clear();
    sent_ = failed_ = attempts_ = 0;
}

bool Webhooks::tells(const std::string &type) const {
    return settings_.on && (settings_.types.empty() || settings_.types.count(type) != 0);
}

void Webhooks::enqueue(Webhook webhook) {
    if (settings_.url.empty()) {
        held_.push_back(std::move(webhook));
        if (held_.size() > kept_held) held_.pop_front();
        return;
    }
    queue_.emplace(Clock::now(), Task{std::move(webhook), 1});
    news_.notify_one();
}

void Webhooks::changed(const Subject &subject, const ModelNames &models) {
    const std::lock_guard lock(mutex_);
    if (models.empty() || !tells("data-changed")) return;
    const auto at = Clock::now();
    // Kombo: the first event at once, then one per interval that carries what came meanwhile
    Window &window = windows_.try_emplace(subject.id, Window{subject, {}, {}}).first->second;
    const bool waits = !window.gathered.empty();
    window.subject = subject;
    window.gathered.insert(models.begin(), models.end());
    if (at >= window.ends) {
        flush(window);
    } else if (!waits) {
        queue_.emplace(window.ends, Task{{{}, "data-changed", subject.id, {}, {}}, 1});
        news_.notify_one();
    }
}

void Webhooks::flush(Window &window) {
    window.ends = Clock::now() + settings_.debounce;
    enqueue(make_webhook("data-changed", window.subject, window.gathered, settings_.secret));
    window.gathered.clear();
}

void Webhooks::happened(const std::string &type, const Subject &subject) {
    const std::lock_guard lock(mutex_);
    if (tells(type)) enqueue(make_webhook(type, subject, {}, settings_.secret));
}

void Webhooks::run() {
    std::unique_lock lock(mutex_);
    while (!ends_) {
        if (queue_.empty()) {
            news_.wait(lock);
        } else if (const auto due = queue_.begin()->first; due > Clock::now()) {
            news_.wait_until(lock, due);
        } else {
            Task task = std::move(queue_.begin()->second);
            queue_.erase(queue_.begin());
            if (!task.webhook.id.empty())
                deliver(lock, std::move(task));
            else if (const auto window = windows_.find(task.webhook.integration); window != windows_.end())
                flush(window->second);
        }
    }
}

void Webhooks::deliver(std::unique_lock<std::mutex> &lock, Task task) {
    const std::string url = settings_.url;
    const auto limit = settings_.timeout;
    const std::uint64_t generation = generation_;
    const Millis at = now();
    const auto began = Clock::now();
    ++being_sent_;
    lock.unlock();
    const Answer answer = post(task.webhook, url, limit);
    lock.lock();
    --being_sent_;
    if (generation != generation_) return;
    note(task, answer, at, std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began));
    if (answer.good()) {
        ++sent_;
    } else if (task.attempt > settings_.retries) {
        ++failed_;
    } else {
        const auto wait = settings_.retry_after * (1 << std::min(task.attempt - 1, 10));
        ++task.attempt;
        queue_.emplace(Clock::now() + wait, std::move(task));
        news_.notify_one();
    }
}

void Webhooks::note(const Task &task, const Answer &answer, Millis at, std::chrono::microseconds took) {
    ++attempts_;
    deliveries_.push_back(
        {task.webhook.id, task.webhook.type, task.webhook.integration, task.attempt, answer, at, took});
    if (deliveries_.size() > kept_deliveries) deliveries_.pop_front();
}

std::string Webhooks::url() const {
    const std::lock_guard lock(mutex_);
    return settings_.url;
}

std::string Webhooks::secret() const {
    const std::lock_guard lock(mutex_);
    return settings_.secret;
}

std::chrono::milliseconds Webhooks::timeout() const {
    const std::lock_guard lock(mutex_);
    return settings_.timeout;
}

std::string Webhooks::json(std::size_t deliveries) const {
    const std::lock_guard lock(mutex_);
    Json out(json_pack("{s:b, s:s, s:I, s:i, s:I, s:I, s:I, s:I, s:I}", "on", settings_.on ? 1 : 0, "url",
                       settings_.url.c_str(), "debounce_ms", static_cast<json_int_t>(settings_.debounce.count()),
                       "retries", settings_.retries, "sent", static_cast<json_int_t>(sent_), "failed",
                       static_cast<json_int_t>(failed_), "attempts", static_cast<json_int_t>(attempts_), "waiting",
                       static_cast<json_int_t>(queue_.size() + being_sent_), "held",
                       static_cast<json_int_t>(held_.size())));
    json_t *listed = json_array();
    json_t *errors = json_array();
    const std::size_t first = deliveries_.size() - std::min(deliveries, deliveries_.size());
    for (std::size_t i = first; i < deliveries_.size(); ++i) {
        const Delivery &one = deliveries_[i];
        json_t *json = json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:I}", "id", one.id.c_str(), "type",
                                 one.type.c_str(), "integration", one.integration.c_str(), "attempt", one.attempt,
                                 "status", one.answer.status, "error", one.answer.error.c_str(), "at",
                                 iso_time(one.at).c_str(), "us", static_cast<json_int_t>(one.took.count()));
        if (!one.answer.good()) json_array_append(errors, json);
        json_array_append_new(listed, json);
    }
    json_object_set_new(out.get(), "deliveries", listed);
    json_object_set_new(out.get(), "errors", errors);
    return dump_json(out.get());
}

std::string Webhooks::take_held() {
    const std::lock_guard lock(mutex_);
    std::string out = "[";
    for (const Webhook &webhook : held_) out += (out.size() > 1 ? "," : "") + webhook.json();
    held_.clear();
    return out + "]";
}

} // namespace sandbox
