#pragma once

#include "pg/account/options.h"
#include "pg/base/wait.h"
#include "pg/foreign/requests.h"
#include "syncer/live_record.h"
#include "syncer/stream.h"

#include <deque>
#include <list>
#include <memory>

namespace pg {

/// What a scan has cost so far.
struct ReadCosts {
    int64_t pages = 0;
    int64_t records = 0;
    int64_t bytes = 0;
    int64_t retries = 0;
    std::chrono::microseconds network{}; ///< waited for
};

/// Reads the records of a list, page by page as they are wanted, several integrations side by side.
class Reader {
public:
    /// The columns of the rows, in order.
    struct Columns {
        std::vector<syncer::LiveRecord::Column> fields;
        std::vector<std::string> names;
        bool extra_wanted = true;
    };

    Reader(const Server &server, const LiveTable &table, const LiveList &list, Columns columns);
    Reader(const Reader &) = delete;
    Reader &operator=(const Reader &) = delete;

    /// Forgets what was asked for, and begins these requests. With `sparing` the next page is asked for only when it is
    /// wanted, and one request at a time.
    void begin(std::vector<Part> parts, bool sparing);

    enum class Step { Record, End, Pending };

    /// Reads the next record. What the cells view lives until the next call. Pending: it has not arrived yet, of a call
    /// that may not wait. Throws syncer::InvalidRequest for what Kombo or the network answers, and Error.
    Step next(bool may_wait = true);

    /// The transfers to wait for, and until when, before another call that may not wait.
    const kombo::Transfers &transfers() const { return connection_.transfers; }
    std::optional<syncer::Clock::time_point> wake_at() const;

    const std::vector<syncer::Cell> &cells() const { return cells_; }
    std::string_view extra() const { return extra_; }
    const std::string &integration_id() const { return part_.integration_id; }
    const ReadCosts &costs() const { return costs_; }

private:
    struct Stream {
        Part part;
        std::unique_ptr<syncer::PageStream> pages;
        int64_t records = 0;
    };
    using Streams = std::list<Stream>;

    Step next_page(bool may_wait);
    void open_streams();
    bool take(Streams::iterator stream);
    void fail(Streams::iterator stream, const kombo::ApiError &error);
    void close(Streams::iterator stream);
    bool counts() const;

    const LiveTable table_;
    const LiveList list_;
    const Columns columns_;
    syncer::Connection connection_;
    syncer::LiveRecord record_;
    LatchWaiter waiter_;
    bool sparing_ = false;
    std::deque<Part> waiting_;
    Streams streams_;
    std::optional<kombo::Page> page_; ///< whose records are being read
    size_t position_ = 0;
    Part part_; ///< of that page
    std::optional<size_t> divided_;
    std::set<std::string, std::less<>> divided_values_;
    kombo::Arena arena_;
    std::vector<syncer::Cell> cells_;
    std::string_view extra_;
    ReadCosts costs_;
};

} // namespace pg
