#include "pg/base/wait.h"

#include <algorithm>

namespace pg {

namespace {

/// Bounds every wait, so that a timer that nobody reported is noticed all the same.
constexpr std::chrono::milliseconds longest_wait{1000};

long milliseconds_to_wait(const kombo::Transfers &transfers, std::optional<kombo::Call::Clock::time_point> until) {
    auto wait = longest_wait;
    if (const auto timeout = transfers.timeout()) wait = std::min(wait, *timeout);
    if (until) {
        const auto now = kombo::Call::Clock::now();
        if (*until <= now) return 0; // it may be as early as a time can be
        wait = std::min(wait, std::chrono::ceil<std::chrono::milliseconds>(*until - now));
    }
    return std::max<long>(0, wait.count());
}

} // namespace

LatchWaiter::~LatchWaiter() {
    forget();
}

void LatchWaiter::forget() {
    if (set_) FreeWaitEventSet(set_);
    set_ = nullptr;
    version_.reset();
}

void LatchWaiter::watch(const kombo::Transfers &transfers) {
    if (set_ && version_ == transfers.interests_version()) return;
    forget();
    const auto &interests = transfers.interests();
    occurred_.resize(interests.size() + 2);
    guard([&] {
        set_ = compat::create_wait_event_set(static_cast<int>(interests.size()) + 2);
        AddWaitEventToSet(set_, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
        AddWaitEventToSet(set_, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
        for (const auto &interest : interests) {
            const uint32 events = (interest.read ? WL_SOCKET_READABLE : 0) | (interest.write ? WL_SOCKET_WRITEABLE : 0);
            if (events != 0) AddWaitEventToSet(set_, events, interest.fd, nullptr, nullptr);
        }
    });
    version_ = transfers.interests_version();
}

void LatchWaiter::wait(kombo::Transfers &transfers, std::optional<kombo::Call::Clock::time_point> until) {
    guard([] { CHECK_FOR_INTERRUPTS(); });
    watch(transfers);
    const long timeout = milliseconds_to_wait(transfers, until);
    const int count = guard([&] {
        return WaitEventSetWait(set_, timeout, occurred_.data(), static_cast<int>(occurred_.size()), PG_WAIT_EXTENSION);
    });
    bool socket_ready = false;
    for (int i = 0; i < count; ++i) {
        const WaitEvent &event = occurred_[static_cast<size_t>(i)];
        if (event.events & WL_LATCH_SET) {
            ResetLatch(MyLatch);
            guard([] { CHECK_FOR_INTERRUPTS(); });
        } else if (event.events & (WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE)) {
            transfers.on_socket(event.fd, (event.events & WL_SOCKET_READABLE) != 0,
                                (event.events & WL_SOCKET_WRITEABLE) != 0, false);
            socket_ready = true;
        }
    }
    if (!socket_ready) transfers.on_timeout();
}

} // namespace pg
