#pragma once

#include "fault_server.h"
#include "syncer/stream.h"

#include <stdexcept>
#include <string>

namespace syncer {

/// Waits with poll(), and not for ever.
class PollingWaiter : public Waiter {
public:
    void wait(kombo::Transfers &transfers, std::optional<kombo::Call::Clock::time_point>) override {
        if (kombo::Call::Clock::now() > give_up_) throw std::runtime_error("the server never answered");
        kombo::turn(transfers, std::chrono::milliseconds(5));
    }

private:
    kombo::Call::Clock::time_point give_up_ = kombo::Call::Clock::now() + std::chrono::seconds(20);
};

/// A client of one FaultServer, which tries everything twice.
struct Client {
    explicit Client(const kombo::FaultServer &server)
        : connection{transfers, kombo::Api(server.url(""), "key"), http(), retry(), 250, {}} {}

    PageStream list(const std::string &path = "/people", const kombo::Query &filters = {}) {
        return {connection, path, "hibob:one", filters};
    }

    kombo::Transfers transfers;
    PollingWaiter waiter;
    Connection connection;

private:
    static kombo::HttpOptions http() {
        kombo::HttpOptions options;
        options.allow_http = true;
        options.request_timeout = std::chrono::seconds(5);
        return options;
    }

    static kombo::RetryPolicy retry() {
        kombo::RetryPolicy policy;
        policy.max_retries = 1;
        policy.base = policy.cap = std::chrono::milliseconds(1);
        return policy;
    }
};

/// The answer with a page of these records (JSON, with commas between them). An empty `next` is null.
inline kombo::Answer page_answer(const std::string &records, const std::string &next = "",
                                 const std::string &headers = "") {
    return kombo::answer(200,
                         R"({"status":"success","data":{"results":[)" + records + R"(],"next":)" +
                             (next.empty() ? "null" : '"' + next + '"') + "}}",
                         headers);
}

/// What the server was asked for: "GET /people?… HTTP/1.1" without its ends.
inline std::string asked(const kombo::FaultServer &server, size_t index) {
    const std::string request = server.requests().at(index);
    const size_t begin = request.find(' ') + 1;
    return request.substr(begin, request.find(' ', begin) - begin);
}

inline kombo::Answer error_answer(int status, const std::string &code) {
    return kombo::answer(status, R"({"status":"error","error":{"code":")" + code + R"(","message":"said so"}})");
}

} // namespace syncer
