#include "sync/result.h"

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
