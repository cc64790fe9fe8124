#pragma once

#include "kombo/json.h"
#include "syncer/batch.h"

#include <string_view>

namespace syncer {

/// The type that kombo.fields calls so; nullopt if there is none.
std::optional<Type> type_named(std::string_view name);

/// Decodes one JSON value (raw text of any value) as the type of its column.
/// Returns false if the value does not fit; then the cell is null and the caller keeps the value elsewhere.
/// `inexact` is set where the column holds less than was sent (a date whose time was not midnight).
/// Throws kombo::MalformedJson.
bool decode(Type type, std::string_view raw, kombo::Arena &arena, kombo::Repairs &repairs, Cell &cell, bool &inexact);

} // namespace syncer
