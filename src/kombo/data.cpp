#include "data.h"

#include "envelope.h"
#include "json.h"

namespace kombo {

std::string data_object(const std::string &body) {
    std::string padded = body;
    padded.append(simdjson::SIMDJSON_PADDING, ' ');
    const std::string_view text(padded.data(), body.size());
    std::string result;
    read_envelope(text, [&](simdjson::ondemand::value data) {
        if (scalar_token(data) != "{") {
            throw unexpected_body("Kombo's JSON {\"status\":\"success\",\"data\":{...}}", text);
        }
        Arena arena;
        Repairs repairs;
        result = jsonb_text(data, arena, repairs);
    });
    return result;
}

} // namespace kombo
