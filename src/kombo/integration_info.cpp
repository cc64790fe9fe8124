#include "integration_info.h"

#include "error.h"
#include "page.h"

#include <jansson.h>
#include <memory>

namespace kombo {

namespace {

struct Release {
    void operator()(json_t *json) const { json_decref(json); }
};

std::string text(const json_t *value) {
    const char *found = json_string_value(value);
    return found ? printable(found, 200) : std::string();
}

} // namespace

IntegrationInfo parse_integration_info(std::string_view data) {
    const std::unique_ptr<json_t, Release> root(json_loadb(data.data(), data.size(), JSON_ALLOW_NUL, nullptr));
    if (!json_is_object(root.get())) {
        throw MalformedBody("the response does not describe an integration");
    }
    IntegrationInfo info;
    info.status = text(json_object_get(root.get(), "status"));
    info.setup_status = text(json_object_get(root.get(), "setup_status"));
    info.category = text(json_object_get(root.get(), "category"));
    // An object with the tool's id, or the id itself.
    const json_t *tool = json_object_get(root.get(), "tool");
    info.tool = text(json_is_object(tool) ? json_object_get(tool, "id") : tool);
    info.data_expired_at = parse_timestamp(text(json_object_get(root.get(), "data_expired_at")));
    return info;
}

} // namespace kombo
