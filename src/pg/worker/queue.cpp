#include "pg/worker/queue.h"

#include "pg/worker/direct_reads.h"

#include <algorithm>

namespace pg {

namespace {

/// No request waits longer for its time: a later one was written before the clock was put back.
constexpr std::chrono::minutes longest_pause(5);

/// So long at most only what is new is read. A reading that took long was perhaps just stopped: by the system, or by a
/// lock on a page.
constexpr std::chrono::seconds longest_gap(10);

} // namespace

bool Queue::read(syncer::Agenda &agenda, const syncer::Share &share) {
    const auto began = syncer::Clock::now();
    const bool all = began >= whole_read_at_;
    const bool sift = !(share == share_); // some of what is known may be another worker's now
    const kombo::Timestamp now = kombo::current_timestamp();
    if (all) {
        due_at.reset();
        last_read_ = 0;
    }
    std::vector<int64_t> ids;
    read_requests(all ? std::nullopt : std::optional(last_read_), [&](const RequestRow &row) {
        const int64_t id = row.id();
        last_read_ = std::max(last_read_, id);
        const bool known = agenda.knows(id);
        if ((!known || sift) && !share.has(row.integration_id())) return;
        ids.push_back(id);
        if (known) return;
        const syncer::QueuedRequest request = row.request();
        if (!request.not_before || *request.not_before <= now || *request.not_before > now + longest_pause)
            agenda.add(request);
        else if (!due_at || *request.not_before < *due_at)
            due_at = request.not_before;
    });
    if (!all) return false;
    std::sort(ids.begin(), ids.end());
    agenda.keep_only(ids);
    share_ = share;
    const auto ended = syncer::Clock::now();
    whole_read_at_ = ended + std::min<syncer::Clock::duration>(10 * (ended - began), longest_gap);
    return true;
}

} // namespace pg
