#pragma once

#include "pg/base/postgres.h"
#include "syncer/exceptions.h"

/// The only bridge between PostgreSQL's longjmp and C++ exceptions.
namespace pg {

/// The hint where a table of the extension itself is not as the extension made it.
constexpr const char *altered_extension =
    "A table of the extension was altered: undo that, or make the extension anew with DROP EXTENSION kombo_sync and "
    "CREATE EXTENSION kombo_sync, which leaves the data tables, and add the integrations again.";

/// The hint where a lock was not to be had.
constexpr const char *locked_hint =
    "Another session keeps a lock, which pg_locks shows: it can be had when that session's transaction has ended.";

/// An `ereport(ERROR)` turned into a C++ exception; it carries the whole ErrorData.
class Error : public syncer::DatabaseError {
public:
    /// Takes over `data` and the memory context that it lives in, which must hold nothing else: FreeErrorData() would
    /// leave some of what CopyErrorData() copies.
    explicit Error(ErrorData *data)
        : data_(data, [](ErrorData *copy) { MemoryContextDelete(GetMemoryChunkContext(copy)); }) {}
    std::string sqlstate() const override { return unpack_sql_state(data_->sqlerrcode); }
    std::string message() const override { return text(data_->message); }
    std::string detail() const override { return text(data_->detail); }
    /// PostgreSQL's hint; if it has none, ours about a lock, or about an altered table of the extension itself.
    std::string hint() const override;
    std::string raised_in() const override;
    std::string sync_role() const override;
    std::string constraint() const override { return text(data_->constraint_name); }
    bool is_missing_partition() const override {
        return data_->sqlerrcode == ERRCODE_CHECK_VIOLATION && data_->table_name && !data_->constraint_name;
    }
    const char *what() const noexcept override { return data_->message ? data_->message : "database error"; }
    ErrorData *data() const { return data_.get(); }

private:
    static std::string text(const char *s) { return s ? s : ""; }
    std::shared_ptr<ErrorData> data_;
};

namespace detail {
/// Copies the current error out of PostgreSQL's error stack, into a memory context of its own, and clears that.
ErrorData *take_error(MemoryContext caller);
/// Builds what `entry` reports for the exception in flight, palloc'd in the caller's memory context.
ErrorData *describe(const std::exception_ptr &caught);
} // namespace detail

/// Runs `f`, which may call PostgreSQL functions that raise, and turns an `ereport(ERROR)` into `pg::Error`.
/// The current memory context is afterwards what it was before.
/// A longjmp skips destructors: inside `f` keep only trivially destructible objects alive across PostgreSQL calls.
/// After an Error the transaction is usable only once a subtransaction around the call was rolled back.
template <class F> auto guard(F &&f) {
    using Result = decltype(f());
    MemoryContext caller = CurrentMemoryContext;
    ErrorData *volatile raised = nullptr;
    std::exception_ptr thrown;
    auto run = [&](auto &&body) {
        PG_TRY();
        {
            try {
                body();
            } catch (...) { // must not unwind through PG_TRY's frame: its exception stack would stay behind
                thrown = std::current_exception();
            }
        }
        PG_CATCH();
        { raised = detail::take_error(caller); }
        PG_END_TRY();
        MemoryContextSwitchTo(caller); // SPI leaves its own context behind as the current one
        if (thrown) std::rethrow_exception(thrown);
        if (raised) throw Error(raised);
    };
    if constexpr (std::is_void_v<Result>) {
        run([&] { f(); });
    } else {
        static_assert(std::is_trivially_destructible_v<Result>, "a guarded call returns plain values");
        Result result{};
        run([&] { result = f(); });
        return result;
    }
}

/// The body of every function that PostgreSQL calls: turns any C++ exception into an `ereport(ERROR)`.
template <class F> auto entry(F &&f) -> decltype(f()) {
    ErrorData *error = nullptr;
    try {
        return f();
    } catch (...) {
        error = detail::describe(std::current_exception());
    }
    ReThrowError(error);
    pg_unreachable();
}

/// PostgreSQL's number for the five characters of a SQLSTATE.
int sqlstate_code(const std::string &state);

/// Runs `body` in a subtransaction: committed if it returns, rolled back if it throws (which goes on).
void subtransaction(const std::function<void()> &body);

/// Raises `ERRCODE` in C++: for errors of ours that end the whole call.
[[noreturn]] void raise(int sqlstate, const std::string &message, const std::string &detail = {},
                        const std::string &hint = {});

} // namespace pg
