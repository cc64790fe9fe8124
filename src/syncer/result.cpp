#include "syncer/result.h"

#include <algorithm>

namespace syncer {

std::string rows_by_table(const TableCounts &counts, const Catalogue &catalogue) {
    std::string json = "{";
    for (const auto &[table, rows] : counts) {
        if (json.size() > 1) json += ", ";
        json += json_quote(catalogue.tables[table].name) + ": {\"inserted\": " + std::to_string(rows.inserted) +
                ", \"updated\": " + std::to_string(rows.updated) +
                ", \"unchanged\": " + std::to_string(rows.unchanged) +
                ", \"deleted\": " + std::to_string(rows.deleted) + "}";
    }
    return json + "}";
}

bool changed_rows(const TableCounts &counts) {
    return std::any_of(counts.begin(), counts.end(), [](const auto &table) {
        const RowCounts &rows = table.second;
        return rows.inserted + rows.updated + rows.deleted > 0;
    });
}

const char *name(Status status) {
    switch (status) {
    case Status::Ok:
        return "ok";
    case Status::Failed:
        return "failed";
    case Status::Held:
        return "held";
    case Status::Skipped:
        return "skipped";
    case Status::Waiting:
        return "waiting";
    case Status::Unavailable:
        return "unavailable";
    }
    return "failed";
}

} // namespace syncer
