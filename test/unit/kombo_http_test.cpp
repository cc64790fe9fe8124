#include "fault_server.h"

#include <gtest/gtest.h>

namespace kombo {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

HttpOptions quick() {
    HttpOptions options;
    options.allow_http = true;
    options.connect_timeout = milliseconds(1000);
    options.request_timeout = milliseconds(5000);
    return options;
}

Finished run(Transfers &transfers, const Request &request, const HttpOptions &options) {
    const Transfers::Id id = transfers.start(request, options);
    const auto give_up = Clock::now() + std::chrono::seconds(20);
    while (Clock::now() < give_up) {
        if (auto finished = transfers.take(id)) {
            return std::move(*finished);
        }
        turn(transfers);
    }
    throw std::runtime_error("the transfer never ended");
}

Finished fetch(const std::string &url, const HttpOptions &options = quick()) {
    Transfers transfers;
    return run(transfers, {url, {"X-Secret: hidden"}}, options);
}

ApiError failure(const std::string &url, const HttpOptions &options = quick()) {
    Finished finished = fetch(url, options);
    if (const auto *response = std::get_if<Response>(&finished)) {
        throw std::runtime_error("got status " + std::to_string(response->status));
    }
    return std::get<ApiError>(finished);
}

void expect_text(const ApiError &error, const std::string &part) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
}

TEST(Http, goes_on_where_it_is_only_looked_at_now_and_then) {
    const std::string large(size_t{4} << 20, 'x'); // more than the sockets' buffers hold
    FaultServer server({answer(200, large)});
    Transfers transfers;
    transfers.look();
    const Transfers::Id id = transfers.start({server.url(), {}}, quick());
    std::optional<Finished> finished;
    const auto give_up = Clock::now() + std::chrono::seconds(20);
    while (!finished && Clock::now() < give_up) {
        transfers.look();
        finished = transfers.take(id);
    }
    ASSERT_TRUE(finished);
    EXPECT_EQ(std::get<Response>(*finished).body, large);
}

TEST(Http, an_answer_has_status_headers_body_and_times) {
    FaultServer server({answer(200, "hello", "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Y: 1\r\n")});
    const Timestamp before = current_timestamp();
    const auto response = std::get<Response>(fetch(server.url("/a?b=c")));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "hello");
    EXPECT_EQ(response.headers.find("date"), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_GE(response.sent_at, before);
    EXPECT_LE(response.sent_at + response.elapsed, current_timestamp() + std::chrono::seconds(1));
    EXPECT_GT(response.elapsed.count(), 0);
    EXPECT_GT(response.wire_bytes, response.body.size());
    const std::string request = server.requests().at(0);
    EXPECT_EQ(request.substr(0, 19), "GET /a?b=c HTTP/1.1");
    EXPECT_NE(request.find("Accept-Encoding: "), std::string::npos);
    EXPECT_NE(request.find("gzip"), std::string::npos);
    EXPECT_NE(request.find("X-Secret: hidden"), std::string::npos);
}

TEST(Http, an_error_status_is_an_answer) {
    FaultServer server({answer(503, "<html>")});
    EXPECT_EQ(std::get<Response>(fetch(server.url())).status, 503);
}

TEST(Http, redirects_are_not_followed) {
    FaultServer target({answer(200, "secret")});
    FaultServer server({answer(302, "", "Location: " + target.url() + "\r\n")});
    EXPECT_EQ(std::get<Response>(fetch(server.url())).status, 302);
    EXPECT_TRUE(target.requests().empty());
}

TEST(Http, connections_are_reused) {
    FaultServer server({answer(200, "x")});
    Transfers transfers;
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(std::get<Response>(run(transfers, {server.url(), {}}, quick())).status, 200);
    }
    EXPECT_EQ(server.accepted(), 1);
}

TEST(Http, a_connection_is_not_used_for_ever) {
    FaultServer server({answer(200, "x")});
    Transfers transfers;
    HttpOptions options = quick();
    options.connection_life = std::chrono::seconds(1);
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (server.accepted() < 2 && std::chrono::steady_clock::now() < give_up) {
        EXPECT_EQ(std::get<Response>(run(transfers, {server.url(), {}}, options)).status, 200);
        std::this_thread::sleep_for(milliseconds(50));
    }
    EXPECT_EQ(server.accepted(), 2);
    EXPECT_EQ(HttpOptions().connection_life, std::chrono::minutes(3));
}

