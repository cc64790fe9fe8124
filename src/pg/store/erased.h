#pragma once

#include "syncer/kept_out.h"

namespace pg {

/// True if records of the integration were erased. As below, what is committed counts, also in a transaction whose
/// snapshot is older.
bool has_erased(const std::string &integration_id);

/// The erased records among those of these ids.
syncer::ErasedRecords find_erased(const syncer::Catalogue &catalogue, const std::string &integration_id,
                                  const std::vector<std::string_view> &ids);

} // namespace pg
