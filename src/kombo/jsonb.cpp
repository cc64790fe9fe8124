#include "json.h"

#include "json_token.h"

#include <algorithm>
#include <bitset>
#include <vector>

namespace kombo {
namespace {

constexpr size_t longest_jsonb_string = 268'435'455; // JENTRY_OFFLENMASK of PostgreSQL's jsonb
constexpr size_t deepest_nesting = 1024;
constexpr std::string_view replacement_escape = "\\ufffd";

struct NestedTooDeeply : MalformedJson {
    using MalformedJson::MalformedJson;
};

// Checks a JSON text against the grammar and notes what jsonb would refuse.
class Checker {
public:
    struct Edit {
        size_t offset;
        size_t number_length; // 0: an escape, to be replaced by one of the same length
    };

    Checker(std::string_view text, Repairs &repairs) : text_(text), repairs_(repairs) {}

    const std::vector<Edit> &edits() const { return edits_; }

    void check() {
        skip_space();
        while (true) {
            if (begin_value()) {
                continue; // a container was opened: its first value follows
            }
            if (!end_value()) {
                return;
            }
        }
    }

private:
    char current() const { return position_ < text_.size() ? text_[position_] : '\0'; }

    void skip_space() {
        while (position_ < text_.size() && is_json_space(text_[position_])) {
            ++position_;
        }
    }

    void expect(char wanted) {
        skip_space();
        if (current() != wanted) {
            throw MalformedJson(std::string("expected \"") + wanted + "\"");
        }
        ++position_;
        skip_space();
    }

    // True when a container was opened that is not empty.
    bool begin_value() {
        switch (current()) {
        case '{':
            return open(true, '}');
        case '[':
            return open(false, ']');
        case '"':
            string();
            return false;
        case 't':
            literal("true");
            return false;
        case 'f':
            literal("false");
            return false;
        case 'n':
            literal("null");
            return false;
        default:
            number();
            return false;
        }
    }

    bool open(bool object, char closing) {
        if (depth_ == deepest_nesting) {
            throw NestedTooDeeply("nested too deeply");
        }
        ++position_;
        skip_space();
        if (current() == closing) {
            ++position_;
            return false;
        }
        is_object_[depth_++] = object;
        if (object) {
            key();
        }
        return true;
    }

    // After a value: goes on to the next one, closing containers; false at the end of the text.
    bool end_value() {
        while (true) {
            skip_space();
            if (depth_ == 0) {
                if (position_ != text_.size()) {
                    throw MalformedJson("more text after the value");
                }
                return false;
            }
            const bool object = is_object_[depth_ - 1];
            if (current() == ',') {
                ++position_;
                skip_space();
                if (object) {
                    key();
                }
                return true;
            }
            if (current() != (object ? '}' : ']')) {
                throw MalformedJson(object ? "expected \",\" or \"}\"" : "expected \",\" or \"]\"");
            }
            ++position_;
            --depth_;
        }
    }

    void key() {
        if (current() != '"') {
            throw MalformedJson("expected a key");
        }
        string();
        expect(':');
    }

    void string() {
        const size_t begin = ++position_;
        while (true) {
            position_ = skip_plain(text_, position_);
            if (current() == '"' && position_ < text_.size()) {
                break;
            }
            if (current() != '\\') {
                throw MalformedJson(position_ < text_.size() ? "control character in a string" : "unfinished string");
            }
            const Escape escape = read_escape(text_, position_);
            if (escape.repair != Escape::Repair::None) {
                count_repair(escape.repair, repairs_);
                edits_.push_back({position_, 0});
            }
            position_ += escape.length;
        }
        if (position_ - begin > longest_jsonb_string) {
            throw MalformedJson("string longer than jsonb can hold");
        }
        ++position_;
    }

    void literal(std::string_view word) {
        if (text_.substr(position_, word.size()) != word) {
            throw MalformedJson("unknown word");
        }
        position_ += word.size();
    }

    void number() {
        const Number number = read_number(text_.substr(position_));
        if (number.length == 0) {
            throw MalformedJson("expected a value");
        }
        if (!number.fits) {
            ++repairs_.number;
            edits_.push_back({position_, number.length});
        }
        position_ += number.length;
    }

    std::string_view text_;
    Repairs &repairs_;
    size_t position_ = 0;
    size_t depth_ = 0;
    std::bitset<deepest_nesting> is_object_;
    std::vector<Edit> edits_;
};

std::string_view apply(const std::vector<Checker::Edit> &edits, std::string_view raw, Arena &arena) {
    char *const begin = arena.allocate(raw.size() + 2 * edits.size());
    char *out = begin;
    size_t done = 0;
    const auto copy = [&](std::string_view piece) { out = std::copy(piece.begin(), piece.end(), out); };
    for (const Checker::Edit &edit : edits) {
        copy(raw.substr(done, edit.offset - done));
        if (edit.number_length == 0) {
            copy(replacement_escape);
            done = edit.offset + replacement_escape.size();
        } else {
            *out++ = '"';
            copy(raw.substr(edit.offset, edit.number_length));
            *out++ = '"';
            done = edit.offset + edit.number_length;
        }
    }
    copy(raw.substr(done));
    return {begin, static_cast<size_t>(out - begin)};
}

// The text as a JSON string. White space between tokens may be control characters; no others are JSON anywhere.
std::string_view as_string(std::string_view raw, Arena &arena) {
    char *const begin = arena.allocate(2 * raw.size() + 2);
    char *out = begin;
    *out++ = '"';
    for (const char c : raw) {
        if (c == '"' || c == '\\') {
            *out++ = '\\';
        }
        if (is_json_space(c)) {
            *out++ = ' ';
        } else if (static_cast<unsigned char>(c) < ' ') {
            throw MalformedJson("control character");
        } else {
            *out++ = c;
        }
    }
    *out++ = '"';
    return {begin, static_cast<size_t>(out - begin)};
}

} // namespace

std::string_view jsonb_text(std::string_view raw, Arena &arena, Repairs &repairs) {
    raw = trimmed_json(raw);
    Repairs found;
    Checker checker(raw, found);
    try {
        checker.check();
    } catch (const NestedTooDeeply &) {
        const std::string_view text = as_string(raw, arena);
        ++repairs.depth;
        return text;
    }
    repairs += found;
    return checker.edits().empty() ? raw : apply(checker.edits(), raw, arena);
}

std::string_view jsonb_text(simdjson::ondemand::value value, Arena &arena, Repairs &repairs) {
    return jsonb_text(raw_text(value), arena, repairs);
}

} // namespace kombo
