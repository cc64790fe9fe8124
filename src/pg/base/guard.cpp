#include "pg/base/guard.h"

#include "pg/base/role.h"
#include "syncer/failure.h"

#include <algorithm>

namespace pg {

namespace {

/// An ErrorData as ereport would have made it; strings live in the current memory context.
ErrorData *make_error(int sqlstate, const std::string &message, const std::string &detail, const std::string &hint) {
    auto *error = static_cast<ErrorData *>(palloc0(sizeof(ErrorData)));
    error->elevel = ERROR;
    error->sqlerrcode = sqlstate;
    error->output_to_server = true;
    error->output_to_client = whereToSendOutput == DestRemote; // a worker has no client
    error->filename = "kombo_sync";
    error->funcname = "kombo_sync";
    error->assoc_context = CurrentMemoryContext;
    error->message = pstrdup(message.c_str());
    if (!detail.empty()) error->detail = pstrdup(detail.c_str());
    if (!hint.empty()) error->hint = pstrdup(hint.c_str());
    return error;
}

/// Whether the statement names an object of the extension itself: the names of data tables are quoted.
bool names_own_object(const std::string &statement) {
    const std::string schema = "kombo.";
    for (size_t at = statement.find(schema); at != std::string::npos; at = statement.find(schema, at + 1))
        if (at + schema.size() < statement.size() && statement[at + schema.size()] != '"') return true;
    return false;
}

} // namespace

/// Lines of CONTEXT that name a function begin with its language. Others may hold data: a statement with its values,
/// the JSON that is no JSON.
std::string Error::raised_in() const {
    const std::string context = text(data_->context);
    for (size_t begin = 0; begin < context.size();) {
        const size_t end = std::min(context.find('\n', begin), context.size());
        std::string line = context.substr(begin, end - begin);
        if (line.compare(0, 3, "PL/") == 0 || line.compare(0, 12, "SQL function") == 0) return line;
        begin = end + 1;
    }
    return {};
}

std::string Error::sync_role() const {
    return sync_role_name();
}

std::string Error::hint() const {
    if (data_->hint) return data_->hint;
    if (data_->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE) return locked_hint;
    const bool undefined =
        data_->sqlerrcode == ERRCODE_UNDEFINED_COLUMN || data_->sqlerrcode == ERRCODE_UNDEFINED_TABLE;
    const std::string function = raised_in();
    const bool of_user = !function.empty() && function.find("function kombo.") == std::string::npos;
    return undefined && !of_user && names_own_object(text(data_->internalquery)) ? altered_extension : "";
}

ErrorData *detail::take_error(MemoryContext caller) {
    // The exception may outlive every context of the transaction: its own lives until it is destroyed.
    MemoryContextSwitchTo(AllocSetContextCreate(TopMemoryContext, "kombo_sync error", ALLOCSET_SMALL_SIZES));
    ErrorData *error = CopyErrorData();
    FlushErrorState();
    MemoryContextSwitchTo(caller);
    return error;
}

ErrorData *detail::describe(const std::exception_ptr &caught) {
    try {
        std::rethrow_exception(caught);
    } catch (const Error &e) {
        // Copied by the error stack itself: the exception's own copy goes with it.
        ErrorData *copy = make_error(e.data()->sqlerrcode, e.message(), e.detail(), e.hint());
        // The context of a cancel would be pages of our own SQL.
        if (e.data()->context && !e.is_intervention()) copy->context = pstrdup(e.data()->context);
        if (e.data()->schema_name) copy->schema_name = pstrdup(e.data()->schema_name);
        if (e.data()->table_name) copy->table_name = pstrdup(e.data()->table_name);
        if (e.data()->column_name) copy->column_name = pstrdup(e.data()->column_name);
        if (e.data()->constraint_name) copy->constraint_name = pstrdup(e.data()->constraint_name);
        return copy;
    } catch (const std::exception &) {
        const syncer::Failure failure = syncer::explain(caught);
        return make_error(sqlstate_code(failure.sqlstate), failure.message, failure.detail, failure.hint);
    } catch (...) {
        return make_error(ERRCODE_INTERNAL_ERROR, "unexpected C++ exception", "", "");
    }
}

int sqlstate_code(const std::string &state) {
    return MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
}

void subtransaction(const std::function<void()> &body) {
    MemoryContext context = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;
    const auto back = [&] {
        MemoryContextSwitchTo(context);
        CurrentResourceOwner = owner;
    };
    guard([] { BeginInternalSubTransaction(nullptr); });
    MemoryContextSwitchTo(context);
    const int level = GetCurrentTransactionNestLevel();
    try {
        body();
    } catch (...) {
        guard([&] {
            // One within it that a cancel kept from beginning, as Citus has it, is not to be rolled back: PostgreSQL
            // would end the session.
            if (GetCurrentTransactionNestLevel() > level) AbortCurrentTransaction();
            RollbackAndReleaseCurrentSubTransaction();
        });
        back();
        throw;
    }
    guard([] { ReleaseCurrentSubTransaction(); });
    back();
}

void raise(int sqlstate, const std::string &message, const std::string &detail, const std::string &hint) {
    throw syncer::InvalidRequest(message, detail, hint, unpack_sql_state(sqlstate));
}

} // namespace pg
