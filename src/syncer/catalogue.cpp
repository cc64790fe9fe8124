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

bool Table::has_key(const Field &field, const std::string &json_key) {
    return field.json_key == json_key ||
           std::find(field.fallback_keys.begin(), field.fallback_keys.end(), json_key) != field.fallback_keys.end();
}

std::optional<size_t> Table::find(const std::string &column) const {
    for (size_t i = 0; i < fields.size(); ++i)
        if (fields[i].column == column) return i;
    return std::nullopt;
}

bool is_same_place(const Nested *a, const Nested *b) {
    return a == b || (a && b && a->json_path == b->json_path);
}

void Endpoint::check_tables() const {
    if (!missing_table.empty())
        throw InvalidRequest("table kombo." + missing_table + " does not exist", "",
                             "SELECT kombo.create_tables('" + category + "') makes what is missing.", "42P01");
}

const Nested *Endpoint::holder(const Nested &of) const {
    for (size_t dot = of.json_path.rfind('.'); dot != std::string::npos && dot > 0;
         dot = of.json_path.rfind('.', dot - 1)) {
        // Of a join and its linked record at one place the record holds what is below; without one, the link does.
        const Nested *found = nullptr;
        bool is_part = false;
        for (const Nested &outer : nested) {
            if (outer.json_path.size() != dot || of.json_path.compare(0, dot, outer.json_path) != 0) continue;
            is_part = is_part || outer.relation == Relation::Part;
            if (!found || found->relation == Relation::Join) found = &outer;
        }
        if (found && !is_part) return found;
    }
    return nullptr;
}

size_t Endpoint::parent_table(const Nested &of) const {
    const Nested *outer = holder(of);
    return outer ? outer->table : table;
}

bool Endpoint::has_lists(const Nested &outer) const {
    return outer.relation == Relation::Owned && std::any_of(nested.begin(), nested.end(), [&](const Nested &inner) {
               return !inner.parent_column.empty() && is_same_place(holder(inner), &outer);
           });
}

bool Endpoint::owns(const Nested &list) const {
    if (list.relation != Relation::Owned && list.relation != Relation::Join) return false;
    const Nested *outer = holder(list);
    return !outer || (outer->relation == Relation::Owned && owns(*outer));
}

bool Endpoint::owns(size_t of_table) const {
    return std::any_of(nested.begin(), nested.end(),
                       [&](const Nested &records) { return records.table == of_table && owns(records); });
}

const Endpoint *Catalogue::find(const std::string &path) const {
    for (const Endpoint &endpoint : endpoints)
        if (endpoint.path == path) return &endpoint;
    return nullptr;
}

} // namespace syncer
