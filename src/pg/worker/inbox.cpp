#include "pg/worker/inbox.h"

#include "kombo/error.h"
#include "pg/account/options.h"
#include "pg/base/memory.h"
#include "pg/base/settings.h"
#include "pg/base/spi.h"
#include "syncer/judge.h"

#include <algorithm>
#include <tuple>

namespace pg {

namespace {

constexpr size_t most_rows = 200;
constexpr int64_t most_bytes = 4 * 1024 * 1024;
constexpr size_t most_pruned = 1000;

/// Characters that are kept of a body that is rejected: Kombo's own are shorter, and anybody's who can insert may be
/// 1 MB, which would lie there for the whole retention.
constexpr int64_t longest_rejected = 16384;

/// A row of the inbox and what is made of it. Texts are cut to what the columns are to hold.
struct Arrival {
    int64_t id = 0;
    std::string body;
    std::optional<std::string> signature;
    kombo::Webhook webhook;
    syncer::Verdict verdict;
};

/// Locks the table as an UPDATE does, if that can be had at once: whoever holds it may hold it for hours, and the rest
/// of the worker has other things to do.
void lock_at_once(const char *table) {
    const bool locked = guard([&] {
        const Oid relation = get_relname_relid(table, get_namespace_oid("kombo", true));
        return OidIsValid(relation) && ConditionalLockRelationOid(relation, RowExclusiveLock);
    });
    if (!locked)
        raise(ERRCODE_LOCK_NOT_AVAILABLE, std::string("another session keeps kombo.") + table + " locked", "",
              locked_hint);
}

/// Only the path of the file is news for the administrator; that a secret could not be read, each rejected row says.
void log_unread(const Server &server, const std::string &problem) {
    static std::map<std::string, std::chrono::steady_clock::time_point> last;
    const auto now = std::chrono::steady_clock::now();
    const auto said = last.find(server.name);
    if (said != last.end() && now - said->second < std::chrono::minutes(1)) return;
    last[server.name] = now;
    guard([&] {
        ereport(LOG, errmsg("could not read the webhook secret of server \"%s\"", server.name.c_str()),
                errdetail("%s", problem.c_str()));
    });
}

std::vector<syncer::SigningServer> load_signing_servers() {
    std::vector<syncer::SigningServer> servers;
    for (const Server &server : all_servers()) {
        WebhookSecrets secrets = webhook_secrets(server);
        if (!secrets.problem.empty()) log_unread(server, secrets.problem);
        servers.push_back({server.name,
                           std::move(secrets.values),
                           !secrets.problem.empty(),
                           server.accept_unsigned,
                           server.auto_register,
                           {}});
    }
    if (std::none_of(servers.begin(), servers.end(), [](const auto &server) { return server.auto_register; }))
        return servers;
    const Result open = execute(R"(
        SELECT DISTINCT r.server, r.integration_id FROM kombo.sync_requests r
        WHERE r.kind = 'integration' AND r.server IS NOT NULL)");
    for (uint64_t i = 0; i < open.size(); ++i)
        for (syncer::SigningServer &server : servers)
            if (server.name == open.text(i, 1)) server.asked_about.insert(open.text(i, 2));
    return servers;
}

/// Ends the back-offs of integrations that showed a sign of life, of each once a minute: who sends webhooks again and
/// again must not have everything tried each time. Returns those where something backed off.
std::vector<std::string> revive(const std::set<std::string> &alive, const std::vector<NewRequest> &requests) {
    constexpr std::chrono::minutes pause(1);
    static std::map<std::string, kombo::Timestamp> revived_at;
    const kombo::Timestamp now = kombo::current_timestamp();
    for (auto i = revived_at.begin(); i != revived_at.end();)
        i = i->second <= now && now < i->second + pause ? std::next(i) : revived_at.erase(i);
    std::vector<std::string> at_once, revived;
    for (const std::string &id : alive) {
        const auto before = revived_at.find(id);
        if (before == revived_at.end())
            at_once.push_back(id);
        else if (!end_back_off({id}, requests, before->second + pause).empty())
            revived.push_back(id);
    }
    if (at_once.empty()) return revived;
    for (const std::string &id : end_back_off(at_once, requests)) {
        revived_at.emplace(id, now);
        revived.push_back(id);
    }
    return revived;
}

/// Names that a webhook gives may hold what PostgreSQL's texts cannot.
bool is_text(const std::string &name) {
    return !name.empty() && name.find('\0') == std::string::npos;
}

class WebhookBatch {
public:
    WebhookBatch(const syncer::Judge::CatalogueOf &catalogue_of, const NoneTaken &none_taken,
                 const std::vector<int64_t> &but)
        : catalogue_of_(catalogue_of), none_taken_(none_taken), but_(but) {}

