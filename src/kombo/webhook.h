#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kombo {

/// Finds out by which secret a webhook is signed: whether the value of the header X-Kombo-Signature is the HMAC-SHA256
/// of the raw request body under the webhook secret (its text as it is). Kombo sends base64url without padding; one `=`
/// and the standard alphabet are accepted, too. Everything else is not: white space, both alphabets in one signature,
/// an empty secret. Each secret is tried once, however many servers have it, and none where the signature cannot be
/// one.
class SignatureCheck {
public:
    using Digest = std::array<unsigned char, 32>;

    /// `body` must outlive the check.
    SignatureCheck(std::string_view body, std::string_view signature);

    /// The comparison takes the same time whatever differs. Throws std::runtime_error where OpenSSL cannot compute the
    /// HMAC.
    bool is_by(const std::string &secret);

    /// The number of HMACs that were computed.
    size_t tried() const { return tried_.size(); }

private:
    std::string_view body_;
    std::optional<Digest> claimed_;
    std::unordered_map<std::string, bool> tried_; ///< by secret
};

/// The meaning of a webhook here.
enum class WebhookType : uint8_t {
    DataChanged,             ///< what is named there is to be fetched
    IntegrationCreated,      ///< a hint to ask for the state of the integration, as are the next two
    IntegrationDeleted,      ///
    IntegrationStateChanged, ///
    SyncFinished,            ///< superseded by DataChanged; only tells that Kombo has synced
    OfNoConcern,             ///< Kombo has it, but it says nothing about data that is fetched here
    Other                    ///< the catalogue may know endpoints to ask then
};

struct Webhook {
    std::string id; ///< Kombo's, unique per event; empty where there is none
    std::string type_name;
    WebhookType type = WebhookType::Other;
    std::string integration_id;              ///< empty where there is none
    std::vector<std::string> changed_models; ///< of DataChanged; empty texts for entries without a name
    std::string problem;                     ///< why nothing can be made of it, in words; empty: it is sound
};

/// Reads the body of a webhook. The texts are as sent: not necessarily printable, and of any length. Does not throw for
/// a body that is wrong: `problem` says how, and the other members hold what could be read.
Webhook parse_webhook(std::string_view body);

} // namespace kombo
