#include "pg/base/log_throttle.h"

namespace pg {

void log_warning(const std::string &message, const std::string &sqlstate, const std::string &detail,
                 const std::string &hint, const std::string &cause) {
    using Clock = std::chrono::steady_clock;
    static std::map<std::string, Clock::time_point> told;
    const auto now = Clock::now();
    for (auto entry = told.begin(); entry != told.end();)
        entry = now - entry->second >= std::chrono::minutes(1) ? told.erase(entry) : std::next(entry);
    if (!told.emplace(cause.empty() ? message : cause, now).second) return;
    guard([&] {
        ereport(WARNING, errcode(sqlstate_code(sqlstate)), errmsg_internal("%s", message.c_str()),
                detail.empty() ? 0 : errdetail_internal("%s", detail.c_str()),
                hint.empty() ? 0 : errhint("%s", hint.c_str()));
    });
}

} // namespace pg