    Judged judge() {
        Judged judged;
        judged.more = load();
        judged.rows = arrivals_.size();
        if (arrivals_.empty()) return judged;
        auto integrations = load_integrations();
        syncer::Judge judge(load_signing_servers(), std::move(integrations), load_done(), catalogue_of_);
        for (Arrival &arrival : arrivals_) judge_one(judge, arrival);
        std::vector<const Arrival *> all;
        for (const Arrival &arrival : arrivals_) all.push_back(&arrival);
        try {
            subtransaction([&] { store(all, judged); });
        } catch (const Error &error) {
            if (!error.is_records_fault()) throw;
            store_one_by_one(judged);
        }
        return judged;
    }

private:
    void store(const std::vector<const Arrival *> &arrivals, Judged &judged) const {
        const std::vector<NewRequest> asked = requests(arrivals);
        std::vector<NewRequest> appended;
        past_sequences([&] { appended = append_requests(asked, none_taken_); });
        std::set<std::string> alive; // integrations that showed a sign of life
        for (const Arrival *arrival : arrivals)
            if (arrival->verdict.ends_back_off) alive.insert(arrival->webhook.integration_id);
        for (std::string &id : revive(alive, asked)) judged.revived.push_back(std::move(id));
        mark(arrivals);
        judged.requests.insert(judged.requests.end(), appended.begin(), appended.end());
    }

    /// A constraint or a trigger of somebody's refuses what has to be noted of a row. The others are noted; what that
    /// row asks for is done all the same, and it stays new.
    void store_one_by_one(Judged &judged) const {
        static int64_t number = 0;
        for (const Arrival &arrival : arrivals_) {
            try {
                subtransaction([&] { store({&arrival}, judged); });
            } catch (const Error &error) {
                if (!error.is_records_fault()) throw;
                judged.unstored[arrival.id] = error.message();
                for (NewRequest &request : requests({&arrival})) {
                    request.id = --number;
                    request.requested_at = kombo::current_timestamp();
                    judged.not_requested[arrival.id].push_back(std::move(request));
                }
            }
        }
    }

    /// Returns whether there are more rows than fit.
    bool load() {
        // LIMIT counts only rows that can be locked. Sizes are known without reading the values. A signature that is
        // too long came before there was a limit on it: it is no signature, and is not read.
        const Result rows = execute(R"(
            WITH unlocked AS (
                SELECT i.id, octet_length(i.body) + 1024 AS bytes FROM kombo.webhook_inbox i
                WHERE i.status = 'new' AND i.id <> ALL ($3) ORDER BY i.id LIMIT $1 FOR UPDATE SKIP LOCKED
            ), sized AS (
                SELECT u.id, sum(u.bytes) OVER (ORDER BY u.id) - u.bytes AS before, count(*) OVER () AS found
                FROM unlocked u
            )
            SELECT s.id,
                CASE WHEN i.signature IS NULL OR octet_length(i.signature) <= 1024 THEN i.signature ELSE '?' END,
                s.found::bigint, i.body
            FROM sized s JOIN kombo.webhook_inbox i ON i.id = s.id WHERE s.before < $2 ORDER BY s.id)",
                                    Params().integer(most_rows).integer(most_bytes).integers(but_), Planning::ByKey);
        for (uint64_t i = 0; i < rows.size(); ++i) {
            Arrival arrival;
            arrival.id = rows.integer(i, 1);
            arrival.signature = rows.maybe(i, 2);
            arrival.body = rows.text(i, 4);
            arrival.webhook = kombo::parse_webhook(arrival.body);
            arrivals_.push_back(std::move(arrival));
        }
        return rows.size() > 0 && (rows.size() == most_rows || rows.integer(0, 3) > static_cast<int64_t>(rows.size()));
    }

