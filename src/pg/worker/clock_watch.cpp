#include "pg/worker/clock_watch.h"

#include "pg/base/spi.h"
#include "pg/base/transaction.h"

#include <algorithm>

namespace pg {

namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;

microseconds lead_of_clock() {
    return std::chrono::duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch() -
                                                    std::chrono::steady_clock::now().time_since_epoch());
}

} // namespace

ClockWatch::ClockWatch() : lead_(lead_of_clock()) {}

bool ClockWatch::look() {
    const microseconds lead = lead_of_clock();
    if (lead <= lead_ + 1s && lead >= lead_ - 1s) return false;
    set_back_ += std::max(lead_ - lead, microseconds(0));
    lead_ = lead;
    changed_ = true;
    return true;
}

void ClockWatch::heed(Oid role) {
    as_sync_role(role, [&] {
        execute("SELECT kombo_internal.heed_clock($1 * interval '1 microsecond')", Params().integer(set_back_.count()));
    });
    set_back_ = microseconds(0);
    changed_ = false;
}

} // namespace pg
