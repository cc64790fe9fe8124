#include "kombo/webhook.h"

#include <gtest/gtest.h>

#include <string>

namespace kombo {
namespace {

bool signature_matches(std::string_view body, std::string_view signature, std::string_view secret) {
    return SignatureCheck(body, signature).is_by(std::string(secret));
}

// The signatures were made with Python's hmac module.
constexpr std::string_view secret = "whsec-4";
constexpr std::string_view body =
    R"({"id":"62vJ2VwBQdxPzTfWpPkSmQHe","type":"data-changed","data":{"integration_id":"personio:one"}})";
constexpr std::string_view signature = "M_44kwtAfE__Yti1dYn5wlUfr-n4yOcHkCeFe_aC65g";

TEST(Signature, a_secret_is_tried_once_and_none_where_the_signature_cannot_be_one) {
    const std::string right = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM";
    SignatureCheck check("what do ya want for nothing?", right);
    for (int i = 0; i < 2000; ++i) EXPECT_FALSE(check.is_by("everybody's"));
    EXPECT_TRUE(check.is_by("Jefe"));
    EXPECT_TRUE(check.is_by("Jefe"));
    EXPECT_EQ(check.tried(), 2U);
    for (const std::string &wrong : {std::string(), std::string("short"), right + "AA"}) {
        SignatureCheck none("what do ya want for nothing?", wrong);
        EXPECT_FALSE(none.is_by("Jefe"));
        EXPECT_EQ(none.tried(), 0U) << wrong;
    }
}

TEST(Webhook, every_base64_of_the_right_bytes_is_accepted) {
    for (const char *right :
         {"M_44kwtAfE__Yti1dYn5wlUfr-n4yOcHkCeFe_aC65g", "M_44kwtAfE__Yti1dYn5wlUfr-n4yOcHkCeFe_aC65g=",
          "M/44kwtAfE//Yti1dYn5wlUfr+n4yOcHkCeFe/aC65g", "M/44kwtAfE//Yti1dYn5wlUfr+n4yOcHkCeFe/aC65g="})
        EXPECT_TRUE(signature_matches(body, right, secret)) << right;
}

TEST(Webhook, the_hmac_is_that_of_rfc_4231) {
    EXPECT_TRUE(
        signature_matches("what do ya want for nothing?", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM", "Jefe"));
}

TEST(Webhook, a_signature_that_is_missing_or_of_the_wrong_length_is_refused) {
    const std::string right(signature);
    const std::string cases[] = {"",
                                 "=",
                                 "M",
                                 right.substr(0, 42),
                                 right.substr(0, 42) + "=",
                                 right.substr(0, 40),
                                 right + "A",
                                 right + "==",
                                 right + "A=",
                                 "=" + right,
                                 right + right,
                                 std::string(43, '='),
                                 std::string(1000000, 'A')};
    for (const std::string &wrong : cases) EXPECT_FALSE(signature_matches(body, wrong, secret)) << wrong.substr(0, 100);
}

TEST(Webhook, white_space_and_other_strange_characters_are_refused) {
    const std::string right(signature);
    const std::string cases[] = {" " + right,
                                 right + " ",
                                 right + "\n",
                                 right + "\r\n",
                                 "\t" + right,
                                 right.substr(0, 20) + "\n" + right.substr(20),
                                 "\"" + right + "\"",
                                 "sha256=" + right,
                                 right.substr(0, 42) + " ",
                                 right.substr(1) + " ",
                                 right + '\0',
                                 right.substr(0, 42) + '\0',
                                 right.substr(0, 42) + "\xe9",
                                 "." + right.substr(1)};
    for (const std::string &wrong : cases) EXPECT_FALSE(signature_matches(body, wrong, secret)) << wrong;
}

TEST(Webhook, what_only_looks_like_the_right_bytes_is_refused) {
    const char *const cases[] = {
        "m_44kwtAfE__Yti1dYn5wlUfr-n4yOcHkCeFe_aC65g", // first byte
        "M_44kwtAfE__Yti1dYn5wlUfr-n4yOcHkCeFe_aC65k", // last byte
        "M_44kwtAfE__Yti1dYn5wlUfr-n4yOcHkCeFe_aC65h", // bits behind the last byte
        "M_44kwtAfE//Yti1dYn5wlUfr-n4yOcHkCeFe_aC65g", // both alphabets
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "33fe38930b407c4fff62d8b57589f9c2551fafe9f8c8e7079027857bf682eb98", // hexadecimal
        "33fe38930b407c4fff62d8b57589f9c2551fafe9f8c",                      // its first 43 digits
    };
    for (const char *wrong : cases) EXPECT_FALSE(signature_matches(body, wrong, secret)) << wrong;
}

TEST(Webhook, the_signature_of_another_secret_is_refused) {
    constexpr std::string_view others = "ulPFLP_K_HT17NXB7Hi1Fq-xBWUoZxrGeJr-gJ2PtCY";
    EXPECT_TRUE(signature_matches(body, others, "another"));
    EXPECT_FALSE(signature_matches(body, others, secret));
    EXPECT_FALSE(signature_matches(body, signature, "another"));
    EXPECT_FALSE(signature_matches(body, signature, "whsec-4 "));
    EXPECT_FALSE(signature_matches(body, signature, "WHSEC-4"));
}

TEST(Webhook, a_secret_is_its_text_in_utf_8) {
    EXPECT_TRUE(signature_matches(body, "--ir8LSYH0cV_faYkMDPTu_YcQpVralv9pvcgytLud0", "Schl\xc3\xbcssel"));
}

TEST(Webhook, nothing_is_signed_with_an_empty_secret) {
    // What anybody can compute: the HMAC of the body under an empty key.
    EXPECT_FALSE(signature_matches(body, "teX4troGmP_KLYAljv7nuYcbnAUWaSyN8oOrKgI_chg", ""));
    EXPECT_FALSE(signature_matches(body, "teX4troGmP_KLYAljv7nuYcbnAUWaSyN8oOrKgI_chg", {}));
}

TEST(Webhook, a_body_changed_by_a_byte_is_refused) {
    const std::string original(body);
    for (size_t i = 0; i < original.size(); ++i) {
        std::string changed = original;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        EXPECT_FALSE(signature_matches(changed, signature, secret)) << i;
    }
    EXPECT_FALSE(signature_matches(original + "\n", signature, secret));
    EXPECT_FALSE(signature_matches(original + '\0', signature, secret));
    EXPECT_FALSE(signature_matches(original.substr(1), signature, secret));
    EXPECT_FALSE(signature_matches("", signature, secret));
}

TEST(Webhook, an_empty_body_has_a_signature_too) {
    EXPECT_TRUE(signature_matches("", "lFyJ3KQtHAna6wyGfYvIBjY4DE-eKD8FZq51u_7HtKQ", secret));
    EXPECT_TRUE(signature_matches({}, "lFyJ3KQtHAna6wyGfYvIBjY4DE-eKD8FZq51u_7HtKQ", secret));
}

TEST(Webhook, a_body_beyond_ascii_is_signed_by_its_bytes) {
    constexpr std::string_view names = "GMwKG7IJcdKnIE440jXqUDVwaNOKj8atiVfoMprA9yI";
    EXPECT_TRUE(signature_matches(R"({"name":"Zoë Grünwald 株式会社 🙂"})", names, secret));
    // The same text with the first umlaut decomposed.
    EXPECT_FALSE(signature_matches("{\"name\":\"Zoe\xcc\x88 Grünwald 株式会社 🙂\"}", names, secret));
}

TEST(Webhook, a_body_of_1_mb_is_judged_to_its_last_byte) {
    std::string large(1024 * 1024, 'x');
    EXPECT_TRUE(signature_matches(large, "B4rscO-v6vr9iR8D0Lyj-hkZn-57d-D1jfuVlQrjzQw", secret));
    large.back() = 'y';
    EXPECT_FALSE(signature_matches(large, "B4rscO-v6vr9iR8D0Lyj-hkZn-57d-D1jfuVlQrjzQw", secret));
}

TEST(Webhook, all_ten_types_are_known_and_each_names_its_integration_its_own_way) {
    const struct {
        const char *type;
        const char *data;
        WebhookType meaning;
        const char *integration;
    } cases[] = {
        {"data-changed", R"({"integration_id":"i","changed_models":[{"name":"m"}]})", WebhookType::DataChanged, "i"},
        {"integration-created", R"({"id":"i","tool":"personio"})", WebhookType::IntegrationCreated, "i"},
        {"integration-deleted", R"({"id":"i","deleted_at":null})", WebhookType::IntegrationDeleted, "i"},
        {"integration-state-changed", R"({"integration_id":"i","id":"x"})", WebhookType::IntegrationStateChanged, "i"},
        {"sync-finished", R"({"integration_id":"i","sync_duration_seconds":14.509})", WebhookType::SyncFinished, "i"},
        {"connection-flow-failed", R"({"integration_tool":"personio"})", WebhookType::OfNoConcern, ""},
        {"assessment:order-received", R"({"id":"x","integration_id":"i"})", WebhookType::Other, "i"},
        {"inline-assessment:order-received", R"({"id":"x","integration_id":"i"})", WebhookType::Other, "i"},
        {"ai-apply-application-status-updated", R"({"id":"x"})", WebhookType::OfNoConcern, ""},
        {"ai-apply-job-posting-status-updated", R"({"id":"x"})", WebhookType::OfNoConcern, ""},
        {"remote-event-received", R"({"integration_id":"i"})", WebhookType::Other, "i"},
    };
    for (const auto &one : cases) {
        const Webhook webhook =
            parse_webhook(R"({"id":"w","type":")" + std::string(one.type) + R"(","data":)" + one.data + "}");
        EXPECT_EQ(webhook.problem, "") << one.type;
        EXPECT_EQ(webhook.type_name, one.type);
        EXPECT_EQ(webhook.type, one.meaning) << one.type;
        EXPECT_EQ(webhook.integration_id, one.integration) << one.type;
        EXPECT_EQ(webhook.id, "w");
    }
}

TEST(Webhook, the_changed_models_are_a_list_of_names) {
    const auto models = [](const std::string &list) {
        return parse_webhook(R"({"type":"data-changed","data":{"integration_id":"i","changed_models":)" + list + "}}");
    };
    EXPECT_EQ(models(R"([{"name":"a"},{"name":"b","more":[]},{"name":"a"}])").changed_models,
              (std::vector<std::string>{"a", "b", "a"}));
    // What has no name is something that changed all the same.
    EXPECT_EQ(models(R"([{"name":null},{},7,"c"])").changed_models, (std::vector<std::string>(4)));
    EXPECT_EQ(models("[]").problem, "");
    for (const char *wrong : {"null", "{}", R"("a")", "7"})
        EXPECT_EQ(models(wrong).problem, "malformed: data.changed_models is not a list") << wrong;
}

TEST(Webhook, what_is_malformed_is_told_in_words_and_read_as_far_as_it_goes) {
    const auto problem = [](std::string_view text) { return parse_webhook(text).problem; };
    for (const char *wrong :
         {"", " ", "{", R"({"id":"w")", "nonsense", R"({"id":"w"} {})", "\xff", R"({"id":"\ud800"})"})
        EXPECT_EQ(problem(wrong).rfind("malformed JSON: ", 0), 0U) << wrong << problem(wrong);
    EXPECT_EQ(problem(std::string(100000, '[')).rfind("malformed JSON: ", 0), 0U);
    for (const char *wrong : {"[]", "null", "7", R"("text")"})
        EXPECT_EQ(problem(wrong), "malformed: the body is not a JSON object") << wrong;
    for (const char *wrong : {"{}", R"({"type":null})", R"({"type":""})", R"({"type":["data-changed"]})"})
        EXPECT_EQ(problem(wrong), "malformed: it has no type") << wrong;
    for (const char *wrong : {R"({"type":"data-changed"})", R"({"type":"sync-finished","data":[]})",
                              R"({"type":"integration-created","data":{"integration_id":"i"}})",
                              R"({"type":"integration-state-changed","data":{"id":"i"}})",
                              R"({"type":"data-changed","data":{"integration_id":7,"changed_models":[]}})"})
        EXPECT_EQ(problem(wrong), "malformed: it names no integration") << wrong;

    const Webhook partly = parse_webhook(R"({"id":"w","type":"data-changed","data":{"integration_id":"i"}})");
    EXPECT_EQ(partly.id, "w");
    EXPECT_EQ(partly.type, WebhookType::DataChanged);
    EXPECT_EQ(partly.integration_id, "i");
}

TEST(Webhook, what_postgresql_could_not_hold_does_not_keep_a_webhook_from_being_read) {
    const Webhook webhook = parse_webhook(
        R"({"id":"w\u0000","type":"sync-finished","data":{"integration_id":"i","n":123456789012345678901234567890}})");
    EXPECT_EQ(webhook.problem, "");
    EXPECT_EQ(webhook.id, std::string("w\0", 2));
    EXPECT_EQ(webhook.integration_id, "i");
}

} // namespace
} // namespace kombo
