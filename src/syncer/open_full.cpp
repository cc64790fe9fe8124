#include "syncer/open_full.h"

#include <jansson.h>
#include <memory>

namespace syncer {

namespace {

struct Release {
    void operator()(json_t *json) const { json_decref(json); }
};
using Json = std::unique_ptr<json_t, Release>;

int64_t number(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

} // namespace

// Written by hand: jansson's json_object() has a namesake in the server, which the linker takes for it.
std::string progress_json(const RunResult &result, const Catalogue &catalogue) {
    const auto member = [](const char *key, int64_t value) {
        return "\"" + std::string(key) + "\": " + std::to_string(value);
    };
    return "{" + member("pages", result.pages) + ", " + member("received", result.received) + ", " +
           member("bytes", static_cast<int64_t>(result.bytes)) + ", " + member("retries", result.retries) + ", " +
           member("parked", result.parked) + ", " + member("began", result.started_at.micros) +
           ", \"tables\": " + rows_by_table(result.counts, catalogue) + ", \"warnings\": " + result.oddities.json() +
           "}";
}

void restore_progress(const std::string &json, const Catalogue &catalogue, RunResult &result) {
    const Json root(json_loads(json.c_str(), 0, nullptr));
    if (!root) return;
    result.pages = static_cast<int>(number(root.get(), "pages"));
    result.received = number(root.get(), "received");
    result.bytes = static_cast<size_t>(number(root.get(), "bytes"));
    result.retries = static_cast<int>(number(root.get(), "retries"));
    result.parked = number(root.get(), "parked");
    if (const int64_t began = number(root.get(), "began")) result.started_at = {began};
    const json_t *tables = json_object_get(root.get(), "tables");
    for (size_t i = 0; i < catalogue.tables.size(); ++i) {
        const json_t *rows = json_object_get(tables, catalogue.tables[i].name.c_str());
        if (!rows) continue;
        result.counts[i] = {number(rows, "inserted"),
                            number(rows, "updated"),
                            number(rows, "unchanged"),
                            number(rows, "deleted"),
                            0,
                            {}};
    }
    size_t position = 0;
    json_t *warning = nullptr;
    json_array_foreach(json_object_get(root.get(), "warnings"), position, warning) {
        const auto text = [&](const char *key) {
            const char *value = json_string_value(json_object_get(warning, key));
            return std::string(value ? value : "");
        };
        if (const auto kind = Oddities::kind_of(text("kind")))
            result.oddities.add(*kind, text("table"), text("key"), static_cast<uint64_t>(number(warning, "count")));
    }
}

} // namespace syncer
