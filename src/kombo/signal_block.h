#pragma once

#include <csignal>

namespace kombo {

/// Blocks all signals of this thread, but for those of a crash, as long as it lives. Threads that are started
/// meanwhile inherit the mask, so that no handler of the process ever runs in them.
class SignalBlock {
public:
    SignalBlock() {
        sigset_t all;
        sigfillset(&all);
        for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) {
            sigdelset(&all, crash);
        }
        pthread_sigmask(SIG_BLOCK, &all, &before_);
    }
    ~SignalBlock() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalBlock(const SignalBlock &) = delete;
    SignalBlock &operator=(const SignalBlock &) = delete;

private:
    sigset_t before_;
};

} // namespace kombo
