#include "syncer/run.h"

#include "syncer/exceptions.h"
#include "syncer/failure.h"
#include "syncer/watermark.h"

#include <algorithm>
#include <set>
#include <utility>

namespace syncer {

namespace {

/// Ids per confirming request: 24 characters each and a comma of three keep the URL below 3 kB.
constexpr size_t ids_per_request = 100;

/// Kombo API reference: page_size is 250 at most. What a page takes in memory is bounded by that.
constexpr size_t most_records = 250;

/// If responses take too long or are too large, fewer records are requested: after so many failures in a row, and no
/// fewer than that.
constexpr int failures_before_less = 3;
constexpr int least_records = 10;

RunResult fresh(const Task &task) {
    RunResult result;
    result.kind = task.kind;
    result.trigger = task.trigger;
    result.started_at = kombo::current_timestamp();
    return result;
}

Task with_tables(Task task) {
    task.endpoint->check_tables();
    return task;
}

} // namespace

Run::Run(const Catalogue &catalogue, const States &states, Task task, std::string integration_id,
         Connection &connection, Store &store, Settings settings, Durability durability)
    : catalogue_(catalogue), states_(states), task_(with_tables(std::move(task))),
      integration_id_(std::move(integration_id)), connection_(connection), store_(store), settings_(settings),
      durability_(durability),
      page_size_(
          std::min(connection.page_size, states.at(task_.endpoint->path).page_size.value_or(connection.page_size))),
      result_(fresh(task_)), fetch_(catalogue, states, task_, store, draft_),
      sweep_(catalogue, states, task_, store, settings) {
    const std::set<size_t> tables = written_tables(catalogue, states, *task_.endpoint);
    const auto &open = states.at(task_.endpoint->path).open_full;
    if (durability == Durability::PageByPage && task_.kind == Kind::Full && open && resume(*open)) return;
    list_ = std::make_unique<PageStream>(connection_, task_.endpoint->path, integration_id_, filters());
    note_column_types(tables);
}

/// Columns that somebody gave another type: what is stored there may not be what Kombo sent.
void Run::note_column_types(const std::set<size_t> &tables) {
    for (const size_t table : tables)
        for (const Field &field : catalogue_.tables[table].fields)
            if (!field.column_type.empty())
                result_.oddities.add(Oddities::Kind::ColumnType, catalogue_.tables[table].name,
                                     field.column + ": " + field.column_type);
}

/// Goes on with a full fetch, unless Kombo may no longer take its cursor, or not with the filters of today.
bool Run::resume(const OpenFull &open) {
    if (!open.alive(kombo::current_timestamp()) || open.query != filters().encode()) return false;
    RunResult so_far = result_;
    restore_progress(open.progress, catalogue_, so_far);
    if (so_far.pages < 1) return false; // the first page is told by its number
    result_ = resumed_ = std::move(so_far);
    began_ = open.started_at;
    watermark_ = open.watermark;
    if (open.cursor.empty())
        phase_ = Phase::Sweeping;
    else
        list_ =
            std::make_unique<PageStream>(connection_, task_.endpoint->path, integration_id_, filters(), open.cursor);
    return true;
}

/// Filters of the task's list, as far as the endpoint takes them.
kombo::Query Run::filters() const {
    kombo::Query query;
    if (task_.endpoint->paginated) query.add("page_size", std::to_string(page_size_));
    // Kombo API reference: without include_deleted the deletions are hidden, from deltas too.
    if (task_.endpoint->incremental) query.add_flag("include_deleted", true);
    if (task_.updated_after) query.add("updated_after", kombo::format_timestamp(*task_.updated_after));
    return query;
}

PageStream *Run::stream() const {
    if (phase_ == Phase::Fetching) return list_.get();
    return phase_ == Phase::Confirming ? confirming_.get() : nullptr;
}

bool Run::wants_to_send(Clock::time_point now) const {
    const PageStream *asking = stream();
    return !failure_ && asking && asking->wants_to_send(now);
}

void Run::send() {
    stream()->send();
    poll(Clock::now()); // it may be answered
}

bool Run::in_flight() const {
    const PageStream *asking = stream();
    return asking && asking->in_flight();
}

std::optional<Clock::time_point> Run::wake_at() const {
    const PageStream *asking = stream();
    return asking ? asking->wake_at() : std::nullopt;
}

void Run::poll(Clock::time_point now) {
    PageStream *asked = stream();
    if (!asked || failure_) return;
    asked->poll(now);
    if (page_ || !asked->answered()) return;
    const bool with_cursor = asked->cursor().has_value();
    try {
        page_ = asked->take();
        // Kombo API reference: such a list has no parameter for a cursor.
        more_ = !task_.endpoint->paginated && asked->cursor();
        if (more_) asked->end();
        if (task_.endpoint->paginated && page_->page.records().size() > most_records) {
            const std::string count = std::to_string(page_->page.records().size());
            page_.reset();
            throw kombo::ApiError(kombo::ErrorClass::MalformedBody, 0,
                                  "a page of " + count + " records, where at most " + std::to_string(most_records) +
                                      " can be");
        }
        if (phase_ == Phase::Fetching && asks_further_back()) page_.reset();
    } catch (const kombo::ApiError &error) {
        if (phase_ == Phase::Confirming && halve_chunk(error)) return;
        cursor_refused_ = with_cursor && (error.error_class == kombo::ErrorClass::InvalidInput ||
                                          error.error_class == kombo::ErrorClass::NotFound ||
                                          error.error_class == kombo::ErrorClass::Final);
        failure_ = std::current_exception();
    }
}

/// If Kombo's clock is behind the watermark, the list is requested anew, from before that.
bool Run::asks_further_back() {
    if (task_.kind != Kind::Delta || !task_.updated_after || list_->pages() != 1 || resumed_.pages > 0 ||
        asked_further_back_)
        return false;
    const auto from = further_back(*list_->first_response(), *task_.updated_after, settings_.overlap);
    if (!from) return false;
    asked_further_back_ = true;
    add_oddity(Oddities::Kind::ClockBehind, catalogue_.tables[task_.endpoint->table].name, "changed_at");
    task_.updated_after = *from;
    list_ = std::make_unique<PageStream>(connection_, task_.endpoint->path, integration_id_, filters());
    return true;
}

/// An older page of the API reference says that unknown ids are refused with 404, another that ids of another length
/// are refused; the ids at fault are found by halving. A single id that is refused counts as not returned.
bool Run::halve_chunk(const kombo::ApiError &error) {
    if (error.http_status != 400 && error.http_status != 404) return false;
    // An error that passes, or is not about the ids, says nothing about the rows.
    if (error.error_class != kombo::ErrorClass::InvalidInput && error.error_class != kombo::ErrorClass::NotFound)
        return false;
    if (explain(error).of_integration) return false;
    const std::vector<std::string> chunk = std::move(chunks_.back());
    chunks_.pop_back();
    if (chunk.size() > 1) {
        const auto middle = chunk.begin() + static_cast<std::ptrdiff_t>(chunk.size() / 2);
        chunks_.emplace_back(chunk.begin(), middle);
        chunks_.emplace_back(middle, chunk.end());
    }
    next_chunk();
    return true;
}

void Run::next_chunk() {
    confirming_.reset();
    if (chunks_.empty()) {
        const auto returned = [&](const std::string &id) { return returned_.count(id) > 0; };
        gone_.erase(std::remove_if(gone_.begin(), gone_.end(), returned), gone_.end());
        phase_ = Phase::Removing;
        return;
    }
    confirming_ = std::make_unique<PageStream>(connection_, task_.endpoint->path, integration_id_,
                                               filters().add_list("ids", chunks_.back()));
}

bool Run::ready() const {
    return failure_ || page_ || phase_ == Phase::Sweeping || phase_ == Phase::Removing;
}

void Run::step() {
    if (failure_) std::rethrow_exception(failure_);
    draft_ = result_;
    next_ = phase_;
    fetch_.take_seen(); // of a step that was rolled back
    switch (phase_) {
    case Phase::Fetching:
        write_page();
        break;
    case Phase::Sweeping:
        find_missing();
        break;
    case Phase::Confirming:
        fetch_.take_confirmed(*page_, returned_);
        break;
    case Phase::Removing:
        remove_missing();
        break;
    case Phase::Ended:
        break;
    }
}

void Run::write_page() {
    fetch_.take(*page_);
    if (more_) draft_.oddities.add(Oddities::Kind::MorePages, catalogue_.tables[task_.endpoint->table].name, "next");
    add_statistics(draft_);
    if (resumed_.pages == 0 && list_->pages() == 1) {
        began_ = list_->first_response()->sent_at;
        const auto start = fetch_start(*list_->first_response(), settings_.overlap);
        // That of the same call surely began before; what a larger difference means is that a clock was put back.
        watermark_ = in_order(in_order(start, earlier_watermark_, std::chrono::seconds(10)),
                              states_.at(task_.endpoint->path).watermark);
    }
    const bool last = list_->ended();
    if (task_.kind == Kind::Full) {
        checkpoint(last, fetch_.take_seen());
        if (last) next_ = Phase::Sweeping;
    } else {
        look_for_repeats(fetch_.take_seen());
        if (last) end_delta();
    }
}

void Run::checkpoint(bool last, const std::vector<uint64_t> &seen) {
    if (durability_ == Durability::PageByPage) {
        const OpenFull open{began_,
                            watermark_,
                            filters().encode(),
                            last ? std::string() : *list_->cursor(),
                            kombo::current_timestamp(),
                            progress_json(draft_, catalogue_)};
        return store_.checkpoint(task_, open, draft_.pages, seen);
    }
    if (!seen_) seen_.emplace(store_);
    for (const uint64_t hash : seen) seen_->add(hash);
}

/// A record that comes on a second page of a delta changed while this was read. Where pages are cut out of a list that
/// moves, another record has then passed from a page not yet read to one that was.
void Run::look_for_repeats(std::vector<uint64_t> ids) {
    if (list_->pages() == 1 && list_->ended()) return;
    if (!seen_) seen_.emplace(store_);
    if (latest_page_ < list_->pages()) // otherwise the step is done once more: its page is not among them yet
        for (const uint64_t id : latest_ids_) seen_->add(id);
    latest_page_ = list_->pages();
    latest_ids_ = std::move(ids);
    const std::vector<bool> came_before = seen_->find(latest_ids_);
    moved_ = moved_ || std::find(came_before.begin(), came_before.end(), true) != came_before.end();
}

/// A delta whose pages moved is read once more, and if they moved again leaves the watermark to the next one.
void Run::end_delta() {
    if (moved_)
        draft_.oddities.add(Oddities::Kind::PagesMoved, catalogue_.tables[task_.endpoint->table].name,
                            begun_again_ ? "the watermark stays" : "read once more");
    if (moved_ && !begun_again_) return; // committed() goes on
    finish();
}

void Run::begin_again() {
    resumed_ = result_;
    list_ = std::make_unique<PageStream>(connection_, task_.endpoint->path, integration_id_, filters());
    begun_again_ = true;
    moved_ = false;
    seen_.reset();
    latest_ids_.clear();
    latest_page_ = 0;
}

void Run::find_missing() {
    if (!seen_) seen_ = store_.seen(*task_.endpoint);
    if (!sweep_.search(*seen_, began_)) return;
    if (const auto why = sweep_.held()) {
        draft_.status = Status::Held;
        draft_.sqlstate = "55000";
        draft_.error = *why;
        draft_.hint = "If Kombo is right, SELECT kombo.accept_sweep(integration_id, endpoint) lets the next full "
                      "sync remove them.";
    }
    next_ = draft_.status == Status::Held || sweep_.missing() == 0 ? Phase::Removing : Phase::Confirming;
}

void Run::remove_missing() {
    const bool held = draft_.status == Status::Held;
    const bool done = held ? sweep_.purge(draft_.counts) : sweep_.remove(gone_, *seen_, began_, draft_.counts);
    if (!done) {
        if (durability_ == Durability::PageByPage) store_.keep_progress(task_, progress_json(draft_, catalogue_));
        return;
    }
    store_.unpark_before(*task_.endpoint, draft_.started_at);
    finish();
}

void Run::finish() {
    add_statistics(draft_);
    draft_.finished_at = kombo::current_timestamp();
    for (const auto &[table, rows] : draft_.counts)
        if (rows.referenced > 0)
            draft_.oddities.add(Oddities::Kind::Referenced, catalogue_.tables[table].name, rows.reference,
                                static_cast<uint64_t>(rows.referenced));
    store_.succeeded(task_, states_, draft_, moved_ ? std::nullopt : std::optional(watermark_));
    store_.record_run(task_, draft_);
    next_ = Phase::Ended;
}

void Run::committed() {
    result_ = draft_;
    page_.reset();
    const Phase before = std::exchange(phase_, next_);
    if (before == Phase::Sweeping || before == Phase::Removing) sweep_.committed();
    if (before == Phase::Sweeping && phase_ == Phase::Confirming) {
        gone_ = sweep_.take_suspects();
        for (size_t from = 0; from < gone_.size(); from += ids_per_request) {
            const size_t to = std::min(gone_.size(), from + ids_per_request);
            chunks_.emplace_back(gone_.begin() + static_cast<std::ptrdiff_t>(from),
                                 gone_.begin() + static_cast<std::ptrdiff_t>(to));
        }
        next_chunk();
    } else if (before == Phase::Confirming && confirming_->ended()) {
        confirmed_bytes_ += confirming_->bytes();
        confirmed_retries_ += confirming_->retries();
        chunks_.pop_back();
        next_chunk();
    } else if (phase_ == Phase::Fetching && task_.kind == Kind::Delta && list_->ended()) {
        begin_again();
    }
}

void Run::add_statistics(RunResult &result) const {
    result.pages = resumed_.pages + (list_ ? list_->pages() : 0);
    result.bytes = resumed_.bytes + (list_ ? list_->bytes() : 0) + confirmed_bytes_;
    result.retries = resumed_.retries + (list_ ? list_->retries() : 0) + confirmed_retries_;
}

RunResult Run::failed(const std::exception_ptr &caught) const {
    const Failure failure = explain(caught);
    RunResult result = fresh(task_);
    if (durability_ == Durability::PageByPage) result = result_; // what is committed stays
    result.started_at = result_.started_at;
    add_statistics(result);
    result.finished_at = kombo::current_timestamp();
    result.status = failure.status;
    result.sqlstate = failure.sqlstate;
    result.error = failure.message;
    result.detail = failure.detail;
    result.hint = failure.hint;
    result.of_integration = failure.of_integration;
    result.of_server = failure.of_server;
    result.lasting = failure.lasting;
    result.too_many_parked = failure.too_many_parked;
    result.retry_after = failure.retry_after;
    ask_for_less(failure, result);
    return result;
}

/// A page that takes Kombo, or a proxy, too long may pass with half the records. One such response may be by chance; a
/// page that was too large for us will be so again.
void Run::ask_for_less(const Failure &failure, RunResult &result) const {
    const bool again = failure.lasting || states_.at(task_.endpoint->path).attempts + 1 >= failures_before_less;
    if (!failure.too_much || !again || !task_.endpoint->paginated || page_size_ <= least_records) return;
    result.page_size = std::max(least_records, page_size_ / 2);
    result.lasting = false;
    result.error += "; the next attempt asks for " + std::to_string(*result.page_size) + " records a page";
}

} // namespace syncer
