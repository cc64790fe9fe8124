#include "transfer.h"

#include "request.h"
#include "transport_error.h"

#include <algorithm>
#include <new>
#include <stdexcept>

// CURLOPT_QUICK_EXIT, without which a silent name server holds up a cancel, came with this version.
static_assert(LIBCURL_VERSION_NUM >= 0x075700, "libcurl 7.87 or later is needed");

namespace kombo {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t most_headers = 500;

template <typename Value> void set(Transfer &transfer, CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(transfer.easy.get(), option, value);
    if (code != CURLE_OK) {
        throw std::runtime_error(std::string("libcurl refused a setting: ") + curl_easy_strerror(code));
    }
}

/// Newer versions of libcurl have a time before the transfer also if they refused the URL at once.
bool has_peer(const Transfer &transfer) {
    const char *address = nullptr;
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_PRIMARY_IP, &address);
    return address != nullptr && *address != '\0';
}

curl_off_t get_info(const Transfer &transfer, CURLINFO info) {
    curl_off_t value = 0;
    curl_easy_getinfo(transfer.easy.get(), info, &value);
    return value;
}

/// Whether the connection, TLS included, was up. Where a kept one broke and libcurl could not make a new one, the
/// times are the old one's, but not the words.
bool was_connected(const Transfer &transfer) {
    return get_info(transfer, CURLINFO_PRETRANSFER_TIME_T) > 0 && has_peer(transfer) &&
           std::string_view(transfer.error_text).rfind("Connection timed out", 0) != 0;
}

size_t on_body(char *data, size_t, size_t size, void *context) noexcept {
    auto &transfer = *static_cast<Transfer *>(context);
    std::string &body = transfer.response.body;
    if (size > transfer.max_response_size - body.size()) {
        transfer.too_large = true;
        return 0;
    }
    transfer.out_of_memory = !without_exception([&] { body.append(data, size); });
    return transfer.out_of_memory ? 0 : size;
}

size_t on_header(char *data, size_t, size_t size, void *context) noexcept {
    auto &transfer = *static_cast<Transfer *>(context);
    transfer.out_of_memory = !without_exception([&] {
        const std::string_view line(data, size);
        if (line.substr(0, 5) == "HTTP/") {
            transfer.response.headers.clear(); // a 1xx answer came before this one
        } else if (transfer.response.headers.size() < most_headers) {
            transfer.response.headers.add_line(line);
        }
    });
    return transfer.out_of_memory ? 0 : size;
}

void set_limits(Transfer &transfer, const HttpOptions &options) {
    // The low-speed limit finds a dead connection; only the total timeout ends one that drips.
    const long low_speed_seconds = std::max<long>(5, static_cast<long>(options.request_timeout.count() / 2000));
    set(transfer, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));
    set(transfer, CURLOPT_TIMEOUT_MS, static_cast<long>(options.request_timeout.count()));
    set(transfer, CURLOPT_LOW_SPEED_LIMIT, 10L);
    set(transfer, CURLOPT_LOW_SPEED_TIME, low_speed_seconds);
    set(transfer, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(options.max_response_size));
    transfer.max_response_size = options.max_response_size;
}

