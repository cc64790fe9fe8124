#pragma once

#include "api.h"

#include <memory>
#include <string>

namespace sandbox {

/// The integration of that id, or the only one for an empty id. Throws AdminError 404 or 400.
std::shared_ptr<Integration> integration_of(Sandbox &sandbox, const std::string &id);

/// The number in a query parameter.
std::size_t number_param(const httplib::Request &request, const char *name, std::size_t otherwise);

/// `/admin/webhooks`: whether and how changes are told of, and what came of it.
std::string change_webhooks(Sandbox &sandbox, const httplib::Request &request, const json_t *body);

/// `/admin/churn`: starts, ends or shows streams of random changes.
std::string change_churn(Sandbox &sandbox, const httplib::Request &request, const json_t *body);

/// `POST /admin/webhook`: makes a webhook and returns it, or sends it at once.
std::string one_webhook(Sandbox &sandbox, const json_t *body);

} // namespace sandbox
