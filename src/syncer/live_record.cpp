#include "syncer/live_record.h"

#include "syncer/decode.h"
#include "syncer/redaction.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace syncer {

namespace od = simdjson::ondemand;

namespace {

template <class T> T checked(simdjson::simdjson_result<T> &&result) {
    T value;
    if (const auto error = std::move(result).get(value)) throw kombo::MalformedJson(simdjson::error_message(error));
    return value;
}

void append_member(std::string &members, std::string_view key, std::string_view json) {
    members += (members.empty() ? "" : ", ") + json_quote(key) + ": ";
    members += json;
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

const Withheld &Withheld::inner(std::string_view key) const {
    static const Withheld nothing;
    const auto found = nested.find(key);
    return found == nested.end() ? nothing : found->second;
}

std::string_view Withheld::redact(std::string_view raw, kombo::Arena &arena, kombo::Repairs &repairs) const {
    if (empty()) return kombo::jsonb_text(raw, arena, repairs);
    const auto member_of = [](const Withheld &of, std::string_view key) -> std::optional<const Withheld *> {
        if (of.keys.count(key) > 0) return std::nullopt;
        const Withheld &inner = of.inner(key);
        return inner.empty() ? nullptr : &inner;
    };
    return arena.store(Redaction<Withheld, decltype(member_of)>(member_of, arena, repairs).of(raw, this));
}

LiveRecord::LiveRecord(const std::vector<Column> &columns, const std::set<std::string> &known, Withheld withheld,
                       bool extra_wanted)
    : columns_(columns), withheld_(std::move(withheld)), extra_wanted_(extra_wanted) {
    for (const std::string &path : known) place_of(path).known = true;
    for (size_t i = 0; i < columns.size(); ++i)
        for (size_t rank = 0; rank < columns[i].json_keys.size(); ++rank) {
            Place &place = place_of(columns[i].json_keys[rank]);
            if (columns[i].wanted) place.uses.push_back({i, rank});
        }
    finish(record_);
}

LiveRecord::Place &LiveRecord::place_of(const std::string &path) {
    Place *place = &record_;
    for (size_t begin = 0; begin <= path.size();) {
        const size_t dot = std::min(path.find('.', begin), path.size());
        place = &place->members[path.substr(begin, dot - begin)];
        begin = dot + 1;
    }
    return *place;
}

void LiveRecord::finish(Place &place) {
    place.is_read = !place.uses.empty();
    for (auto &[key, member] : place.members) {
        // A key that leads to others names no column, but what it leads to is told from what is unknown there.
        finish(member);
        place.is_read = place.is_read || member.is_read || (extra_wanted_ && !place.known);
        place.index.emplace(key, &member);
    }
}

void LiveRecord::read(std::string_view record, kombo::Arena &arena, std::vector<Cell> &cells, std::string_view &extra) {
    cells.assign(columns_.size(), Cell());
    ranks_.assign(columns_.size(), std::numeric_limits<size_t>::max());
    std::string leftovers;
    read_object(record_, withheld_, parser_.parse(record), {arena, cells, extra_wanted_ ? &leftovers : nullptr, 0});
    extra = leftovers.empty() ? std::string_view() : arena.store("{" + leftovers + "}");
}

void LiveRecord::read_object(const Place &place, const Withheld &withheld, od::object object, const Target &target) {
    kombo::Repairs repairs;
    kombo::for_each_field(object, target.arena, repairs, [&](std::string_view key, od::value value) {
        if (!withheld.keys.empty() && withheld.keys.count(key) > 0) return;
        const auto found = place.index.find(key);
        if (found != place.index.end())
            take(*found->second, withheld.inner(key), key, value, target);
        else if (target.leftovers)
            keep(key, kombo::raw_text(value), withheld.inner(key), target);
    });
}

void LiveRecord::take(const Place &place, const Withheld &withheld, std::string_view key, od::value value,
                      const Target &target) {
    if (!place.is_read) return;
    const std::string_view raw = kombo::raw_text(value);
    const bool fits = take_value(place, withheld, key, raw, target);
    const bool is_object = !raw.empty() && raw.front() == '{';
    if (!fits || (!place.members.empty() && !place.known && place.uses.empty() && !is_object && raw != "null")) {
        if (target.leftovers) keep(key, raw, withheld, target);
    }
    if (place.members.empty() || !is_object) return;
    std::string leftovers;
    const bool wanted = target.leftovers && !place.known && place.uses.empty();
    if (parsers_.size() <= target.depth) parsers_.resize(target.depth + 1);
    // In place: what is read of it lies in the page.
    od::document document =
        checked(parsers_[target.depth].iterate(raw.data(), raw.size(), raw.size() + simdjson::SIMDJSON_PADDING));
    read_object(place, withheld, checked(document.get_object()),
                {target.arena, target.cells, wanted ? &leftovers : nullptr, target.depth + 1});
    if (!leftovers.empty()) append_member(*target.leftovers, key, "{" + leftovers + "}");
}

bool LiveRecord::take_value(const Place &place, const Withheld &withheld, std::string_view key, std::string_view raw,
                            const Target &target) {
    // An object that names nothing is no reference.
    if (target.depth > 0 && key == "id" && raw == "\"\"") return true;
    bool all_fit = true;
    for (const auto [column, rank] : place.uses) {
        if (ranks_[column] <= rank) continue; // of a key that comes twice the first counts
        kombo::Repairs repairs;
        Cell cell;
        bool inexact = false;
        if (columns_[column].type == Type::Jsonb && raw != "null")
            cell = {withheld.redact(raw, target.arena, repairs), 0, false};
        else if (!decode(columns_[column].type, raw, target.arena, repairs, cell, inexact) || inexact)
            all_fit = false;
        if (cell.null) continue;
        target.cells[column] = cell;
        ranks_[column] = rank;
    }
    return all_fit;
}

void LiveRecord::keep(std::string_view key, std::string_view raw, const Withheld &withheld, const Target &target) {
    kombo::Repairs repairs;
    append_member(*target.leftovers, key, withheld.redact(raw, target.arena, repairs));
}

} // namespace syncer
