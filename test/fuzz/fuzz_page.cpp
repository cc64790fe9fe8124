// The body of a page, as it becomes rows of a sync and of a foreign table. Pages are compared with what jansson reads.

#include "expect.h"
#include "invented_catalogue.h"
#include "strict_json.h"
#include "syncer/live_record.h"

#include <jansson.h>
#include <memory>

namespace {

using syncer::Invented;
using syncer::Type;

struct Release {
    void operator()(json_t *json) const { json_decref(json); }
};
using Json = std::unique_ptr<json_t, Release>;

Json load(std::string_view text, size_t flags) {
    return Json(json_loadb(text.data(), text.size(), flags | JSON_ALLOW_NUL, nullptr));
}

/// A page as the protocol has it, in JSON of the plainest kind: ours must be what jansson reads. Otherwise nothing is
/// said.
const json_t *plain_list(const json_t *root, std::string_view body) {
    const json_t *status = json_object_get(root, "status");
    if (!json_is_string(status) || json_string_value(status) != std::string_view("success")) return nullptr;
    if (body.find("\"success\"") == body.npos) return nullptr;
    const json_t *data = json_object_get(root, "data");
    const json_t *next = json_object_get(data, "next");
    return !next || json_is_null(next) || json_is_string(next) ? json_object_get(data, "results") : nullptr;
}

void compare_page(std::string_view body, const std::optional<kombo::Page> &page) {
    const Json root = load(body, JSON_REJECT_DUPLICATES);
    const json_t *list = plain_list(root.get(), body);
    if (!json_is_array(list)) return;
    fuzz::expect(page.has_value(), "a whole page is taken", body);
    fuzz::expect(page->records().size() == json_array_size(list), "no record is lost, none invented", body);
    for (size_t i = 0; i < page->records().size(); ++i) {
        const Json record = load(page->records()[i], JSON_DECODE_ANY);
        fuzz::expect(record && json_equal(record.get(), json_array_get(list, i)), "a record is cut out whole", body);
    }
    const json_t *next = json_object_get(json_object_get(root.get(), "data"), "next");
    const std::string cursor(json_is_string(next) ? json_string_value(next) : "", json_string_length(next));
    if (cursor.find('\0') == cursor.npos)
        fuzz::expect(page->next().value_or("") == cursor, "the cursor is passed on as it is", body);
}

bool is_json(std::string_view text) {
    fuzz::StrictJson strict(text);
    return strict.is_valid() && !strict.has_refused_escape();
}

void check_cell(const syncer::Cell &cell, Type type) {
    if (cell.null) return;
    switch (type) {
    case Type::Text:
        return fuzz::expect(fuzz::is_text(cell.text), "a text is what PostgreSQL takes", cell.text);
    case Type::Jsonb:
        return fuzz::expect(is_json(cell.text), "a jsonb is what PostgreSQL takes", cell.text);
    case Type::Numeric:
        return fuzz::expect(kombo::number_fits_numeric(cell.text) && is_json(cell.text), "a numeric fits", cell.text);
    case Type::Boolean:
        return fuzz::expect(cell.number == 0 || cell.number == 1, "a boolean is one");
    case Type::Date: // of the years 1 to 9999
        return fuzz::expect(cell.number >= -719162 && cell.number <= 2932896, "a date is one of PostgreSQL's");
    case Type::Time:
        return fuzz::expect(cell.number >= 0 && cell.number <= 86'400'000'000, "a time is within a day");
    case Type::Timestamptz:
        return fuzz::expect(cell.number >= -719162 * 86'400'000'000 && cell.number < 2932897 * 86'400'000'000,
                            "an instant is one of PostgreSQL's");
    }
}

void check_batch(const syncer::Catalogue &catalogue, const syncer::Batch &batch) {
    for (const syncer::RowSet &set : batch.sets) {
        const syncer::Table &table = catalogue.tables[set.table];
        std::vector<std::string_view> before;
        for (const syncer::Row &row : set.rows) {
            std::vector<std::string_view> key;
            for (size_t f = 0; f < table.fields.size(); ++f) {
                check_cell(row.cells[f], table.fields[f].type);
                if (!table.fields[f].key) continue;
                fuzz::expect(!row.cells[f].null && !row.cells[f].text.empty(), "a row has a key", table.name);
                key.push_back(row.cells[f].text);
            }
            fuzz::expect(row.extra.empty() || (is_json(row.extra) && row.extra.front() == '{'),
                         "what is left over is a JSON object", row.extra);
            fuzz::expect(before < key, "rows are in the order of their keys, each once", table.name);
            before = key;
        }
    }
    for (const std::string_view id : batch.ids) fuzz::expect(fuzz::is_text(id) && !id.empty(), "an id is text", id);
    fuzz::expect(is_json(batch.oddities.json()), "what is told of oddities is JSON", batch.oddities.json());
}

/// Every relation; a field that is wanted nowhere at each depth, and one with other keys, too.
struct Given : Invented {
    Given() {
        exclude(Jobs, "title");
        exclude(Skills, "name");
        exclude(People, "active");
        table(People).fields[3].fallback_keys = {"full_name", "boss.name"};
    }
};

void unfold(const kombo::Page &page) {
    static const Given given;
    static const auto shape = [] {
        return syncer::compile_shape(given.catalogue, given.catalogue.endpoints[0],
                                     [](size_t table) { return table == Invented::People; });
    };
    const kombo::Timestamp purge_before{0};
    // One that has read many pages, and knows in which order their keys come.
    static syncer::Unfolder used(given.catalogue, shape(), purge_before);
    static kombo::Arena arena;
    syncer::Unfolder fresh(given.catalogue, shape(), purge_before);
    kombo::Arena other;
    arena.clear();
    std::string by_used;
    try {
        const syncer::Batch batch = used.unfold(page.records(), arena);
        check_batch(given.catalogue, batch);
        by_used = told(given.catalogue, given.catalogue.endpoints[0], batch) + batch.oddities.json();
    } catch (const kombo::MalformedJson &) {
        by_used = "malformed";
    }
    try {
        const syncer::Batch batch = fresh.unfold(page.records(), other);
        fuzz::expect(told(given.catalogue, given.catalogue.endpoints[0], batch) + batch.oddities.json() == by_used,
                     "what was read before changes nothing", by_used);
    } catch (const kombo::MalformedJson &) {
        fuzz::expect(by_used == "malformed", "what was read before changes nothing", by_used);
    }
    for (const std::string_view record : page.records()) {
        try {
            fuzz::expect(is_json(used.redacted(record)), "a parked record is JSON", record);
        } catch (const kombo::MalformedJson &) {
            fuzz::expect(!fuzz::StrictJson(record).is_valid(), "a parked record can be shown", record);
        }
    }
}

void read_live(const kombo::Page &page) {
    using Column = syncer::LiveRecord::Column;
    static const std::vector<Column> columns = {
        {{"id"}, Type::Text},
        {{"changed_at"}, Type::Timestamptz},
        {{"born"}, Type::Date},
        {{"active"}, Type::Boolean},
        {{"pay"}, Type::Numeric},
        {{"tags"}, Type::Jsonb},
        {{"mentor.id", "mentor_id", "boss.mentor.id"}, Type::Text},
        {{"place"}, Type::Jsonb},
        {{"place.city"}, Type::Text},
        {{"skills"}, Type::Jsonb, false},
    };
    static const auto made = [] {
        syncer::Withheld withheld;
        withheld.add("", "secret");
        withheld.add("place", "name");
        withheld.add("skills.skill", "name");
        return syncer::LiveRecord(columns, {"id", "jobs", "skills", "name"}, withheld, true);
    };
    static syncer::LiveRecord reader = made();
    kombo::Arena arena;
    std::vector<syncer::Cell> cells;
    for (const std::string_view record : page.records()) {
        std::string_view extra;
        try {
            reader.read(record, arena, cells, extra);
        } catch (const kombo::MalformedJson &) {
            continue;
        }
        for (size_t i = 0; i < columns.size(); ++i) check_cell(cells[i], columns[i].type);
        fuzz::expect(cells[9].null, "a column that is not wanted costs nothing");
        fuzz::expect(extra.empty() || (is_json(extra) && extra.front() == '{'), "the rest is a JSON object", extra);
        fuzz::expect(extra.find("\"secret\"") == extra.npos ||
                         record.find("\"secret\"") != record.rfind("\"secret\"") || record.find('\\') != record.npos ||
                         record.find("{") != record.rfind("{"),
                     "what is withheld is not in the rest", extra);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string body(reinterpret_cast<const char *>(data), size);
    std::optional<kombo::Page> page;
    try {
        page = kombo::Page::parse(body);
    } catch (const kombo::MalformedBody &error) {
        fuzz::expect(fuzz::is_text(error.what()), "an error is text", error.what());
    }
    compare_page(body, page);
    if (!page) return 0;
    if (page->next()) fuzz::expect(fuzz::is_text(*page->next()), "a cursor is text", *page->next());
    unfold(*page);
    read_live(*page);
    return 0;
}