TEST(Http, an_answer_compressed_in_two_parts_is_not_called_a_lack_of_memory) {
    const std::string empty_gzip("\x1F\x8B\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0", 20);
    FaultServer server({answer(200, empty_gzip + empty_gzip, "Content-Encoding: gzip\r\n")});
    const ApiError error = failure(server.url());
    expect_text(error, "could not be decompressed");
    EXPECT_EQ(std::string(error.what()).find("memory"), std::string::npos) << error.what();
    EXPECT_TRUE(retryable(error));
}

TEST(Http, the_credentials_of_a_proxy_are_no_part_of_its_url) {
    FaultServer proxy({answer(200, "x")});
    HttpOptions options = quick();
    options.proxy = proxy.url("");
    options.proxy_user_password = "us%3Aer:pass:word";
    EXPECT_EQ(std::get<Response>(fetch("http://kombo.invalid/v1", options)).status, 200);
    const std::string request = proxy.requests().at(0);
    EXPECT_NE(request.find("Proxy-Authorization: Basic dXMlM0FlcjpwYXNzOndvcmQ="), std::string::npos) << request;
}

TEST(Http, a_path_is_sent_as_it_is) {
    FaultServer server({answer(200, "x")});
    fetch(server.url("/v1/integrations/%2E%2E"));
    EXPECT_EQ(server.requests().at(0).substr(0, 32), "GET /v1/integrations/%2E%2E HTTP");
}

TEST(Http, headers_of_an_informational_answer_are_not_those_of_the_final_one) {
    Answer both = answer(200, "x", "B: 2\r\n");
    both.bytes = "HTTP/1.1 103 Early Hints\r\nA: 1\r\n\r\n" + both.bytes;
    FaultServer server({both});
    const auto response = std::get<Response>(fetch(server.url()));
    EXPECT_EQ(response.headers.find("a"), std::nullopt);
    EXPECT_EQ(response.headers.find("b"), "2");
}

TEST(Http, a_refused_connection_is_unreachable) {
    std::string url;
    {
        FaultServer gone({answer(200, "")});
        url = gone.url("/path?token=hidden");
    }
    const ApiError error = failure(url);
    EXPECT_EQ(error.error_class, ErrorClass::Transport);
    EXPECT_TRUE(error.host_unreachable);
    EXPECT_TRUE(retryable(error));
    expect_text(error, "could not connect: Connection refused");
    EXPECT_EQ(std::string(error.what()).find("hidden"), std::string::npos) << error.what();
}

TEST(Http, an_unknown_host_is_unreachable) {
    const ApiError error = failure("http://no-such-host.invalid/?token=hidden");
    EXPECT_TRUE(error.host_unreachable);
    EXPECT_TRUE(retryable(error));
    expect_text(error, "could not resolve");
    EXPECT_EQ(std::string(error.what()).find("hidden"), std::string::npos) << error.what();
}

TEST(Http, plain_http_needs_permission_and_other_protocols_never_get_it) {
    FaultServer server({answer(200, "")});
    HttpOptions strict = quick();
    strict.allow_http = false;
    for (const auto &[url, options] :
         {std::pair(server.url(), strict), std::pair(std::string("file:///etc/passwd"), quick()),
          std::pair(std::string("ftp://127.0.0.1/"), quick())}) {
        const ApiError error = failure(url, options);
        EXPECT_FALSE(retryable(error)) << url;
        EXPECT_TRUE(error.host_unreachable) << url;
        expect_text(error, "not allowed");
    }
    EXPECT_EQ(server.accepted(), 0);
}

TEST(Http, a_malformed_url_is_permanent) {
    for (const char *url : {"http://", "http://[::1", "http://127.0.0.1:99999/", ""}) {
        const ApiError error = failure(url);
        EXPECT_FALSE(retryable(error)) << url << " " << error.what();
    }
}

