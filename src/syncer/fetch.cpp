#include "syncer/fetch.h"

#include "syncer/exceptions.h"

#include <algorithm>
#include <utility>

namespace syncer {

Fetch::Fetch(const Catalogue &catalogue, const States &states, const Task &task, Store &store, RunResult &result)
    : catalogue_(catalogue), states_(states), task_(task), store_(store), result_(result),
      purge_before_(purge_limit(states.at(task.endpoint->path).subscription)) {
    follow_states();
    for (const Endpoint &endpoint : catalogue.endpoints) {
        const auto state = states.find(endpoint.path);
        if (state == states.end() || !state->second.subscription.enabled) continue;
        if (const auto limit = purge_limit(state->second.subscription)) purge_nested_.emplace(endpoint.table, *limit);
    }
}

std::vector<bool> Fetch::delivering() const {
    std::vector<bool> found;
    for (const Endpoint &endpoint : catalogue_.endpoints) found.push_back(delivers(states_, endpoint));
    return found;
}

/// A list may begin or cease to deliver while this one is fetched. It decides over its rows from then on: one that it
/// has marked as gone must not be revived by what names it here.
void Fetch::follow_states() {
    std::vector<bool> now = delivering();
    if (unfolder_ && now == delivering_) return;
    for (const size_t table : written_tables(catalogue_, states_, *task_.endpoint)) catalogue_.tables[table].check();
    unfolder_.emplace(catalogue_,
                      compile_shape(
                          catalogue_, *task_.endpoint,
                          [&](size_t table) { return has_writer(catalogue_, states_, table); },
                          [&](size_t table) { return own_list_delivers(catalogue_, states_, table); }),
                      purge_before_);
    dependents_ = dependents(catalogue_, states_, *task_.endpoint);
    delivering_ = std::move(now); // not before: what throws is tried again
}

void Fetch::take(const PageStream::Arrived &arrived) {
    result_.received += static_cast<int64_t>(arrived.page.records().size());
    store(arrived);
}

void Fetch::take_confirmed(const PageStream::Arrived &arrived, std::unordered_set<std::string> &returned) {
    store(arrived, &returned);
}

std::vector<uint64_t> Fetch::take_seen() {
    return std::exchange(seen_, {});
}

void Fetch::store(const PageStream::Arrived &arrived, std::unordered_set<std::string> *returned) {
    follow_states();
    std::vector<std::string_view> records = arrived.page.records();
    const Batch batch = unfold(records);
    result_.oddities.merge(batch.oddities);
    if (!returned)
        for (const std::string_view id : batch.ids) seen_.push_back(store_.hash(id));
    if (returned)
        for (const std::string_view id : batch.ids) returned->emplace(id);
    for (auto position = batch.without_id.rbegin(); position != batch.without_id.rend(); ++position) {
        // Records that are requested again by id were parked when their page came.
        if (!returned) park(records[*position], std::nullopt, "23502", "the record has no id");
        records.erase(records.begin() + static_cast<std::ptrdiff_t>(*position));
    }
    settle(records, batch, arrived.requested_at());
    remove_past_purge(batch);
    arena_.clear();
}

/// A tombstone that is past purge in its own list is not taken from another, either; an erased record from none.
Batch Fetch::unfold(const std::vector<std::string_view> &records) {
    Batch batch = unfolder_->unfold(records, arena_);
    for (size_t i = 1; i < batch.sets.size(); ++i) {
        RowSet &set = batch.sets[i];
        const auto limit = purge_nested_.find(set.table);
        const auto field = catalogue_.tables[set.table].find("remote_deleted_at");
        if (limit == purge_nested_.end() || !field) continue;
        const auto past_purge = [&](const Row &row) {
            const Cell &deleted_at = row.cells[*field];
            return !deleted_at.null && deleted_at.number < limit->second.micros;
        };
        set.rows.erase(std::remove_if(set.rows.begin(), set.rows.end(), past_purge), set.rows.end());
    }
    const auto find = [this](const std::vector<std::string_view> &ids) { return store_.find_erased(ids); };
    if (store_.has_erased())
        for (const Belonging &record : keep_out(catalogue_, batch, arena_, find)) store_.erase(record);
    return batch;
}

void Fetch::write(const std::vector<std::string_view> &records, kombo::Timestamp requested_at) {
    settle(records, unfold(records), requested_at);
}

void Fetch::settle(const std::vector<std::string_view> &records, const Batch &batch, kombo::Timestamp requested_at) {
    TableCounts counts;
    try {
        store_.in_subtransaction([&] { store_.write(*task_.endpoint, dependents_, batch, requested_at, counts); });
    } catch (const DatabaseError &error) {
        if (!error.is_records_fault() || records.empty()) throw;
        if (records.size() == 1) {
            const auto id = batch.ids.empty() ? std::nullopt : std::optional(batch.ids.front());
            return park(records.front(), id, error.sqlstate(), error.message());
        }
        const auto middle = records.begin() + static_cast<std::ptrdiff_t>(records.size() / 2);
        write({records.begin(), middle}, requested_at);
        write({middle, records.end()}, requested_at);
        return;
    }
    add(counts);
    store_.unpark(*task_.endpoint, batch.ids);
}

/// If the deletion was first seen past purge, the row is still here, and alive.
void Fetch::remove_past_purge(const Batch &batch) {
    if (batch.past_purge.empty()) return;
    const size_t field = catalogue_.tables[task_.endpoint->table].find("id").value();
    std::unordered_set<std::string_view> written;
    for (const Row &row : batch.sets[0].rows) written.insert(row.cells[field].text);
    std::vector<std::string> ids;
    for (const std::string_view id : batch.past_purge)
        if (written.count(id) == 0) ids.emplace_back(id);
    if (ids.empty()) return;
    TableCounts counts;
    store_.remove(*task_.endpoint, dependents_, ids, OnMissing::Delete, counts);
    counts[task_.endpoint->table].deleted = 0; // of the run's own table it is the sweep's alone
    add(counts);
}

void Fetch::add(const TableCounts &counts) {
    for (const auto &[table, rows] : counts) {
        RowCounts &total = result_.counts[table];
        total.inserted += rows.inserted;
        total.updated += rows.updated;
        total.unchanged += rows.unchanged;
        total.deleted += rows.deleted;
        total.referenced += rows.referenced;
        if (rows.referenced > 0) total.reference = rows.reference;
    }
}

void Fetch::park(std::string_view record, std::optional<std::string_view> id, const std::string &sqlstate,
                 const std::string &error) {
    if (++result_.parked > most_parked)
        throw TooManyParked("more than " + std::to_string(most_parked) +
                            " records were refused, the last one: " + error);
    store_.park(*task_.endpoint, id, unfolder_->redacted(record), sqlstate, error);
}

} // namespace syncer
