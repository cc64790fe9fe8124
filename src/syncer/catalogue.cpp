#include "syncer/catalogue.h"

#include "syncer/exceptions.h"

#include <algorithm>

namespace syncer {

const char *name(Kind kind) {
    return kind == Kind::Full ? "full" : "delta";
}

void Table::check() const {
    if (defect) throw InvalidRequest(defect->message, "", defect->hint, defect->sqlstate);
}

size_t Table::key_count() const {
    return static_cast<size_t>(std::count_if(fields.begin(), fields.end(), [](const Field &f) { return f.key; }));
}

std::optional<size_t> Table::find(const std::string &column) const {
    for (size_t i = 0; i < fields.size(); ++i)
        if (fields[i].column == column) return i;
    return std::nullopt;
}

void Endpoint::check_tables() const {
    if (!missing_table.empty())
        throw InvalidRequest("table kombo." + missing_table + " does not exist", "",
                             "SELECT kombo.create_tables('" + category + "') makes what is missing.", "42P01");
}

bool Endpoint::owns(size_t of_table) const {
    return std::any_of(nested.begin(), nested.end(), [&](const Nested &records) {
        return records.relation == Relation::Owned && records.table == of_table;
    });
}

const Endpoint *Catalogue::find(const std::string &path) const {
    for (const Endpoint &endpoint : endpoints)
        if (endpoint.path == path) return &endpoint;
    return nullptr;
}

} // namespace syncer
