#pragma once

#include "kombo/http.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace kombo {

/// What the server does with one request.
struct Answer {
    std::string bytes;                       ///< sent as they are
    bool keep = false;                       ///< the connection stays open for the next request
    bool hang = false;                       ///< nothing more comes, the connection stays open
    std::chrono::milliseconds byte_pause{0}; ///< between two bytes
    bool reset = false;                      ///< closed by RST
};

inline Answer answer(int status, const std::string &body, const std::string &headers = "") {
    return {"HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
                headers + "\r\n" + body,
            true};
}

/// A raw-socket HTTP server on 127.0.0.1 that gives its answers in order, the last one again and again, or what a
/// function makes of each request.
class FaultServer {
public:
    using Judge = std::function<Answer(const std::string &request, size_t index)>;

    explicit FaultServer(std::vector<Answer> answers)
        : FaultServer([answers = std::move(answers)](const std::string &, size_t index) {
              return answers[std::min(index, answers.size() - 1)];
          }) {}

    explicit FaultServer(Judge judge) : judge_(std::move(judge)) {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        if (bind(listener_, reinterpret_cast<sockaddr *>(&address), length) != 0 || listen(listener_, 16) != 0 ||
            getsockname(listener_, reinterpret_cast<sockaddr *>(&address), &length) != 0) {
            throw std::runtime_error("the test server cannot listen");
        }
        port_ = ntohs(address.sin_port);
        acceptor_ = std::thread([this] { accept_all(); });
    }

    ~FaultServer() {
        stopping_ = true;
        acceptor_.join();
        for (std::thread &connection : connections_) {
            connection.join();
        }
        close(listener_);
    }

    std::string url(const std::string &path = "/") const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
    int accepted() const { return accepted_; }
    std::vector<std::string> requests() const {
        const std::lock_guard lock(mutex_);
        return requests_;
    }

private:
    bool readable(int fd) const {
        while (!stopping_) {
            pollfd entry{fd, POLLIN, 0};
            if (poll(&entry, 1, 20) > 0) {
                return true;
            }
        }
        return false;
    }

    void accept_all() {
        while (readable(listener_)) {
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd >= 0) {
                ++accepted_;
                connections_.emplace_back([this, fd] { serve(fd); });
            }
        }
    }

    void serve(int fd) {
        std::string input;
        while (readable(fd)) {
            char buffer[4096];
            const ssize_t count = recv(fd, buffer, sizeof buffer, 0);
            if (count <= 0) {
                break;
            }
            input.append(buffer, static_cast<size_t>(count));
            const bool tls = input[0] == '\x16'; // a TLS handshake never ends like a request
            if (tls || input.find("\r\n\r\n") != std::string::npos) {
                const Answer next = take_answer(std::move(input));
                input.clear();
                if (!give(fd, next)) {
                    break;
                }
            }
        }
        close(fd);
    }

    Answer take_answer(std::string request) {
        const std::lock_guard lock(mutex_);
        requests_.push_back(std::move(request));
        return judge_(requests_.back(), requests_.size() - 1);
    }

    bool give(int fd, const Answer &next) const {
        const size_t step = next.byte_pause.count() > 0 ? 1 : next.bytes.size();
        for (size_t sent = 0; sent < next.bytes.size() && !stopping_;) {
            const ssize_t count =
                send(fd, next.bytes.data() + sent, std::min(step, next.bytes.size() - sent), MSG_NOSIGNAL);
            if (count <= 0) {
                return false;
            }
            sent += static_cast<size_t>(count);
            std::this_thread::sleep_for(next.byte_pause);
        }
        if (next.hang) {
            readable(fd);
        }
        if (next.reset) {
            const linger at_once{1, 0};
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        }
        return next.keep;
    }

    Judge judge_;
    int listener_ = -1;
    int port_ = 0;
    std::atomic<bool> stopping_{false};
    std::atomic<int> accepted_{0};
    mutable std::mutex mutex_;
    std::vector<std::string> requests_;
    std::vector<std::thread> connections_;
    std::thread acceptor_;
};

/// One turn of the loop that a caller of Transfers runs: waits with poll(), then tells what happened.
inline void turn(Transfers &transfers, std::chrono::milliseconds longest = std::chrono::milliseconds(50)) {
    std::vector<pollfd> entries;
    for (const Transfers::Interest &interest : transfers.interests()) {
        const int events = (interest.read ? POLLIN : 0) | (interest.write ? POLLOUT : 0);
        entries.push_back({interest.fd, static_cast<short>(events), 0});
    }
    const auto wait = std::min(longest, transfers.timeout().value_or(longest));
    poll(entries.data(), entries.size(), static_cast<int>(wait.count()));
    for (const pollfd &entry : entries) {
        if (entry.revents != 0) {
            transfers.on_socket(entry.fd, (entry.revents & POLLIN) != 0, (entry.revents & POLLOUT) != 0,
                                (entry.revents & (POLLERR | POLLHUP)) != 0);
        }
    }
    if (transfers.timeout() == std::chrono::milliseconds(0)) {
        transfers.on_timeout();
    }
}

} // namespace kombo
