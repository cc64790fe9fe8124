#pragma once

#include "kombo/json.h"
#include "syncer/batch.h"
#include "syncer/catalogue.h"

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace syncer {

/// Records that were erased, by table and id.
using ErasedRecords = std::set<std::pair<size_t, std::string>>;

/// A record that belongs to an erased one, its owner, and that others may belong to.
struct Belonging {
    size_t table;
    std::string id;
    size_t owner_table;
    std::string owner_id;
};

/// Takes out of the batch what must not be stored of erased records: their rows, and rows that belong to them; columns
/// that name one become null, and members of `extra` that do go. `find` is given all ids that the batch has, each once,
/// and returns the erased records among them. Returns belongings that it did not return. Texts live in `arena`.
std::vector<Belonging> keep_out(const Catalogue &catalogue, Batch &batch, kombo::Arena &arena,
                                const std::function<ErasedRecords(const std::vector<std::string_view> &)> &find);

} // namespace syncer
