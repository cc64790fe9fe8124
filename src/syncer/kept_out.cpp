#include "syncer/kept_out.h"

#include <algorithm>

namespace syncer {

namespace {

namespace od = simdjson::ondemand;

/// Calls `take` with each string of a JSON text, keys included.
template <class Take> void for_each_string(std::string_view json, kombo::Arena &arena, Take take) {
    kombo::Repairs repairs;
    for (size_t begin = json.find('"'); begin != std::string_view::npos;) {
        size_t end = begin + 1;
        while (end < json.size() && json[end] != '"') end += json[end] == '\\' ? 2 : 1;
        if (end >= json.size()) return;
        take(kombo::string_value(json.substr(begin, end + 1 - begin), arena, repairs));
        begin = json.find('"', end + 1);
    }
}

class KeptOut {
public:
    KeptOut(const Catalogue &catalogue, Batch &batch, kombo::Arena &arena)
        : catalogue_(catalogue), batch_(batch), arena_(arena) {}

    std::vector<std::string_view> ids() {
        std::vector<std::string_view> found;
        for (const RowSet &set : batch_.sets) {
            const std::vector<Field> &fields = catalogue_.tables[set.table].fields;
            for (size_t i = 0; i < fields.size(); ++i) {
                if (!fields[i].refers_to && !is_own_id(set.table, i)) continue;
                for (const Row &row : set.rows)
                    if (!row.cells[i].null) found.push_back(row.cells[i].text);
            }
            for (const Row &row : set.rows)
                for_each_string(row.extra, arena_, [&](std::string_view text) { found.push_back(text); });
        }
        std::sort(found.begin(), found.end());
        found.erase(std::unique(found.begin(), found.end()), found.end());
        return found;
    }

    /// A belonging of a belonging may come before it.
    std::vector<Belonging> take_out(ErasedRecords erased) {
        erased_ = std::move(erased);
        std::vector<Belonging> belongings;
        for (bool again = true; again;) {
            const size_t known = erased_.size();
            for (RowSet &set : batch_.sets)
                set.rows.erase(std::remove_if(set.rows.begin(), set.rows.end(),
                                              [&](const Row &row) { return goes(set, row, belongings); }),
                               set.rows.end());
            again = erased_.size() > known;
        }
        for (const auto &[table, id] : erased_) names_.insert(id);
        for (RowSet &set : batch_.sets)
            for (Row &row : set.rows) forget(set, row);
        return belongings;
    }

private:
    /// Rows of join tables are found by what they join.
    bool is_own_id(size_t table, size_t field) const {
        return !catalogue_.tables[table].join && catalogue_.tables[table].fields[field].key;
    }

    bool has_belongings(size_t table) const {
        return std::any_of(catalogue_.tables.begin(), catalogue_.tables.end(), [&](const Table &other) {
            return std::any_of(other.fields.begin(), other.fields.end(), [&](const Field &field) {
                return field.refers_to == table && (field.belongs || field.key);
            });
        });
    }

    bool is_erased(size_t table, const Cell &cell) const {
        return !cell.null && erased_.count({table, std::string(cell.text)}) > 0;
    }

    bool goes(const RowSet &set, const Row &row, std::vector<Belonging> &belongings) {
        const Table &table = catalogue_.tables[set.table];
        if (!table.join && is_erased(set.table, row.cells[0])) return true; // key columns are first
        for (size_t i = 0; i < table.fields.size(); ++i) {
            const Field &field = table.fields[i];
            if (!field.refers_to || !(field.belongs || field.key) || !is_erased(*field.refers_to, row.cells[i]))
                continue;
            if (!table.join && has_belongings(set.table)) {
                const std::string id(row.cells[0].text);
                belongings.push_back({set.table, id, *field.refers_to, std::string(row.cells[i].text)});
                erased_.emplace(set.table, id);
            }
            return true;
        }
        return false;
    }

    void forget(const RowSet &set, Row &row) {
        const std::vector<Field> &fields = catalogue_.tables[set.table].fields;
        for (size_t i = 0; i < fields.size(); ++i)
            if (fields[i].refers_to && is_erased(*fields[i].refers_to, row.cells[i])) row.cells[i] = Cell();
        if (names_one(row.extra)) row.extra = without_them(row.extra);
    }

    bool names_one(std::string_view json) {
        bool found = false;
        for_each_string(json, arena_, [&](std::string_view text) { found = found || names_.count(text) > 0; });
        return found;
    }

    std::string_view without_them(std::string_view extra) {
        std::string left;
        kombo::Repairs repairs;
        const simdjson::padded_string padded(extra);
        od::parser parser;
        od::document document = parser.iterate(padded);
        od::object object = document.get_object();
        kombo::for_each_field(object, arena_, repairs, [&](std::string_view key, od::value value) {
            const std::string_view json = kombo::raw_text(value);
            if (names_one(json)) return;
            left += (left.empty() ? "{" : ", ") + json_quote(key) + ": " + std::string(json);
        });
        return left.empty() ? std::string_view() : arena_.store(left + "}");
    }

    const Catalogue &catalogue_;
    Batch &batch_;
    kombo::Arena &arena_;
    ErasedRecords erased_;
    std::set<std::string, std::less<>> names_; ///< their ids
};

} // namespace

std::vector<Belonging> keep_out(const Catalogue &catalogue, Batch &batch, kombo::Arena &arena,
                                const std::function<ErasedRecords(const std::vector<std::string_view> &)> &find) {
    KeptOut kept_out(catalogue, batch, arena);
    ErasedRecords erased = find(kept_out.ids());
    return erased.empty() ? std::vector<Belonging>() : kept_out.take_out(std::move(erased));
}

} // namespace syncer
