#include "kombo/webhook.h"

#include "kombo/error.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <climits>
#include <cstdint>
#include <memory>
#include <stdexcept>

namespace kombo {

namespace {

using Digest = SignatureCheck::Digest;

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

struct KnownType {
    std::string_view name;
    WebhookType type;
    const char *integration_key; ///< in `data`: the payloads do not agree on the name of the integration's id
};

// Of the types of Kombo's OpenAPI description those that speak of no list: `id` of the last three is another thing's.
// Of the others the catalogue knows what to ask for.
constexpr std::array<KnownType, 8> known_types = {{
    {"data-changed", WebhookType::DataChanged, "integration_id"},
    {"integration-created", WebhookType::IntegrationCreated, "id"},
    {"integration-deleted", WebhookType::IntegrationDeleted, "id"},
    {"integration-state-changed", WebhookType::IntegrationStateChanged, "integration_id"},
    {"sync-finished", WebhookType::SyncFinished, "integration_id"},
    {"connection-flow-failed", WebhookType::OfNoConcern, "integration_id"},
    {"ai-apply-application-status-updated", WebhookType::OfNoConcern, "integration_id"},
    {"ai-apply-job-posting-status-updated", WebhookType::OfNoConcern, "integration_id"},
}};

struct JsonDeleter {
    void operator()(json_t *json) const { json_decref(json); }
};

std::string text_of(const json_t *value) {
    return json_is_string(value) ? std::string(json_string_value(value), json_string_length(value)) : std::string();
}

bool needs_integration(WebhookType type) {
    return type != WebhookType::OfNoConcern && type != WebhookType::Other;
}

void read_changed_models(const json_t *list, Webhook &webhook) {
    if (!json_is_array(list)) {
        webhook.problem = "malformed: data.changed_models is not a list";
        return;
    }
    for (size_t i = 0; i < json_array_size(list); ++i)
        webhook.changed_models.push_back(text_of(json_object_get(json_array_get(list, i), "name")));
}

} // namespace

SignatureCheck::SignatureCheck(std::string_view body, std::string_view signature)
    : body_(body), claimed_(decode(signature)) {}

bool SignatureCheck::is_by(const std::string &secret) {
    // Anybody can sign with no secret at all.
    if (!claimed_ || secret.empty()) return false;
    const auto known = tried_.find(secret);
    if (known != tried_.end()) return known->second;
    const Digest expected = hmac_sha256(body_, secret);
    const bool matches = CRYPTO_memcmp(claimed_->data(), expected.data(), expected.size()) == 0;
    tried_.emplace(secret, matches);
    return matches;
}

Webhook parse_webhook(std::string_view body) {
    Webhook webhook;
    json_error_t error;
    // No number is read: one beyond 64 bits is no reason to refuse the rest.
    const std::unique_ptr<json_t, JsonDeleter> root(
        json_loadb(body.data(), body.size(), JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL | JSON_DECODE_ANY, &error));
    if (!root) {
        webhook.problem =
            printable("malformed JSON: " + std::string(error.text) + " (byte " + std::to_string(error.position) + ")");
        return webhook;
    }
    if (!json_is_object(root.get())) {
        webhook.problem = "malformed: the body is not a JSON object";
        return webhook;
    }
    webhook.id = text_of(json_object_get(root.get(), "id"));
    webhook.type_name = text_of(json_object_get(root.get(), "type"));
    if (webhook.type_name.empty()) webhook.problem = "malformed: it has no type";

    const json_t *data = json_object_get(root.get(), "data");
    const char *integration_key = "integration_id";
    for (const KnownType &known : known_types) {
        if (webhook.type_name != known.name) continue;
        webhook.type = known.type;
        integration_key = known.integration_key;
    }
    webhook.integration_id = text_of(json_object_get(data, integration_key));
    if (needs_integration(webhook.type) && webhook.integration_id.empty())
        webhook.problem = "malformed: it names no integration";
    else if (webhook.type == WebhookType::DataChanged)
        read_changed_models(json_object_get(data, "changed_models"), webhook);
    return webhook;
}

} // namespace kombo
