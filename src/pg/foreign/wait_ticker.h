#pragma once

#include "kombo/call.h"
#include "kombo/http.h"

#include <optional>

namespace pg {

/// One file descriptor that becomes readable when a transfer has something to do, or a time has come: for whoever can
/// wait for one only. Where the system has no such thing (it takes Linux's epoll and timerfd) there is none.
class WaitTicker {
public:
    WaitTicker() = default;
    ~WaitTicker();
    WaitTicker(const WaitTicker &) = delete;
    WaitTicker &operator=(const WaitTicker &) = delete;

    static bool possible();

    /// Sets it anew. Throws std::runtime_error where the system refuses.
    int watch(const kombo::Transfers &transfers, std::optional<kombo::Call::Clock::time_point> until);

private:
    void close();

    int set_ = -1;
    int timer_ = -1;
};

} // namespace pg
