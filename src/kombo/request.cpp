#include "request.h"

#include <algorithm>
#include <stdexcept>

#ifndef KOMBO_SYNC_VERSION
#define KOMBO_SYNC_VERSION "unversioned"
#endif

namespace kombo {
namespace {

bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

bool is_control_or_space(char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == '\x7F';
}

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '\x7F';
}

bool begins_with(std::string_view text, std::string_view prefix) {
    return text.substr(0, prefix.size()) == prefix;
}

void require_header_text(std::string_view text, const char *name) {
    if (text.empty() || std::any_of(text.begin(), text.end(), is_control)) {
        throw std::invalid_argument(std::string(name) + " is empty or holds control characters");
    }
}

} // namespace

std::string percent_encode(std::string_view text) {
    constexpr char digits[] = "0123456789ABCDEF";
    std::string result;
    result.reserve(text.size());
    for (const char c : text) {
        if (is_unreserved(c)) {
            result += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            result += {'%', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return result;
}

Query &Query::add(std::string_view key, std::string_view value) {
    parameters_.emplace_back(key, value);
    return *this;
}

Query &Query::add_flag(std::string_view key, bool value) {
    return add(key, value ? "true" : "false");
}

Query &Query::add_list(std::string_view key, const std::vector<std::string> &values) {
    if (values.empty()) {
        return *this;
    }
    std::string joined;
    for (const std::string &value : values) {
        joined += value + ',';
    }
    joined.pop_back();
    return add(key, joined);
}

Query Query::with_cursor(std::string_view cursor) const {
    Query result;
    std::copy_if(parameters_.begin(), parameters_.end(), std::back_inserter(result.parameters_),
                 [](const auto &parameter) { return parameter.first != "cursor"; });
    result.add("cursor", cursor);
    return result;
}

std::string Query::encode() const {
    std::string result;
    for (const auto &[key, value] : parameters_) {
        result += (result.empty() ? "" : "&") + percent_encode(key) + "=" + percent_encode(value);
    }
    return result;
}

std::optional<std::string> base_url_problem(std::string_view base_url, bool allow_http) {
    const bool https = begins_with(base_url, "https://");
    const bool http = begins_with(base_url, "http://");
    if (!https && !(http && allow_http)) {
        return allow_http ? "must begin with https:// or http://" : "must begin with https://";
    }
    if (std::any_of(base_url.begin(), base_url.end(), is_control_or_space)) {
        return "must not hold spaces or control characters";
    }
    const std::string_view rest = base_url.substr(https ? 8 : 7);
    if (rest.find_first_of("?#") != std::string_view::npos) {
        return "must not hold a query or a fragment";
    }
    const std::string_view authority = rest.substr(0, rest.find('/'));
    if (authority.find('@') != std::string_view::npos) {
        return "must not hold a user name or password";
    }
    if (authority.empty() || authority.front() == ':') {
        return "must name a host";
    }
    return std::nullopt;
}

Api::Api(std::string_view base_url, std::string_view api_key) : base_url_(base_url) {
    if (const auto problem = base_url_problem(base_url, true)) {
        throw std::invalid_argument("base_url " + *problem);
    }
    require_header_text(api_key, "the API key");
    while (base_url_.back() == '/') {
        base_url_.pop_back();
    }
    authorization_ = "Authorization: Bearer " + std::string(api_key);
}

Request Api::list(std::string_view path, std::string_view integration_id, const Query &query) const {
    if (!begins_with(path, "/") || path.find_first_of("?#") != std::string_view::npos ||
        std::any_of(path.begin(), path.end(), is_control_or_space)) {
        throw std::invalid_argument("endpoint path \"" + std::string(path) + "\" is not a path");
    }
    require_header_text(integration_id, "the integration id");
    Request request = make(base_url_ + std::string(path) + (query.empty() ? "" : "?" + query.encode()));
    request.headers.push_back("X-Integration-Id: " + std::string(integration_id));
    return request;
}

Request Api::check_api_key() const {
    return make(base_url_ + "/check-api-key");
}

Request Api::integration(std::string_view integration_id) const {
    require_header_text(integration_id, "the integration id");
    std::string segment = percent_encode(integration_id);
    if (segment == "." || segment == "..") { // as they are they would name another path
        segment = segment == "." ? "%2E" : "%2E%2E";
    }
    return make(base_url_ + "/integrations/" + segment);
}

Request Api::make(std::string url) const {
    return {std::move(url), {"Accept: application/json", "User-Agent: kombo_sync/" KOMBO_SYNC_VERSION, authorization_}};
}

} // namespace kombo
