#include "pg/foreign/wait_ticker.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>

#ifdef __linux__
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
#endif

namespace pg {

WaitTicker::~WaitTicker() {
    close();
}

#ifdef __linux__

namespace {

/// Bounds the wait, so that interrupts are answered where nobody else looks for them.
constexpr std::chrono::milliseconds longest_wait{500};

void add(int set, int descriptor, uint32_t events) {
    epoll_event event = {};
    event.events = events;
    if (epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event) != 0) throw std::runtime_error("could not watch a socket");
}

} // namespace

bool WaitTicker::possible() {
    return true;
}

int WaitTicker::watch(const kombo::Transfers &transfers, std::optional<kombo::Call::Clock::time_point> until) {
    close();
    auto wait = std::chrono::duration_cast<std::chrono::nanoseconds>(longest_wait);
    if (const auto timeout = transfers.timeout()) wait = std::min<std::chrono::nanoseconds>(wait, *timeout);
    if (until) wait = std::min<std::chrono::nanoseconds>(wait, *until - kombo::Call::Clock::now());
    wait = std::max<std::chrono::nanoseconds>(wait, std::chrono::nanoseconds(1)); // zero would be never
    set_ = epoll_create1(EPOLL_CLOEXEC);
    timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    itimerspec due = {};
    due.it_value.tv_sec = static_cast<time_t>(wait.count() / 1'000'000'000);
    due.it_value.tv_nsec = static_cast<long>(wait.count() % 1'000'000'000);
    if (set_ < 0 || timer_ < 0 || timerfd_settime(timer_, 0, &due, nullptr) != 0)
        throw std::runtime_error("could not make a timer to wait with");
    add(set_, timer_, EPOLLIN);
    for (const auto &interest : transfers.interests()) {
        const uint32_t events = (interest.read ? uint32_t{EPOLLIN} : 0) | (interest.write ? uint32_t{EPOLLOUT} : 0);
        if (events != 0) add(set_, interest.fd, events);
    }
    return set_;
}

void WaitTicker::close() {
    if (set_ >= 0) ::close(set_);
    if (timer_ >= 0) ::close(timer_);
    set_ = timer_ = -1;
}

#else

bool WaitTicker::possible() {
    return false;
}

int WaitTicker::watch(const kombo::Transfers &, std::optional<kombo::Call::Clock::time_point>) {
    throw std::runtime_error("this system cannot wait for several scans at once");
}

void WaitTicker::close() {}

#endif

} // namespace pg