TEST(Http, a_server_without_tls_is_named) {
    FaultServer server({{"nonsense, not TLS\r\n\r\n"}});
    const std::string url = "https" + server.url().substr(4);
    const ApiError error = failure(url);
    EXPECT_EQ(error.error_class, ErrorClass::Transport);
    EXPECT_TRUE(error.host_unreachable);
    expect_text(error, "TLS");
}

TEST(Http, connections_that_break_are_lost_and_retryable) {
    const Answer cases[] = {
        {""},                                                               // closed without an answer
        {"", false, false, milliseconds(0), true},                          // reset
        {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"},             // within the body
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal"},  // within a chunk
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf"}, // before the last chunk
    };
    for (const Answer &c : cases) {
        FaultServer server({c});
        const ApiError error = failure(server.url());
        EXPECT_EQ(error.error_class, ErrorClass::Transport);
        EXPECT_TRUE(retryable(error)) << error.what();
        EXPECT_FALSE(error.host_unreachable) << error.what();
    }
}

TEST(Http, headers_cut_short_leave_an_empty_body) {
    FaultServer server({{"HTTP/1.1 200 OK\r\nContent-Le"}});
    EXPECT_EQ(std::get<Response>(fetch(server.url())).body, "");
}

TEST(Http, what_is_not_http_is_an_error) {
    FaultServer server({{"220 smtp ready\r\n"}});
    const ApiError error = failure(server.url());
    EXPECT_FALSE(error.host_unreachable) << error.what();
    expect_text(error, "not HTTP");
}

TEST(Http, a_close_delimited_answer_cut_short_looks_whole_to_http) {
    FaultServer server({{"HTTP/1.1 200 OK\r\n\r\n{\"status\":"}});
    EXPECT_EQ(std::get<Response>(fetch(server.url())).body, "{\"status\":");
}

TEST(Http, a_server_that_never_answers_times_out) {
    FaultServer server({{"", false, true}});
    HttpOptions options = quick();
    options.request_timeout = milliseconds(300);
    const auto begin = Clock::now();
    const ApiError error = failure(server.url(), options);
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(2));
    EXPECT_TRUE(retryable(error));
    EXPECT_FALSE(error.host_unreachable);
    expect_text(error, "timed out after 0.3 s");
}

TEST(Http, a_dripping_answer_ends_at_the_total_timeout) {
    Answer drip = answer(200, std::string(1000, 'x'));
    drip.byte_pause = milliseconds(20);
    FaultServer server({drip});
    HttpOptions options = quick();
    options.request_timeout = milliseconds(400);
    expect_text(failure(server.url(), options), "timed out after 0.4 s");
}

TEST(Http, a_slow_answer_within_the_limits_arrives) {
    Answer drip = answer(200, "slow");
    drip.byte_pause = milliseconds(5);
    FaultServer server({drip});
    EXPECT_EQ(std::get<Response>(fetch(server.url())).body, "slow");
}

TEST(Http, a_body_over_the_limit_is_refused) {
    HttpOptions options = quick();
    options.max_response_size = 1000;
    FaultServer exact({answer(200, std::string(1000, 'x'))});
    EXPECT_EQ(std::get<Response>(fetch(exact.url(), options)).body.size(), 1000U);
    const std::string big(1001, 'x');
    for (const Answer &c : {answer(200, big), Answer{"HTTP/1.1 200 OK\r\n\r\n" + big}}) {
        FaultServer server({c});
        const ApiError error = failure(server.url(), options);
        EXPECT_FALSE(retryable(error));
        expect_text(error, "larger than max_response_size (1000 bytes)");
    }
}

// gzip of 100,000 times the character 0
constexpr unsigned char packed_zeros[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xed, 0xc1, 0x31, 0x01, 0x00, 0x00, 0x00, 0xc2, 0xa0,
    0x4a, 0xeb, 0x9f, 0xce, 0x1a, 0x1e, 0x40, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xaf, 0x06, 0x85, 0xc2, 0x4d, 0xc5, 0xa0, 0x86, 0x01, 0x00};

