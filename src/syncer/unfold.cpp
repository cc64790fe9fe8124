#include "syncer/unfold.h"

#include "syncer/decode.h"
#include "syncer/redaction.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace syncer {

namespace od = simdjson::ondemand;

namespace {

template <class T> T checked(simdjson::simdjson_result<T> &&result) {
    T value;
    if (const auto error = std::move(result).get(value)) throw kombo::MalformedJson(simdjson::error_message(error));
    return value;
}

void rewind(od::object &object) {
    checked(object.reset());
}

/// A member's value, trimmed, without moving the caller's reading position for good: `reset` the object afterwards.
std::optional<std::string_view> lookup(od::object &object, std::string_view key) {
    od::value value;
    if (object.find_field_unordered(key).get(value) != simdjson::SUCCESS) return std::nullopt;
    return kombo::scalar_token(value);
}

void append_member(std::string &members, std::string_view key, std::string_view json) {
    if (!members.empty()) members += ", ";
    members += json_quote(key);
    members += ": ";
    members += json;
}

} // namespace

/// Whether, of two rows with one key, the one that came earlier counts.
static bool earlier_stays(const Row &earlier, const Row &later) {
    return earlier.changed_at && later.changed_at && *earlier.changed_at > *later.changed_at;
}

/// The first eight bytes of a text as a number that is in order as the text is. Most keys differ in them.
static uint64_t leading(std::string_view text) {
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof number; ++i)
        number = number << 8 | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0);
    return number;
}

/// Leaves one row of each key, in the order of the keys: neighbours in the index are looked up, and inserted, one after
/// the other; and whoever writes the same rows at the same time locks them in the same order. To find repeated keys by
/// sorting, and not by a hash of each, takes a tenth off the decoding of a page.
static void sort_by_key(RowSet &set, size_t keys) {
    const auto compare = [keys](const Row &a, const Row &b) {
        int order = 0;
        for (size_t i = 0; i < keys && order == 0; ++i) order = a.cells[i].text.compare(b.cells[i].text);
        return order;
    };
    struct Entry {
        uint64_t leading;
        const Row *row;
    };
    std::vector<Entry> entries;
    entries.reserve(set.rows.size());
    for (const Row &row : set.rows) entries.push_back({leading(row.cells[0].text), &row});
    std::sort(entries.begin(), entries.end(), [compare](const Entry &a, const Entry &b) {
        if (a.leading != b.leading) return a.leading < b.leading;
        const int order = compare(*a.row, *b.row);
        return order != 0 ? order < 0 : a.row < b.row;
    });
    std::vector<Row> rows;
    rows.reserve(entries.size());
    for (const Entry &entry : entries) {
        if (rows.empty() || compare(rows.back(), *entry.row) != 0)
            rows.push_back(*entry.row);
        else if (!earlier_stays(rows.back(), *entry.row))
            rows.back() = *entry.row;
    }
    set.rows = std::move(rows);
}

struct Unfolder::Rows {
    Cell **cells;       ///< per target
    ColumnSet *present; ///< per target: keys that the object has
    std::string leftovers;
    std::string_view id;
    Rows *outer; ///< those of the object that this one is nested in

    /// Those that the target of a column is among; null: it lies beyond a list.
    Rows *of(const Shape::Column &column) {
        Rows *rows = this;
        for (size_t n = column.outer; n > 0 && rows; --n) rows = rows->outer;
        return rows;
    }
};

Unfolder::Unfolder(const Catalogue &catalogue, Shape shape, std::optional<kombo::Timestamp> purge_before)
    : catalogue_(catalogue), shape_(std::move(shape)), purge_before_(purge_before) {
    for (const Table &table : catalogue.tables) changed_at_.push_back(table.find("changed_at"));
}

Batch Unfolder::unfold(const std::vector<std::string_view> &records, kombo::Arena &arena) {
    arena_ = &arena;
    std::vector<bool> skip(records.size(), false);
    // A repeated record has already left nested rows behind when it is found out: begin again without it.
    do {
        batch_ = {};
    } while (!unfold_all(records, skip));
    for (RowSet &set : batch_.sets) sort_by_key(set, catalogue_.tables[set.table].key_count());
    return std::exchange(batch_, {});
}

