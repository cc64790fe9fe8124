#include "transport_error.h"

#include <system_error>

namespace kombo {
namespace {

std::string in_seconds(std::chrono::milliseconds duration) {
    const auto tenths = (duration.count() + 50) / 100;
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

bool was_refused_by_proxy(const TransportFailure &failure) {
    return failure.proxy_status >= 300;
}

std::string message(const TransportFailure &failure) {
    if (failure.too_large || failure.code == CURLE_FILESIZE_EXCEEDED) {
        return "the response is larger than max_response_size (" + std::to_string(failure.max_response_size) +
               " bytes)";
    }
    if (was_refused_by_proxy(failure)) {
        return "the proxy refused to connect with HTTP status " + std::to_string(failure.proxy_status);
    }
    switch (failure.code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "could not resolve the host name";
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "could not resolve the name of the proxy";
    case CURLE_COULDNT_CONNECT:
        return "could not connect" +
               (failure.os_errno ? ": " + std::generic_category().message(static_cast<int>(failure.os_errno)) : "");
    case CURLE_SSL_CONNECT_ERROR:
        return "could not agree on TLS";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "the server's certificate is not trusted";
    case CURLE_SSL_CACERT_BADFILE:
        return "the file of trusted certificates cannot be read";
    case CURLE_OPERATION_TIMEDOUT:
        return (failure.connected ? "timed out after " : "could not connect within ") + in_seconds(failure.elapsed);
    case CURLE_URL_MALFORMAT:
        return "the URL is malformed";
    case CURLE_UNSUPPORTED_PROTOCOL:
        return failure.connected ? "the response is not HTTP" : "the protocol of the URL is not allowed";
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return "the connection was lost before the response was complete";
    case CURLE_WRITE_ERROR: // not ours: libcurl says so of what follows a compressed answer, too
        return failure.out_of_memory ? "out of memory" : "the response could not be decompressed";
    case CURLE_BAD_CONTENT_ENCODING:
        return "the response could not be decompressed";
    case CURLE_WEIRD_SERVER_REPLY:
        return "the response is not HTTP";
    case CURLE_OUT_OF_MEMORY:
        return "out of memory";
    default:
        return "the transfer failed";
    }
}

bool is_unreachable(const TransportFailure &failure) {
    if (was_refused_by_proxy(failure)) {
        return true;
    }
    switch (failure.code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_URL_MALFORMAT:
        return true;
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return !failure.connected;
    default:
        return false;
    }
}

bool is_permanent(const TransportFailure &failure) {
    switch (failure.code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_URL_MALFORMAT:
    case CURLE_FILESIZE_EXCEEDED:
        return true;
    case CURLE_UNSUPPORTED_PROTOCOL:
        return !failure.connected;
    default:
        return failure.too_large;
    }
}

} // namespace

ApiError transport_error(const TransportFailure &failure) {
    std::string text = message(failure);
    const std::string detail = printable(failure.detail, 300);
    if (!detail.empty() && !failure.too_large) {
        text += " (" + detail + ")";
    }
    ApiError error(ErrorClass::Transport, 0, text);
    error.host_unreachable = is_unreachable(failure);
    error.permanent = is_permanent(failure);
    error.too_much = failure.too_large || failure.code == CURLE_FILESIZE_EXCEEDED ||
                     (failure.code == CURLE_OPERATION_TIMEDOUT && failure.connected);
    return error;
}

} // namespace kombo