TEST(Http, compressed_answers_are_unpacked_and_the_limit_counts_after_that) {
    const std::string packed(reinterpret_cast<const char *>(packed_zeros), sizeof packed_zeros);
    const std::string gzip = "Content-Encoding: gzip\r\n";
    FaultServer server({answer(200, packed, gzip)});
    const auto response = std::get<Response>(fetch(server.url()));
    EXPECT_EQ(response.body, std::string(100'000, '0'));
    EXPECT_LT(response.wire_bytes, 1000U);
    HttpOptions options = quick();
    options.max_response_size = 99'999;
    expect_text(failure(server.url(), options), "larger than max_response_size");
    FaultServer garbage({answer(200, "not gzip at all", gzip)});
    expect_text(failure(garbage.url()), "could not be decompressed");
}

TEST(Http, several_transfers_run_at_once_and_a_cancelled_one_is_forgotten) {
    FaultServer slow({{"", false, true}});
    FaultServer fast({answer(200, "fast")});
    Transfers transfers;
    const auto hanging = transfers.start({slow.url(), {}}, quick());
    const auto first = transfers.start({fast.url(), {}}, quick());
    const auto second = transfers.start({fast.url(), {}}, quick());
    EXPECT_EQ(transfers.in_flight(), 3U);
    int answered = 0;
    const auto give_up = Clock::now() + std::chrono::seconds(5);
    while (answered < 2 && Clock::now() < give_up) {
        turn(transfers);
        for (const auto id : {first, second}) {
            try {
                answered += transfers.take(id) ? 1 : 0;
            } catch (const std::logic_error &) { // taken before
            }
        }
    }
    EXPECT_EQ(answered, 2);
    EXPECT_EQ(transfers.take(hanging), std::nullopt);
    const uint64_t version = transfers.interests_version();
    transfers.cancel(hanging);
    EXPECT_NE(transfers.interests_version(), version);
    EXPECT_TRUE(transfers.interests().empty());
    EXPECT_EQ(transfers.in_flight(), 0U);
    EXPECT_THROW(transfers.take(hanging), std::logic_error);
    transfers.cancel(hanging);
}

TEST(Http, transfers_in_flight_end_with_their_owner) {
    FaultServer slow({{"", false, true}});
    Transfers transfers;
    transfers.start({slow.url(), {}}, quick());
    turn(transfers);
}

TEST(Http, a_timer_that_has_gone_off_is_not_waited_for_again) {
    FaultServer server({answer(200, "hello")});
    Transfers transfers;
    HttpOptions options = quick();
    options.request_timeout = std::chrono::milliseconds(100);
    run(transfers, {server.url("/"), {}}, options);
    const auto give_up = Clock::now() + std::chrono::seconds(5);
    while (Clock::now() < give_up && transfers.timeout().value_or(std::chrono::milliseconds(0)).count() > 0) {
        turn(transfers);
    }
    int times = 0;
    while (times < 100 && transfers.timeout() == std::chrono::milliseconds(0)) {
        transfers.on_timeout();
        ++times;
    }
    EXPECT_LT(times, 100) << "an idle caller would spin";
}

TEST(Http, the_environment_names_no_proxy) {
    FaultServer proxy({answer(200, "proxy")});
    FaultServer server({answer(200, "direct")});
    setenv("http_proxy", proxy.url().c_str(), 1);
    setenv("all_proxy", proxy.url().c_str(), 1);
    EXPECT_EQ(std::get<Response>(fetch(server.url())).body, "direct");
    HttpOptions options = quick();
    options.proxy = proxy.url();
    EXPECT_EQ(std::get<Response>(fetch(server.url(), options)).body, "proxy");
    unsetenv("http_proxy");
    unsetenv("all_proxy");
}

TEST(Http, the_signal_mask_is_as_it_was) {
    sigset_t before;
    pthread_sigmask(SIG_SETMASK, nullptr, &before);
    FaultServer server({answer(200, "x")});
    fetch(server.url());
    fetch("http://no-such-host.invalid/");
    sigset_t after;
    pthread_sigmask(SIG_SETMASK, nullptr, &after);
    for (int signal = 1; signal < 32; ++signal) {
        EXPECT_EQ(sigismember(&before, signal), sigismember(&after, signal)) << signal;
    }
    EXPECT_EQ(sigismember(&after, SIGTERM), 0);
}

} // namespace
} // namespace kombo
