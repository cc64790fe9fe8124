#include "pg/foreign/reader.h"

#include "pg/account/connection.h"
#include "pg/base/settings.h"
#include "syncer/failure.h"

#include <algorithm>

namespace pg {

namespace {

/// Kombo API reference: unknown ids may be refused; Run in syncer has more.
bool refuses_values(const kombo::ApiError &error) {
    return error.code != "PLATFORM.INTEGRATION_NOT_FOUND" &&
           (error.error_class == kombo::ErrorClass::InvalidInput || error.error_class == kombo::ErrorClass::NotFound);
}

} // namespace

Reader::Reader(const Server &server, const LiveTable &table, const LiveList &list, Columns columns)
    : table_(table), list_(list), columns_(std::move(columns)), connection_(connect_to(server)),
      record_(columns_.fields, list.known, list.withheld, columns_.extra_wanted) {}

void Reader::begin(std::vector<Part> parts, bool sparing) {
    streams_.clear();
    page_.reset();
    waiting_.assign(std::make_move_iterator(parts.begin()), std::make_move_iterator(parts.end()));
    sparing_ = sparing;
}

Reader::Step Reader::next(bool may_wait) {
    while (true) {
        if (!page_) {
            const Step step = next_page(may_wait);
            if (step != Step::Record) return step;
        }
        while (position_ < page_->records().size()) {
            arena_.clear();
            record_.read(page_->records()[position_++], arena_, cells_, extra_);
            if (counts()) return Step::Record;
        }
        page_.reset();
    }
}

bool Reader::counts() const {
    return !divided_ || (!cells_[*divided_].null && divided_values_.count(cells_[*divided_].text) > 0);
}

Reader::Step Reader::next_page(bool may_wait) {
    if (!may_wait) connection_.transfers.look();
    while (true) {
        open_streams();
        if (streams_.empty()) return Step::End;
        bool dealt_with = false;
        for (auto stream = streams_.begin(); stream != streams_.end() && !dealt_with;) {
            const auto current = stream++;
            const auto now = syncer::Clock::now();
            current->pages->poll(now);
            if (current->pages->wants_to_send(now)) current->pages->send();
            if (!current->pages->answered()) continue;
            if (take(current)) return Step::Record;
            dealt_with = true; // others may have come in its place
        }
        if (dealt_with) continue;
        if (!may_wait) return Step::Pending;
        const auto began = syncer::Clock::now();
        waiter_.wait(connection_.transfers, wake_at());
        costs_.network += std::chrono::duration_cast<std::chrono::microseconds>(syncer::Clock::now() - began);
    }
}

std::optional<syncer::Clock::time_point> Reader::wake_at() const {
    std::optional<syncer::Clock::time_point> earliest;
    for (const Stream &stream : streams_)
        if (const auto its = stream.pages->wake_at()) earliest = earliest ? std::min(*earliest, *its) : *its;
    return earliest;
}

void Reader::open_streams() {
    const size_t most = sparing_ ? 1 : static_cast<size_t>(std::max(1, settings::max_concurrency));
    while (streams_.size() < most && !waiting_.empty()) {
        Stream stream;
        stream.part = std::move(waiting_.front());
        waiting_.pop_front();
        stream.pages = std::make_unique<syncer::PageStream>(connection_, list_.path, stream.part.integration_id,
                                                            stream.part.complete());
        stream.pages->send();
        streams_.push_back(std::move(stream));
    }
}

/// Takes a page that has arrived; false: there was an error, which is dealt with.
bool Reader::take(Streams::iterator stream) {
    try {
        page_ = stream->pages->take().page;
    } catch (const kombo::ApiError &error) {
        fail(stream, error);
        return false;
    }
    position_ = 0;
    ++costs_.pages;
    stream->records += static_cast<int64_t>(page_->records().size());
    costs_.records += static_cast<int64_t>(page_->records().size());
    part_ = stream->part;
    divided_.reset();
    divided_values_.clear();
    if (!part_.values.empty()) {
        const auto name = std::find(columns_.names.begin(), columns_.names.end(), part_.divided_column);
        divided_ = static_cast<size_t>(name - columns_.names.begin());
        divided_values_.insert(part_.values.begin(), part_.values.end());
    }
    if (!list_.paginated) stream->pages->end();
    if (stream->pages->ended())
        close(stream);
    else if (!sparing_)
        stream->pages->send();
    return true;
}

void Reader::close(Streams::iterator stream) {
    costs_.bytes += static_cast<int64_t>(stream->pages->bytes());
    costs_.retries += stream->pages->retries();
    streams_.erase(stream);
}

void Reader::fail(Streams::iterator stream, const kombo::ApiError &error) {
    const Part part = stream->part;
    const bool by_id = part.divided_column == "id" && stream->pages->pages() == 0;
    const int64_t records = stream->records;
    close(stream);
    if (by_id && refuses_values(error)) {
        if (part.values.size() == 1) return;
        auto [first, second] = part.halves();
        waiting_.push_front(std::move(second));
        waiting_.push_front(std::move(first));
        return;
    }
    const syncer::Failure failure = syncer::explain(error);
    const std::string about = "List \"" + list_.path + "\" of integration \"" + part.integration_id + "\".";
    const std::string detail = failure.detail.empty() ? about : failure.detail + " " + about;
    if (!table_.skip_failed) raise(sqlstate_code(failure.sqlstate), failure.message, detail, failure.hint);
    guard([&] {
        ereport(WARNING, errcode(sqlstate_code(failure.sqlstate)),
                errmsg("integration \"%s\" is left out: %s", part.integration_id.c_str(), failure.message.c_str()),
                errdetail_internal("%s Records read before: %lld.", detail.c_str(), static_cast<long long>(records)),
                failure.hint.empty() ? 0 : errhint("%s", failure.hint.c_str()));
    });
    if (!failure.of_integration) return;
    waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(),
                                  [&](const Part &other) { return other.integration_id == part.integration_id; }),
                   waiting_.end());
}

} // namespace pg
