#pragma once

#include "syncer/seen_ids.h"

#include <memory>

namespace pg {

/// One that temp_file_limit and log_temp_files count. It lives beyond the end of a transaction, hence is not in
/// temp_tablespaces but, as PostgreSQL has it, in the database's own tablespace.
std::unique_ptr<syncer::TemporaryFile> open_temporary_file();

} // namespace pg
