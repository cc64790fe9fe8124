#pragma once

#include "syncer/exceptions.h"
#include "syncer/runner.h"
#include "syncer/store.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace syncer {

/// An error as the database raises it.
class Refusal : public DatabaseError {
public:
    explicit Refusal(std::string sqlstate, std::string message = "refused", std::string detail = "",
                     std::string hint = "", std::string raised_in = "")
        : raised_in_(std::move(raised_in)), sqlstate_(std::move(sqlstate)), message_(std::move(message)),
          detail_(std::move(detail)), hint_(std::move(hint)) {}
    std::string sqlstate() const override { return sqlstate_; }
    std::string message() const override { return message_; }
    std::string detail() const override { return detail_; }
    std::string hint() const override { return hint_; }
    std::string raised_in() const override { return raised_in_; }
    std::string sync_role() const override { return "owner"; }
    bool is_missing_partition() const override { return missing_partition; }
    const char *what() const noexcept override { return message_.c_str(); }
    bool missing_partition = false;

private:
    std::string raised_in_;
    std::string sqlstate_;
    std::string message_;
    std::string detail_;
    std::string hint_;
};

using Ids = std::vector<std::string>;

class FakeFile : public TemporaryFile {
public:
    void append(const void *bytes, size_t size) override { all_.append(static_cast<const char *>(bytes), size); }
    void read(uint64_t offset, void *bytes, size_t size) override {
        ASSERT_LE(offset + size, all_.size());
        std::memcpy(bytes, all_.data() + offset, size);
    }

private:
    std::string all_;
};

/// A database that remembers what it was told, and refuses batches that hold certain ids. A subtransaction that fails
/// leaves nothing of what is meant to be in tables.
class FakeStore : public Store {
public:
    std::set<std::string> bad;
    std::string sqlstate = "23514";
    int64_t live = 0;
    Ids gone;                      ///< what find_missing() says, unless it is to look itself
    bool looks = false;            ///< find_missing() compares what is stored with the hashes
    size_t steps = 1;              ///< that find_missing() takes, and remove_orphans() for each list
    std::set<std::string> touched; ///< written since any time

    ErasedRecords erased; ///< must be kept out
    Ids erased_with;      ///< ids of belongings that were met

    Ids stored;
    std::vector<size_t> attempts; ///< rows of each write
    Ids parked;                   ///< "id sqlstate record"
    Ids unparked;
    std::optional<kombo::Timestamp> unparked_before;
    Ids asked_for;          ///< the ids that find_missing() looks for among those that came
    std::vector<bool> came; ///< which of them it found
    Ids searched;           ///< where its steps began
    std::optional<kombo::Timestamp> since;
    Ids removed;
    std::optional<OpenFull> open;                    ///< the open full fetch
    std::map<int, std::vector<uint64_t>> seen_pages; ///< its hashes
    std::optional<OnMissing> how;
    Ids orphan_sweeps; ///< "path place" of each step
    Ids link_sweeps;   ///< "table place column,…  how" of each step
    Ids purges;        ///< where its steps began
    size_t files_opened = 0;
    std::optional<kombo::Timestamp> purged_before;
    std::vector<std::optional<kombo::Timestamp>> succeeded_with; ///< the watermarks
    Ids failures;                                                ///< paths
    Ids runs;                                                    ///< "path status"
    std::function<void()> on_write = [] {};
    std::function<void()> on_missing = [] {};
    std::function<void()> on_success = [] {};
    std::function<void(const std::string &)> on_failure = [](const std::string &) {}; ///< is to be noted, of that path

    bool has_erased() const override { return !erased.empty(); }
    ErasedRecords find_erased(const std::vector<std::string_view> &) override { return erased; }
    void erase(const Belonging &record) override { erased_with.push_back(record.id); }
    void in_subtransaction(const std::function<void()> &body) override {
        const auto before = std::make_tuple(stored, parked, removed, open, seen_pages, succeeded_with, runs);
        try {
            body();
        } catch (const std::exception &) {
            std::tie(stored, parked, removed, open, seen_pages, succeeded_with, runs) = before;
            throw;
        }
    }

    void write(const Endpoint &, const Dependents &, const Batch &batch, kombo::Timestamp,
               TableCounts &counts) override {
        on_write();
        attempts.push_back(batch.sets.at(0).rows.size());
        for (const RowSet &set : batch.sets)
            for (const Row &row : set.rows) {
                const std::string id(row.cells[0].text);
                if (set.table == batch.sets[0].table) stored.push_back(id);
                ++counts[set.table].inserted;
                if (bad.count(id) > 0) throw Refusal(sqlstate, "\"" + id + "\" is refused");
            }
        if (bad.count("everything") > 0) throw Refusal(sqlstate, "everything is refused");
    }

    std::vector<uint64_t> hashes_of(const Ids &ids) {
        std::vector<uint64_t> hashes;
        for (const std::string &id : ids) hashes.push_back(hash(id));
        return hashes;
    }

    uint64_t hash(std::string_view id) override { return std::hash<std::string_view>()(id); }

