#pragma once

#include "syncer/failure.h"
#include "syncer/fetch.h"
#include "syncer/plan.h"
#include "syncer/result.h"
#include "syncer/store.h"
#include "syncer/stream.h"
#include "syncer/sweep.h"

#include <exception>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

namespace syncer {

/// The parts of a run that commit together.
enum class Durability : uint8_t {
    AtOnce,    ///< all of it commits together: a function call
    PageByPage ///< each step commits; a full fetch keeps its place in the database: the worker
};

/// One run of one endpoint, from the first request to the watermark, as a state machine that never waits. Whoever
/// drives it moves the network side (poll(), send()) whenever there is news, and the database side (step(),
/// committed()) in transactions of its own, so that none is open while the network is slow.
class Run {
public:
    enum class Phase : uint8_t {
        Fetching,   ///< pages come and are written
        Sweeping,   ///< all pages are here: what did not come has to be found
        Confirming, ///< it is asked for once more, by id
        Removing,   ///< what is gone goes; then the watermark
        Ended
    };

    /// Resumes the endpoint's unfinished full fetch if its cursor and filters are still valid. The references must
    /// outlive the run; `states` may be refreshed between two steps.
    Run(const Catalogue &catalogue, const States &states, Task task, std::string integration_id, Connection &connection,
        Store &store, Settings settings, Durability durability);
    Run(const Run &) = delete;
    Run &operator=(const Run &) = delete;

    const Task &task() const { return task_; }
    Phase phase() const { return phase_; }
    const RunResult &result() const { return result_; }

    /// Adds an oddity that was there before the first page.
    void add_oddity(Oddities::Kind kind, std::string_view table, std::string_view key) {
        result_.oddities.add(kind, table, key);
    }

    /// Sets the start of an endpoint that ran before, as its watermark: this one began later.
    void began_after(std::optional<kombo::Timestamp> watermark) { earlier_watermark_ = watermark; }
    /// The start of the run, as a watermark; known once it has ended.
    kombo::Timestamp watermark() const { return watermark_; }

    /// True if a request can be sent now.
    bool wants_to_send(Clock::time_point now) const;
    /// Sends it.
    void send();
    /// Takes an answer that has come. Throws nothing that the answer is to blame for: step() does.
    void poll(Clock::time_point now);
    bool in_flight() const;
    /// The time at which a failed request is due again.
    std::optional<Clock::time_point> wake_at() const;
    /// True if nothing more will be requested of the list itself.
    bool list_ended() const { return list_ && list_->ended(); }

    /// True if step() has something to do.
    bool ready() const;

    /// True if all that step() has to do is to throw what came instead of a page.
    bool has_failed() const { return failure_ != nullptr; }

    /// Does it, in the caller's transaction: writes a page, or sweeps, or finishes. Throws kombo::ApiError for what the
    /// network brought, and all that a fetch throws; then the run is as it was before, once the transaction is rolled
    /// back, and step() may be called again (a lock was not to be had), or failed().
    void step();

    /// To be called once the work of step() is committed.
    void committed();

    /// The result of a run that `caught` has ended. Throws again what is not an endpoint's failure.
    RunResult failed(const std::exception_ptr &caught) const;

    /// True if the error that step() threw came with a cursor which Kombo no longer takes: then a new run, from the
    /// first page, may do better.
    bool cursor_refused() const { return cursor_refused_; }

private:
    PageStream *stream() const;
    kombo::Query filters() const;
    void ask_for_less(const Failure &failure, RunResult &result) const;
    bool resume(const OpenFull &open);
    void note_column_types(const std::set<size_t> &tables);
    bool halve_chunk(const kombo::ApiError &error);
    void next_chunk();
    bool asks_further_back();
    void write_page();
    void checkpoint(bool last, const std::vector<uint64_t> &seen);
    void look_for_repeats(std::vector<uint64_t> ids);
    void end_delta();
    void begin_again();
    void find_missing();
    void remove_missing();
    void finish();
    void add_statistics(RunResult &result) const;

    const Catalogue &catalogue_;
    const States &states_;
    Task task_;
    std::string integration_id_;
    Connection &connection_;
    Store &store_;
    Settings settings_;
    Durability durability_;
    int page_size_; ///< of the whole run, whatever becomes of the state meanwhile

    Phase phase_ = Phase::Fetching;
    RunResult result_;             ///< as committed
    RunResult draft_;              ///< as step() has made it
    Phase next_ = Phase::Fetching; ///< the same
    Fetch fetch_;
    Sweep sweep_;

    std::unique_ptr<PageStream> list_;
    std::optional<PageStream::Arrived> page_; ///< arrived, and not yet written
    bool more_ = false;                       ///< it says that there is another, of a list that is but one page
    std::exception_ptr failure_;              ///< what came instead
    bool cursor_refused_ = false;

    kombo::Timestamp began_; ///< first request of the list, by our clock; known with the first page
    kombo::Timestamp watermark_;
    std::optional<kombo::Timestamp> earlier_watermark_;
    RunResult resumed_; ///< counts of the pages before the list was taken up, or begun again

    bool asked_further_back_ = false;
    bool moved_ = false;               ///< a record of a delta came twice: others may have been passed over
    bool begun_again_ = false;         ///< for that reason
    std::vector<uint64_t> latest_ids_; ///< of the page of a delta that is written now, or was last
    int latest_page_ = 0;              ///< its number

    std::optional<SeenIds> seen_;   ///< page by page it is kept by the store, and read once it is compared
    std::vector<std::string> gone_; ///< what did not come; then, what Kombo does not know any more
    std::vector<std::vector<std::string>> chunks_;
    std::unique_ptr<PageStream> confirming_;
    std::unordered_set<std::string> returned_;
    size_t confirmed_bytes_ = 0;
    int confirmed_retries_ = 0;
};

} // namespace syncer
