// An answer that is not a page: status, headers and body, as "404\nRetry-After: 5\n\n{…}". Errors, the state of an
// integration, demanded waits, and what they do to the budget of a key.

#include "expect.h"
#include "kombo/data.h"
#include "kombo/error.h"
#include "kombo/integration_info.h"
#include "kombo/page.h"
#include "kombo/rate_budget.h"
#include "strict_json.h"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace std::chrono_literals;

std::string_view next_line(std::string_view &text) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

bool is_printable(std::string_view text, size_t limit) {
    return fuzz::is_text(text) && text.size() <= limit && std::none_of(text.begin(), text.end(), [](char c) {
               return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
           });
}

void check_error(const kombo::ApiError &error) {
    for (const std::string &text : {error.code, error.title, error.message, error.log_url})
        fuzz::expect(is_printable(text, 600), "texts from the network are printable", text);
    fuzz::expect(is_printable(error.text, 2500), "the whole text is printable", error.text);
    fuzz::expect(!error.retry_after || (*error.retry_after >= 0ms && *error.retry_after <= 24h),
                 "nobody waits more than a day, or less than no time");
    kombo::error_class_name(error.error_class);
    kombo::retryable(error);
    kombo::concerns_key(error);
}

/// Of a key's budget: whatever an answer claims, the next request may go out after five minutes.
void check_budget(const kombo::ApiError &error, const kombo::Headers &headers, std::string_view body) {
    static kombo::RateBudget budget;
    static int64_t now = 1'000'000;
    now += static_cast<int64_t>(body.size()) * 7;
    const auto number = [&](const char *name) {
        const auto text = headers.find(name);
        return text ? std::strtoll(std::string(*text).c_str(), nullptr, 10) : 0;
    };
    const auto end = kombo::window_end(headers);
    fuzz::expect(!end || (*end >= 0ms && *end <= 5min), "a window ends within five minutes");
    if (end) budget.note(number("ratelimit-limit"), number("ratelimit-remaining"), end->count(), now);
    if (error.error_class == kombo::ErrorClass::RateLimited)
        budget.refuse(error.retry_after.value_or(0ms).count(), now);
    else
        budget.answered(now);
    for (const bool urgent : {true, false}) {
        const auto wait = budget.take(urgent, now);
        fuzz::expect(!wait || (*wait > 0 && *wait <= 300'000), "a wait is of five minutes at most");
    }
    kombo::RateBudget later = budget;
    fuzz::expect(!later.take(true, now + 400'000) || !later.take(true, now + 800'000), "a wait ends");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    std::string_view text(reinterpret_cast<const char *>(data), size);
    const long status = std::strtol(std::string(next_line(text)).c_str(), nullptr, 10);
    kombo::Headers headers;
    for (std::string_view line = next_line(text); !line.empty(); line = next_line(text)) headers.add_line(line);
    const std::string body(text);

    const kombo::ApiError error = kombo::classify(status, body, headers);
    check_error(error);
    check_budget(error, headers, body);
    fuzz::expect(is_printable(kombo::outline(body), 600), "an outline is printable", kombo::outline(body));
    for (const size_t limit : {size_t{0}, size_t{3}, size_t{60}})
        fuzz::expect(is_printable(kombo::printable(body, limit), limit), "printable text is as short as wanted");
    fuzz::expect(kombo::printable(kombo::printable(body)) == kombo::printable(body), "printable text stays as it is");
    try {
        const std::string object = kombo::data_object(body);
        fuzz::StrictJson strict(object);
        fuzz::expect(strict.is_valid() && !strict.has_refused_escape(), "data is JSON that jsonb takes", object);
        const kombo::IntegrationInfo info = kombo::parse_integration_info(object);
        for (const std::string &member : {info.status, info.setup_status, info.category, info.tool})
            fuzz::expect(is_printable(member, 200), "what an integration is told to be is printable", member);
    } catch (const kombo::MalformedBody &malformed) {
        fuzz::expect(fuzz::is_text(malformed.what()), "an error is text", malformed.what());
    }
    return 0;
}