    std::optional<std::string> find_missing(const Endpoint &, const std::string &after, SeenIds &seen_ids,
                                            kombo::Timestamp asked_since, Ids &missing, int64_t &passed) override {
        came = seen_ids.find(hashes_of(asked_for));
        since = asked_since;
        searched.push_back(after);
        on_missing();
        const size_t step = after.empty() ? 0 : std::stoul(after);
        const auto take = [&](const Ids &all) {
            for (size_t i = step; i < all.size(); i += steps) missing.push_back(all[i]);
        };
        Ids not_seen;
        const std::vector<bool> found = seen_ids.find(hashes_of(stored));
        for (size_t i = 0; i < stored.size(); ++i)
            if (!found[i]) not_seen.push_back(stored[i]);
        take(looks ? not_seen : gone);
        if (step + 1 < steps) return std::to_string(step + 1);
        passed += live;
        return std::nullopt;
    }

    Ids untouched(const Endpoint &, const Ids &ids, kombo::Timestamp asked_since) override {
        since = asked_since;
        Ids left;
        for (const std::string &id : ids)
            if (touched.count(id) == 0) left.push_back(id);
        return left;
    }

    void remove(const Endpoint &endpoint, const Dependents &, const Ids &ids, OnMissing asked_how,
                TableCounts &counts) override {
        if (ids.empty()) return;
        removed.insert(removed.end(), ids.begin(), ids.end());
        how = asked_how;
        counts[endpoint.table].deleted += static_cast<int64_t>(ids.size());
    }

    std::optional<std::string> remove_orphans(const Endpoint &, const Nested &nested, const std::string &after,
                                              SeenIds &seen_ids, kombo::Timestamp, TableCounts &counts) override {
        EXPECT_EQ(seen_ids.find(hashes_of(asked_for)), came);
        orphan_sweeps.push_back(nested.json_path + " " + after);
        ++counts[nested.table].deleted;
        const size_t step = after.empty() ? 0 : std::stoul(after);
        if (step + 1 < steps) return std::to_string(step + 1);
        return std::nullopt;
    }

    std::optional<std::string> remove_unlinked(size_t table, const std::vector<Link> &links, OnMissing asked_how,
                                               const std::string &after, TableCounts &counts) override {
        std::string sweep = std::to_string(table) + " " + after;
        for (const Link &link : links) sweep += (&link == &links[0] ? "" : ",") + link.column;
        link_sweeps.push_back(sweep + (asked_how == OnMissing::Delete ? " delete" : " mark"));
        ++counts[table].deleted;
        const size_t step = after.empty() ? 0 : std::stoul(after);
        if (step + 1 < steps) return std::to_string(step + 1);
        return std::nullopt;
    }

    std::optional<std::string> purge(const Endpoint &, const Dependents &, kombo::Timestamp before,
                                     const std::string &after, TableCounts &) override {
        purged_before = before;
        purges.push_back(after);
        const size_t step = after.empty() ? 0 : std::stoul(after);
        if (step + 1 < steps) return std::to_string(step + 1);
        return std::nullopt;
    }

    void park(const Endpoint &, std::optional<std::string_view> id, const std::string &record, const std::string &state,
              const std::string &error) override {
        EXPECT_FALSE(error.empty());
        parked.push_back(std::string(id.value_or("-")) + " " + state + " " + record);
    }

    void unpark(const Endpoint &, const std::vector<std::string_view> &ids) override {
        unparked.insert(unparked.end(), ids.begin(), ids.end());
    }

    void unpark_before(const Endpoint &, kombo::Timestamp before) override { unparked_before = before; }
    void succeeded(const Task &task, const States &, const RunResult &,
                   std::optional<kombo::Timestamp> watermark) override {
        succeeded_with.push_back(watermark);
        if (task.kind == Kind::Full) forget_full(*task.endpoint);
        on_success();
    }

    void checkpoint(const Task &, const OpenFull &now_open, int page, const std::vector<uint64_t> &hashes) override {
        if (page == 1) seen_pages.clear();
        open = now_open;
        EXPECT_TRUE(seen_pages.emplace(page, hashes).second) << "page " << page << " twice";
    }

    void keep_progress(const Task &, const std::string &progress) override {
        ASSERT_TRUE(open);
        open->progress = progress;
    }

    SeenIds seen(const Endpoint &) override {
        SeenIds all(*this);
        for (const auto &[page, hashes] : seen_pages)
            for (const uint64_t one : hashes) all.add(one);
        return all;
    }

    std::unique_ptr<TemporaryFile> temporary_file() override {
        ++files_opened;
        return std::make_unique<FakeFile>();
    }

    void forget_full(const Endpoint &) override {
        open.reset();
        seen_pages.clear();
    }

    void failed(const Task &task, const RunResult &) override {
        on_failure(task.endpoint->path);
        failures.push_back(task.endpoint->path);
    }
    void record_run(const Task &task, const RunResult &result) override {
        runs.push_back(task.endpoint->path + " " + name(result.status));
    }
};

} // namespace syncer
