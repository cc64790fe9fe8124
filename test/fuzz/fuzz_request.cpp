// What becomes a request: base URL, key, path, integration and filters, a line each, and the cursor of the page before.

#include "expect.h"
#include "kombo/page.h"
#include "kombo/request.h"

#include <algorithm>
#include <curl/curl.h>
#include <tuple>
#include <vector>

namespace {

/// As a server reads it.
std::string decoded(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        fuzz::expect(i + 2 < text.size(), "an escape is whole", text);
        out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
        i += 2;
    }
    return out;
}

bool is_line(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos;
}

/// What curl takes the URL for: the host that was configured, and no other.
void check_url(const std::string &url, const std::string &base) {
    for (const char c : url) fuzz::expect(static_cast<unsigned char>(c) > 0x20 && c != 0x7F, "a URL is one word", url);
    CURLU *given = curl_url();
    CURLU *of_base = curl_url();
    if (curl_url_set(of_base, CURLUPART_URL, base.c_str(), 0) == CURLUE_OK) {
        fuzz::expect(curl_url_set(given, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK, "curl takes it", url);
        for (const CURLUPart part : {CURLUPART_HOST, CURLUPART_PORT, CURLUPART_SCHEME, CURLUPART_USER}) {
            char *a = nullptr;
            char *b = nullptr;
            curl_url_get(given, part, &a, 0);
            curl_url_get(of_base, part, &b, 0);
            fuzz::expect(std::string(a ? a : "") == (b ? b : ""), "it leads to the host that was configured", url);
            fuzz::expect(part != CURLUPART_USER || !b, "no base URL with a user is taken", base);
            curl_free(a);
            curl_free(b);
        }
    }
    curl_url_cleanup(given);
    curl_url_cleanup(of_base);
}

void check_query(const kombo::Query &query, const std::vector<std::pair<std::string, std::string>> &wanted) {
    std::string text = query.encode();
    for (const auto &[key, value] : wanted) {
        const std::string part = text.substr(0, text.find('&'));
        const size_t equals = part.find('=');
        fuzz::expect(equals != part.npos && decoded(part.substr(0, equals)) == key, "a filter keeps its name", text);
        fuzz::expect(decoded(part.substr(equals + 1)) == value, "a filter keeps its value", text);
        text.erase(0, std::min(part.size() + 1, text.size()));
    }
    fuzz::expect(text.empty(), "nothing is sent beside the filters", text);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    std::vector<std::string> lines(1);
    for (size_t i = 0; i < size; ++i)
        if (data[i] == '\n' && lines.size() < 12)
            lines.emplace_back();
        else
            lines.back() += static_cast<char>(data[i]);
    if (lines.size() < 5) return 0;
    const auto &[base, key, path, integration, cursor] = std::tie(lines[0], lines[1], lines[2], lines[3], lines[4]);

    kombo::Query query;
    std::vector<std::pair<std::string, std::string>> wanted;
    for (size_t i = 5; i < lines.size(); ++i) {
        query.add(lines[i], lines[i - 1]);
        wanted.emplace_back(lines[i], lines[i - 1]);
    }
    check_query(query, wanted);
    std::vector<std::pair<std::string, std::string>> with_cursor;
    for (const auto &one : wanted)
        if (one.first != "cursor") with_cursor.push_back(one);
    with_cursor.emplace_back("cursor", cursor);
    check_query(query.with_cursor(cursor), with_cursor);
    check_query(query.with_cursor("other").with_cursor(cursor), with_cursor);

    kombo::CursorTrail trail;
    for (size_t i = 4; i < lines.size(); ++i) {
        const bool seen = std::find(lines.begin() + 4, lines.begin() + static_cast<std::ptrdiff_t>(i), lines[i]) !=
                          lines.begin() + static_cast<std::ptrdiff_t>(i);
        fuzz::expect(trail.insert(lines[i]) == !seen, "a cursor that comes twice is found, and no other", lines[i]);
    }

    const auto strict = kombo::base_url_problem(base, false);
    const auto lenient = kombo::base_url_problem(base, true);
    fuzz::expect(!lenient || strict, "what is no URL with http is none without", base);
    try {
        const kombo::Api api(base, key);
        fuzz::expect(!lenient, "no request is made of a base URL that is refused", base);
        std::string plain = base;
        while (plain.back() == '/') plain.pop_back();
        for (const kombo::Request &request :
             {api.list(path, integration, query), api.integration(integration), api.check_api_key()}) {
            check_url(request.url, base);
            fuzz::expect(request.url.compare(0, plain.size(), plain) == 0, "it begins with the base URL", request.url);
            for (const std::string &header : request.headers)
                fuzz::expect(is_line(header), "no value of a header begins another", header);
        }
        const std::string url = api.integration(integration).url;
        const std::string segment = url.substr(url.rfind('/') + 1);
        fuzz::expect(decoded(segment) == integration && segment != "." && segment != "..",
                     "an integration is one segment of the path", url);
    } catch (const std::invalid_argument &) {
        return 0;
    }
    return 0;
}