bool Unfolder::unfold_all(const std::vector<std::string_view> &records, std::vector<bool> &skip) {
    set_of(shape_.targets[0], shape_.targets[0].columns);
    struct Seen {
        size_t record;
        Row row;
    };
    std::unordered_map<std::string_view, Seen> seen(records.size());
    bool complete = true;
    for (size_t i = 0; i < records.size(); ++i) {
        if (skip[i]) {
            ++batch_.repeated;
            continue;
        }
        if (records[i].empty() || records[i].front() != '{') {
            batch_.without_id.push_back(i);
            continue;
        }
        od::object object = parser_.parse(records[i]);
        const auto found = head(object, shape_);
        if (!found) {
            batch_.without_id.push_back(i);
            continue;
        }
        batch_.ids.push_back(found->id);
        if (purge_before_ && found->deleted_at && *found->deleted_at < *purge_before_) {
            batch_.past_purge.push_back(found->id);
            continue;
        }
        if (!unfold_object(shape_, object, {}, found->id).stored) { // a row of a join table that joins nothing
            batch_.without_id.push_back(i);
            continue;
        }
        const Seen now{i, batch_.sets[0].rows.back()};
        const auto [entry, fresh] = seen.emplace(found->id, now);
        if (fresh) continue;
        if (earlier_stays(entry->second.row, now.row))
            skip[i] = true;
        else
            skip[std::exchange(entry->second, now).record] = true;
        complete = false;
    }
    return complete;
}

std::optional<Unfolder::Head> Unfolder::head(od::object &object, const Shape &shape) {
    Head head;
    const auto id = lookup(object, "id");
    if (!id || id->size() <= 2 || id->front() != '"') return std::nullopt;
    kombo::Repairs repairs;
    head.id = kombo::string_value(*id, *arena_, repairs);
    if (&shape == &shape_ && purge_before_) {
        if (const auto deleted = lookup(object, "remote_deleted_at"); deleted && deleted->size() > 2)
            head.deleted_at = kombo::parse_timestamp(deleted->substr(1, deleted->size() - 2));
    }
    rewind(object);
    return head;
}

Unfolder::Outcome Unfolder::unfold_object(const Shape &shape, od::object object, std::string_view parent_id,
                                          std::string_view id, Rows *outer) {
    const size_t targets = shape.targets.size();
    Rows rows{arena_->make<Cell *>(targets), arena_->make<ColumnSet>(targets), {}, id, outer};
    for (size_t i = 0; i < targets; ++i) rows.cells[i] = arena_->make<Cell>(shape.targets[i].cells);
    if (shape.parent_of_lists && id.empty()) {
        if (const auto found = head(object, shape))
            rows.id = found->id;
        else
            rewind(object);
    }

    kombo::Repairs key_repairs;
    // Objects of one kind have their keys in one order: most are foretold, and not looked up (a tenth of the time).
    const Shape::Member **foretold = &shape.first;
    const auto guess = [&] { return *foretold ? (*foretold)->key : std::string_view(); };
    kombo::for_each_field(object, *arena_, key_repairs, guess, [&](std::string_view key, od::value value) {
        const Shape::Member *member = *foretold;
        if (!member || key.data() != member->key.data()) {
            const auto found = shape.index.find(key);
            member = found == shape.index.end() ? nullptr : found->second;
        }
        if (member) {
            *foretold = member;
            foretold = &member->next;
        }
        if (member && member->nested && !member->columns.empty())
            take_value_and_nested(shape, *member, key, value, rows);
        else if (member && member->nested)
            take_nested(*member, key, value, rows.id, rows);
        else
            take_scalar(shape, member, key, kombo::raw_text(value), rows);
    });
    batch_.oddities.add(key_repairs, shape.label, "(keys)");

    Outcome outcome;
    outcome.id = rows.id;
    outcome.stored = emit(shape, rows, parent_id);
    outcome.leftovers = std::move(rows.leftovers);
    return outcome;
}

