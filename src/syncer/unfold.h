#pragma once

#include "kombo/json.h"
#include "kombo/time.h"
#include "syncer/batch.h"
#include "syncer/shape.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace syncer {

/// Turns the records of an endpoint into rows of its tables. Keeps one parser; not for use by two batches at once.
class Unfolder {
public:
    /// `purge_before`: tombstones older than that are not stored. The catalogue must outlive the object.
    Unfolder(const Catalogue &catalogue, Shape shape, std::optional<kombo::Timestamp> purge_before);

    /// Unfolds records (raw JSON texts, each followed by SIMDJSON_PADDING readable bytes). Views in the batch point
    /// into the records and into `arena`. Of records with the same id the later `changed_at` wins, else the later one.
    /// Throws kombo::MalformedJson.
    Batch unfold(const std::vector<std::string_view> &records, kombo::Arena &arena);

    /// The record as jsonb text, without what the user excluded. Throws kombo::MalformedJson.
    std::string redacted(std::string_view record);

private:
    /// The outcome of one nested or outer object.
    struct Outcome {
        bool stored = false;   ///< its rows have all their keys
        std::string_view id;   ///< its "id", empty if none
        std::string leftovers; ///< members that no row of its own keeps: `"key": value, …`
    };

    struct Head {
        std::string_view id;
        std::optional<kombo::Timestamp> deleted_at;
    };

    /// Rows of one object under construction.
    struct Rows;

    std::optional<Head> head(simdjson::ondemand::object &object, const Shape &shape);
    bool unfold_all(const std::vector<std::string_view> &records, std::vector<bool> &skip);
    /// `id`: that of the object, where it is known already.
    /// `outer`: the rows of the object that it is nested in; null: it is an element of a list, or a record.
    Outcome unfold_object(const Shape &shape, simdjson::ondemand::object object, std::string_view parent_id,
                          std::string_view id = {}, Rows *outer = nullptr);
    void take_scalar(const Shape &shape, const Shape::Member *member, std::string_view key, std::string_view raw,
                     Rows &rows);
    void take_nested(const Shape::Member &member, std::string_view key, simdjson::ondemand::value value,
                     std::string_view parent_id, Rows &rows);
    void take_value_and_nested(const Shape &shape, const Shape::Member &member, std::string_view key,
                               simdjson::ondemand::value value, Rows &rows);
    Outcome take_element(const Shape &shape, simdjson::ondemand::object object, std::string_view parent_id,
                         std::string &unstored, Rows *outer = nullptr);
    void note_list(const Shape &shape, std::string_view parent_id);
    void note_element(const Shape &shape, std::string_view id);
    bool emit(const Shape &shape, Rows &rows, std::string_view parent_id);
    RowSet &set_of(const Shape::Target &target, const ColumnSet &columns);
    ListSet &list_of(size_t nested);
    void keep_leftover(std::string &leftovers, std::string_view key, std::string_view raw, const Shape &shape);
    static std::string redact(const Shape *shape, std::string_view raw);

    const Catalogue &catalogue_;
    Shape shape_;
    std::optional<kombo::Timestamp> purge_before_;
    std::vector<std::optional<size_t>> changed_at_; ///< per table: position of changed_at
    kombo::RecordParser parser_;
    kombo::Arena *arena_ = nullptr;
    Batch batch_; ///< so far
};

} // namespace syncer
