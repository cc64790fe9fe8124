#include "syncer/failure.h"

#include "kombo/json.h"
#include "kombo/page.h"
#include "syncer/exceptions.h"

#include <new>

namespace syncer {

namespace {

// SQLSTATEs of PostgreSQL's errcodes.txt.
constexpr const char *cannot_connect = "08001";     // sqlclient_unable_to_establish_sqlconnection
constexpr const char *connection_failure = "08006"; // connection_failure
constexpr const char *protocol_violation = "08P01"; // protocol_violation
constexpr const char *refused = "28000";            // invalid_authorization_specification
constexpr const char *remote_error = "HV000";       // fdw_error
constexpr const char *not_ready = "55000";          // object_not_in_prerequisite_state
constexpr const char *limited = "53400";            // configuration_limit_exceeded

std::string facts(const kombo::ApiError &error) {
    std::string text = error.http_status == 0 ? "" : "HTTP status " + std::to_string(error.http_status);
    if (!error.code.empty()) text += (text.empty() ? "error code " : ", error code ") + error.code;
    if (!error.log_url.empty()) text += (text.empty() ? "log " : ", log ") + error.log_url;
    return text.empty() ? text : text + ".";
}

Failure failure(Status status, const char *sqlstate, std::string message, const kombo::ApiError &error,
                std::string hint, bool of_integration = false) {
    Failure failed;
    failed.status = status;
    failed.sqlstate = sqlstate;
    failed.message = std::move(message);
    failed.detail = facts(error);
    failed.hint = std::move(hint);
    failed.of_integration = of_integration;
    failed.of_server = error.error_class == kombo::ErrorClass::Unauthorized;
    // A certificate that is not trusted is of no use within the call, and may be in order an hour later.
    failed.lasting = !kombo::retryable(error) && !error.host_unreachable;
    failed.retry_after = error.retry_after;
    failed.too_much = error.too_much;
    return failed;
}

/// A hint for what the database has none for.
std::string hint_for(const DatabaseError &error) {
    const std::string state = error.sqlstate();
    // SECURITY_RESTRICTED_OPERATION, in which all of a sync's SQL runs.
    if (state == "42501" && error.message().find("security-restricted operation") != std::string::npos)
        return "Syncs run in a security-restricted context: deferred constraints, and triggers that make temporary "
               "tables, cannot be on a data table.";
    if (error.is_missing_partition())
        return "Create a partition for the integration's rows, or a DEFAULT one: CREATE TABLE ... PARTITION OF "
               "kombo....";
    if (!error.raised_in().empty() && (state == "42P01" || state == "42883" || state == "42704" || state == "42501"))
        return "Syncs run with search_path = pg_catalog, pg_temp" +
               (error.sync_role().empty() ? "" : " as role \"" + error.sync_role() + "\"") +
               ": qualify the names in the function, or give it a SET search_path clause, and grant that role what the "
               "function needs.";
    if (error.raised_in().empty() && error.message().find("permission denied for table") == 0)
        return "If a data table was given to another role: SELECT kombo.create_tables(category, owner => '...') gives "
               "all of them to one role.";
    if (error.raised_in().empty() && state == "42P01")
        return "SELECT kombo.create_tables(category) makes a missing table again.";
    if (error.raised_in().empty() && state == "42P10")
        return "A data table has lost its primary key: ALTER TABLE ... ADD PRIMARY KEY makes it again.";
    if (error.raised_in().empty() && state == "42703")
        return "SELECT kombo.create_tables(category) makes a missing column again; SELECT kombo.exclude_field(table, "
               "column) keeps its field out for good.";
    return {};
}

Failure of_ours(const std::string &sqlstate, const std::string &message, const std::string &detail = {},
                const std::string &hint = {}) {
    Failure failed;
    failed.sqlstate = sqlstate;
    failed.message = message;
    failed.detail = detail;
    failed.hint = hint;
    return failed;
}

} // namespace

bool Failure::passing() const {
    for (const char *state : {"40001", "40P01", "55P03", "57014"}) // serialization, deadlock, lock timeout, cancel
        if (sqlstate == state) return true;
    return false;
}

Failure explain(const kombo::ApiError &error) {
    const std::string said = error.message.empty() ? std::string(error.what()) : error.message;
    switch (error.error_class) {
    case kombo::ErrorClass::Unauthorized:
        return failure(Status::Failed, refused, "Kombo refused the API key: " + said, error,
                       "Check api_key in the user mapping of the server's owner, and that base_url is the region of "
                       "the key.",
                       true);
    case kombo::ErrorClass::SetupPending:
        return failure(Status::Waiting, not_ready, "Kombo has no data of this integration yet: " + said, error,
                       "Sync again once Kombo has finished its first sync; if the code names setup or QA, somebody "
                       "has to act in Kombo's dashboard.",
                       true);
    case kombo::ErrorClass::Unavailable:
        return failure(Status::Unavailable, not_ready, "Kombo does not offer this model: " + said, error,
                       "The tool lacks it, or the integration's scope settings switch it off.");
    case kombo::ErrorClass::RateLimited: {
        std::string hint = "Sync again later, or less often.";
        if (error.retry_after) hint = "Kombo asks to wait " + std::to_string(error.retry_after->count() / 1000) + " s.";
        const bool of_key = kombo::concerns_key(error);
        return failure(
            Status::Failed, limited,
            (of_key ? "Kombo's rate limit is exceeded: " : "a rate limit of this integration is exceeded: ") + said,
            error, hint, !of_key);
    }
    case kombo::ErrorClass::Transport:
        if (error.host_unreachable)
            return failure(Status::Failed, cannot_connect, "could not reach Kombo: " + said, error,
                           "Check base_url, proxy and ca_file of the server, and the network.", true);
        return failure(Status::Failed, connection_failure, "the transfer from Kombo failed: " + said, error,
                       "Sync again; request_timeout, max_response_size and page_size are options of the server.");
    case kombo::ErrorClass::MalformedBody:
        return failure(Status::Failed, protocol_violation, "unexpected response from Kombo: " + said, error,
                       "Check that base_url is that of Kombo's API, as in https://api.kombo.dev/v1.");
    case kombo::ErrorClass::NotFound:
        // kombo.sync_status knows it by these words, and says what to do.
        if (error.code == "PLATFORM.INTEGRATION_NOT_FOUND")
            return failure(Status::Failed, remote_error, "Kombo does not know this integration: " + said, error,
                           "Check that it belongs to the region and environment of the API key. If it was deleted at "
                           "Kombo, end it here, too, with kombo.remove_integration; purge => true deletes its rows.",
                           true);
        return failure(Status::Failed, remote_error, "Kombo did not find it: " + said, error,
                       "Check that base_url is that of Kombo's API, as in https://api.kombo.dev/v1.");
    case kombo::ErrorClass::InvalidInput:
        return failure(Status::Failed, remote_error, "Kombo refused the request: " + said, error, "");
    case kombo::ErrorClass::Transient:
        return failure(Status::Failed, remote_error, "Kombo answered with an error: " + said, error,
                       "Sync again; this kind of error passes.");
    case kombo::ErrorClass::Final:
        break;
    }
    return failure(Status::Failed, remote_error, "Kombo answered with an error: " + said, error, "");
}

Failure explain(const std::exception_ptr &caught) {
    try {
        std::rethrow_exception(caught);
    } catch (const kombo::ApiError &error) {
        return explain(error);
    } catch (const kombo::MalformedJson &error) {
        Failure failed;
        failed.sqlstate = protocol_violation;
        failed.message = std::string("a record is not JSON: ") + error.what();
        return failed;
    } catch (const TooManyParked &error) {
        Failure failed;
        failed.sqlstate = not_ready;
        failed.message = error.what();
        failed.detail = "Nothing was parked.";
        failed.hint = "Look for a constraint or trigger on the table that refuses what Kombo sends.";
        failed.too_many_parked = true;
        return failed;
    } catch (const DatabaseError &error) {
        if (error.is_intervention()) throw;
        Failure failed;
        failed.sqlstate = error.sqlstate();
        failed.message = error.message();
        if (!error.raised_in().empty()) failed.message += " (in " + error.raised_in() + ")";
        failed.detail = error.detail();
        // PostgreSQL's own hint on a function that it does not find is about types of arguments.
        const bool misled = failed.sqlstate == "42883" && !error.raised_in().empty();
        failed.hint = error.hint().empty() || misled ? hint_for(error) : error.hint();
        return failed;
    } catch (const InvalidRequest &error) {
        return of_ours(error.sqlstate, error.what(), error.detail, error.hint);
    } catch (const std::bad_alloc &) {
        return of_ours("53200", "out of memory");
    } catch (const std::exception &error) {
        return of_ours("XX000", error.what());
    }
}

} // namespace syncer