    std::map<std::string, syncer::KnownIntegration> load_integrations() const {
        std::set<std::string> named;
        for (const Arrival &arrival : arrivals_)
            if (is_text(arrival.webhook.integration_id)) named.insert(arrival.webhook.integration_id);
        Params params;
        params.texts(std::vector<std::string>(named.begin(), named.end()));

        std::map<std::string, syncer::KnownIntegration> integrations;
        const Result rows = execute(R"(
            SELECT i.integration_id, i.server, i.category, i.paused_by = 'kombo_sync' FROM kombo.integrations i
            WHERE i.integration_id = ANY ($1))",
                                    params);
        for (uint64_t i = 0; i < rows.size(); ++i)
            integrations[rows.text(i, 1)] = {rows.text(i, 2), rows.text(i, 3), rows.boolean(i, 4), {}};
        const Result overrides = execute(R"(
            SELECT s.integration_id, s.endpoint, s.enabled FROM kombo.subscriptions s
            WHERE s.integration_id = ANY ($1))",
                                         params);
        for (uint64_t i = 0; i < overrides.size(); ++i) {
            const auto integration = integrations.find(overrides.text(i, 1));
            if (integration != integrations.end())
                integration->second.subscribed[overrides.text(i, 2)] = overrides.boolean(i, 3);
        }
        return integrations;
    }

    std::set<syncer::Judge::Event> load_done() const {
        std::vector<std::string> ids;
        for (const Arrival &arrival : arrivals_) ids.push_back(syncer::Judge::event_of(arrival.webhook).first);
        const Result rows = execute(R"(
            SELECT i.webhook_id, i.integration_id FROM kombo.webhook_inbox i
            WHERE i.status = 'done' AND i.webhook_id = ANY ($1))",
                                    Params().texts(ids));
        std::set<syncer::Judge::Event> done;
        for (uint64_t i = 0; i < rows.size(); ++i) done.emplace(rows.text(i, 1), rows.text(i, 2));
        return done;
    }

    /// Whatever goes wrong with one row is that row's fault: the others are judged all the same.
    void judge_one(syncer::Judge &judge, Arrival &arrival) {
        try {
            subtransaction([&] { arrival.verdict = judge.judge(arrival.webhook, arrival.body, arrival.signature); });
        } catch (const syncer::DatabaseError &error) {
            // A lock that was not to be had, or a full disk, says nothing of the row: the batch is judged again later.
            const std::string state = error.sqlstate().substr(0, 2);
            for (const char *passing : {"40", "53", "55", "57", "58"})
                if (state == passing) throw;
            refuse(arrival, error.message());
        } catch (const std::exception &error) {
            refuse(arrival, error.what());
        }
    }

    static void refuse(Arrival &arrival, const std::string &why) {
        arrival.verdict = {
            syncer::WebhookStatus::Rejected, kombo::printable("it could not be judged: " + why), {}, false};
    }

    /// The requests of all rows together, each once.
    static std::vector<NewRequest> requests(const std::vector<const Arrival *> &arrivals) {
        std::vector<NewRequest> unique;
        std::map<std::tuple<std::string, std::string, std::string, std::string>, size_t> known;
        for (const Arrival *arrival : arrivals) {
            for (const syncer::PlannedRequest &asked : arrival->verdict.requests) {
                NewRequest request = to_new_request(asked, "webhook");
                const auto [found, is_new] =
                    known.emplace(std::make_tuple(request.integration_id, request.endpoint.value_or(""), request.kind,
                                                  request.server),
                                  unique.size());
                if (is_new)
                    unique.push_back(std::move(request));
                else if (unique[found->second].unknown_model.empty())
                    unique[found->second].unknown_model = request.unknown_model;
            }
        }
        return unique;
    }

    static void mark(const std::vector<const Arrival *> &arrivals) {
        std::string ids;
        std::vector<std::string> statuses, webhooks, types, integrations, errors;
        for (const Arrival *arrival : arrivals) {
            const auto [webhook, integration] = syncer::Judge::event_of(arrival->webhook);
            ids += (ids.empty() ? "{" : ",") + std::to_string(arrival->id);
            statuses.emplace_back(syncer::name(arrival->verdict.status));
            webhooks.push_back(webhook);
            types.push_back(kombo::printable(arrival->webhook.type_name, 100));
            integrations.push_back(integration);
            errors.push_back(arrival->verdict.error);
        }
        execute(R"(
            UPDATE kombo.webhook_inbox i SET status = j.status, webhook_id = nullif(j.webhook_id, ''),
                webhook_type = nullif(j.webhook_type, ''), integration_id = nullif(j.integration_id, ''),
                error = nullif(j.error, ''), processed_at = now(),
                body = CASE WHEN j.status = 'rejected' AND octet_length(i.body) > $7 THEN left(i.body, $7::integer)
                            ELSE i.body END
            FROM unnest($1::bigint[], $2, $3, $4, $5, $6)
                AS j (id, status, webhook_id, webhook_type, integration_id, error)
            WHERE i.id = j.id)",
                Params()
                    .text(ids + "}")
                    .texts(statuses)
                    .texts(webhooks)
                    .texts(types)
                    .texts(integrations)
                    .texts(errors)
                    .integer(longest_rejected),
                Planning::ByKey);
    }

    const syncer::Judge::CatalogueOf &catalogue_of_;
    const NoneTaken &none_taken_;
    const std::vector<int64_t> &but_;
    std::vector<Arrival> arrivals_;
};

} // namespace

