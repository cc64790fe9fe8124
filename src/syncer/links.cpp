#include "syncer/links.h"

#include <algorithm>

namespace syncer {

namespace {

/// The field of a table that has one of these JSON keys.
const Field *field_of(const Table &table, std::initializer_list<std::string> keys) {
    for (const std::string &key : keys)
        for (const Field &field : table.fields)
            if (Table::has_key(field, key)) return &field;
    return nullptr;
}

class Finder {
public:
    Finder(const Catalogue &catalogue, const States &states, const Endpoint &endpoint, const Nested &linked)
        : catalogue_(catalogue), states_(states), endpoint_(endpoint), linked_(linked) {}

    std::vector<Link> find() {
        if (!linked_.parent_column.empty()) {
            found_.push_back({linked_.table, "id", endpoint_.parent_table(linked_), linked_.parent_column});
            return std::move(found_);
        }
        for (const Nested &join : endpoint_.nested)
            if (join.json_path == linked_.json_path && join.relation == Relation::Join) add(join.table, {"id"}, &join);
        if (!found_.empty()) return std::move(found_);
        const Nested *holder = endpoint_.holder(linked_);
        // From the record that holds it: "skill", or "application.job" of an application that is a part.
        const std::string path = linked_.json_path.substr(holder ? holder->json_path.size() + 1 : 0);
        if (!holder) {
            add(endpoint_.table, {path + "_id", path + ".id"}, nullptr);
            return std::move(found_);
        }
        for (const Nested &held : endpoint_.nested)
            if (held.json_path == holder->json_path && held.relation != Relation::Copy && writes(held, path))
                add(held.table, {path + "_id", path + ".id"}, held.relation == Relation::Join ? &held : nullptr);
        return std::move(found_);
    }

private:
    /// A record that comes linked has its columns from another list where that writes its rows: does it carry the link?
    bool writes(const Nested &holder, const std::string &key) const {
        if (holder.relation != Relation::Linked || !has_writer(catalogue_, states_, holder.table)) return true;
        return std::any_of(catalogue_.endpoints.begin(), catalogue_.endpoints.end(), [&](const Endpoint &writer) {
            return writer.table == holder.table && delivers(states_, writer) &&
                   std::any_of(writer.nested.begin(), writer.nested.end(),
                               [&](const Nested &carried) { return carried.json_path == key; });
        });
    }

    void add(size_t table, std::initializer_list<std::string> keys, const Nested *join) {
        const Field *field = field_of(catalogue_.tables[table], keys);
        if (!field) return;
        Link link{table, field->column, std::nullopt, {}};
        if (join) {
            link.parents = endpoint_.parent_table(*join);
            link.parent_column = join->parent_column;
        }
        found_.push_back(std::move(link));
    }

    const Catalogue &catalogue_;
    const States &states_;
    const Endpoint &endpoint_;
    const Nested &linked_;
    std::vector<Link> found_;
};

bool carries(const Endpoint &endpoint, size_t table) {
    return std::any_of(endpoint.nested.begin(), endpoint.nested.end(), [&](const Nested &nested) {
        return nested.relation == Relation::Linked && nested.table == table;
    });
}

} // namespace

std::vector<Link> links_to(const Catalogue &catalogue, const States &states, size_t table) {
    std::vector<Link> links;
    for (const Endpoint &endpoint : catalogue.endpoints) {
        if (endpoint.table >= catalogue.tables.size()) continue; // it has no table, so no rows
        for (const Nested &nested : endpoint.nested) {
            if (nested.relation != Relation::Linked || nested.table != table) continue;
            const std::vector<Link> found = Finder(catalogue, states, endpoint, nested).find();
            if (found.empty()) return {};
            for (const Link &link : found)
                if (std::find(links.begin(), links.end(), link) == links.end()) links.push_back(link);
        }
    }
    return links;
}

OnMissing on_missing_links(const Catalogue &catalogue, const States &states, size_t table, const Endpoint &carrier) {
    const auto own =
        std::find_if(catalogue.endpoints.begin(), catalogue.endpoints.end(),
                     [&](const Endpoint &endpoint) { return endpoint.table == table && !endpoint.deprecated; });
    return states.at((own == catalogue.endpoints.end() ? carrier : *own).path).subscription.on_missing;
}

std::vector<Link> keeping_links(const Catalogue &catalogue, const States &states, const Endpoint &carrier,
                                const Nested &linked) {
    if (linked.relation != Relation::Linked || linked.table == carrier.table ||
        has_writer(catalogue, states, linked.table) ||
        on_missing_links(catalogue, states, linked.table, carrier) == OnMissing::Keep)
        return {};
    return links_to(catalogue, states, linked.table);
}

bool carriers_are(const std::function<bool(const Endpoint &)> &is_read, const Catalogue &catalogue,
                  const States &states, size_t table) {
    return std::all_of(catalogue.endpoints.begin(), catalogue.endpoints.end(), [&](const Endpoint &endpoint) {
        return !carries(endpoint, table) || !delivers(states, endpoint) || is_read(endpoint);
    });
}

} // namespace syncer
