#pragma once

#include "pg/account/integration.h"

/// Arguments of the SQL functions that say what is to be fetched.
namespace pg {

/// A text argument, counted from 0; nullopt for NULL. Throws Error.
std::optional<std::string> text_argument(FunctionCallInfo fcinfo, int number);

/// The text[] argument "what"; nullopt for NULL, which means everything. Raises on a NULL among its elements.
std::optional<std::vector<std::string>> what_argument(FunctionCallInfo fcinfo, int number);

/// Raises if there are no data tables yet: `sync_role` is InvalidOid then.
void check_tables_exist(Oid sync_role);

/// Raises where a call names an integration that is not there, or for which there are no data tables yet (`sync_role`
/// is InvalidOid then), or that the operator paused. `found` is what load_integrations(id) gave.
void check_named(const std::string &id, const std::vector<Integration> &found, Oid sync_role);

/// Tells whether a call for all integrations leaves one out.
using LeftOut = bool (*)(const Integration &integration);

/// NOTICE: how many integrations a call for all leaves out, and why; or that there are none.
void notice_left_out(const std::vector<Integration> &integrations, LeftOut left_out);

/// NOTICE: nothing that is subscribed carries the model that was asked for.
void notice_ignored(const std::string &model);

} // namespace pg
