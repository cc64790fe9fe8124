#pragma once

#include "pg/base/contain.h"
#include "pg/store/row_store.h"
#include "syncer/open_full.h"

namespace pg {

/// The writes of one integration's sync, as SQL. What RowStore leaves is state: how far each endpoint has come,
/// requests, runs, and records that were refused.
class SqlStore : public RowStore {
public:
    /// The number of times to repeat a step whose run could not be recorded because of a lock.
    int record_attempts = 0;

    /// Is told of every run that was recorded, or why it could not be.
    std::function<void(const std::optional<Trouble> &)> run_recorded = [](const auto &) {};

    SqlStore(const syncer::Catalogue &catalogue, std::string integration_id);

    bool has_erased() const override { return has_erased_; }
    syncer::ErasedRecords find_erased(const std::vector<std::string_view> &ids) override;
    void erase(const syncer::Belonging &record) override;
    void park(const syncer::Endpoint &endpoint, std::optional<std::string_view> id, const std::string &record,
              const std::string &sqlstate, const std::string &error) override;
    void unpark(const syncer::Endpoint &endpoint, const std::vector<std::string_view> &ids) override;
    void unpark_before(const syncer::Endpoint &endpoint, kombo::Timestamp before) override;
    /// Forgets the parked records of a run that began at `since`.
    void unpark_since(const syncer::Endpoint &endpoint, kombo::Timestamp since);
    void succeeded(const syncer::Task &task, const syncer::States &states, const syncer::RunResult &result,
                   std::optional<kombo::Timestamp> watermark) override;
    void checkpoint(const syncer::Task &task, const syncer::OpenFull &open, int page,
                    const std::vector<uint64_t> &seen) override;
    void keep_progress(const syncer::Task &task, const std::string &progress) override;
    syncer::SeenIds seen(const syncer::Endpoint &endpoint) override;
    std::unique_ptr<syncer::TemporaryFile> temporary_file() override;
    void forget_full(const syncer::Endpoint &endpoint) override;
    void failed(const syncer::Task &task, const syncer::RunResult &result) override;
    void record_run(const syncer::Task &task, const syncer::RunResult &result) override;

private:
    void insert_run(const syncer::Task &task, const syncer::RunResult &result);
    Params of(const syncer::Endpoint &endpoint) const {
        Params params = key();
        params.text(endpoint.path);
        return params;
    }
    bool repeat_run(const syncer::Endpoint &endpoint, const Params &params);
    void advance_implied(const syncer::Task &task, const syncer::States &states, const syncer::RunResult &result,
                         kombo::Timestamp watermark);
    void request_again(const syncer::Task &task);
    void request_carriers(const syncer::Endpoint &unavailable);
    void request_full(const syncer::Endpoint &endpoint, kombo::Timestamp at);

    std::map<std::string, bool> has_parked_;
    /// Read under the lock of the integration, which kombo.erase takes as well.
    const bool has_erased_;
    int record_failures_ = 0; ///< in a row
};

/// Deletes run records that are older than kombo_sync.retention, but for the last one of each endpoint; 1,000 at most,
/// and returns how many. Changes that nobody waits for go, too.
size_t prune_runs();

} // namespace pg
