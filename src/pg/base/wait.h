#pragma once

#include "pg/base/guard.h"
#include "syncer/stream.h"

namespace pg {

/// Waits on the process latch and on libcurl's sockets; cancel, timeouts and termination act at once.
class LatchWaiter : public syncer::Waiter {
public:
    LatchWaiter() = default;
    ~LatchWaiter() override;
    LatchWaiter(const LatchWaiter &) = delete;
    LatchWaiter &operator=(const LatchWaiter &) = delete;

    /// Throws Error for an interrupt.
    void wait(kombo::Transfers &transfers, std::optional<kombo::Call::Clock::time_point> until) override;

private:
    void watch(const kombo::Transfers &transfers);
    void forget();

    WaitEventSet *set_ = nullptr;
    std::vector<WaitEvent> occurred_;
    std::optional<uint64_t> version_;
};

} // namespace pg
