#include "api.h"

#include "clock.h"
#include "record_ops.h"

#include <cstdio>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <thread>

namespace sandbox {

namespace {

using namespace std::chrono_literals;

struct Reply {
    int status = 200;
    std::string body;
    std::string content_type = "application/json; charset=utf-8";
};

Reply error_reply(int status, const std::string &code, const std::string &message) {
    Reply reply;
    reply.status = status;
    reply.body = R"({"status":"error","error":{"code":)";
    if (code.empty())
        reply.body += "null";
    else
        append_quoted(reply.body, code);
    reply.body += R"(,"title":null,"message":)";
    append_quoted(reply.body, message);
    reply.body += R"(,"log_url":null}})";
    return reply;
}

Reply success(const std::string &data) {
    Reply reply;
    reply.body = R"({"status":"success","data":)" + data + '}';
    return reply;
}

// The descriptor of the connection that a request came by: httplib does not give it, the peer's port finds it.
int connection_of(const httplib::Request &request) {
    for (int fd = 3; fd < 4096; ++fd) {
        sockaddr_in peer{};
        socklen_t length = sizeof(peer);
        if (getpeername(fd, reinterpret_cast<sockaddr *>(&peer), &length) == 0 && peer.sin_family == AF_INET &&
            ntohs(peer.sin_port) == request.remote_port)
            return fd;
    }
    return -1;
}

void drop_connection(const httplib::Request &request) {
    if (const int fd = connection_of(request); fd >= 0) shutdown(fd, SHUT_RDWR);
}

// Waits; false if the client has gone meanwhile.
bool wait(const httplib::Request &request, int milliseconds) {
    if (milliseconds <= 0) return true;
    pollfd connection{connection_of(request), POLLRDHUP, 0};
    return poll(&connection, 1, milliseconds) == 0;
}

// Until the client has gone or the faults are cleared.
void hang(const Faults &faults, const httplib::Request &request) {
    const std::uint64_t generation = faults.generation();
    pollfd connection{connection_of(request), POLLRDHUP, 0};
    while (faults.generation() == generation) {
        if (connection.fd < 0)
            std::this_thread::sleep_for(50ms);
        else if (poll(&connection, 1, 50) > 0 && (connection.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
            return;
    }
}

std::string page_body(const Page &page) {
    std::string body;
    body.reserve(page.results.size() + 160);
    body += R"({"status":"success","data":{"results":)";
    body += page.results;
    body += ",\"next\":";
    if (page.next)
        append_quoted(body, *page.next);
    else
        body += "null";
    body += "}}";
    return body;
}

// Throws where there is no such integration, or no longer.
std::shared_lock<FairMutex> locked(const std::shared_ptr<Integration> &integration) {
    std::shared_lock<FairMutex> lock;
    if (integration) lock = std::shared_lock(integration->mutex);
    if (!integration || integration->deleted)
        throw ApiError(404, "PLATFORM.INTEGRATION_NOT_FOUND", "There is no such integration.");
    return lock;
}

// Kombo, first sync and states: no data before the first sync, but an error.
void check_state(const Integration &integration, const Endpoint &endpoint) {
    if (!integration.error_code.empty())
        throw ApiError(integration.error_status, integration.error_code, "The integration is in an error state.");
    if (integration.setup_status == "INCOMPLETE")
        throw ApiError(409, "INTEGRATION.SETUP_INCOMPLETE", "The setup of the integration is not complete.");
    if (integration.setup_status == "FINAL_SYNC_PENDING")
        throw ApiError(409, "INTEGRATION.SETUP_SYNC_PENDING", "The first sync of the integration is not done yet.");
    if (integration.qa_failed)
        throw ApiError(409, "INTEGRATION.QA_FAILED", "The integration did not pass quality assurance.");
    if (!integration.reads_when_inactive && integration.status == "INACTIVE")
        throw ApiError(403, "INTEGRATION.INACTIVE", "The integration is inactive.");
    if (!integration.reads_when_inactive && integration.status == "INVALID")
        throw ApiError(403, "INTEGRATION.AUTHENTICATION_INVALID", "The integration's credentials are invalid.");
    const std::string model(model_name(endpoint.model));
    if (integration.unavailable_models.count(model) != 0)
        throw ApiError(400, "INTEGRATION.MODEL_NOT_AVAILABLE", "The tool does not have " + model + ".");
    if (integration.disabled_models.count(model) != 0)
        throw ApiError(400, "INTEGRATION.MODEL_DISABLED", model + " is switched off in the scope config.");
}

class Call {
public:
    Call(Sandbox &sandbox, const httplib::Request &request, std::string path)
        : sandbox_(sandbox), request_(request), path_(std::move(path)),
          integration_id_(request.get_header_value("X-Integration-Id")) {}

    Reply answer(Fault *fault);

private:
    void check_key();
    Reply list(const Endpoint &endpoint, Fault *fault);

    Sandbox &sandbox_;
    const httplib::Request &request_;
    std::string path_;
    std::string integration_id_;
};

void Call::check_key() {
    const std::lock_guard lock(sandbox_.settings.mutex);
    if (request_.get_header_value("Authorization") != "Bearer " + sandbox_.settings.api_key)
        throw ApiError(401, "PLATFORM.AUTHENTICATION_INVALID", "The provided API key is invalid.");
}

Reply Call::answer(Fault *fault) {
    check_key();
    constexpr std::string_view one = "/integrations/";
    if (request_.method != "GET") return error_reply(404, "", "The sandbox answers GET alone.");
    if (path_ == "/check-api-key")
        return success(R"({"environment_id":"SandboxEnvironmentOfTests","customer_id":"SandboxCustomerOfTheTests"})");
    if (path_.compare(0, one.size(), one) == 0) {
        const auto integration = sandbox_.integrations.find(path_.substr(one.size()));
        const std::shared_lock lock = locked(integration);
        return success(integration->describe());
    }
    if (const Endpoint *endpoint = endpoint_at(path_)) return list(*endpoint, fault);
    return error_reply(404, "", "There is no route " + path_ + ".");
}

Reply Call::list(const Endpoint &endpoint, Fault *fault) {
    if (integration_id_.empty())
        throw ApiError(400, "PLATFORM.INPUT_INVALID", "The header X-Integration-Id is missing.");
    const auto integration = sandbox_.integrations.find(integration_id_);
    Page page;
    {
        const std::shared_lock lock = locked(integration);
        check_state(*integration, endpoint);
        const int limit = std::max(1, sandbox_.settings.page_size_max.load());
        page = read_page(*integration, endpoint, request_.params, static_cast<std::size_t>(limit));
    }
    if (fault) fault->turn_cursor(request_.params, page);
    Reply reply;
    reply.body = page_body(page);
    return reply;
}

Reply faulty_reply(const Fault &fault, Reply reply) {
    if (fault.html) {
        reply.status = fault.status != 0 ? fault.status : 502;
        reply.body = "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>\n";
        reply.content_type = "text/html";
    } else if (fault.other_json) {
        reply.status = fault.status != 0 ? fault.status : 200;
        reply.body = R"({"hello":"world","items":[1,2,3]})";
    } else if (fault.status != 0 && !fault.body) {
        reply = error_reply(fault.status, fault.code, fault.message.empty() ? "A fault of the test." : fault.message);
    }
    if (fault.body) {
        reply.status = fault.status != 0 ? fault.status : 200;
        reply.body = *fault.body;
    }
    if (!fault.content_type.empty()) reply.content_type = fault.content_type;
    return reply;
}

// Sends the body in other ways than at once and whole.
void send_slowly_or_cut(const Fault &fault, const Reply &reply, httplib::Response &response) {
    const auto body = std::make_shared<std::string>(reply.body);
    const std::size_t cut = std::min(fault.truncate.value_or(body->size()), body->size());
    const int pause = fault.drip_ms;
    const auto step = static_cast<std::size_t>(pause > 0 ? fault.drip_bytes : 1 << 16);
    const auto provide = [body, cut, pause, step](std::size_t offset, httplib::DataSink &sink) {
        if (offset >= cut) return false;
        if (pause > 0) std::this_thread::sleep_for(std::chrono::milliseconds(pause));
        return sink.write(body->data() + offset, std::min(step, cut - offset));
    };
    if (!fault.without_length) {
        response.set_content_provider(
            body->size(), reply.content_type,
            [provide](std::size_t offset, std::size_t, httplib::DataSink &sink) { return provide(offset, sink); });
        return;
    }
    // To fail at the end closes the connection, which is all that tells the client of it.
    response.set_content_provider(
        reply.content_type, [provide](std::size_t offset, httplib::DataSink &sink) { return provide(offset, sink); });
}

void do_actions(Sandbox &sandbox, const json_t *ops, const std::string &integration_id) {
    if (!ops) return;
    const json_t *first = json_is_array(ops) ? json_array_get(ops, 0) : ops;
    const auto integration = sandbox.integrations.find(text_at(first, "integration", integration_id));
    if (!integration) return;
    ModelNames changed;
    try {
        apply_record_ops(*integration, ops, changed);
    } catch (const AdminError &error) {
        std::fprintf(stderr, "record_action: %s\n", error.what());
    }
    sandbox.tell_changed(*integration, changed);
}

} // namespace

RateLimit::State RateLimit::take(int limit, std::chrono::seconds window) {
    const std::lock_guard lock(mutex_);
    const auto at = std::chrono::steady_clock::now();
    if (at - start_ >= window) {
        start_ = at;
        used_ = 0;
    }
    const auto left = std::chrono::duration_cast<std::chrono::seconds>(start_ + window - at).count() + 1;
    ++used_;
    return {limit > 0 && used_ > limit, std::max(0, limit - used_), static_cast<int>(left)};
}

void RateLimit::restart() {
    const std::lock_guard lock(mutex_);
    start_ = std::chrono::steady_clock::now();
    used_ = 0;
}

void Sandbox::tell_changed(const Integration &integration, const ModelNames &models) {
    if (!models.empty()) webhooks.changed(Subject(integration), models);
}

void serve_api(Sandbox &sandbox, const httplib::Request &request, httplib::Response &response) {
    const std::string path = request.path.substr(3);
    const std::string integration_id = request.get_header_value("X-Integration-Id");
    const std::size_t question = request.target.find('?');
    const std::string query = question == std::string::npos ? "" : request.target.substr(question + 1);
    const std::uint64_t number = sandbox.journal.begin(path, query, request.params, integration_id);
    const std::shared_ptr<Fault> fault = sandbox.faults.take(path, integration_id);
    const int limit = sandbox.settings.rate_limit;
    const RateLimit::State rate = sandbox.rate_limit.take(limit, std::chrono::seconds(sandbox.settings.rate_window_s));

    if (!wait(request, sandbox.settings.latency_ms) || (fault && !wait(request, fault->delay_ms))) {
        sandbox.journal.end(number, 0);
        return;
    }
    if (fault) do_actions(sandbox, fault->action.get(), integration_id);
    Reply reply;
    try {
        reply = rate.exceeded ? error_reply(429, "PLATFORM.RATE_LIMIT_EXCEEDED", "The rate limit is exceeded.")
                              : Call(sandbox, request, path).answer(fault.get());
    } catch (const ApiError &error) {
        reply = error_reply(error.status, error.code, error.what());
    }
    if (fault) {
        do_actions(sandbox, fault->action_after.get(), integration_id);
        if (fault->hang) hang(sandbox.faults, request);
        if (fault->hang || fault->close) {
            sandbox.journal.end(number, 0);
            drop_connection(request);
            return;
        }
        reply = faulty_reply(*fault, std::move(reply));
        for (const auto &[name, value] : fault->headers) response.set_header(name, value);
    }
    // Not from a fault: a test may want these headers wrong, and httplib would send both.
    const auto header = [&](const char *name, const std::string &value) {
        if (!response.has_header(name)) response.set_header(name, value);
    };
    header("Date", http_date(now()));
    if (limit > 0) {
        header("ratelimit-limit", std::to_string(limit));
        header("ratelimit-remaining", std::to_string(rate.remaining));
        header("ratelimit-reset", std::to_string(rate.reset));
    }
    response.status = reply.status;
    sandbox.journal.end(number, reply.status);
    if (fault && (fault->truncate || fault->drip_ms > 0 || fault->without_length))
        send_slowly_or_cut(*fault, reply, response);
    else
        response.set_content(reply.body, reply.content_type);
}

} // namespace sandbox
