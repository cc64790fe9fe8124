#pragma once

#include "admin_json.h"
#include "integration.h"

#include <string>

namespace sandbox {

/// Does one record operation (change, create, delete, undelete, wipe, purge, set_links) and returns the record as
/// its list serves it, `null` after a purge. Adds the models that changed, as a webhook names them, to `changed`.
/// The caller holds the integration's mutex alone.
/// Throws AdminError 400 for a bad operation, 404 for an unknown record, 409 for an id that is taken.
std::string apply_record_op(Integration &integration, const json_t *op, ModelNames &changed);

/// The same for one operation or an array of them, locking the integration itself.
std::string apply_record_ops(Integration &integration, const json_t *ops, ModelNames &changed);

/// Serves raw text, or a null or missing list, in place of a record. Throws AdminError.
std::string apply_raw(Integration &integration, const json_t *request, ModelNames &changed);

/// The model named by a model name or a list path. Throws AdminError 400.
Model model_at(const json_t *request, const char *key);

/// The record as its list serves it now.
std::string served(const Integration &integration, Model model, Index index);

} // namespace sandbox
