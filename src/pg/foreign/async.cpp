#include "pg/foreign/callbacks.h"
#include "pg/foreign/scan.h"

namespace pg {

namespace {

/// Gives Append the next row of the scan, or has it wait.
void produce(AsyncRequest *request) {
    auto *node = reinterpret_cast<ForeignScanState *>(request->requestee);
    guard([] { CHECK_FOR_INTERRUPTS(); });
    // The node's own function: it checks the conditions on what iterate_scan() gives.
    TupleTableSlot *slot = guard([&] { return request->requestee->ExecProcNodeReal(request->requestee); });
    const bool pending = TupIsNull(slot) && fdw::scan_of(node).pending();
    guard([&] {
        if (pending)
            ExecAsyncRequestPending(request);
        else
            ExecAsyncRequestDone(request, TupIsNull(slot) ? nullptr : slot);
    });
}

} // namespace

bool fdw::is_async_capable() {
    return WaitTicker::possible();
}

void fdw::request_async(AsyncRequest *request) {
    scan_of(reinterpret_cast<ForeignScanState *>(request->requestee)).do_not_wait();
    produce(request);
}

void fdw::configure_async_wait(AsyncRequest *request) {
    Scan &scan = scan_of(reinterpret_cast<ForeignScanState *>(request->requestee));
    const int descriptor = scan.ticker.watch(scan.reader()->transfers(), scan.reader()->wake_at());
    guard([&] {
        AddWaitEventToSet(reinterpret_cast<AppendState *>(request->requestor)->as_eventset, WL_SOCKET_READABLE,
                          descriptor, nullptr, request);
    });
}

void fdw::notify_async(AsyncRequest *request) {
    produce(request);
}

} // namespace pg
