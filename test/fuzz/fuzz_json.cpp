// Any JSON text, as it goes to a column of type jsonb, text or numeric. Compared with a second reader of JSON.

#include "expect.h"
#include "kombo/json.h"
#include "strict_json.h"

#include <jansson.h>
#include <simdjson.h>

namespace {

/// One string, decoded by us and by jansson, which refuses what we repair.
void compare_string(std::string_view token, std::string_view value) {
    json_t *root = json_loadb(token.data(), token.size(), JSON_DECODE_ANY | JSON_ALLOW_NUL, nullptr);
    if (root && json_is_string(root))
        fuzz::expect(std::string_view(json_string_value(root), json_string_length(root)) == value,
                     "a string is what jansson takes it for", token);
    json_decref(root);
}

std::string trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return "";
    return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    // In a buffer of just this size, so that a byte too far is found.
    const std::string exact = trimmed({reinterpret_cast<const char *>(data), size});
    const std::string_view text(exact);
    fuzz::StrictJson strict(text);
    const bool valid = strict.is_valid();
    kombo::Arena arena;
    kombo::Repairs repairs;
    try {
        const std::string_view stored = kombo::jsonb_text(text, arena, repairs);
        // Of what nests too deeply the rest is not read.
        fuzz::expect(valid || repairs.depth > 0, "no text is taken that is not JSON", text);
        fuzz::expect((strict.depth() > 1024) == (repairs.depth > 0), "1024 levels are stored, and no more", text);
        fuzz::StrictJson again(stored);
        fuzz::expect(again.is_valid() && !again.has_refused_escape(), "what is stored is JSON that jsonb takes",
                     stored);
        fuzz::expect(repairs.any() || stored.data() == text.data(), "what needs no repair is not copied", text);
        fuzz::expect(repairs.depth > 0 || strict.has_refused_escape() == (repairs.nul + repairs.surrogate > 0),
                     "what jsonb refuses is repaired and counted, nothing else is", text);
        kombo::Repairs none;
        kombo::Arena other;
        fuzz::expect(kombo::jsonb_text(stored, other, none) == stored && !none.any(),
                     "what was repaired needs no repair", stored);
    } catch (const kombo::MalformedJson &) {
        fuzz::expect(!valid, "no JSON is refused", text);
    }
    try {
        kombo::Repairs of_string;
        const std::string_view value = kombo::string_value(text, arena, of_string);
        // A string of its own; UTF-8 is the page parser's to check.
        fuzz::expect(valid && text.front() == '"', "no text is taken for a string that is none", text);
        fuzz::expect(!fuzz::is_text(text) || fuzz::is_text(value), "a string is text that PostgreSQL takes", text);
        if (!of_string.any()) compare_string(text, value);
    } catch (const kombo::MalformedJson &) {
        fuzz::expect(!valid || text.front() != '"', "no string is refused", text);
    }
    const bool is_number = valid && (text.front() == '-' || (text.front() >= '0' && text.front() <= '9'));
    fuzz::expect(kombo::is_json_number(text) == is_number, "a number is what JSON takes for one", text);
    fuzz::expect(is_number || !kombo::number_fits_numeric(text), "only a number goes to numeric", text);
    return 0;
}
