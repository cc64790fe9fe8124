#pragma once

#include <jansson.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

namespace sandbox {

struct JsonFree {
    void operator()(json_t *value) const { json_decref(value); }
};

/// An owned jansson value.
using Json = std::unique_ptr<json_t, JsonFree>;

/// A request to the admin interface that cannot be done; `status` is the HTTP status of the answer.
struct AdminError : std::runtime_error {
    AdminError(int http_status, const std::string &message) : std::runtime_error(message), status(http_status) {}
    int status;
};

/// Parses any JSON value; null if the text is not JSON.
Json parse_json(const std::string &text);

/// The value as compact JSON text, scalars included.
std::string dump_json(const json_t *value);

/// The string at the key, or `otherwise` where there is none.
std::string text_at(const json_t *object, const char *key, const std::string &otherwise = {});

/// The integer at the key (a real is cut), or `otherwise`.
std::int64_t integer_at(const json_t *object, const char *key, std::int64_t otherwise);

/// Whether the key holds true; `otherwise` where there is no boolean.
bool flag_at(const json_t *object, const char *key, bool otherwise = false);

} // namespace sandbox
