// Asks Kombo's lists and does nothing with the answers: what the network and the API alone take.
//
//   raw-client BASE_URL API_KEY CONCURRENCY [--urls] < lists
//
// A list is a line `INTEGRATION PATH?QUERY`; its pages are asked for one after the other, up to CONCURRENCY lists at
// once, in the order of the lines. Connections and compression as in src/kombo/transfer.cpp. Prints
// {"seconds": …, "requests": …, "bytes": …}, bytes as received; with --urls every URL it asked for, a line each, first.
#include <curl/curl.h>

#include <chrono>
#include <cstdio>
#include <deque>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

template <typename Handle, void (*release)(Handle *)> struct Releaser {
    void operator()(Handle *handle) const { release(handle); }
};

void release_multi(CURLM *multi) {
    curl_multi_cleanup(multi);
}

using Easy = std::unique_ptr<CURL, Releaser<CURL, curl_easy_cleanup>>;
using Multi = std::unique_ptr<CURLM, Releaser<CURLM, release_multi>>;
using Headers = std::unique_ptr<curl_slist, Releaser<curl_slist, curl_slist_free_all>>;

struct Target {
    std::string base_url;
    std::string api_key;
};

struct Sums {
    long requests = 0;
    curl_off_t bytes = 0;
};

/// A list that is being asked for, page after page.
struct List {
    std::string first; ///< the URL without a cursor
    std::string url;   ///< of the page that is under way
    std::string body;
    Headers headers;
    Easy easy;
};

size_t on_body(char *data, size_t, size_t size, void *context) {
    static_cast<std::string *>(context)->append(data, size);
    return size;
}

void check(CURLMcode code) {
    if (code != CURLM_OK) throw std::runtime_error(curl_multi_strerror(code));
}

/// The cursor of the next page: found as text, not parsed.
std::string_view next_cursor(std::string_view body) {
    constexpr std::string_view key = "\"next\":\"";
    const size_t found = body.rfind(key);
    if (found == std::string_view::npos) return {};
    const size_t begin = found + key.size();
    return body.substr(begin, body.find('"', begin) - begin);
}

std::unique_ptr<List> make_list(const Target &target, std::string_view line) {
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) throw std::invalid_argument("a line is INTEGRATION PATH?QUERY");
    auto list = std::make_unique<List>();
    list->first = target.base_url + std::string(line.substr(space + 1));
    for (const std::string &header :
         {std::string("Accept: application/json"), std::string("User-Agent: raw-client"),
          "Authorization: Bearer " + target.api_key, "X-Integration-Id: " + std::string(line.substr(0, space))}) {
        curl_slist *const longer = curl_slist_append(list->headers.get(), header.c_str());
        if (longer == nullptr) throw std::bad_alloc();
        static_cast<void>(list->headers.release()); // appending hands on the same list
        list->headers.reset(longer);
    }
    list->easy.reset(curl_easy_init());
    if (!list->easy) throw std::bad_alloc();
    return list;
}

void ask(CURLM *multi, List &list, std::string url) {
    CURL *const easy = list.easy.get();
    list.url = std::move(url);
    list.body.clear();
    curl_easy_setopt(easy, CURLOPT_URL, list.url.c_str());
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list.headers.get());
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &list.body);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, &list);
    check(curl_multi_add_handle(multi, easy));
}

/// Takes one answer into account; true if its list has a further page, which is then under way.
bool go_on(CURLM *multi, List &list, CURLcode code, Sums &sums) {
    long status = 0;
    curl_off_t bytes = 0;
    curl_easy_getinfo(list.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(list.easy.get(), CURLINFO_SIZE_DOWNLOAD_T, &bytes);
    if (code != CURLE_OK || status != 200)
        throw std::runtime_error(list.url + ": " + curl_easy_strerror(code) + ", status " + std::to_string(status));
    ++sums.requests;
    sums.bytes += bytes;
    check(curl_multi_remove_handle(multi, list.easy.get()));
    const std::string cursor(next_cursor(list.body)); // a copy: asking clears the body
    if (cursor.empty()) return false;
    ask(multi, list, list.first + (list.first.find('?') == std::string::npos ? "?" : "&") + "cursor=" + cursor);
    return true;
}

Sums ask_all(std::deque<std::unique_ptr<List>> waiting, size_t concurrency, bool print_urls) {
    // In this order: the easy handles of the lists go before the multi handle.
    const Multi multi(curl_multi_init());
    std::vector<std::unique_ptr<List>> asked;
    size_t under_way = 0;
    Sums sums;
    const auto begin = [&] {
        for (; under_way < concurrency && !waiting.empty(); ++under_way) {
            asked.push_back(std::move(waiting.front()));
            waiting.pop_front();
            ask(multi.get(), *asked.back(), asked.back()->first);
        }
    };
    for (begin(); under_way > 0; begin()) {
        int left = 0;
        check(curl_multi_poll(multi.get(), nullptr, 0, 1000, nullptr)); // at once where a request is new
        check(curl_multi_perform(multi.get(), &left));
        while (const CURLMsg *const message = curl_multi_info_read(multi.get(), &left)) {
            const CURLcode code = message->data.result; // the message is gone with its handle
            List *list = nullptr;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &list);
            if (print_urls) std::printf("%s\n", list->url.c_str());
            if (!go_on(multi.get(), *list, code, sums)) {
                --under_way;
                list->easy.reset();
            }
        }
    }
    return sums;
}

int run(const std::vector<std::string> &arguments) {
    if (arguments.size() < 3) throw std::invalid_argument("raw-client BASE_URL API_KEY CONCURRENCY [--urls] < lists");
    const Target target{arguments[0], arguments[1]};
    const bool print_urls = arguments.size() > 3 && arguments[3] == "--urls";
    std::deque<std::unique_ptr<List>> lists;
    for (std::string line; std::getline(std::cin, line);) lists.push_back(make_list(target, line));
    const auto began = std::chrono::steady_clock::now();
    const Sums sums = ask_all(std::move(lists), std::stoul(arguments[2]), print_urls);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("{\"seconds\": %.6f, \"requests\": %ld, \"bytes\": %lld}\n", took.count(), sums.requests,
                static_cast<long long>(sums.bytes));
    return 0;
}

} // namespace

int main(int count, char **arguments) {
    try {
        return run(std::vector<std::string>(arguments + 1, arguments + count));
    } catch (const std::exception &error) {
        std::fprintf(stderr, "raw-client: %s\n", error.what());
        return 1;
    }
}