void Unfolder::take_scalar(const Shape &shape, const Shape::Member *member, std::string_view key, std::string_view raw,
                           Rows &rows) {
    if (key == "id" && rows.id.empty() && raw.size() > 2 && raw.front() == '"') {
        kombo::Repairs repairs;
        rows.id = kombo::string_value(raw, *arena_, repairs);
    }
    if (member && member->dropped) return;
    if (!member || member->columns.empty()) {
        if (member && member->elsewhere) return;
        batch_.oddities.add(Oddities::Kind::UnknownKey, shape.label, key);
        keep_leftover(rows.leftovers, key, raw, shape);
        return;
    }
    bool kept = false;
    for (const Shape::Column &column : member->columns) {
        Rows *of = rows.of(column);
        // Of a key that comes twice the first counts, as it does where the id is looked up.
        if (!of || of->present[column.target].test(column.cell)) continue;
        // An object that names nothing is no reference.
        if (column.outer > 0 && key == "id" && raw == "\"\"") continue;
        bool inexact = false;
        kombo::Repairs repairs;
        const bool fits = decode(column.type, raw, *arena_, repairs, of->cells[column.target][column.cell], inexact);
        of->present[column.target].set(column.cell);
        if (repairs.any()) batch_.oddities.add(repairs, shape.label, key);
        if (!fits) batch_.oddities.add(Oddities::Kind::Misfit, shape.label, key);
        if ((!fits || inexact) && !kept) {
            keep_leftover(rows.leftovers, key, raw, shape);
            kept = true;
        }
    }
}

void Unfolder::take_nested(const Shape::Member &member, std::string_view key, od::value value,
                           std::string_view parent_id, Rows &rows) {
    const Shape &shape = *member.nested;
    const od::json_type type = checked(value.type());
    // A value that is not inside is null; once it was looked for.
    struct Settle {
        const Shape::Member &member;
        Rows &rows;
        ~Settle() {
            for (const Shape::Column &column : member.below)
                if (Rows *of = rows.of(column)) of->present[column.target].set(column.cell);
        }
    } const settle{member, rows};
    if (type == od::json_type::null) {
        kombo::raw_text(value);
        return;
    }
    std::string unstored; // elements that could not become rows stay with the parent
    if (type == od::json_type::object) {
        take_element(shape, checked(value.get_object()), parent_id, unstored, &rows);
        if (!unstored.empty() && !member.id_excluded) append_member(rows.leftovers, key, unstored);
    } else if (type == od::json_type::array && !shape.keys_only) {
        if (!parent_id.empty()) note_list(shape, parent_id);
        for (auto element : checked(value.get_array())) {
            od::value item = checked(std::move(element));
            if (!unstored.empty() && unstored.back() != ' ') unstored += ", ";
            if (checked(item.type()) == od::json_type::object) {
                note_element(shape, take_element(shape, checked(item.get_object()), parent_id, unstored).id);
            } else {
                batch_.oddities.add(Oddities::Kind::Misfit, shape.label, key);
                unstored += redact(&shape, kombo::raw_text(item));
            }
        }
        while (!unstored.empty() && (unstored.back() == ' ' || unstored.back() == ',')) unstored.pop_back();
        if (!unstored.empty() && !member.id_excluded) append_member(rows.leftovers, key, "[" + unstored + "]");
    } else {
        batch_.oddities.add(Oddities::Kind::Misfit, shape.label, key);
        const std::string_view raw = kombo::raw_text(value);
        if (!member.id_excluded) keep_leftover(rows.leftovers, key, raw, shape);
    }
}

Unfolder::Outcome Unfolder::take_element(const Shape &shape, od::object object, std::string_view parent_id,
                                         std::string &unstored, Rows *outer) {
    Outcome outcome = unfold_object(shape, object, parent_id, shape.part ? parent_id : std::string_view(), outer);
    if (shape.targets.empty() ? shape.row_elsewhere && outcome.id.empty() : !outcome.stored) {
        batch_.oddities.add(Oddities::Kind::Misfit, shape.label, "id");
        rewind(object);
        unstored += redact(&shape, checked(object.raw_json()));
    } else if (!outcome.leftovers.empty()) {
        std::string kept = "{";
        if (!outcome.id.empty() && !shape.part) kept += "\"id\": " + json_quote(outcome.id) + ", ";
        unstored += kept + outcome.leftovers + "}";
    }
    return outcome;
}

void Unfolder::note_list(const Shape &shape, std::string_view parent_id) {
    for (const Shape::Target &target : shape.targets)
        if (target.list) list_of(*target.list).parents.push_back(parent_id);
}

/// Of a linked list that is complete: its rows are in several sets, by what they carry.
void Unfolder::note_element(const Shape &shape, std::string_view id) {
    for (const Shape::Target &target : shape.targets)
        if (target.list && target.mode == Mode::UpdateLinked && !id.empty())
            list_of(*target.list).elements.push_back(id);
}

