#pragma once

#include <cctype>
#include <cstdint>
#include <string_view>

namespace fuzz {

/// Judges JSON by RFC 8259, in the simplest way: what our own readers are compared with.
class StrictJson {
public:
    explicit StrictJson(std::string_view text) : text_(text) {}

    /// True if the whole text is one JSON value.
    bool is_valid() {
        space();
        if (!value(0)) return false;
        space();
        return at_ == text_.size();
    }

    /// True if it holds what jsonb refuses of valid JSON: U+0000, or half of a surrogate pair.
    bool has_refused_escape() const { return refused_; }
    size_t depth() const { return deepest_; }

private:
    char now() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool take(char c) { return at_ < text_.size() && text_[at_] == c && ++at_; }
    void space() {
        while (take(' ') || take('\t') || take('\n') || take('\r')) {
        }
    }

    bool word(std::string_view wanted) {
        if (text_.substr(at_, wanted.size()) != wanted) return false;
        at_ += wanted.size();
        return true;
    }

    bool value(size_t depth) {
        deepest_ = depth > deepest_ ? depth : deepest_;
        if (depth > 5000) return false;
        switch (now()) {
        case '{':
            return members(depth + 1);
        case '[':
            return elements(depth + 1);
        case '"':
            return string();
        case 't':
            return word("true");
        case 'f':
            return word("false");
        case 'n':
            return word("null");
        default:
            return number();
        }
    }

    bool members(size_t depth) {
        deepest_ = depth > deepest_ ? depth : deepest_;
        ++at_;
        space();
        if (take('}')) return true;
        do {
            space();
            if (now() != '"' || !string()) return false;
            space();
            if (!take(':')) return false;
            space();
            if (!value(depth)) return false;
            space();
        } while (take(','));
        return take('}');
    }

    bool elements(size_t depth) {
        deepest_ = depth > deepest_ ? depth : deepest_;
        ++at_;
        space();
        if (take(']')) return true;
        do {
            space();
            if (!value(depth)) return false;
            space();
        } while (take(','));
        return take(']');
    }

    bool digits() {
        const size_t first = at_;
        while (now() >= '0' && now() <= '9') ++at_;
        return at_ > first;
    }

    bool number() {
        take('-');
        if (!take('0') && !digits()) return false;
        if (take('.') && !digits()) return false;
        if (take('e') || take('E')) {
            if (!take('+')) take('-');
            return digits();
        }
        return true;
    }

    bool string() {
        ++at_;
        uint32_t high = 0; // half of a pair, the other half of which must follow
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (c == '"') {
                refused_ = refused_ || high != 0;
                return true;
            }
            if (static_cast<unsigned char>(c) < 0x20) return false;
            const uint32_t before = high;
            high = 0;
            uint32_t unit = 1;
            if (c == '\\') {
                const char kind = now();
                ++at_;
                if (kind == 'u') {
                    unit = 0;
                    for (int i = 0; i < 4; ++i, ++at_) {
                        if (!std::isxdigit(static_cast<unsigned char>(now()))) return false;
                        const char digit = now();
                        unit =
                            unit * 16 + static_cast<uint32_t>(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
                    }
                } else if (std::string_view("\"\\/bfnrt").find(kind) == std::string_view::npos || kind == '\0') {
                    return false;
                }
            }
            const bool low = unit >= 0xDC00 && unit <= 0xDFFF;
            if (unit >= 0xD800 && unit <= 0xDBFF) high = unit;
            refused_ = refused_ || unit == 0 || (before != 0) != low;
        }
        return false;
    }

    std::string_view text_;
    size_t at_ = 0;
    size_t deepest_ = 0;
    bool refused_ = false;
};

} // namespace fuzz
