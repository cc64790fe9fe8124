#include "syncer/shape.h"

#include "syncer/exceptions.h"

#include <algorithm>

namespace syncer {

namespace {

class Compiler {
public:
    Compiler(const Catalogue &catalogue, const Endpoint &endpoint, const std::function<bool(size_t)> &has_writer)
        : catalogue_(catalogue), endpoint_(endpoint), has_writer_(has_writer) {}

    Shape root() {
        Shape shape;
        add_target(shape, {endpoint_.table, Mode::Replace, {}, {}, {}});
        shape.keeper = 0;
        finish(shape, "");
        return shape;
    }

private:
    /// Lets the fields of the target's table take the keys of the object.
    void add_target(Shape &shape, Shape::Target target) {
        const Table &table = catalogue_.tables[target.table];
        const size_t index = shape.targets.size();
        if (shape.label.empty()) shape.label = table.name;
        for (size_t field = 0; field < table.fields.size(); ++field) {
            const std::string &key = table.fields[field].json_key;
            if (key.empty()) continue;
            const size_t dot = key.find('.');
            if (dot == std::string::npos)
                shape.members[key].columns.push_back({index, field, table.fields[field].type});
            else if (key.substr(dot) == ".id")
                shape.members[key.substr(0, dot)].id_columns.push_back({index, field, table.fields[field].type});
            else
                throw InvalidRequest("field \"" + table.name + "." + table.fields[field].column +
                                         "\" has an unusable JSON key \"" + key + "\"",
                                     "A dotted key names the id of a nested object, as in \"manager.id\".",
                                     "Correct the row of kombo.fields.");
        }
        drop_excluded(shape, table);
        target.columns = all_columns(table);
        shape.targets.push_back(std::move(target));
    }

    static void drop_excluded(Shape &shape, const Table &table) {
        for (const std::string &key : table.excluded_keys) {
            const size_t dot = key.find('.');
            if (dot == std::string::npos)
                shape.members[key].dropped = true;
            else
                shape.members[key.substr(0, dot)].id_excluded = true;
        }
    }

    void finish(Shape &shape, const std::string &path) {
        std::vector<std::string> keys;
        for (const Nested &nested : endpoint_.nested) {
            const std::string prefix = path.empty() ? "" : path + ".";
            if (nested.json_path.compare(0, prefix.size(), prefix) != 0) continue;
            const std::string key = nested.json_path.substr(prefix.size());
            if (!key.empty() && key.find('.') == std::string::npos &&
                std::find(keys.begin(), keys.end(), key) == keys.end())
                keys.push_back(key);
        }
        for (const std::string &key : keys) {
            Shape::Member &member = shape.members[key];
            if (member.dropped) continue;
            member.nested = nested_shape(path.empty() ? key : path + "." + key);
            for (const Shape::Target &target : member.nested->targets)
                if (target.parent_field) shape.parent_of_lists = true;
        }
        for (auto &[key, member] : shape.members) {
            shape.index.emplace(key, &member);
            member.key = key;
            if (member.nested) continue;
            if (member.id_excluded && member.columns.empty()) member.dropped = true;
            // The id of a nested object that this endpoint does not carry is another endpoint's to say.
            for (const Shape::Column &column : member.id_columns)
                shape.targets[column.target].columns.reset(column.field);
        }
    }

    std::unique_ptr<Shape> nested_shape(const std::string &path) {
        auto shape = std::make_unique<Shape>();
        for (size_t i = 0; i < endpoint_.nested.size(); ++i) {
            const Nested &nested = endpoint_.nested[i];
            if (nested.json_path != path) continue;
            switch (nested.relation) {
            case Relation::Owned:
            case Relation::Join:
                shape->keeper = shape->targets.size();
                add_target(*shape, {nested.table, Mode::Replace, {}, parent_field(nested), i});
                break;
            case Relation::Linked:
                if (nested.table == endpoint_.table || endpoint_.owns(nested.table) || has_writer_(nested.table)) {
                    leave_to_others(*shape, catalogue_.tables[nested.table]);
                    shape->row_elsewhere = true;
                } else {
                    add_target(*shape, {nested.table, Mode::UpdateLinked, {}, {}, {}});
                }
                break;
            case Relation::Copy:
                leave_to_others(*shape, catalogue_.tables[nested.table]);
                break;
            }
        }
        finish(*shape, path);
        return shape;
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

    static void leave_to_others(Shape &shape, const Table &table) {
        if (shape.label.empty()) shape.label = table.name;
        for (const Field &field : table.fields)
            if (!field.json_key.empty())
                shape.members[field.json_key.substr(0, field.json_key.find('.'))].elsewhere = true;
        drop_excluded(shape, table);
    }

    const Catalogue &catalogue_;
    const Endpoint &endpoint_;
    const std::function<bool(size_t)> &has_writer_;
};

} // namespace

Shape compile_shape(const Catalogue &catalogue, const Endpoint &endpoint,
                    const std::function<bool(size_t)> &has_writer) {
    return Compiler(catalogue, endpoint, has_writer).root();
}

} // namespace syncer
