#include "pg/base/contain.h"

#include "kombo/error.h"
#include "sync/failure.h"

namespace pg {

Trouble describe_trouble() {
    try {
        throw;
    } catch (const Error &error) {
        const bool cancelled = error.sqlstate() == "57014";
        if (error.is_intervention() && !cancelled) throw;
        return {error.message(), error.sqlstate(), error.detail(), error.hint(), is_conflict(error)};
    } catch (const syncer::DatabaseError &error) {
        return {error.message(), error.sqlstate(), error.detail(), error.hint()};
    } catch (const syncer::InvalidRequest &error) {
        return {error.what(), error.sqlstate, error.detail, error.hint};
    } catch (const kombo::ApiError &error) {
        const syncer::Failure failure = syncer::explain(error);
        return {failure.message, failure.sqlstate, failure.detail, failure.hint};
    } catch (const std::bad_alloc &) {
        return {"out of memory", "53200", "", ""};
    } catch (const std::exception &error) {
        return {error.what(), "XX000", "", ""};
    }
}

std::optional<Trouble> contain(const std::function<void()> &body) {
    try {
        body();
        return std::nullopt;
    } catch (const std::exception &) {
        return describe_trouble();
    }
}

} // namespace pg