Judged judge_inbox(const std::function<const syncer::Catalogue &(const std::string &category)> &catalogue_of,
                   const NoneTaken &none_taken, const std::vector<int64_t> &but) {
    const MemoryScope memory;
    lock_at_once("webhook_inbox");
    lock_at_once("sync_requests");
    return WebhookBatch(catalogue_of, none_taken, but).judge();
}

namespace {

/// Deletes these rows; where something refers to one, it stays, and is counted.
void delete_webhooks(const std::vector<int64_t> &ids, Pruned &pruned) {
    if (ids.empty()) return;
    try {
        subtransaction([&] {
            execute("DELETE FROM kombo.webhook_inbox i WHERE i.id = ANY ($1)", Params().integers(ids), Planning::ByKey);
        });
        pruned.rows += ids.size();
    } catch (const Error &error) {
        if (!error.is_records_fault()) throw;
        if (ids.size() == 1) {
            ++pruned.kept;
            pruned.why = error.message();
            return;
        }
        const auto middle = ids.begin() + static_cast<std::ptrdiff_t>(ids.size() / 2);
        delete_webhooks({ids.begin(), middle}, pruned);
        delete_webhooks({middle, ids.end()}, pruned);
    }
}

} // namespace

Pruned prune_inbox(int64_t after) {
    Pruned pruned;
    lock_at_once("webhook_inbox");
    Params params;
    params.instant(kombo::current_timestamp() - std::chrono::minutes(settings::retention_minutes))
        .integer(most_pruned)
        .integer(after);
    const Result old = execute(R"(
        SELECT o.id FROM kombo.webhook_inbox o WHERE o.status <> 'new' AND o.processed_at < $1 AND o.id > $3
        ORDER BY o.id LIMIT $2 FOR UPDATE SKIP LOCKED)",
                               params, Planning::ByKey);
    std::vector<int64_t> ids;
    for (uint64_t i = 0; i < old.size(); ++i) ids.push_back(old.integer(i, 1));
    delete_webhooks(ids, pruned);
    if (ids.size() == most_pruned) pruned.more_after = ids.back();
    return pruned;
}

} // namespace pg
