#include "query.h"

#include "clock.h"
#include "cursor.h"
#include "relations.h"
#include "render.h"

#include <algorithm>
#include <charconv>

namespace sandbox {

namespace {

// Positions from here on are those of the extra records at the end of a list.
constexpr std::uint64_t extra_start = std::uint64_t{1} << 40;

[[noreturn]] void invalid(const std::string &message) {
    throw ApiError(400, "PLATFORM.INPUT_INVALID", message);
}

const std::string *parameter(const Params &params, const char *name) {
    const auto found = params.find(name);
    return found == params.end() ? nullptr : &found->second;
}

std::uint64_t fingerprint(const Integration &integration, std::string_view path, const Params &params) {
    std::uint64_t h = 1469598103934665603U;
    const auto add = [&](std::string_view text) {
        for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211U;
        h = (h ^ 0xffU) * 1099511628211U;
    };
    add(integration.id);
    add(path);
    for (const auto &[name, value] : params) {
        const bool filter = name == "updated_after" || (name == "include_deleted" && value == "true") ||
                            name == "ids" || name == "remote_ids" || is_field_filter(path, name);
        if (filter) {
            add(name);
            add(value);
        }
    }
    return h;
}

class Query {
public:
    Query(const Integration &integration, const Endpoint &endpoint, const Params &params, std::size_t page_limit);

    Page page() const;

private:
    void read_size(const Params &params, std::size_t page_limit);
    void read_filters(const Params &params);
    void read_cursor(const Params &params);
    void read_ids(const Params &params);
    bool matches(Index index) const;
    bool matches(const ExtraRecord &extra) const;
    void append(std::string &out, std::uint64_t position) const;
    std::optional<std::uint64_t> next_match(std::uint64_t position) const;
    std::vector<std::uint64_t> in_order_of_change() const;
    Page page_by_index() const;
    Page page_by_change() const;

    const Integration &integration_;
    const Records &records_;
    const Endpoint &endpoint_;
    const Params &params_;
    View view_;
    std::string path_;
    const std::vector<ExtraRecord> *extra_ = nullptr;
    std::size_t size_ = 100;
    std::uint64_t start_ = 0;
    std::uint64_t filters_ = 0;
    bool include_deleted_ = false;
    bool field_filters_ = false;
    std::optional<Millis> updated_after_;
    std::optional<std::set<std::string>> ids_;
    std::optional<std::vector<Index>> candidates_;
};

Query::Query(const Integration &integration, const Endpoint &endpoint, const Params &params, std::size_t page_limit)
    : integration_(integration), records_(integration.records), endpoint_(endpoint),
      params_(params), view_{integration.records, now(), integration.nested_deleted}, path_(endpoint.path) {
    if (const auto found = integration.extra.find(path_); found != integration.extra.end()) extra_ = &found->second;
    field_filters_ = has_field_filters(path_, params);
    filters_ = fingerprint(integration, path_, params);
    read_ids(params);
    if (!endpoint.paginated) {
        size_ = SIZE_MAX;
        return;
    }
    read_size(params, page_limit);
    if (endpoint.deltas) read_filters(params);
    read_cursor(params);
}

void Query::read_size(const Params &params, std::size_t page_limit) {
    if (const std::string *text = parameter(params, "page_size")) {
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), size_);
        if (error != std::errc() || end != text->data() + text->size() || size_ < 1 || size_ > 250)
            invalid("page_size must be an integer between 1 and 250");
    }
    size_ = std::min(size_, page_limit);
}

void Query::read_filters(const Params &params) {
    for (const char *name : {"include_deleted", "ignore_unsupported_filters"}) {
        const std::string *text = parameter(params, name);
        if (text && *text != "true" && *text != "false") invalid(std::string(name) + " must be true or false");
    }
    const std::string *deleted = parameter(params, "include_deleted");
    include_deleted_ = deleted && *deleted == "true";
    if (const std::string *text = parameter(params, "updated_after")) {
        updated_after_ = parse_time(*text);
        if (!updated_after_) invalid("updated_after must be a date-time in UTC such as 2024-01-31T12:00:00.000Z");
    }
}

void Query::read_cursor(const Params &params) {
    const std::string *text = parameter(params, "cursor");
    if (!text) return;
    const std::optional<Cursor> cursor = decode(*text);
    if (!cursor) invalid("cursor is not one that this list returned");
    // Kombo: filters must be repeated with every cursor
    if (cursor->filters != filters_) invalid("cursor was made for another set of filters");
    start_ = cursor->position;
}