void set_connection(Transfer &transfer, const HttpOptions &options) {
    set(transfer, CURLOPT_PROTOCOLS_STR, options.allow_http ? "https,http" : "https");
    set(transfer, CURLOPT_FOLLOWLOCATION, 0L);
    set(transfer, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    set(transfer, CURLOPT_PROXY, options.proxy.c_str()); // an empty one also keeps the environment out
    set(transfer, CURLOPT_NOPROXY, "");
    if (!options.proxy_user_password.empty()) {
        const size_t colon = options.proxy_user_password.find(':');
        const std::string_view both = options.proxy_user_password;
        const std::string_view password = colon == std::string::npos ? "" : both.substr(colon + 1);
        // libcurl decodes both; if they are set one by one, only its older versions do.
        const std::string encoded = percent_encode(both.substr(0, colon)) + ":" + percent_encode(password);
        set(transfer, CURLOPT_PROXYUSERPWD, encoded.c_str());
    }
    set(transfer, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(transfer, CURLOPT_SSL_VERIFYPEER, 1L);
    set(transfer, CURLOPT_SSL_VERIFYHOST, 2L);
    if (!options.ca_file.empty()) {
        // libcurl has a folder of authorities built in, which it would go on trusting beside the file.
        set(transfer, CURLOPT_CAINFO, options.ca_file.c_str());
        set(transfer, CURLOPT_CAPATH, static_cast<char *>(nullptr));
        set(transfer, CURLOPT_PROXY_CAINFO, options.ca_file.c_str());
        set(transfer, CURLOPT_PROXY_CAPATH, static_cast<char *>(nullptr));
        // The file may be replaced. libcurl would go on trusting its old authorities for a day.
        set(transfer, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    }
    set(transfer, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    set(transfer, CURLOPT_ACCEPT_ENCODING, "");
    set(transfer, CURLOPT_NOSIGNAL, 1L);
    set(transfer, CURLOPT_QUICK_EXIT, 1L);
    set(transfer, CURLOPT_TCP_KEEPALIVE, 1L);
    set(transfer, CURLOPT_MAXLIFETIME_CONN, static_cast<long>(options.connection_life.count()));
}

void set_request(Transfer &transfer, const Request &request) {
    set(transfer, CURLOPT_URL, request.url.c_str());
    set(transfer, CURLOPT_PATH_AS_IS, 1L); // an id may be two dots
    for (const std::string &header : request.headers) {
        curl_slist *const longer = curl_slist_append(transfer.request_headers.get(), header.c_str());
        if (longer == nullptr) {
            throw std::bad_alloc();
        }
        static_cast<void>(transfer.request_headers.release()); // appending hands on the same list
        transfer.request_headers.reset(longer);
    }
    set(transfer, CURLOPT_HTTPHEADER, transfer.request_headers.get());
    set(transfer, CURLOPT_WRITEFUNCTION, on_body);
    set(transfer, CURLOPT_WRITEDATA, &transfer);
    set(transfer, CURLOPT_HEADERFUNCTION, on_header);
    set(transfer, CURLOPT_HEADERDATA, &transfer);
    set(transfer, CURLOPT_ERRORBUFFER, transfer.error_text);
    set(transfer, CURLOPT_PRIVATE, &transfer);
}

} // namespace

void prepare(Transfer &transfer, const Request &request, const HttpOptions &options) {
    transfer.easy.reset(curl_easy_init());
    if (transfer.easy == nullptr) {
        throw std::bad_alloc();
    }
    set_request(transfer, request);
    set_connection(transfer, options);
    set_limits(transfer, options);
    transfer.response.sent_at = current_timestamp();
    transfer.response.started = Clock::now();
}

Finished finish(Transfer &transfer, CURLcode code) {
    const auto elapsed =
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - transfer.response.started);
    if (code != CURLE_OK) {
        TransportFailure failure{code, transfer.error_text};
        failure.elapsed = std::chrono::duration_cast<milliseconds>(elapsed);
        failure.connected = was_connected(transfer);
        failure.too_large = transfer.too_large;
        failure.out_of_memory = transfer.out_of_memory;
        failure.max_response_size = transfer.max_response_size;
        curl_easy_getinfo(transfer.easy.get(), CURLINFO_OS_ERRNO, &failure.os_errno);
        curl_easy_getinfo(transfer.easy.get(), CURLINFO_HTTP_CONNECTCODE, &failure.proxy_status);
        return transport_error(failure);
    }
    Response response = std::move(transfer.response);
    long header_bytes = 0;
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &response.status);
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_HEADER_SIZE, &header_bytes);
    response.elapsed = elapsed;
    response.wire_bytes = static_cast<size_t>(header_bytes + get_info(transfer, CURLINFO_SIZE_DOWNLOAD_T));
    return response;
}

} // namespace kombo
