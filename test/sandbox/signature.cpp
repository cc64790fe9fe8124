#include "signature.h"

#include <openssl/hmac.h>

#include <array>
#include <cstdint>
#include <string_view>

namespace sandbox {

std::string sign(const std::string &body, const std::string &secret) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char *>(body.data()), body.size(), digest.data(), &length);
    std::string text;
    std::uint32_t bits = 0;
    int held = 0;
    for (unsigned i = 0; i < length; ++i) {
        bits = bits << 8 | digest[i];
        for (held += 8; held >= 6; held -= 6) text += alphabet[bits >> (held - 6) & 63];
    }
    if (held > 0) text += alphabet[bits << (6 - held) & 63];
    return text;
}

} // namespace sandbox
