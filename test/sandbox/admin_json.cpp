#include "admin_json.h"

#include <cstdlib>

namespace sandbox {

Json parse_json(const std::string &text) {
    return Json(json_loadb(text.data(), text.size(), JSON_DECODE_ANY | JSON_ALLOW_NUL, nullptr));
}

std::string dump_json(const json_t *value) {
    char *dumped = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!dumped) return "null";
    std::string text(dumped);
    std::free(dumped);
    return text;
}

std::string text_at(const json_t *object, const char *key, const std::string &otherwise) {
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? std::string(json_string_value(value), json_string_length(value)) : otherwise;
}

std::int64_t integer_at(const json_t *object, const char *key, std::int64_t otherwise) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? static_cast<std::int64_t>(json_number_value(value)) : otherwise;
}

bool flag_at(const json_t *object, const char *key, bool otherwise) {
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

} // namespace sandbox
