#pragma once

#include "pg/foreign/fdw.h"
#include "pg/foreign/pushdown.h"
#include "pg/foreign/reader.h"
#include "pg/foreign/wait_ticker.h"
#include "pg/store/jsonb_builder.h"

namespace pg {

/// The columns of a foreign table, and where those are that no record has.
struct LiveColumns {
    Reader::Columns read;
    int integration = -1;
    int extra = -1;
};

/// `wanted`: numbers of columns, 0 for all; NIL: all. Raises on a column of a type that Kombo has no values of.
LiveColumns live_columns(TupleDesc description, const char *table, const LiveList &list, const List *wanted);

/// Fills in the values of the record that was read, in the current memory context. Runs inside pg::guard.
void fill(const LiveColumns &columns, const Reader &reader, JsonbBuilder &jsonb, Datum *values, bool *nulls);

/// One scan of a foreign table.
class Scan {
public:
    explicit Scan(ForeignScanState *node);

    /// Makes ready what a scan needs that is not only explained.
    void prepare(int flags);

    /// Puts the next row into the slot; what is left empty is the end, or not yet there.
    void next(TupleTableSlot *slot);

    /// It will be read from the beginning: the same requests are answered from what was read.
    void again() { begun_ = false; }

    /// Frees what a memory context does not.
    void end();

    /// From now on next() does not wait: under Append, which reads several scans side by side.
    void do_not_wait() { may_wait_ = false; }
    bool pending() const { return pending_; }
    const Reader *reader() const { return reader_.get(); }

    /// The requests; nullopt with `only_constants`: the value of a condition is known when a row is read.
    std::optional<std::vector<Part>> parts(bool only_constants);

    const LiveList &list() const { return list_; }
    const std::vector<PlannedCondition> &conditions() const { return conditions_; }

    WaitTicker ticker; ///< of a scan that does not wait

private:
    void begin();
    bool read_kept(TupleTableSlot *slot);
    void keep(TupleTableSlot *slot);
    int page_size() const;
    std::vector<std::string> registered(bool required) const;

    ForeignScanState *node_;
    const LiveTable table_;
    const LiveList list_;
    const Server server_;
    std::vector<PlannedCondition> conditions_;
    int limit_ = 0; ///< rows that one page of that many may be enough for; 0: all pages are wanted
    List *expressions_ = NIL;
    bool has_parameters_ = false;
    LiveColumns columns_;
    std::unique_ptr<Reader> reader_;
    JsonbBuilder jsonb_;
    MemoryContext row_context_ = nullptr;
    Tuplestorestate *kept_ = nullptr; ///< freed with the query if that fails, as the slot is
    TupleTableSlot *kept_slot_ = nullptr;
    std::string asked_; ///< what the kept rows are the answer to
    bool keeps_rows_ = false;
    bool reading_kept_ = false;
    bool begun_ = false;
    bool ended_ = false;
    bool may_wait_ = true;
    bool pending_ = false;
};

namespace fdw {
inline Scan &scan_of(ForeignScanState *node) {
    return *static_cast<Scan *>(node->fdw_state);
}
} // namespace fdw

} // namespace pg
