#pragma once

#include "http.h"

#include <curl/curl.h>
#include <exception>

namespace kombo {

struct EasyDeleter {
    void operator()(CURL *easy) const { curl_easy_cleanup(easy); }
};
struct ListDeleter {
    void operator()(curl_slist *list) const { curl_slist_free_all(list); }
};
using EasyHandle = std::unique_ptr<CURL, EasyDeleter>;
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

/// One request on its way, and what has come of it.
struct Transfer {
    Transfers::Id id = 0;
    HeaderList request_headers;
    EasyHandle easy; ///< gone once finished
    char error_text[CURL_ERROR_SIZE] = "";
    size_t max_response_size = 0;
    bool too_large = false;
    bool out_of_memory = false;
    Response response;
    std::optional<Finished> finished;
};

/// Makes the easy handle. The transfer must stay where it is from here on. Throws std::runtime_error when libcurl
/// refuses a setting.
void prepare(Transfer &transfer, const Request &request, const HttpOptions &options);

/// The result of the transfer, once libcurl has reported its end.
Finished finish(Transfer &transfer, CURLcode code);

/// Runs the action; false if it threw. No exception may leave a callback of libcurl, and the standard library throws
/// no others there.
template <typename Action> bool without_exception(Action action) noexcept {
    try {
        action();
        return true;
    } catch (const std::exception &) {
        return false;
    }
}

} // namespace kombo
