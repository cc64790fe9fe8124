#pragma once

#include <string_view>

namespace kombo {

/// Whether `signature`, the value of the header X-Kombo-Signature, is the HMAC-SHA256 of the raw request body under the
/// webhook secret (its text as it is). Kombo sends base64url without padding; one `=` and the standard alphabet are
/// accepted, too. Everything else is not: white space, both alphabets in one signature, an empty secret. The comparison
/// takes the same time whatever differs. Throws std::runtime_error where OpenSSL cannot compute the HMAC.
bool signature_matches(std::string_view body, std::string_view signature, std::string_view secret);

} // namespace kombo
