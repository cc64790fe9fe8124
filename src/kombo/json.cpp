#include "json.h"

#include "json_token.h"

#include <algorithm>
#include <cstring>

namespace kombo {
namespace {

char *write_utf8(uint32_t code_point, char *out) {
    if (code_point < 0x80) {
        *out++ = static_cast<char>(code_point);
    } else if (code_point < 0x800) {
        *out++ = static_cast<char>(0xC0 | (code_point >> 6));
        *out++ = static_cast<char>(0x80 | (code_point & 0x3F));
    } else if (code_point < 0x10000) {
        *out++ = static_cast<char>(0xE0 | (code_point >> 12));
        *out++ = static_cast<char>(0x80 | ((code_point >> 6) & 0x3F));
        *out++ = static_cast<char>(0x80 | (code_point & 0x3F));
    } else {
        *out++ = static_cast<char>(0xF0 | (code_point >> 18));
        *out++ = static_cast<char>(0x80 | ((code_point >> 12) & 0x3F));
        *out++ = static_cast<char>(0x80 | ((code_point >> 6) & 0x3F));
        *out++ = static_cast<char>(0x80 | (code_point & 0x3F));
    }
    return out;
}

} // namespace

Repairs &Repairs::operator+=(const Repairs &other) {
    nul += other.nul;
    surrogate += other.surrogate;
    depth += other.depth;
    number += other.number;
    return *this;
}

namespace {
constexpr std::pmr::pool_options keep_blocks = {1, size_t{4}
                                                       << 20}; // of an arena's growing blocks each is one of its kind
} // namespace

Arena::Arena() : kept_(keep_blocks), memory_(size_t{64} << 10, &kept_) {}

char *Arena::allocate(size_t size) {
    return static_cast<char *>(memory_.allocate(std::max<size_t>(size, 1), 1));
}

std::string_view Arena::store(std::string_view text) {
    char *const copy = allocate(text.size());
    std::copy(text.begin(), text.end(), copy);
    return {copy, text.size()};
}

void Arena::clear() {
    memory_.release();
}

std::string_view string_value(std::string_view token, Arena &arena, Repairs &repairs) {
    token = trimmed_json(token);
    if (token.size() < 2 || token.front() != '"' || token.back() != '"') {
        throw MalformedJson("expected a string");
    }
    const std::string_view content = token.substr(1, token.size() - 2);
    size_t position = skip_plain(content, 0);
    if (position == content.size()) {
        return content;
    }
    char *const begin = arena.allocate(content.size());
    char *out = std::copy_n(content.data(), position, begin);
    while (position < content.size()) {
        if (content[position] != '\\') {
            throw MalformedJson(content[position] == '"' ? "quote inside a string" : "control character in a string");
        }
        const Escape escape = read_escape(content, position);
        count_repair(escape.repair, repairs);
        out = write_utf8(escape.code_point, out);
        position += escape.length;
        const size_t next = skip_plain(content, position);
        out = std::copy_n(content.data() + position, next - position, out);
        position = next;
    }
    return {begin, static_cast<size_t>(out - begin)};
}

bool number_fits_numeric(std::string_view token) {
    const Number number = read_number(token);
    return !token.empty() && number.length == token.size() && number.fits;
}

bool is_json_number(std::string_view token) {
    return !token.empty() && read_number(token).length == token.size();
}

std::string_view scalar_token(simdjson::ondemand::value value) {
    return trimmed_json(value.raw_json_token());
}

std::string_view raw_text(simdjson::ondemand::value value) {
    std::string_view text;
    simdjson::error_code error;
    const std::string_view token = scalar_token(value);
    switch (token.empty() ? '\0' : token.front()) {
    case '{': {
        simdjson::ondemand::object object;
        error = value.get_object().get(object);
        if (!error) {
            error = object.raw_json().get(text);
        }
        break;
    }
    case '[': {
        simdjson::ondemand::array array;
        error = value.get_array().get(array);
        if (!error) {
            error = array.raw_json().get(text);
        }
        break;
    }
    default:
        return token;
    }
    if (error) {
        throw MalformedJson(simdjson::error_message(error));
    }
    return trimmed_json(text);
}

bool has_key(simdjson::ondemand::field &field, std::string_view guess) {
    // The padding behind the text lets a few bytes be read, whatever comes.
    if (guess.empty() || guess.size() >= simdjson::SIMDJSON_PADDING) {
        return false;
    }
    const char *const content = field.key().raw();
    return std::memcmp(content, guess.data(), guess.size()) == 0 && content[guess.size()] == '"';
}

std::string_view key_text(simdjson::ondemand::field &field, Arena &arena, Repairs &repairs) {
    // simdjson has found the closing quote and a colon behind it; only where the key ends is not handed out.
    const char *const content = field.key().raw();
    const char *end = content;
    while (*end != '"') {
        end += *end == '\\' ? 2 : 1;
    }
    return string_value({content - 1, static_cast<size_t>(end - content) + 2}, arena, repairs);
}

simdjson::ondemand::object RecordParser::parse(std::string_view record) {
    auto error =
        parser_.iterate(record.data(), record.size(), record.size() + simdjson::SIMDJSON_PADDING).get(document_);
    simdjson::ondemand::object object;
    if (!error) {
        error = document_.get_object().get(object);
    }
    if (error) {
        throw MalformedJson(simdjson::error_message(error));
    }
    return object;
}

} // namespace kombo
