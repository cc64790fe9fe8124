#pragma once

#include "syncer/seen_ids.h"

#include <memory>

namespace pg {

/// One in temp_tablespaces, which temp_file_limit and log_temp_files count. It lives beyond the end of a transaction.
std::unique_ptr<syncer::TemporaryFile> open_temporary_file();

} // namespace pg
