#include "syncer/shape.h"

#include "syncer/exceptions.h"

#include <algorithm>
#include <map>

namespace syncer {

namespace {

/// A key of the object or, with dots, of one nested in it, that is to be read into a cell, dropped or left to others.
struct Wanted {
    std::string key;
    std::optional<Shape::Column> column;
    bool elsewhere = false; ///< without a column: a field of a row that another list writes; otherwise it is excluded
};

class Compiler {
public:
    Compiler(const Catalogue &catalogue, const Endpoint &endpoint, const std::function<bool(size_t)> &has_writer,
             const std::function<bool(size_t)> &has_list)
        : catalogue_(catalogue), endpoint_(endpoint), has_writer_(has_writer), has_list_(has_list) {}

    Shape root() {
        for (const Nested &nested : endpoint_.nested) check_place(nested);
        if (const Table &table = catalogue_.tables[endpoint_.table]; !table.find("id"))
            throw InvalidRequest("endpoint \"" + endpoint_.path + "\" fills join table \"" + table.name +
                                     "\", which has no field \"id\"",
                                 "The rows of a list are told apart by the ids that Kombo gives them.",
                                 "Add the field to kombo.fields, or correct table_name in kombo.endpoints.");
        Shape shape;
        std::vector<Wanted> wanted;
        add_target(shape, {endpoint_.table, Mode::Replace, {}, {}, {}}, wanted);
        shape.keeper = 0;
        finish(shape, "", std::move(wanted));
        return shape;
    }

private:
    /// Lets the fields of the target's table take the keys of the object.
    void add_target(Shape &shape, Shape::Target target, std::vector<Wanted> &wanted) {
        const Table &table = catalogue_.tables[target.table];
        const size_t index = shape.targets.size();
        if (shape.label.empty()) shape.label = table.name;
        target.cells = table.fields.size();
        for (size_t i = 0; i < table.fields.size(); ++i) {
            const Field &field = table.fields[i];
            if (field.json_key.empty()) continue;
            want(table, field, field.json_key, {index, i, field.type}, wanted);
            for (const std::string &key : field.fallback_keys) {
                target.fallbacks.push_back({i, target.cells});
                want(table, field, key, {index, target.cells++, field.type}, wanted);
            }
        }
        if (target.cells > max_fields)
            throw InvalidRequest("table kombo." + table.name + " has too many fields",
                                 "At most " + std::to_string(max_fields) + " are supported, fallback keys included.",
                                 "Delete rows of kombo.fields.");
        want_excluded(table, wanted);
        target.columns = all_columns(table);
        shape.targets.push_back(std::move(target));
    }

    static void want(const Table &table, const Field &field, const std::string &key, Shape::Column column,
                     std::vector<Wanted> &wanted) {
        if (key.empty() || key.front() == '.' || key.back() == '.' || key.find("..") != std::string::npos)
            throw InvalidRequest("field \"" + table.name + "." + field.column + "\" has an unusable JSON key \"" + key +
                                     "\"",
                                 "The dots of a key stand between the keys of nested objects, as in \"manager.id\".",
                                 "Correct the row of kombo.fields.");
        wanted.push_back({key, column, false});
    }

    static void want_excluded(const Table &table, std::vector<Wanted> &wanted) {
        for (const std::string &key : table.excluded_keys) wanted.push_back({key, std::nullopt, false});
    }

    /// Gives the members of the shape what is wanted of them, and compiles the shapes of nested objects and lists.
    void finish(Shape &shape, const std::string &path, std::vector<Wanted> wanted) {
        std::map<std::string, std::vector<Wanted>> below;
        for (const std::string &key : nested_keys(path)) below[key];
        for (Wanted &one : wanted) {
            const size_t dot = one.key.find('.');
            Shape::Member &member = shape.members[one.key.substr(0, dot)];
            if (dot == std::string::npos) {
                if (one.column)
                    member.columns.push_back(*one.column);
                else
                    (one.elsewhere ? member.elsewhere : member.dropped) = true;
                continue;
            }
            const std::string first = one.key.substr(0, dot);
            if (one.elsewhere && !is_nested(path.empty() ? first : path + "." + first)) {
                member.elsewhere = true;
                continue;
            }
            std::vector<Wanted> &of_member = below[one.key.substr(0, dot)];
            if (!one.column && !one.elsewhere && one.key.substr(dot) == ".id") {
                member.id_excluded = true;
                continue;
            }
            if (one.column) {
                member.below.push_back(*one.column);
                ++one.column->outer;
            }
            of_member.push_back({one.key.substr(dot + 1), one.column, one.elsewhere});
        }
        for (auto &[key, of_member] : below) {
            Shape::Member &member = shape.members[key];
            if (member.dropped) continue;
            const std::string place = path.empty() ? key : path + "." + key;
            if (of_member.empty() && !is_nested(place)) { // an excluded id of an object that nothing unfolds
                member.dropped = member.columns.empty();
                continue;
            }
            member.nested = nested_shape(place, shape, std::move(of_member));
            for (const Shape::Target &target : member.nested->targets)
                if (target.parent_field) shape.parent_of_lists = true;
            if (member.nested->part && member.nested->parent_of_lists) shape.parent_of_lists = true;
        }
        for (auto &[key, member] : shape.members) {
            shape.index.emplace(key, &member);
            member.key = key;
        }
    }

