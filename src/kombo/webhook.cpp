#include "kombo/webhook.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>

namespace kombo {

namespace {

using Digest = std::array<unsigned char, 32>;

constexpr size_t unpadded_length = 43; // 32 bytes in base64

/// The six bits that a character stands for in either alphabet.
std::optional<uint32_t> sextet(char c) {
    if (c >= 'A' && c <= 'Z') return static_cast<uint32_t>(c - 'A');
    if (c >= 'a' && c <= 'z') return static_cast<uint32_t>(c - 'a' + 26);
    if (c >= '0' && c <= '9') return static_cast<uint32_t>(c - '0' + 52);
    if (c == '-' || c == '+') return 62;
    if (c == '_' || c == '/') return 63;
    return std::nullopt;
}

/// The 32 bytes that base64 of either alphabet stands for, if it stands for exactly that many.
std::optional<Digest> decode(std::string_view text) {
    if (text.size() == unpadded_length + 1 && text.back() == '=') text.remove_suffix(1);
    if (text.size() != unpadded_length) return std::nullopt;
    if (text.find_first_of("-_") != text.npos && text.find_first_of("+/") != text.npos) return std::nullopt;

    Digest bytes{};
    size_t done = 0;
    uint32_t bits = 0;
    unsigned held = 0;
    for (const char c : text) {
        const auto value = sextet(c);
        if (!value) return std::nullopt;
        bits = bits << 6 | *value;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        bytes[done++] = static_cast<unsigned char>(bits >> held);
        bits &= (1U << held) - 1;
    }
    // Were they not zero, several texts would stand for the same bytes.
    if (bits != 0) return std::nullopt;
    return bytes;
}

Digest hmac_sha256(std::string_view body, std::string_view key) {
    Digest digest{};
    unsigned length = 0;
    if (key.size() > INT_MAX ||
        !HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
              reinterpret_cast<const unsigned char *>(body.data()), body.size(), digest.data(), &length))
        throw std::runtime_error("could not compute an HMAC-SHA256");
    return digest;
}

} // namespace

bool signature_matches(std::string_view body, std::string_view signature, std::string_view secret) {
    // Anybody can sign with no secret at all.
    if (secret.empty()) return false;
    const auto claimed = decode(signature);
    if (!claimed) return false;
    const Digest expected = hmac_sha256(body, secret);
    return CRYPTO_memcmp(claimed->data(), expected.data(), expected.size()) == 0;
}

} // namespace kombo
