#include "syncer/live_record.h"

#include "syncer/decode.h"

#include <utility>

namespace syncer {

namespace od = simdjson::ondemand;

namespace {

template <class T> T checked(simdjson::simdjson_result<T> &&result) {
    T value;
    if (const auto error = std::move(result).get(value)) throw kombo::MalformedJson(simdjson::error_message(error));
    return value;
}

/// The raw text of the id of a nested object; empty if it is none or has none.
std::string_view id_of(std::string_view raw, kombo::Arena &arena) {
    if (raw.empty() || raw.front() != '{') return {};
    const simdjson::padded_string padded(raw);
    od::parser parser;
    od::document document = checked(parser.iterate(padded));
    od::value id;
    if (checked(document.get_object()).find_field_unordered("id").get(id) != simdjson::SUCCESS) return {};
    return arena.store(kombo::scalar_token(id));
}

} // namespace

void Withheld::add(std::string_view path, const std::string &key) {
    if (path.empty()) {
        keys.insert(key);
        return;
    }
    const size_t dot = path.find('.');
    nested[std::string(path.substr(0, dot))].add(dot == std::string_view::npos ? "" : path.substr(dot + 1), key);
}

std::string_view Withheld::redact(std::string_view raw, kombo::Arena &arena, kombo::Repairs &repairs) const {
    if (empty() || raw.empty() || (raw.front() != '{' && raw.front() != '['))
        return kombo::jsonb_text(raw, arena, repairs);
    // A copy: the parser wants padding, and the caller's own is busy with the outer record.
    const simdjson::padded_string padded(raw);
    od::parser parser;
    od::document document = checked(parser.iterate(padded));
    std::string out;
    if (raw.front() == '[') {
        for (auto element : checked(document.get_array())) {
            out += out.empty() ? "[" : ", ";
            out += redact(kombo::raw_text(checked(std::move(element))), arena, repairs);
        }
        return arena.store(out.empty() ? "[]" : out + "]");
    }
    static const Withheld nothing;
    kombo::for_each_field(checked(document.get_object()), arena, repairs, [&](std::string_view key, od::value value) {
        if (keys.count(key) > 0) return;
        const auto inner = nested.find(key);
        out += (out.empty() ? "{" : ", ") + json_quote(key) + ": ";
        out += (inner == nested.end() ? nothing : inner->second).redact(kombo::raw_text(value), arena, repairs);
    });
    return arena.store(out.empty() ? "{}" : out + "}");
}

LiveRecord::LiveRecord(const std::vector<Column> &columns, const std::set<std::string> &known, Withheld withheld,
                       bool extra_wanted)
    : columns_(columns), withheld_(std::move(withheld)), extra_wanted_(extra_wanted) {
    for (const std::string &key : known) members_[key];
    for (size_t i = 0; i < columns.size(); ++i) {
        const std::string &key = columns[i].json_key;
        if (key.empty()) continue;
        const size_t dot = key.find('.');
        Member &member = members_[key.substr(0, dot)];
        if (!columns[i].wanted) continue;
        (dot == std::string::npos ? member.columns : member.ids).push_back(i);
    }
    for (const std::string &key : withheld_.keys) members_[key].withheld = true;
    for (auto &[key, member] : members_) {
        member.key = key;
        index_.emplace(key, &member);
    }
}

void LiveRecord::read(std::string_view record, kombo::Arena &arena, std::vector<Cell> &cells, std::string_view &extra) {
    cells.assign(columns_.size(), Cell());
    leftovers_.clear();
    kombo::Repairs repairs;
    kombo::for_each_field(parser_.parse(record), arena, repairs, [&](std::string_view key, od::value value) {
        const auto found = index_.find(key);
        take(found == index_.end() ? nullptr : found->second, key, value, arena, cells);
    });
    extra = leftovers_.empty() ? std::string_view() : arena.store("{" + leftovers_ + "}");
}

void LiveRecord::take(const Member *member, std::string_view key, od::value value, kombo::Arena &arena,
                      std::vector<Cell> &cells) {
    if (member && (member->withheld || (member->columns.empty() && member->ids.empty()))) return;
    if (!member && !extra_wanted_) return;
    const std::string_view raw = kombo::raw_text(value);
    if (!member) return keep(key, raw, arena);
    bool kept = false;
    for (const size_t column : member->columns) {
        if (!cells[column].null) continue; // of a key that comes twice the first counts
        kombo::Repairs repairs;
        bool inexact = false;
        const bool json = columns_[column].type == Type::Jsonb && raw != "null";
        if (!json && decode(columns_[column].type, raw, arena, repairs, cells[column], inexact) && !inexact) continue;
        if (json)
            cells[column] = {redacted(key, raw, arena), 0, false};
        else if (extra_wanted_ && !std::exchange(kept, true))
            keep(key, raw, arena);
    }
    if (member->ids.empty()) return;
    const std::string_view id = id_of(raw, arena);
    for (const size_t column : member->ids) {
        kombo::Repairs repairs;
        bool inexact = false;
        if (!id.empty() && cells[column].null)
            decode(columns_[column].type, id, arena, repairs, cells[column], inexact);
    }
}

std::string_view LiveRecord::redacted(std::string_view key, std::string_view raw, kombo::Arena &arena) const {
    kombo::Repairs repairs;
    const auto inner = withheld_.nested.find(key);
    return inner == withheld_.nested.end() ? kombo::jsonb_text(raw, arena, repairs)
                                           : inner->second.redact(raw, arena, repairs);
}

void LiveRecord::keep(std::string_view key, std::string_view raw, kombo::Arena &arena) {
    leftovers_ += (leftovers_.empty() ? "" : ", ") + json_quote(key) + ": ";
    leftovers_ += redacted(key, raw, arena);
}

} // namespace syncer
