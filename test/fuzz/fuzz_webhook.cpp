// A webhook: the signature in the first line, then the body. Who it is from, what it says, and what comes of it.

#include "expect.h"
#include "kombo/error.h"
#include "syncer/judge.h"

#include <jansson.h>
#include <openssl/hmac.h>

namespace {

const std::string secret = "invented-webhook-secret";

std::string base64(const unsigned char *bytes, size_t count, const char *last_two) {
    static const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    std::string text;
    for (size_t bit = 0; bit < count * 8; bit += 6) {
        unsigned value = 0;
        for (size_t i = bit; i < bit + 6; ++i)
            value = value << 1 | (i / 8 < count ? (bytes[i / 8] >> (7 - i % 8)) & 1U : 0U);
        text += value < 62 ? letters[value] : last_two[value - 62];
    }
    return text;
}

std::string signature_of(std::string_view body, const char *last_two, const std::string &by = secret) {
    unsigned char digest[32];
    unsigned length = 0;
    HMAC(EVP_sha256(), by.data(), static_cast<int>(by.size()), reinterpret_cast<const unsigned char *>(body.data()),
         body.size(), digest, &length);
    return base64(digest, length, last_two);
}

void check_signature(std::string_view signature, std::string_view body) {
    const std::string url = signature_of(body, "-_");
    const std::string standard = signature_of(body, "+/");
    const bool genuine =
        signature == url || signature == url + "=" || signature == standard || signature == standard + "=";
    kombo::SignatureCheck check(body, signature);
    fuzz::expect(check.is_by(secret) == genuine, "a signature is taken in these four forms and no other", signature);
    fuzz::expect(!check.is_by("") && !check.is_by(secret + "x"), "nobody signs with another secret", signature);
    for (const std::string &good : {url, standard, url + "="})
        fuzz::expect(kombo::SignatureCheck(body, good).is_by(secret), "a genuine signature is taken", good);
}

const syncer::Catalogue &catalogue() {
    static const syncer::Catalogue made = [] {
        syncer::Catalogue catalogue;
        catalogue.tables.resize(1);
        syncer::Endpoint people;
        people.path = "/people";
        people.category = "HR";
        people.models = {{"people", syncer::Role::Own, true}, {"jobs", syncer::Role::Implied, true}};
        catalogue.endpoints = {people};
        catalogue.webhooks = {{"people-moved", {"/people"}}, {"nothing-new", {}}};
        return catalogue;
    }();
    return made;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view text(reinterpret_cast<const char *>(data), size);
    const size_t end = std::min(text.find('\n'), size);
    const std::string signature(text.substr(0, end));
    const std::string body(text.substr(std::min(end + 1, size)));
    check_signature(signature, body);

    const kombo::Webhook webhook = kombo::parse_webhook(body);
    json_t *root = json_loadb(body.data(), body.size(), JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, nullptr);
    fuzz::expect(!webhook.problem.empty() || json_is_object(root), "only an object is sound", body);
    json_decref(root);
    fuzz::expect(kombo::printable(webhook.problem, 1000) == webhook.problem, "a problem is printable", webhook.problem);

    // A reason may quote the body, and chance finds out what a constant secret is: no input holds the second one.
    const std::vector<std::string> secrets = {secret, signature_of(text, "-_")};
    const auto is_genuine = [&](const std::string &signature) {
        kombo::SignatureCheck check(body, signature);
        return check.is_by(secrets[0]) || check.is_by(secrets[1]);
    };
    // Signed by the one server with either secret, or by whoever sent the first line, or by nobody.
    const std::vector<std::optional<std::string>> signatures = {
        signature_of(body, "-_"), signature_of(body, "-_", secrets[1]), signature, {}};
    for (const std::optional<std::string> &by : signatures) {
        syncer::SigningServer server{"kombo_eu", secrets, false, body.size() % 2 == 0, body.size() % 3 == 0, {}};
        syncer::KnownIntegration known{"kombo_eu", "HR", body.size() % 5 == 0, {}};
        syncer::Judge judge({server}, {{"tool:1", known}}, {{"done", "tool:1"}},
                            [](const std::string &) -> const syncer::Catalogue & { return catalogue(); });
        const syncer::Verdict verdict = judge.judge(webhook, body, by);
        fuzz::expect(kombo::printable(verdict.error, 2000) == verdict.error, "a reason is printable", verdict.error);
        fuzz::expect(verdict.error.find(secrets[1]) == std::string::npos, "no reason holds the secret");
        fuzz::expect(verdict.status == syncer::WebhookStatus::Done || verdict.requests.empty(),
                     "only a webhook that is done asks for anything", body);
        const bool is_believed = by && !by->empty() ? is_genuine(*by) : server.accept_unsigned;
        fuzz::expect(is_believed || verdict.status == syncer::WebhookStatus::Rejected, "who it is from is known", body);
        if (webhook.problem.empty() && !webhook.id.empty() && verdict.status == syncer::WebhookStatus::Done &&
            webhook.integration_id == "tool:1")
            fuzz::expect(judge.judge(webhook, body, by).status == syncer::WebhookStatus::Ignored,
                         "what is done is not done twice", body);
    }
    return 0;
}
