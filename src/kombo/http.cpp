#include "http.h"

#include "signal_block.h"
#include "transfer.h"

#include <algorithm>
#include <curl/curl.h>
#include <poll.h>
#include <stdexcept>
#include <unordered_map>

namespace kombo {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct MultiDeleter {
    void operator()(CURLM *multi) const { curl_multi_cleanup(multi); }
};

using MultiHandle = std::unique_ptr<CURLM, MultiDeleter>;

void require_curl() {
    static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK) {
        throw std::runtime_error(std::string("libcurl could not be initialised: ") + curl_easy_strerror(code));
    }
}

} // namespace

struct Transfers::State {
    std::vector<Interest> interests;
    uint64_t interests_version = 0;
    std::optional<Clock::time_point> deadline;
    Id last_id = 0;
    // In this order: the easy handles go before the multi handle, and its end still calls on_socket_change().
    MultiHandle multi;
    std::unordered_map<Id, std::unique_ptr<Transfer>> transfers;

    static int on_socket_change(CURL *, curl_socket_t fd, int what, void *context, void *) noexcept;
    static int on_timer_change(CURLM *, long timeout_ms, void *context) noexcept;
    void drive(curl_socket_t fd, int events);
    void collect_finished();
};

Transfers::Transfers() : state_(std::make_unique<State>()) {
    const SignalBlock block;
    require_curl();
    state_->multi.reset(curl_multi_init());
    CURLM *const multi = state_->multi.get();
    if (multi == nullptr) {
        throw std::runtime_error("libcurl could not make a multi handle");
    }
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &State::on_socket_change);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, state_.get());
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &State::on_timer_change);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, state_.get());
}

Transfers::~Transfers() {
    const SignalBlock block;
    for (const auto &[id, transfer] : state_->transfers) {
        if (transfer->easy != nullptr) {
            curl_multi_remove_handle(state_->multi.get(), transfer->easy.get());
        }
    }
    state_.reset();
}

Transfers::Id Transfers::start(const Request &request, const HttpOptions &options) {
    const SignalBlock block;
    auto transfer = std::make_unique<Transfer>();
    transfer->id = ++state_->last_id;
    prepare(*transfer, request, options);
    Transfer &kept = *transfer;
    state_->transfers.emplace(kept.id, std::move(transfer));
    const CURLMcode code = curl_multi_add_handle(state_->multi.get(), kept.easy.get());
    if (code != CURLM_OK) {
        state_->transfers.erase(kept.id);
        throw std::runtime_error(std::string("libcurl refused a transfer: ") + curl_multi_strerror(code));
    }
    return kept.id;
}

void Transfers::cancel(Id id) {
    const SignalBlock block;
    const auto found = state_->transfers.find(id);
    if (found == state_->transfers.end()) {
        return;
    }
    if (found->second->easy != nullptr) {
        curl_multi_remove_handle(state_->multi.get(), found->second->easy.get());
    }
    state_->transfers.erase(found);
}

const std::vector<Transfers::Interest> &Transfers::interests() const {
    return state_->interests;
}

uint64_t Transfers::interests_version() const {
    return state_->interests_version;
}

std::optional<milliseconds> Transfers::timeout() const {
    if (!state_->deadline) {
        return std::nullopt;
    }
    return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(*state_->deadline - Clock::now()));
}

void Transfers::on_socket(int fd, bool readable, bool writable, bool error) {
    const int events =
        (readable ? CURL_CSELECT_IN : 0) | (writable ? CURL_CSELECT_OUT : 0) | (error ? CURL_CSELECT_ERR : 0);
    state_->drive(fd, events);
}

void Transfers::on_timeout() {
    // libcurl's timer goes off once. It says when it wants the next, and nothing where it wants none: one that has
    // passed would have the caller look again and again.
    if (state_->deadline && *state_->deadline <= Clock::now()) {
        state_->deadline.reset();
    }
    state_->drive(CURL_SOCKET_TIMEOUT, 0);
}

void Transfers::perform() {
    on_timeout();
}

void Transfers::look() {
    std::vector<pollfd> sockets;
    for (const Interest &interest : state_->interests) {
        sockets.push_back(
            {interest.fd, static_cast<short>((interest.read ? POLLIN : 0) | (interest.write ? POLLOUT : 0)), 0});
    }
    if (poll(sockets.data(), sockets.size(), 0) > 0) {
        for (const pollfd &socket : sockets) {
            if (socket.revents != 0) {
                on_socket(socket.fd, (socket.revents & (POLLIN | POLLHUP)) != 0, (socket.revents & POLLOUT) != 0,
                          (socket.revents & POLLERR) != 0);
            }
        }
    }
    on_timeout();
}

std::optional<Finished> Transfers::take(Id id) {
    const auto found = state_->transfers.find(id);
    if (found == state_->transfers.end()) {
        throw std::logic_error("no such transfer");
    }
    std::optional<Finished> result = std::move(found->second->finished);
    if (result) {
        state_->transfers.erase(found);
    }
    return result;
}

size_t Transfers::in_flight() const {
    const auto &transfers = state_->transfers;
    return static_cast<size_t>(std::count_if(transfers.begin(), transfers.end(),
                                             [](const auto &entry) { return entry.second->easy != nullptr; }));
}

int Transfers::State::on_socket_change(CURL *, curl_socket_t fd, int what, void *context, void *) noexcept {
    auto &state = *static_cast<State *>(context);
    const bool done = without_exception([&] {
        auto &interests = state.interests;
        interests.erase(std::remove_if(interests.begin(), interests.end(), [fd](auto &i) { return i.fd == fd; }),
                        interests.end());
        if (what != CURL_POLL_REMOVE) {
            interests.push_back({fd, (what & CURL_POLL_IN) != 0, (what & CURL_POLL_OUT) != 0});
        }
        ++state.interests_version;
    });
    return done ? 0 : -1;
}

int Transfers::State::on_timer_change(CURLM *, long timeout_ms, void *context) noexcept {
    auto &state = *static_cast<State *>(context);
    state.deadline.reset();
    if (timeout_ms >= 0) {
        state.deadline = Clock::now() + milliseconds(timeout_ms);
    }
    return 0;
}

void Transfers::State::drive(curl_socket_t fd, int events) {
    const SignalBlock block;
    int running = 0;
    const CURLMcode code = curl_multi_socket_action(multi.get(), fd, events, &running);
    if (code != CURLM_OK) {
        throw std::runtime_error(std::string("libcurl failed: ") + curl_multi_strerror(code));
    }
    collect_finished();
}

void Transfers::State::collect_finished() {
    int left = 0;
    while (const CURLMsg *const message = curl_multi_info_read(multi.get(), &left)) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        const CURLcode code = message->data.result; // the message is gone with its handle
        Transfer *transfer = nullptr;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        curl_multi_remove_handle(multi.get(), transfer->easy.get());
        transfer->finished = finish(*transfer, code);
        transfer->easy.reset();
    }
}

} // namespace kombo
