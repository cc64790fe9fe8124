#include "syncer/batch.h"

#include "kombo/error.h"

#include <array>
#include <cstdio>

namespace syncer {

namespace {
constexpr size_t most_told_apart = 100;

/// Of a key's name. It may be a sentence, or somebody's mail address; and it is written again with every page.
constexpr size_t longest_key = 63;
constexpr std::array<const char *, 12> kind_names = {"unknown key",
                                                     "value does not fit its column",
                                                     "U+0000 replaced by U+FFFD",
                                                     "unpaired surrogate replaced by U+FFFD",
                                                     "number beyond numeric kept as text",
                                                     "nested too deeply, kept as text",
                                                     "unknown model in a webhook",
                                                     "more pages of a list that takes no cursor",
                                                     "pages moved while a delta was read",
                                                     "Kombo's clock is behind the watermark",
                                                     "column of another type than the catalogue's",
                                                     "row kept, as a foreign key refers to it"};

const char *hint(Oddities::Kind kind) {
    switch (kind) {
    case Oddities::Kind::ColumnType:
        return "Values may be rounded, cut or refused when they are stored. ALTER TABLE ... ALTER COLUMN ... TYPE "
               "gives "
               "the column the catalogue's type.";
    case Oddities::Kind::Referenced:
        return "The row has remote_deleted_at instead. Delete what refers to it, or give the foreign key ON DELETE "
               "CASCADE or SET NULL.";
    default:
        return nullptr;
    }
}

} // namespace

void Oddities::add(Kind kind, std::string_view table, std::string_view key, uint64_t count) {
    auto name = std::make_tuple(kind, std::string(table), kombo::printable(key, longest_key));
    if (counts_.size() >= most_told_apart && counts_.find(name) == counts_.end()) {
        counts_[std::make_tuple(kind, std::string(table), std::string("(others)"))] += count;
        return;
    }
    counts_[std::move(name)] += count;
}

void Oddities::add(const kombo::Repairs &repairs, std::string_view table, std::string_view key) {
    if (repairs.nul > 0) add(Kind::Nul, table, key, repairs.nul);
    if (repairs.surrogate > 0) add(Kind::Surrogate, table, key, repairs.surrogate);
    if (repairs.number > 0) add(Kind::Number, table, key, repairs.number);
    if (repairs.depth > 0) add(Kind::Depth, table, key, repairs.depth);
}

void Oddities::merge(const Oddities &other) {
    for (const auto &[name, count] : other.counts_) add(std::get<0>(name), std::get<1>(name), std::get<2>(name), count);
}

std::string Oddities::json() const {
    std::string out = "[";
    for (const auto &[name, count] : counts_) {
        if (out.size() > 1) out += ", ";
        out += "{\"kind\": " + json_quote(kind_names[static_cast<size_t>(std::get<0>(name))]) +
               ", \"table\": " + json_quote(std::get<1>(name)) + ", \"key\": " + json_quote(std::get<2>(name)) +
               ", \"count\": " + std::to_string(count);
        if (const char *what_to_do = hint(std::get<0>(name))) out += ", \"hint\": " + json_quote(what_to_do);
        out += "}";
    }
    return out + "]";
}

std::optional<Oddities::Kind> Oddities::kind_of(const std::string &name) {
    for (size_t i = 0; i < kind_names.size(); ++i)
        if (name == kind_names[i]) return static_cast<Kind>(i);
    return std::nullopt;
}

std::string json_quote(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            std::array<char, 8> escape{};
            std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
            out += escape.data();
        } else {
            out += c;
        }
    }
    return out + "\"";
}

} // namespace syncer