void Query::read_ids(const Params &params) {
    const std::string *ids = parameter(params, "ids");
    const std::string *remote_ids = parameter(params, "remote_ids");
    if (!ids && !remote_ids) return;
    std::set<Index> by_id;
    std::set<Index> by_remote_id;
    if (ids) {
        ids_ = split(*ids);
        for (const std::string &id : *ids_)
            if (const auto found = records_.find(endpoint_.model, id)) by_id.insert(*found);
    }
    if (remote_ids) {
        for (const std::string &id : split(*remote_ids))
            if (const auto found = records_.find_remote(endpoint_.model, id)) by_remote_id.insert(*found);
    }
    candidates_.emplace();
    const std::set<Index> &some = ids ? by_id : by_remote_id;
    for (const Index index : some)
        if (!ids || !remote_ids || by_remote_id.count(index) != 0) candidates_->push_back(index);
}

bool Query::matches(Index index) const {
    const Model model = endpoint_.model;
    if (records_.purged(model, index) || (!include_deleted_ && records_.deleted(model, index))) return false;
    // Whether Kombo compares with > or >= is unknown; the sandbox takes >.
    if (updated_after_ && moved_at(records_, model, index) <= *updated_after_) return false;
    if (!field_filters_) return true;
    std::string record;
    render(record, view_, model, index);
    return passes_field_filters(path_, params_, record);
}

bool Query::matches(const ExtraRecord &extra) const {
    if (candidates_ && !(ids_ && ids_->count(extra.id) != 0)) return false;
    return (!updated_after_ || extra.at > *updated_after_) && !field_filters_;
}

void Query::append(std::string &out, std::uint64_t position) const {
    if (position >= extra_start) {
        out += (*extra_)[position - extra_start].json;
        return;
    }
    const auto index = static_cast<Index>(position);
    const Overlay *changes = records_.overlay(endpoint_.model, index);
    if (changes && !changes->raw.empty()) {
        if (const auto raw = changes->raw.find(path_); raw != changes->raw.end()) {
            out += raw->second;
            return;
        }
    }
    render(out, view_, endpoint_.model, index);
}

// The first position from `position` on whose record matches.
std::optional<std::uint64_t> Query::next_match(std::uint64_t position) const {
    if (candidates_) {
        for (auto i = std::lower_bound(candidates_->begin(), candidates_->end(), position); i != candidates_->end();
             ++i)
            if (matches(*i)) return *i;
    } else {
        const Index count = records_.count(endpoint_.model);
        for (; position < count; ++position)
            if (matches(static_cast<Index>(position))) return position;
    }
    if (extra_)
        for (std::size_t i = position > extra_start ? position - extra_start : 0; i < extra_->size(); ++i)
            if (matches((*extra_)[i])) return extra_start + i;
    return std::nullopt;
}

Page Query::page() const {
    return integration_.order_by_changed_at ? page_by_change() : page_by_index();
}

Page Query::page_by_index() const {
    Page page;
    page.results.reserve(std::min<std::size_t>(size_, 250) * 4500);
    page.results += '[';
    std::optional<std::uint64_t> at = next_match(start_);
    for (std::size_t n = 0; at && n < size_; ++n, at = next_match(*at + 1)) {
        if (n != 0) page.results += ',';
        append(page.results, *at);
    }
    page.results += ']';
    if (at) page.next = encode({filters_, *at});
    return page;
}

std::vector<std::uint64_t> Query::in_order_of_change() const {
    std::vector<std::pair<Millis, std::uint64_t>> all;
    for (auto at = next_match(0); at; at = next_match(*at + 1)) {
        const Millis changed = *at >= extra_start ? (*extra_)[*at - extra_start].at
                                                  : records_.changed_at(endpoint_.model, static_cast<Index>(*at));
        all.emplace_back(changed, *at);
    }
    std::sort(all.begin(), all.end());
    std::vector<std::uint64_t> positions;
    positions.reserve(all.size());
    for (const auto &[changed, position] : all) positions.push_back(position);
    return positions;
}

// Pages are cut by number here, so a record that changes between two requests shifts those after it.
Page Query::page_by_change() const {
    const std::vector<std::uint64_t> positions = in_order_of_change();
    Page page;
    page.results += '[';
    std::uint64_t at = start_;
    for (; at < positions.size() && at - start_ < size_; ++at) {
        if (at != start_) page.results += ',';
        append(page.results, positions[at]);
    }
    page.results += ']';
    if (at < positions.size()) page.next = encode({filters_, at});
    return page;
}

} // namespace

Page read_page(const Integration &integration, const Endpoint &endpoint, const Params &params, std::size_t page_limit) {
    return Query(integration, endpoint, params, page_limit).page();
}

std::size_t count_records(const Integration &integration, const Endpoint &endpoint, bool include_deleted) {
    std::size_t count = 0;
    for (Index i = 0; i < integration.records.count(endpoint.model); ++i) {
        if (include_deleted ? !integration.records.purged(endpoint.model, i)
                            : integration.records.live(endpoint.model, i))
            ++count;
    }
    const auto extra = integration.extra.find(std::string(endpoint.path));
    return count + (extra == integration.extra.end() ? 0 : extra->second.size());
}

} // namespace sandbox
