#pragma once

#include "kombo/page.h"
#include "syncer/catalogue.h"
#include "syncer/shape.h"
#include "syncer/unfold.h"

#include <functional>
#include <string>
#include <vector>

namespace syncer {

/// A catalogue that Kombo does not have, with every relation that the design knows: people own their jobs, link a
/// place and a mentor (a person), join teams and skills (whose skill has a scale), and carry a copy of their boss.
struct Invented {
    enum TableIndex : size_t { People, Jobs, Places, Teams, PeopleTeams, Skills, Scales, PeopleSkills };

    Catalogue catalogue;

    Invented() {
        const Field id{"id", Type::Text, "id", true};
        const Field name{"name", Type::Text, "name"};
        const Field changed{"changed_at", Type::Timestamptz, "changed_at"};
        const Field deleted{"remote_deleted_at", Type::Timestamptz, "remote_deleted_at"};
        const Field person{"person_id", Type::Text, "", true};
        add("people", {id,
                       changed,
                       deleted,
                       name,
                       {"born", Type::Date, "born"},
                       {"active", Type::Boolean, "active"},
                       {"pay", Type::Numeric, "pay"},
                       {"tags", Type::Jsonb, "tags"},
                       {"mentor_id", Type::Text, "mentor.id"}});
        add("jobs", {id, changed, deleted, {"person_id", Type::Text, "person_id"}, {"title", Type::Text, "title"}});
        add("places", {id, changed, deleted, name, {"city", Type::Text, "city"}});
        add("teams", {id, changed, deleted, name});
        add("people_teams", {person, {"team_id", Type::Text, "id", true}, {"share", Type::Numeric, "share"}}, true);
        add("skills", {id, changed, deleted, name, {"scale_id", Type::Text, "scale.id"}});
        add("scales", {id, changed, deleted, name});
        add("people_skills", {person, {"skill_id", Type::Text, "skill.id", true}, {"wanted", Type::Jsonb, "wanted"}},
            true);

        Endpoint people;
        people.path = "/people";
        people.category = "HR";
        people.table = People;
        people.models = {{"people", Role::Own, true}, {"jobs", Role::Implied, true}};
        people.nested = {{"jobs", Relation::Owned, Jobs, "person_id"},
                         {"place", Relation::Linked, Places, ""},
                         {"mentor", Relation::Linked, People, ""},
                         {"boss", Relation::Copy, People, ""},
                         {"teams", Relation::Join, PeopleTeams, "person_id"},
                         {"teams", Relation::Linked, Teams, ""},
                         {"skills", Relation::Join, PeopleSkills, "person_id"},
                         {"skills.skill", Relation::Linked, Skills, ""},
                         {"skills.skill.scale", Relation::Linked, Scales, ""}};
        catalogue.endpoints = {people};
    }

    Table &table(TableIndex index) { return catalogue.tables[index]; }
    Endpoint &people() { return catalogue.endpoints[0]; }

    /// As kombo.exclude_field does: the field goes, its key is remembered.
    void exclude(TableIndex index, const std::string &column) {
        Table &from = table(index);
        const size_t field = from.find(column).value();
        from.excluded_keys.push_back(from.fields[field].json_key);
        from.fields.erase(from.fields.begin() + static_cast<std::ptrdiff_t>(field));
    }

private:
    void add(const char *name, std::vector<Field> fields, bool join = false) {
        Table made;
        made.name = name;
        made.join = join;
        made.fields = std::move(fields);
        catalogue.tables.push_back(std::move(made));
    }
};

/// A page of these records.
inline kombo::Page page_of(const std::vector<std::string> &records) {
    std::string list;
    for (const std::string &record : records) list += (list.empty() ? "" : ",") + record;
    return kombo::Page::parse(R"({"status":"success","data":{"results":[)" + list + R"(],"next":null}})");
}

/// A batch in words, a line a row: "people id=p1 name=Ann extra={"x": 1}". Behind the table's name "~"
/// says that a linked record writes what it carries (NULLs included, as "city=-"). Lists: "jobs of p1: j1 j2", with
/// the keys of their table's rows.
inline std::string told(const Catalogue &catalogue, const Endpoint &endpoint, const Batch &batch) {
    std::string text;
    for (const RowSet &set : batch.sets) {
        const Table &table = catalogue.tables[set.table];
        for (const Row &row : set.rows) {
            text += table.name + (set.mode == Mode::UpdateLinked ? "~" : "");
            for (size_t f = 0; f < table.fields.size(); ++f) {
                const Cell &cell = row.cells[f];
                const Type type = table.fields[f].type;
                const bool is_text = type == Type::Text || type == Type::Numeric || type == Type::Jsonb;
                if (!set.columns.test(f) || (cell.null && set.mode == Mode::Replace)) continue;
                text += " " + table.fields[f].column + "=" +
                        (cell.null ? "-"
                         : is_text ? std::string(cell.text)
                                   : std::to_string(cell.number));
            }
            if (!row.extra.empty()) text += " extra=" + std::string(row.extra);
            text += "\n";
        }
    }
    for (const ListSet &list : batch.lists) {
        text += catalogue.tables[endpoint.nested[list.nested].table].name + " of";
        for (const std::string_view parent : list.parents) text += " " + std::string(parent);
        text += ":";
        for (const RowSet &set : batch.sets) {
            if (set.table != endpoint.nested[list.nested].table || set.mode != Mode::Replace) continue;
            const size_t keys = catalogue.tables[set.table].key_count();
            for (const Row &row : set.rows)
                for (size_t key = 0; key < keys; ++key)
                    text += (key == 0 ? " " : "/") + std::string(row.cells[key].text);
        }
        for (const std::string_view element : list.elements) text += " " + std::string(element);
        text += "\n";
    }
    return text;
}

} // namespace syncer