/// The value, and what lies inside of it. It is read twice: a value can be walked through once.
void Unfolder::take_value_and_nested(const Shape &shape, const Shape::Member &member, std::string_view key,
                                     od::value value, Rows &rows) {
    const std::string_view raw = kombo::raw_text(value);
    take_scalar(shape, &member, key, raw, rows);
    if (raw.empty() || raw.front() != '{') return;
    od::parser parser;
    // In place: what is read of it lies in the page.
    od::document document = checked(parser.iterate(raw.data(), raw.size(), raw.size() + simdjson::SIMDJSON_PADDING));
    od::value inner = checked(document.get_value());
    // What is left over is in the value, so nothing of it is odd.
    Rows apart{rows.cells, rows.present, {}, rows.id, rows.outer};
    Oddities before = batch_.oddities;
    take_nested(member, key, inner, rows.id, apart);
    batch_.oddities = std::move(before);
}

bool Unfolder::emit(const Shape &shape, Rows &rows, std::string_view parent_id) {
    std::string_view extra;
    bool stored = !shape.targets.empty();
    for (size_t i = 0; i < shape.targets.size(); ++i) {
        const Shape::Target &target = shape.targets[i];
        const Table &table = catalogue_.tables[target.table];
        for (const Shape::Target::Fallback &fallback : target.fallbacks) {
            if (!rows.present[i].test(fallback.cell)) continue;
            if (rows.cells[i][fallback.field].null) rows.cells[i][fallback.field] = rows.cells[i][fallback.cell];
            rows.present[i].set(fallback.field).reset(fallback.cell);
        }
        if (target.parent_field && rows.cells[i][*target.parent_field].null && !parent_id.empty())
            rows.cells[i][*target.parent_field] = {parent_id, 0, false};
        if (target.parent_field) rows.present[i].set(*target.parent_field);
        for (size_t f = 0; f < table.fields.size(); ++f)
            if (table.fields[f].key && (rows.cells[i][f].null || rows.cells[i][f].text.empty())) stored = false;
    }
    if (!stored) return false;
    if (shape.keeper && !rows.leftovers.empty()) {
        extra = arena_->store("{" + rows.leftovers + "}");
        rows.leftovers.clear();
    }
    for (size_t i = 0; i < shape.targets.size(); ++i) {
        const Shape::Target &target = shape.targets[i];
        Row row{rows.cells[i], shape.keeper == i ? extra : std::string_view(), {}};
        if (const auto changed = changed_at_[target.table]; changed && !rows.cells[i][*changed].null)
            row.changed_at = rows.cells[i][*changed].number;
        set_of(target, target.mode == Mode::Replace ? target.columns : rows.present[i]).rows.push_back(row);
    }
    return true;
}

RowSet &Unfolder::set_of(const Shape::Target &target, const ColumnSet &columns) {
    for (RowSet &set : batch_.sets)
        if (set.table == target.table && set.mode == target.mode && set.columns == columns) return set;
    RowSet set;
    set.table = target.table;
    set.mode = target.mode;
    set.columns = columns;
    batch_.sets.push_back(std::move(set));
    return batch_.sets.back();
}

ListSet &Unfolder::list_of(size_t nested) {
    for (ListSet &list : batch_.lists)
        if (list.nested == nested) return list;
    ListSet list;
    list.nested = nested;
    batch_.lists.push_back(std::move(list));
    return batch_.lists.back();
}

void Unfolder::keep_leftover(std::string &leftovers, std::string_view key, std::string_view raw, const Shape &shape) {
    kombo::Repairs repairs;
    append_member(leftovers, key, kombo::jsonb_text(raw, *arena_, repairs));
    batch_.oddities.add(repairs, shape.label, key);
}

std::string Unfolder::redacted(std::string_view record) {
    return redact(&shape_, record);
}

std::string Unfolder::redact(const Shape *shape, std::string_view raw) {
    kombo::Arena arena;
    kombo::Repairs repairs;
    const auto member_of = [](const Shape &of, std::string_view key) -> std::optional<const Shape *> {
        const auto found = of.index.find(key);
        if (found == of.index.end()) return nullptr;
        const Shape::Member &member = *found->second;
        if (member.dropped || member.id_excluded) return std::nullopt;
        return member.nested.get();
    };
    return Redaction<Shape, decltype(member_of)>(member_of, arena, repairs).of(raw, shape);
}

} // namespace syncer
