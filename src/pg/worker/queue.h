#pragma once

#include "syncer/agenda.h"
#include "syncer/share.h"

namespace pg {

/// Reads kombo.sync_requests into the agenda of a worker: what is its share.
class Queue {
public:
    /// In a transaction. To read all of it may take long, and is done in a tenth of the time, or every ten seconds; in
    /// between what is new is read, but for what was committed later than requests with higher ids. Returns whether all
    /// was read. Raises where somebody has locked the table.
    bool read(syncer::Agenda &agenda, const syncer::Share &share);

    /// Has the next read() read all of it.
    void forget() { whole_read_at_ = syncer::Clock::now(); }

    /// The time at which read() reads all of it again.
    syncer::Clock::time_point whole_read_at() const { return whole_read_at_; }

    std::optional<kombo::Timestamp> due_at; ///< the first of the requests that wait for their time

private:
    syncer::Clock::time_point whole_read_at_ = syncer::Clock::now();
    int64_t last_read_ = 0; ///< highest id
    syncer::Share share_;   ///< that all was read for
};

} // namespace pg
