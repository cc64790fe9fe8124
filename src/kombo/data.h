#pragma once

#include <string>

namespace kombo {

/// The `data` object of an answer that is not a list (`/check-api-key`, `/integrations/{id}`), as JSON text that jsonb
/// accepts. Throws MalformedBody where the body is not `{"status":"success","data":{…}}`.
std::string data_object(const std::string &body);

} // namespace kombo
