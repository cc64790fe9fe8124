#pragma once

#include "kombo/webhook.h"
#include "syncer/request_plan.h"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Judges webhooks: whether one is believed, and what it asks for.
namespace syncer {

/// A server that webhooks may come from.
struct SigningServer {
    std::string name;
    std::vector<std::string> secrets;
    bool unreadable = false; ///< it has a secret that could not be read
    bool accept_unsigned = false;
    bool auto_register = false;
    std::set<std::string> asked_about{}; ///< integrations that are not known here, and of which Kombo is being asked
};

/// An integration that is copied here.
struct KnownIntegration {
    std::string server;
    std::string category;
    bool paused_automatically = false;
    std::map<std::string, bool> subscribed; ///< by endpoint, where it is otherwise than the catalogue has it
};

enum class WebhookStatus : uint8_t { Done, Ignored, Rejected };
const char *name(WebhookStatus status);

struct Verdict {
    WebhookStatus status = WebhookStatus::Done;
    std::string error; ///< why it was ignored or rejected: printable, without secrets
    std::vector<PlannedRequest> requests;
    /// The integration shows a sign of life: what backs off is worth another attempt. Never where nothing comes of the
    /// webhook: whoever has one of these could send it again and again.
    bool ends_back_off = false;
};

/// Judges the webhooks of a batch, one after the other.
class Judge {
public:
    using CatalogueOf = std::function<const Catalogue &(const std::string &category)>;
    /// The id of a webhook and of the integration that it is about.
    using Event = std::pair<std::string, std::string>;

    /// `integrations`: at least those that the webhooks name. `done`: the events that were done before, as far as the
    /// webhooks repeat them.
    Judge(std::vector<SigningServer> servers, std::map<std::string, KnownIntegration> integrations,
          std::set<Event> done, CatalogueOf catalogue_of);

    /// `webhook` is what `body` says. Throws what `catalogue_of` throws, and std::runtime_error where OpenSSL fails.
    Verdict judge(const kombo::Webhook &webhook, std::string_view body, const std::optional<std::string> &signature);

    /// The key of an event; what does not fit kombo.webhook_inbox is cut.
    static Event event_of(const kombo::Webhook &webhook);

private:
    using SigningServers = std::vector<SigningServer *>;

    SigningServers find_signing_servers(const kombo::Webhook &webhook, std::string_view body,
                                        const std::optional<std::string> &signature);
    std::string asks_for_nothing(const kombo::Webhook &webhook) const;
    std::string nobody_signed(bool is_signed) const;
    Verdict of_unknown(const kombo::Webhook &webhook, const SigningServers &servers, bool is_signed);
    std::string not_its_own(const KnownIntegration &integration, const SigningServers &servers, bool is_signed) const;
    Verdict of_known(const kombo::Webhook &webhook, const KnownIntegration &integration) const;
    Verdict of_other_type(const kombo::Webhook &webhook, const KnownIntegration &integration) const;
    Verdict of_changed_data(const kombo::Webhook &webhook, const KnownIntegration &integration) const;

    std::vector<SigningServer> servers_;
    std::map<std::string, KnownIntegration> integrations_;
    std::set<Event> done_;
    CatalogueOf catalogue_of_;
};

} // namespace syncer
