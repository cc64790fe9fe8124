#include "ids.h"

#include "schema.h"

#include <array>
#include <charconv>

namespace sandbox {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::size_t head_length = 11; // 62^11 > 2^64
constexpr Index plain_start = 1000;
constexpr std::uint64_t plain_kind = 0xff;

constexpr std::array<std::string_view, own_model_count> prefixes{
    "employee", "employment", "balance", "absence-type", "absence", "team",  "entity", "site",
    "category", "timesheet",  "cycle",   "review",       "opening", "skill", "scale",  "rating",
};

// Every how many records of a model the remote id is the plain number of an employee; 0 = never.
constexpr std::array<Index, own_model_count> shared_every{1, 7, 0, 0, 5, 3, 2, 2, 0, 0, 0, 0, 4, 0, 0, 0};

std::string_view prefix_of(Model model) {
    return is_described(model) ? std::string_view(description(model).prefix) : prefixes[slot(model)];
}

bool shared(Model model, Index index) {
    const Index every = is_described(model) ? 5 : shared_every[slot(model)];
    return every != 0 && index % every == 0;
}

std::uint64_t source(Model model, Index index) {
    return (shared(model, index) ? plain_kind : slot(model)) << 40 | index;
}

constexpr std::uint64_t odd_one = 0x9e3779b97f4a7c15U;
constexpr std::uint64_t odd_two = 0xd6e8feb86659fd93U;

// The inverse of an odd number modulo 2^64: Newton's step doubles the correct bits.
constexpr std::uint64_t inverse(std::uint64_t odd) {
    std::uint64_t x = odd;
    for (int i = 0; i < 6; ++i) x *= 2 - odd * x;
    return x;
}

std::uint64_t scramble(std::uint64_t x, std::uint64_t key) {
    x = (x ^ key) * odd_one;
    x = (x ^ (x >> 32)) * odd_two;
    return x ^ (x >> 32);
}

std::uint64_t unscramble(std::uint64_t x, std::uint64_t key) {
    x = (x ^ (x >> 32)) * inverse(odd_two);
    x = (x ^ (x >> 32)) * inverse(odd_one);
    return x ^ key;
}

void append_base62(std::string &out, std::uint64_t x, std::size_t length) {
    for (std::size_t i = 0; i < length; ++i) {
        out += alphabet[x % 62];
        x /= 62;
    }
}

std::string encode(std::uint64_t plain, std::uint64_t key) {
    const std::uint64_t x = scramble(plain, key);
    const std::size_t tail = plain % 97 == 5 ? 12 : plain % 97 == 6 ? 14 : 13;
    std::string id;
    id.reserve(head_length + tail);
    append_base62(id, x, head_length);
    append_base62(id, scramble(x, ~key), head_length);
    append_base62(id, scramble(x, key * 3), tail - head_length);
    return id;
}

std::optional<Index> number(std::string_view text) {
    Index value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

} // namespace

Ids::Ids(std::string_view integration) : key_(1469598103934665603U) {
    for (const char c : integration) key_ = (key_ ^ static_cast<unsigned char>(c)) * 1099511628211U;
}

std::string Ids::remote_id(Model model, Index index) const {
    if (shared(model, index)) return std::to_string(plain_start + index);
    std::string text(prefix_of(model));
    text += '-';
    text += std::to_string(index + 1);
    return text;
}

std::string Ids::id(Model model, Index index) const {
    return encode(source(model, index), key_);
}

std::optional<Index> Ids::index_of_id(Model model, std::string_view id) const {
    if (id.size() < head_length) return std::nullopt;
    std::uint64_t x = 0;
    for (std::size_t i = head_length; i-- > 0;) {
        const std::size_t digit = alphabet.find(id[i]);
        if (digit == std::string_view::npos) return std::nullopt;
        x = x * 62 + digit;
    }
    const std::uint64_t plain = unscramble(x, key_);
    const auto index = static_cast<Index>(plain);
    if (source(model, index) != plain || encode(plain, key_) != id) return std::nullopt;
    return index;
}

std::optional<Index> Ids::index_of_remote_id(Model model, std::string_view remote_id) const {
    std::optional<Index> index = number(remote_id);
    if (index && *index >= plain_start) {
        index = *index - plain_start;
    } else {
        const std::string_view prefix = prefix_of(model);
        if (remote_id.size() <= prefix.size() + 1 || remote_id.substr(0, prefix.size()) != prefix) return std::nullopt;
        index = number(remote_id.substr(prefix.size() + 1));
        if (!index || *index == 0) return std::nullopt;
        index = *index - 1;
    }
    if (this->remote_id(model, *index) != remote_id) return std::nullopt;
    return index;
}

} // namespace sandbox
