#pragma once

#include "syncer/live_record.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pg {

/// A filter of a list: a row of kombo.endpoint_filters.
struct Filter {
    std::string parameter;
    std::string column;
    std::string op;
    int values = 1; ///< that one request may have
    std::optional<std::set<std::string>> allowed;
    std::string element_key;
    std::string not_null; ///< a column that must have a condition, too
};

/// A list of Kombo's, as the catalogue describes it to a foreign table.
struct LiveList {
    std::string path;
    std::string category;
    std::string table; ///< the data table of its records
    bool paginated = true;
    bool incremental = true;
    std::vector<Filter> filters;
    /// By column, where they are not its name, in the order in which they are looked at; none: it is excluded.
    std::map<std::string, std::vector<std::string>> json_keys;
    std::set<std::string> known; ///< keys of a record that some table has, of nested objects with dots
    syncer::Withheld withheld;
};

/// Reads the list's catalogue rows, whoever calls: a foreign table needs no right to the catalogue. Raises on an
/// unknown path.
LiveList load_live_list(const std::string &path);

/// The integrations of the list's category that are registered for the server, by id.
std::vector<std::string> registered_integrations(const std::string &server, const LiveList &list);

/// What the planner needs to know of a list.
struct ListSize {
    double rows = 1000;      ///< of one integration
    double integrations = 1; ///< registered for the server
    double page_ms = 100;    ///< from one page to the next
};
ListSize estimate_size(const std::string &server, const LiveList &list);

} // namespace pg
