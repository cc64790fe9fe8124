#pragma once

#include "kombo/request.h"
#include "pg/foreign/live_list.h"

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pg {

/// The kind of a condition that Kombo checks as well.
enum class Test : int {
    Integration, ///< integration_id is one of some
    Value,       ///< a column is one of some values
    After,       ///< a time or date is later
    Before,      ///< a time or date is earlier
    Like,        ///< a text has another one in it
    Element,     ///< a list has an element with some value
    Changed,     ///< changed_at is later
    NotDeleted   ///< remote_deleted_at is null
};

/// A condition with the values that it has in this execution. Times and dates are texts as Kombo takes them, which are
/// in order as texts.
struct Condition {
    Test test = Test::Value;
    std::string parameter;
    std::string column;
    size_t most = 1; ///< values in one request
    std::optional<std::set<std::string>> allowed;
    std::set<std::string> values; ///< none: the condition is true for no row
};

/// One of the requests of a scan, a series of pages.
struct Part {
    std::string integration_id;
    kombo::Query query; ///< but for the values below
    /// Of ids, and of a condition whose values were divided: where the values of this part are sent, and the column
    /// that has them. Only rows with these count: a tool that cannot filter returns the others with every part.
    std::string divided_parameter;
    std::string divided_column;
    std::vector<std::string> values;

    kombo::Query complete() const;

    /// The two halves of a part whose values Kombo refused.
    std::pair<Part, Part> halves() const;
};

/// Makes the requests. `integrations`: to ask where no condition names some; asked for only then.
std::vector<Part> plan_parts(const LiveList &list, const std::vector<Condition> &conditions,
                             const std::optional<std::string> &integration_id, int page_size,
                             const std::function<std::vector<std::string>()> &integrations);

} // namespace pg