    /// The keys under which nested records lie in the object at this place.
    std::vector<std::string> nested_keys(const std::string &path) const {
        std::vector<std::string> keys;
        const std::string prefix = path.empty() ? "" : path + ".";
        for (const Nested &nested : endpoint_.nested) {
            if (nested.json_path.compare(0, prefix.size(), prefix) != 0) continue;
            const std::string key = nested.json_path.substr(prefix.size());
            if (!key.empty() && key.find('.') == std::string::npos) keys.push_back(key);
        }
        return keys;
    }

    bool is_nested(const std::string &path) const {
        return std::any_of(endpoint_.nested.begin(), endpoint_.nested.end(),
                           [&](const Nested &nested) { return nested.json_path == path; });
    }

    /// What lies below a place that nothing tells of would be reached by nobody.
    void check_place(const Nested &nested) const {
        const size_t dot = nested.json_path.rfind('.');
        if (dot != std::string::npos && !is_nested(nested.json_path.substr(0, dot)))
            throw InvalidRequest("nested record \"" + nested.json_path + "\" of endpoint \"" + endpoint_.path +
                                     "\" lies in nothing that is known",
                                 "No row of kombo.nested_records tells what \"" + nested.json_path.substr(0, dot) +
                                     "\" is.",
                                 "Insert one: of an object without an id its relation is part.");
    }

    std::unique_ptr<Shape> nested_shape(const std::string &path, const Shape &outer, std::vector<Wanted> wanted) {
        auto shape = std::make_unique<Shape>();
        for (size_t i = 0; i < endpoint_.nested.size(); ++i) {
            const Nested &nested = endpoint_.nested[i];
            if (nested.json_path != path) continue;
            switch (nested.relation) {
            case Relation::Owned:
            case Relation::Join:
                if (is_left_to_others(nested)) {
                    leave_to_others(*shape, catalogue_.tables[nested.table], wanted);
                    break;
                }
                shape->keeper = shape->targets.size();
                add_target(*shape, {nested.table, Mode::Replace, {}, parent_field(nested), i}, wanted);
                break;
            case Relation::Linked:
                if (nested.table == endpoint_.table || endpoint_.owns(nested.table) || has_writer_(nested.table)) {
                    leave_to_others(*shape, catalogue_.tables[nested.table], wanted);
                    shape->row_elsewhere = true;
                } else if (nested.parent_column.empty()) {
                    add_target(*shape, {nested.table, Mode::UpdateLinked, {}, {}, {}}, wanted);
                } else {
                    add_target(*shape, {nested.table, Mode::UpdateLinked, {}, parent_field(nested), i}, wanted);
                }
                break;
            case Relation::Copy:
                leave_to_others(*shape, catalogue_.tables[nested.table], wanted);
                break;
            case Relation::Part:
                shape->part = true;
                break;
            }
        }
        if (shape->label.empty()) shape->label = outer.label;
        shape->keys_only = !is_nested(path);
        finish(*shape, path, std::move(wanted));
        return shape;
    }

    /// Whether another list is the one writer of the rows: a join's own list, or the one that the list belongs to.
    bool is_left_to_others(const Nested &list) const {
        if (endpoint_.owns(list)) return list.relation == Relation::Join && has_list_(list.table);
        return has_writer_(list.table);
    }

    size_t parent_field(const Nested &nested) const {
        const Table &table = catalogue_.tables[nested.table];
        const auto field = table.find(nested.parent_column);
        if (!field)
            throw InvalidRequest("nested record \"" + nested.json_path + "\" of endpoint \"" + endpoint_.path +
                                     "\" names no parent column",
                                 "Table \"" + table.name + "\" has no field \"" + nested.parent_column + "\".",
                                 "Correct parent_column in kombo.nested_records, or add the field to kombo.fields.");
        return *field;
    }

    static void leave_to_others(Shape &shape, const Table &table, std::vector<Wanted> &wanted) {
        if (shape.label.empty()) shape.label = table.name;
        const auto leave = [&](const std::string &key) {
            if (!key.empty()) wanted.push_back({key, std::nullopt, true});
        };
        for (const Field &field : table.fields) {
            leave(field.json_key);
            for (const std::string &key : field.fallback_keys) leave(key);
        }
        want_excluded(table, wanted);
    }

    const Catalogue &catalogue_;
    const Endpoint &endpoint_;
    const std::function<bool(size_t)> &has_writer_;
    const std::function<bool(size_t)> &has_list_;
};

} // namespace

Shape compile_shape(const Catalogue &catalogue, const Endpoint &endpoint, const std::function<bool(size_t)> &has_writer,
                    const std::function<bool(size_t)> &has_list) {
    return Compiler(catalogue, endpoint, has_writer, has_list).root();
}

} // namespace syncer
