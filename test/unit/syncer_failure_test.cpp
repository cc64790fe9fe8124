#include "refusing_database.h"
#include "syncer/failure.h"
#include "syncer/fetch.h"

#include <gtest/gtest.h>
#include <new>

namespace syncer {
namespace {

using kombo::ErrorClass;

TEST(Explain, each_class_of_api_error_has_its_status_and_sqlstate) {
    struct Case {
        ErrorClass error_class;
        bool host_unreachable;
        Status status;
        const char *sqlstate;
        bool of_integration;
    };
    const Case cases[] = {
        {ErrorClass::Unauthorized, false, Status::Failed, "28000", true},
        {ErrorClass::Transport, true, Status::Failed, "08001", true},
        {ErrorClass::SetupPending, false, Status::Waiting, "55000", true},
        {ErrorClass::Transport, false, Status::Failed, "08006", false},
        {ErrorClass::Unavailable, false, Status::Unavailable, "55000", false},
        {ErrorClass::RateLimited, false, Status::Failed, "53400", false},
        {ErrorClass::MalformedBody, false, Status::Failed, "08P01", false},
        {ErrorClass::NotFound, false, Status::Failed, "HV000", false},
        {ErrorClass::InvalidInput, false, Status::Failed, "HV000", false},
        {ErrorClass::Transient, false, Status::Failed, "HV000", false},
        {ErrorClass::Final, false, Status::Failed, "HV000", false},
    };
    for (const Case &c : cases) {
        kombo::ApiError error(c.error_class, 418, "said so");
        error.host_unreachable = c.host_unreachable;
        error.code = "A.B";
        error.compose();
        const Failure failure = explain(error);
        const char *const name = kombo::error_class_name(c.error_class);
        EXPECT_EQ(failure.status, c.status) << name;
        EXPECT_EQ(failure.sqlstate, c.sqlstate) << name;
        EXPECT_EQ(failure.of_integration, c.of_integration) << name;
        EXPECT_NE(failure.message.find("said so"), std::string::npos) << name << ": " << failure.message;
        EXPECT_EQ(failure.detail, "HTTP status 418, error code A.B.") << name;
        const Failure thrown = explain(std::make_exception_ptr(error));
        EXPECT_EQ(thrown.sqlstate, failure.sqlstate) << name;
        EXPECT_EQ(thrown.message, failure.message) << name;
        EXPECT_EQ(thrown.of_integration, failure.of_integration) << name;
    }
}

TEST(Explain, the_detail_holds_what_is_known_and_no_more) {
    struct Case {
        long status;
        const char *code;
        const char *log_url;
        const char *detail;
    };
    for (const Case &c :
         {Case{0, "", "", ""}, Case{0, "A.B", "", "error code A.B."}, Case{502, "", "", "HTTP status 502."},
          Case{0, "", "https://app/log", "log https://app/log."},
          Case{400, "A.B", "https://app/log", "HTTP status 400, error code A.B, log https://app/log."}}) {
        kombo::ApiError error(ErrorClass::Final, c.status, "said so");
        error.code = c.code;
        error.log_url = c.log_url;
        EXPECT_EQ(explain(error).detail, c.detail);
    }
}

TEST(Explain, an_error_without_message_is_told_by_its_text) {
    kombo::ApiError error(ErrorClass::Transient, 502, "");
    error.code = "A.B";
    error.compose();
    EXPECT_NE(explain(error).message.find("A.B"), std::string::npos) << explain(error).message;
}

TEST(Explain, a_rate_limit_tells_how_long_to_wait) {
    kombo::ApiError error(ErrorClass::RateLimited, 429, "slow down");
    EXPECT_EQ(explain(error).hint, "Sync again later, or less often.");
    error.retry_after = std::chrono::milliseconds(90'000);
    EXPECT_NE(explain(error).hint.find("90 s"), std::string::npos) << explain(error).hint;
}

TEST(Explain, a_limit_of_the_customers_tool_concerns_the_whole_integration_and_nobody_else) {
    kombo::ApiError error(ErrorClass::RateLimited, 429, "slow down");
    error.code = "REMOTE.RATE_LIMIT_EXCEEDED";
    EXPECT_TRUE(explain(error).of_integration);
    EXPECT_FALSE(explain(error).of_server);
    error.code = "PLATFORM.RATE_LIMIT_EXCEEDED";
    EXPECT_FALSE(explain(error).of_integration);
}

template <class Error> Failure explained(const Error &error) {
    return explain(std::make_exception_ptr(error));
}

TEST(Explain, tells_what_cannot_help_to_try_again_soon_and_whom_else_it_concerns) {
    struct Case {
        ErrorClass error_class;
        bool lasting;
        bool of_server;
    };
    for (const Case &c : {Case{ErrorClass::Unauthorized, true, true}, Case{ErrorClass::SetupPending, true, false},
                          Case{ErrorClass::Unavailable, true, false}, Case{ErrorClass::NotFound, true, false},
                          Case{ErrorClass::InvalidInput, true, false}, Case{ErrorClass::Final, true, false},
                          Case{ErrorClass::RateLimited, false, false}, Case{ErrorClass::Transport, false, false},
                          Case{ErrorClass::MalformedBody, false, false}, Case{ErrorClass::Transient, false, false}}) {
        kombo::ApiError error(c.error_class, 418, "said so");
        const char *const name = kombo::error_class_name(c.error_class);
        EXPECT_EQ(explain(error).lasting, c.lasting) << name;
        EXPECT_EQ(explain(error).of_server, c.of_server) << name;
        EXPECT_FALSE(explain(error).retry_after) << name;
        error.retry_after = std::chrono::milliseconds(1500);
        EXPECT_EQ(explain(error).retry_after, error.retry_after) << name;
    }
    kombo::ApiError permanent(ErrorClass::Transport, 0, "no such protocol");
    permanent.permanent = true;
    EXPECT_TRUE(explain(permanent).lasting);
    permanent.host_unreachable = true; // as by a certificate that has expired
    EXPECT_FALSE(explain(permanent).lasting);
}

TEST(Explain, an_integration_that_kombo_does_not_know_concerns_all_its_endpoints) {
    kombo::ApiError error(ErrorClass::NotFound, 404, "said so");
    EXPECT_FALSE(explain(error).of_integration);
    error.code = "PLATFORM.INTEGRATION_NOT_FOUND";
    EXPECT_TRUE(explain(error).of_integration);
}

TEST(Explain, errors_of_the_database_keep_their_words) {
    const Failure failure = explained(Refusal("40P01", "deadlock detected", "Process 1 waits.", "See log."));
    EXPECT_EQ(failure.status, Status::Failed);
    EXPECT_EQ(failure.sqlstate, "40P01");
    EXPECT_EQ(failure.message, "deadlock detected");
    EXPECT_EQ(failure.detail, "Process 1 waits.");
    EXPECT_EQ(failure.hint, "See log.");
    EXPECT_FALSE(failure.of_integration);
}

TEST(Explain, the_restricted_context_is_explained_where_the_database_does_not) {
    const char *const message = "cannot create temporary table within security-restricted operation";
    EXPECT_NE(explained(Refusal("42501", message)).hint.find("security-restricted"), std::string::npos);
    EXPECT_EQ(explained(Refusal("42501", message, "", "Ask Bob.")).hint, "Ask Bob.");
    EXPECT_EQ(explained(Refusal("42501", "permission denied for schema s")).hint, "");
}

TEST(Explain, an_error_in_a_function_of_the_users_names_it_and_how_syncs_run) {
    const std::string where = "PL/pgSQL function public.audit() line 1 at SQL statement";
    for (const char *state : {"42P01", "42883", "42704", "42501"}) {
        const Failure failure = explained(Refusal(state, "no such thing", "", "", where));
        EXPECT_EQ(failure.message, "no such thing (in " + where + ")");
        EXPECT_NE(failure.hint.find("search_path"), std::string::npos) << failure.hint;
        EXPECT_NE(failure.hint.find("\"owner\""), std::string::npos) << failure.hint;
        EXPECT_EQ(explained(Refusal(state, "no such thing")).hint.find("search_path"), std::string::npos) << state;
    }
    EXPECT_EQ(explained(Refusal("42501", "no such thing", "", "Ask Bob.", where)).hint, "Ask Bob.");
    const std::string types = "You might need to add explicit type casts.";
    EXPECT_NE(explained(Refusal("42883", "no such thing", "", types, where)).hint.find("search_path"),
              std::string::npos);
    EXPECT_EQ(explained(Refusal("40P01", "deadlock", "", "", where)).hint, "");
}

TEST(Explain, a_table_that_was_dropped_given_away_or_robbed_of_its_key_can_be_mended) {
    EXPECT_NE(explained(Refusal("42501", "permission denied for table t")).hint.find("owner =>"), std::string::npos);
    EXPECT_NE(explained(Refusal("42P01", "no such table")).hint.find("create_tables"), std::string::npos);
    EXPECT_NE(explained(Refusal("42P10", "no unique constraint")).hint.find("PRIMARY KEY"), std::string::npos);
}

TEST(Explain, a_column_that_is_gone_can_be_made_again_or_excluded) {
    const std::string hint = explained(Refusal("42703", "column people.pay does not exist")).hint;
    EXPECT_NE(hint.find("create_tables"), std::string::npos) << hint;
    EXPECT_NE(hint.find("exclude_field"), std::string::npos) << hint;
    EXPECT_EQ(explained(Refusal("42703", "column x does not exist", "", "", "SQL function \"f\"")).hint, "");
}

TEST(Explain, a_row_without_a_partition_is_the_tables_fault) {
    Refusal refusal("23514", "no partition of relation \"people\" found for row");
    EXPECT_TRUE(refusal.is_records_fault());
    refusal.missing_partition = true;
    EXPECT_FALSE(refusal.is_records_fault());
    EXPECT_NE(explained(refusal).hint.find("PARTITION OF"), std::string::npos);
}

TEST(Explain, what_the_sync_itself_finds) {
    const Failure json = explained(kombo::MalformedJson("TAPE_ERROR"));
    EXPECT_EQ(json.sqlstate, "08P01");
    EXPECT_NE(json.message.find("TAPE_ERROR"), std::string::npos);
    const Failure parked = explained(TooManyParked("more than 1000 records were refused"));
    EXPECT_EQ(parked.sqlstate, "55000");
    EXPECT_EQ(parked.message, "more than 1000 records were refused");
    EXPECT_TRUE(parked.too_many_parked);
    EXPECT_FALSE(json.too_many_parked);
    for (const Failure &failure : {json, parked}) {
        EXPECT_FALSE(failure.lasting);
        EXPECT_EQ(failure.status, Status::Failed);
        EXPECT_FALSE(failure.of_integration);
    }
}

TEST(Explain, cancel_timeouts_and_shutdown_go_through) {
    for (const char *state : {"57014", "57P01", "57P02", "57P03", "57P04", "57P05"}) {
        try {
            explained(Refusal(state));
            ADD_FAILURE() << state << " was taken for an endpoint's failure";
        } catch (const DatabaseError &error) {
            EXPECT_EQ(error.sqlstate(), state);
        }
    }
}

TEST(Explain, mistakes_of_the_catalogue_and_of_ours_are_failures_too) {
    const Failure invalid = explained(InvalidRequest("no such name", "None.", "Look again.", "42704"));
    EXPECT_EQ(invalid.sqlstate + invalid.message + invalid.detail + invalid.hint, "42704no such nameNone.Look again.");
    EXPECT_EQ(explained(std::bad_alloc()).sqlstate, "53200");
    EXPECT_EQ(explained(std::logic_error("ours")).message, "ours");
    EXPECT_EQ(explained(std::logic_error("ours")).sqlstate, "XX000");
}

TEST(Failure, locks_deadlocks_and_conflicts_pass) {
    for (const char *state : {"40001", "40P01", "55P03"}) EXPECT_TRUE(explained(Refusal(state)).passing()) << state;
    for (const char *state : {"23505", "P0001", "55000", "53200"})
        EXPECT_FALSE(explained(Refusal(state)).passing()) << state;
}

TEST(DatabaseError, blames_a_record_for_its_data_alone) {
    for (const char *state : {"22003", "22P02", "23502", "23505", "23514", "44000", "54000", "54011", "P0001", "P0004"})
        EXPECT_TRUE(Refusal(state).is_records_fault()) << state;
    for (const char *state : {"57014", "40P01", "40001", "42501", "42P01", "53100", "53200", "55P03", "25006", "XX000",
                              "2BP01", "0A000", ""})
        EXPECT_FALSE(Refusal(state).is_records_fault()) << state;
}

} // namespace
} // namespace syncer
