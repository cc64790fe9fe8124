#pragma once

#include <string>

namespace sandbox {

/// The value of Kombo's header `X-Kombo-Signature`: HMAC-SHA256 of the body's bytes with the secret's bytes as key, as
/// base64url without padding (Kombo's guide on webhooks).
std::string sign(const std::string &body, const std::string &secret);

} // namespace sandbox
