#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <simdjson.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace kombo {

/// Characters that PostgreSQL cannot hold and that were therefore replaced; the run counts and names these.
struct Repairs {
    uint32_t nul = 0;       ///< U+0000, now U+FFFD
    uint32_t surrogate = 0; ///< half of a surrogate pair, now U+FFFD
    uint32_t number = 0;    ///< a number beyond `numeric`, now its text
    uint32_t depth = 0;     ///< a value that nests deeper than 1024 levels, now its text

    bool any() const { return nul != 0 || surrogate != 0 || number != 0 || depth != 0; }
    Repairs &operator+=(const Repairs &other);
};

/// Memory for decoded values that live as long as a page or a batch: grows, and is freed as one.
class Arena {
public:
    Arena();
    Arena(const Arena &) = delete;
    Arena &operator=(const Arena &) = delete;

    /// Room for `size` bytes; never null, also for 0.
    char *allocate(size_t size);

    /// `count` objects, each made by default; none is destroyed.
    template <typename T> T *make(size_t count) {
        static_assert(std::is_trivially_destructible_v<T>);
        T *const made = std::pmr::polymorphic_allocator<T>(&memory_).allocate(count);
        std::uninitialized_value_construct_n(made, count);
        return made;
    }

    /// A copy of `text` that lives until clear().
    std::string_view store(std::string_view text);

    /// Forgets everything; all views into the arena are void. The memory is kept for the next page: to give it back and
    /// fetch it anew took the kernel a fifth of the time of unfolding one.
    void clear();

private:
    std::pmr::unsynchronized_pool_resource kept_;
    std::pmr::monotonic_buffer_resource memory_;
};

/// A text that is not JSON, or JSON that extends beyond what jsonb takes.
struct MalformedJson : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The value of a JSON string. `token` is the string with its quotes. Without escapes the result is a view into
/// `token`, else it lives in the arena. U+0000 and lone surrogates become U+FFFD and are counted in `repairs`.
/// Throws MalformedJson for a bad escape, a raw control character or missing quotes. UTF-8 is not checked: the page
/// parser has done that.
std::string_view string_value(std::string_view token, Arena &arena, Repairs &repairs);

/// True if `token` is a JSON number that PostgreSQL's `numeric` holds with all its digits: at most 131072 digits
/// before and 16383 after the decimal point, written ones and those that the exponent adds.
bool number_fits_numeric(std::string_view token);

/// True if `token` follows the JSON grammar for numbers, whatever its size.
bool is_json_number(std::string_view token);

/// JSON text of any value, scalar or nested, that PostgreSQL's jsonb is certain to accept: numbers keep their digits,
/// strings and keys are repaired as by string_value(), a number beyond `numeric` becomes a JSON string of its text.
/// A value that nests deeper than 1024 levels becomes a JSON string of its text. The whole text is checked against the
/// JSON grammar. Where nothing needs repair the result is a view into the page, else it lives in the arena. Throws
/// MalformedJson for what is not JSON, or holds a string longer than jsonb's limit of 268435455 bytes.
std::string_view jsonb_text(simdjson::ondemand::value value, Arena &arena, Repairs &repairs);

/// The same for raw JSON text, such as one of Page::records().
std::string_view jsonb_text(std::string_view raw, Arena &arena, Repairs &repairs);

/// The raw token of a scalar (a string with its quotes), white space trimmed. Not consumed: for inspection only.
/// Of an object or array it is just the opening bracket.
std::string_view scalar_token(simdjson::ondemand::value value);

/// The raw text of any value, white space trimmed. Consumes an object or array. Throws MalformedJson.
std::string_view raw_text(simdjson::ondemand::value value);

/// The key of a field, unescaped and repaired as by string_value(). Throws MalformedJson.
std::string_view key_text(simdjson::ondemand::field &field, Arena &arena, Repairs &repairs);

/// True if a field has just this key, which needs no escape: saves key_text() where the guess is good.
bool has_key(simdjson::ondemand::field &field, std::string_view guess);

/// Calls `callback(std::string_view key, simdjson::ondemand::value value)` for each field of an object, in order. Keys
/// are unescaped; one that `guess()` foretells is passed as that very view. Throws MalformedJson where the object is
/// broken, and whatever the callback throws.
template <typename Guess, typename Callback>
void for_each_field(simdjson::ondemand::object object, Arena &arena, Repairs &repairs, Guess &&guess,
                    Callback &&callback) {
    for (simdjson::simdjson_result<simdjson::ondemand::field> element : object) {
        simdjson::ondemand::field field;
        if (auto error = std::move(element).get(field)) {
            throw MalformedJson(simdjson::error_message(error));
        }
        const std::string_view foretold = guess();
        callback(has_key(field, foretold) ? foretold : key_text(field, arena, repairs), field.value());
    }
}

/// The same without a guess.
template <typename Callback>
void for_each_field(simdjson::ondemand::object object, Arena &arena, Repairs &repairs, Callback &&callback) {
    for_each_field(
        object, arena, repairs, [] { return std::string_view(); }, std::forward<Callback>(callback));
}

/// One record at a time, parsed in place. Keep one of these per stream: its buffers are reused.
class RecordParser {
public:
    /// Begins to read `record`, one of Page::records(), as an object. The object is valid until the next call.
    /// Throws MalformedJson when the record is not an object or not JSON.
    simdjson::ondemand::object parse(std::string_view record);

private:
    simdjson::ondemand::parser parser_;
    simdjson::ondemand::document document_;
};

} // namespace kombo
