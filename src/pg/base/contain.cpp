#include "pg/base/contain.h"

#include "pg/base/guard.h"

namespace pg {

Trouble describe_trouble() {
    try {
        return syncer::explain(std::current_exception());
    } catch (const syncer::DatabaseError &error) {
        if (error.sqlstate() != "57014") throw;
        Trouble cancelled;
        cancelled.sqlstate = error.sqlstate();
        cancelled.message = error.message();
        return cancelled;
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
