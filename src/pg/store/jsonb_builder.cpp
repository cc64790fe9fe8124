#include "pg/store/jsonb_builder.h"

#include "kombo/json_token.h"

#include <algorithm>
#include <cstring>

namespace pg {

namespace {

/// As jsonb orders the keys of an object: shorter ones first.
bool less(std::string_view a, std::string_view b) {
    return a.size() != b.size() ? a.size() < b.size() : std::memcmp(a.data(), b.data(), a.size()) < 0;
}

/// Digits that surely make an int64.
constexpr size_t safe_digits = 18;

} // namespace

Datum JsonbBuilder::build(std::string_view json) {
    at_ = json.data();
    end_ = at_ + json.size();
    out_.assign(VARHDRSZ, '\0');
    members_.clear();
    arena_.clear();
    skip_space();
    if (*at_ == '{' || *at_ == '[') {
        value();
    } else { // a scalar is an array of one, which says so
        const size_t entries = begin_container(1 | JB_FARRAY | JB_FSCALAR, 1);
        uint32 total = 0;
        set_entry(entries, 0, value(), total);
    }
    auto *result = static_cast<char *>(palloc(out_.size()));
    std::memcpy(result, out_.data(), out_.size());
    SET_VARSIZE(result, out_.size());
    return PointerGetDatum(result);
}

uint32 JsonbBuilder::value() {
    switch (*at_) {
    case '{':
        return object();
    case '[':
        return array();
    case '"':
        return string();
    case 't':
        return literal("true", JENTRY_ISBOOL_TRUE);
    case 'f':
        return literal("false", JENTRY_ISBOOL_FALSE);
    case 'n':
        return literal("null", JENTRY_ISNULL);
    default:
        return number();
    }
}

/// Keys are stored first, in their order, then the values: so the members are found before any is written.
uint32 JsonbBuilder::object() {
    check_stack_depth();
    const size_t begin = out_.size();
    const size_t first = members_.size();
    ++at_;
    skip_space();
    while (*at_ != '}') {
        const std::string_view name = key();
        members_.push_back({name, at_, members_.size()});
        skip_value();
        if (*at_ == ',') ++at_;
        skip_space();
    }
    const char *after = at_ + 1;
    sort_members(first);
    const size_t count = members_.size() - first;
    const size_t entries = begin_container(static_cast<uint32>(count) | JB_FOBJECT, 2 * count);
    uint32 total = 0;
    for (size_t i = 0; i < count; ++i) {
        const std::string_view name = members_[first + i].key;
        out_.append(name);
        set_entry(entries, i, static_cast<uint32>(name.size()) | JENTRY_ISSTRING, total);
    }
    for (size_t i = 0; i < count; ++i) {
        at_ = members_[first + i].value;
        set_entry(entries, count + i, value(), total);
    }
    members_.resize(first);
    at_ = after;
    return end_container(begin);
}

/// Of a key that comes twice the last one counts.
void JsonbBuilder::sort_members(size_t first) {
    const auto begin = members_.begin() + static_cast<std::ptrdiff_t>(first);
    std::sort(begin, members_.end(),
              [](const Member &a, const Member &b) { return a.key == b.key ? a.order > b.order : less(a.key, b.key); });
    members_.erase(std::unique(begin, members_.end(), [](const Member &a, const Member &b) { return a.key == b.key; }),
                   members_.end());
}

/// The number of elements has to be known before the first is written.
uint32 JsonbBuilder::array() {
    check_stack_depth();
    const size_t begin = out_.size();
    ++at_;
    skip_space();
    const char *elements = at_;
    size_t count = 0;
    for (; *at_ != ']'; ++count) {
        skip_value();
        if (*at_ == ',') ++at_;
        skip_space();
    }
    const char *after = at_ + 1;
    const size_t entries = begin_container(static_cast<uint32>(count) | JB_FARRAY, count);
    uint32 total = 0;
    at_ = elements;
    for (size_t i = 0; i < count; ++i) {
        set_entry(entries, i, value(), total);
        skip_space();
        if (*at_ == ',') ++at_;
        skip_space();
    }
    at_ = after;
    return end_container(begin);
}

uint32 JsonbBuilder::string() {
    const size_t begin = out_.size();
    out_.append(unescaped());
    return static_cast<uint32>(out_.size() - begin) | JENTRY_ISSTRING;
}

uint32 JsonbBuilder::number() {
    const size_t begin = out_.size();
    const char *first = at_;
    while (at_ < end_ && *at_ != ',' && *at_ != ']' && *at_ != '}' && !kombo::is_json_space(*at_)) ++at_;
    const std::string_view digits(first, static_cast<size_t>(at_ - first));
    Datum numeric;
    if (digits.size() <= safe_digits && digits.find_first_of(".eE") == std::string_view::npos) {
        int64 integer = 0;
        for (const char c : digits)
            if (c != '-') integer = integer * 10 + (c - '0');
        numeric = NumericGetDatum(int64_to_numeric(digits.front() == '-' ? -integer : integer));
    } else {
        number_ = digits;
        numeric = DirectFunctionCall3(numeric_in, CStringGetDatum(number_.c_str()), ObjectIdGetDatum(InvalidOid),
                                      Int32GetDatum(-1));
    }
    pad();
    auto *stored = DatumGetNumeric(numeric);
    out_.append(reinterpret_cast<const char *>(stored), VARSIZE_ANY(stored));
    pfree(stored);
    return static_cast<uint32>(out_.size() - begin) | JENTRY_ISNUMERIC;
}

uint32 JsonbBuilder::literal(const char *word, uint32 type) {
    at_ += std::strlen(word);
    return type;
}

std::string_view JsonbBuilder::key() {
    const std::string_view name = unescaped();
    skip_space();
    ++at_; // the colon
    skip_space();
    return name;
}

std::string_view JsonbBuilder::unescaped() {
    const char *first = at_;
    skip_string();
    kombo::Repairs none;
    return kombo::string_value({first, static_cast<size_t>(at_ - first)}, arena_, none);
}

void JsonbBuilder::skip_space() {
    while (at_ < end_ && kombo::is_json_space(*at_)) ++at_;
}

void JsonbBuilder::skip_string() {
    for (++at_; *at_ != '"'; ++at_)
        if (*at_ == '\\') ++at_;
    ++at_;
}

/// The value that comes next, and the white space after it.
void JsonbBuilder::skip_value() {
    size_t depth = 0;
    do {
        skip_space();
        switch (*at_) {
        case '"':
            skip_string();
            break;
        case '{':
        case '[':
            ++depth;
            ++at_;
            break;
        case '}':
        case ']':
            --depth;
            ++at_;
            break;
        case ',':
        case ':':
            ++at_;
            break;
        default:
            while (at_ < end_ && std::strchr(",:]}\" \t\r\n", *at_) == nullptr) ++at_;
        }
    } while (depth > 0);
    skip_space();
}

/// Room for the header and the entries; returns where the entries begin.
size_t JsonbBuilder::begin_container(uint32 header, size_t entries) {
    if (entries > JB_CMASK) too_large();
    pad();
    out_.append(reinterpret_cast<const char *>(&header), sizeof header);
    const size_t first = out_.size();
    out_.append(entries * sizeof(JEntry), '\0');
    return first;
}

/// Headers, entries and padding count for the length of a container, though not for the sum of its elements.
uint32 JsonbBuilder::end_container(size_t begin) const {
    const size_t length = out_.size() - begin;
    if (length > JENTRY_OFFLENMASK) too_large();
    return static_cast<uint32>(length) | JENTRY_ISCONTAINER;
}

/// An entry has the length of its value; one in JB_OFFSET_STRIDE has instead where it ends, so that one far behind is
/// found soon.
void JsonbBuilder::set_entry(size_t first, size_t index, uint32 entry, uint32 &total) {
    total += JBE_OFFLENFLD(entry);
    if (total > JENTRY_OFFLENMASK) too_large();
    JEntry stored = entry;
    if (index % JB_OFFSET_STRIDE == 0) stored = (entry & JENTRY_TYPEMASK) | total | JENTRY_HAS_OFF;
    std::memcpy(&out_[first + index * sizeof(JEntry)], &stored, sizeof stored);
}

/// Numbers and containers are aligned; the padding counts as theirs.
void JsonbBuilder::pad() {
    out_.append(INTALIGN(out_.size()) - out_.size(), '\0');
}

void JsonbBuilder::too_large() {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                    errmsg("total size of jsonb elements exceeds the maximum of %u bytes", JENTRY_OFFLENMASK)));
}

} // namespace pg
