#pragma once

#include "http.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kombo {

/// Percent-encodes all but the unreserved characters of RFC 3986 (a comma becomes `%2C`).
std::string percent_encode(std::string_view text);

/// The parameters of a list, in order.
class Query {
public:
    Query &add(std::string_view key, std::string_view value);

    /// `true` or `false`.
    Query &add_flag(std::string_view key, bool value);

    /// ONE parameter, its values joined by commas (protocol: `ids=a%2Cb`). An empty list adds nothing.
    Query &add_list(std::string_view key, const std::vector<std::string> &values);

    /// The same query with a cursor: every filter has to be repeated with every cursor (protocol, pagination).
    Query with_cursor(std::string_view cursor) const;

    /// `a=b&c=d`, percent-encoded; empty for an empty query.
    std::string encode() const;

    bool empty() const { return parameters_.empty(); }

private:
    std::vector<std::pair<std::string, std::string>> parameters_;
};

/// The mistake in a base URL, as a clause for an error message ("must begin with https://"); nullopt if there is none.
std::optional<std::string> base_url_problem(std::string_view base_url, bool allow_http);

/// Makes the requests of Kombo's API for one base URL and key.
class Api {
public:
    /// `base_url` with or without a trailing slash. Throws std::invalid_argument for a base URL that no request can
    /// be made of, and for a key that holds characters that cannot be in a header (the key is not in the text).
    Api(std::string_view base_url, std::string_view api_key);

    /// One page of a list. `path` as in the catalogue (`/hris/employees`). Throws std::invalid_argument for a path
    /// that does not begin with `/` or holds `?`, `#`, spaces or control characters, and for an integration id that
    /// cannot be in a header.
    Request list(std::string_view path, std::string_view integration_id, const Query &query) const;

    /// GET /check-api-key
    Request check_api_key() const;

    /// GET /integrations/{id}
    Request integration(std::string_view integration_id) const;

private:
    Request make(std::string url) const;

    std::string base_url_;
    std::string authorization_;
};

} // namespace kombo
