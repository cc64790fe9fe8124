#include "kombo/webhook.h"

#include "pg/account/options.h"
#include "pg/base/entry_points.h"
#include "pg/base/memory.h"

namespace pg {

namespace {

/// To the caller, who may be a front end, only the server is named; the file is the administrator's to know.
void warn_unread(const Server &server, const std::string &problem) {
    guard([&] {
        ereport(WARNING, errcode(ERRCODE_WARNING),
                errmsg("could not read the webhook secret of server \"%s\"", server.name.c_str()),
                errdetail_log("%s", problem.c_str()),
                errhint("Its user mapping's webhook_secret_file must be readable by the operating system user that "
                        "runs PostgreSQL, and hold the secret in one line."));
    });
}

/// Whether the signature is by a secret of any server. Servers without a readable secret do not keep the others from
/// being tried; only where not one secret could be had there is no answer, and that raises: a "no" would have the front
/// end refuse all webhooks, genuine ones too.
bool is_by_any_server(std::string_view body, std::string_view signature) {
    std::vector<std::pair<Server, std::string>> unread;
    bool judged = false;
    kombo::SignatureCheck check(body, signature);
    for (const Server &server : all_servers()) {
        guard([] { CHECK_FOR_INTERRUPTS(); });
        const WebhookSecrets secrets = webhook_secrets(server);
        for (const std::string &secret : secrets.values) {
            if (check.is_by(secret)) return true;
            judged = true;
        }
        if (!secrets.problem.empty()) unread.emplace_back(server, secrets.problem);
    }
    for (const auto &[server, problem] : unread) warn_unread(server, problem);
    if (!judged)
        raise(ERRCODE_FDW_OPTION_NAME_NOT_FOUND, "there is no webhook secret to verify signatures with",
              "The mapping of a server's owner is used, else that of PUBLIC.",
              "ALTER USER MAPPING ... OPTIONS (ADD webhook_secret '...'), or webhook_secret_file.");
    return false;
}

std::string_view bytes_of(const text *value) {
    return {VARDATA_ANY(value), static_cast<size_t>(VARSIZE_ANY_EXHDR(value))};
}

} // namespace
} // namespace pg

PG_ENTRY(verify_webhook, {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1)) PG_RETURN_BOOL(false);
    const pg::MemoryScope memory;
    const text *body = pg::guard([&] { return PG_GETARG_TEXT_PP(0); });
    const text *signature = pg::guard([&] { return PG_GETARG_TEXT_PP(1); });
    PG_RETURN_BOOL(pg::is_by_any_server(pg::bytes_of(body), pg::bytes_of(signature)));
})
