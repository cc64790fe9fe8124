#pragma once

#include "invented_catalogue.h"

#include <gtest/gtest.h>
#include <jansson.h>

namespace syncer {

/// "unknown key people.shoe 2": one line for each oddity.
inline std::string odd(const Batch &batch) {
    std::string text;
    json_t *list = json_loads(batch.oddities.json().c_str(), 0, nullptr);
    for (size_t i = 0; i < json_array_size(list); ++i) {
        const json_t *entry = json_array_get(list, i);
        const std::string kind = json_string_value(json_object_get(entry, "kind"));
        text += (kind == "value does not fit its column" ? "misfit" : kind) + " " +
                json_string_value(json_object_get(entry, "table")) + "." +
                json_string_value(json_object_get(entry, "key")) + " " +
                std::to_string(json_integer_value(json_object_get(entry, "count"))) + "\n";
    }
    json_decref(list);
    return text;
}

struct Unfolded {
    std::string rows;
    std::string odd;
    std::vector<std::string> ids;
    std::vector<size_t> without_id;
    size_t past_purge = 0;
    size_t repeated = 0;
};

using HasWriter = std::function<bool(size_t)>;

/// People and jobs have lists of their own.
inline bool people_and_jobs(size_t table) {
    return table == Invented::People || table == Invented::Jobs;
}

inline Unfolded unfold(const Invented &given, const std::vector<std::string> &records,
                       const HasWriter &has_writer = people_and_jobs,
                       std::optional<kombo::Timestamp> purge_before = std::nullopt) {
    const Endpoint &people = given.catalogue.endpoints[0];
    Unfolder unfolder(given.catalogue, compile_shape(given.catalogue, people, has_writer), purge_before);
    const kombo::Page page = page_of(records);
    kombo::Arena arena;
    const Batch batch = unfolder.unfold(page.records(), arena);
    EXPECT_EQ(batch.sets.at(0).table, people.table) << "the endpoint's own table comes first";
    EXPECT_EQ(batch.sets.at(0).mode, Mode::Replace);
    return {told(given.catalogue, people, batch),
            odd(batch),
            {batch.ids.begin(), batch.ids.end()},
            batch.without_id,
            batch.past_purge.size(),
            batch.repeated};
}

struct Case {
    const char *name;
    std::vector<std::string> records;
    std::string rows;
    std::string odd = "";
};

inline void check(const std::vector<Case> &cases, const Invented &given = Invented(),
                  const HasWriter &has_writer = people_and_jobs) {
    for (const Case &c : cases) {
        const Unfolded result = unfold(given, c.records, has_writer);
        EXPECT_EQ(result.rows, c.rows) << c.name;
        EXPECT_EQ(result.odd, c.odd) << c.name;
    }
}

} // namespace syncer
