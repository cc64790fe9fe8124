#include "clock.h"

#include <atomic>
#include <chrono>

namespace sandbox {

namespace {
std::atomic<Millis> clock_skew{0};
}

Millis now() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count() + clock_skew.load();
}

void set_skew(Millis skew) {
    clock_skew = skew;
}

void advance_clock(Millis by) {
    clock_skew += by;
}

} // namespace sandbox
