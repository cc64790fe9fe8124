#include "api.h"
#include "clock.h"

#include <algorithm>
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace {

using namespace sandbox;

struct Options {
    int port = 0;
    std::string api_key = "sandbox-key";
    std::vector<std::string> integrations;
    Index employees = 100;
    std::uint64_t seed = 1;
    int latency_ms = 0;
    int rate_limit = 0;
    long long clock_skew = 0;
    bool empty = false;
    bool until_stdin_closes = false;
};

constexpr const char *usage =
    "usage: kombo-sandbox [--port N] [--api-key KEY] [--integration ID[=N]]... [--employees N] [--seed S]\n"
    "                     [--latency-ms MS] [--clock-skew SECONDS] [--rate-limit N] [--empty]\n"
    "                     [--until-stdin-closes]\n";

long long number(const char *text) {
    char *end = nullptr;
    const long long value = std::strtoll(text, &end, 10);
    if (end == text || *end != '\0') {
        std::fprintf(stderr, "kombo-sandbox: not a number: %s\n%s", text, usage);
        std::exit(2);
    }
    return value;
}

Options read_options(int argc, char **argv) {
    static const option known[] = {
        {"port", required_argument, nullptr, 'p'},
        {"api-key", required_argument, nullptr, 'k'},
        {"integration", required_argument, nullptr, 'i'},
        {"employees", required_argument, nullptr, 'e'},
        {"seed", required_argument, nullptr, 's'},
        {"latency-ms", required_argument, nullptr, 'l'},
        {"clock-skew", required_argument, nullptr, 'c'},
        {"rate-limit", required_argument, nullptr, 'r'},
        {"empty", no_argument, nullptr, 'n'},
        {"until-stdin-closes", no_argument, nullptr, 'u'},
        {"help", no_argument, nullptr, 'h'},
        {nullptr, 0, nullptr, 0},
    };
    Options options;
    for (int c = 0; (c = getopt_long(argc, argv, "", known, nullptr)) != -1;) {
        switch (c) {
        case 'p':
            options.port = static_cast<int>(number(optarg));
            break;
        case 'k':
            options.api_key = optarg;
            break;
        case 'i':
            options.integrations.emplace_back(optarg);
            break;
        case 'e':
            options.employees = static_cast<Index>(number(optarg));
            break;
        case 's':
            options.seed = static_cast<std::uint64_t>(number(optarg));
            break;
        case 'l':
            options.latency_ms = static_cast<int>(number(optarg));
            break;
        case 'c':
            options.clock_skew = number(optarg);
            break;
        case 'r':
            options.rate_limit = static_cast<int>(number(optarg));
            break;
        case 'n':
            options.empty = true;
            break;
        case 'u':
            options.until_stdin_closes = true;
            break;
        default:
            std::fputs(usage, c == 'h' ? stdout : stderr);
            std::exit(c == 'h' ? 0 : 2);
        }
    }
    if (options.integrations.empty() && !options.empty)
        options.integrations.emplace_back("personio:CBNMt7dSNCzBdnRTx87dev4E");
    return options;
}

// Ends the process without waiting for requests that hang on purpose.
[[noreturn]] void leave() {
    std::fflush(stdout);
    std::_Exit(0);
}

void leave_on_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    std::thread([signals] {
        int signal = 0;
        sigwait(&signals, &signal);
        leave();
    }).detach();
}

void leave_when_stdin_closes() {
    std::thread([] {
        char byte = 0;
        while (read(STDIN_FILENO, &byte, 1) > 0) {
        }
        leave();
    }).detach();
}

void route(httplib::Server &server, Sandbox &sandbox) {
    const auto serve = [&sandbox](const httplib::Request &request, httplib::Response &response) {
        if (request.path.compare(0, 4, "/v1/") == 0) {
            serve_api(sandbox, request, response);
        } else if (request.path.compare(0, 7, "/admin/") == 0) {
            serve_admin(sandbox, request, response);
        } else {
            response.status = 404;
            response.set_content("the API is under /v1, the admin interface under /admin\n", "text/plain");
        }
    };
    server.Get(".*", serve);
    server.Post(".*", serve);
    server.Put(".*", serve);
    server.Patch(".*", serve);
    server.Delete(".*", serve);
}

} // namespace

int main(int argc, char **argv) {
    const Options options = read_options(argc, argv);
    // Pages of a megabyte go back to the system at once, and 128 threads share few heaps: else each keeps its own.
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    mallopt(M_ARENA_MAX, 2);
    leave_on_signals();
    if (options.until_stdin_closes) leave_when_stdin_closes();
    set_skew(options.clock_skew * 1000);

    Sandbox sandbox;
    sandbox.settings.api_key = options.api_key;
    sandbox.settings.latency_ms = options.latency_ms;
    sandbox.settings.rate_limit = options.rate_limit;
    for (const std::string &text : options.integrations) {
        const std::size_t equals = std::min(text.rfind('='), text.size());
        const Index employees =
            equals < text.size() ? static_cast<Index>(number(text.c_str() + equals + 1)) : options.employees;
        sandbox.integrations.add(std::make_shared<Integration>(text.substr(0, equals), options.seed, employees));
    }

    httplib::Server server;
    server.new_task_queue = [] { return new httplib::ThreadPool(128); };
    server.set_tcp_nodelay(true);
    // Newer versions of the library would compress the pages with brotli, at its slowest.
    server.set_pre_routing_handler([](const httplib::Request &request, httplib::Response &) {
        const_cast<httplib::Request &>(request).headers.erase("Accept-Encoding");
        return httplib::Server::HandlerResponse::Unhandled;
    });
    server.set_payload_max_length(1'000'000'000); // newer versions of the library take 100 MB
    server.set_keep_alive_max_count(1'000'000);
    server.set_keep_alive_timeout(30);
    // httplib's own choice is SO_REUSEPORT, which would let two servers share a port unnoticed
    socket_t listening = INVALID_SOCKET;
    server.set_socket_options([&listening](socket_t socket) {
        listening = socket;
        const int yes = 1;
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    route(server, sandbox);
    const int port = options.port != 0 ? (server.bind_to_port("127.0.0.1", options.port) ? options.port : -1)
                                       : server.bind_to_any_port("127.0.0.1");
    if (port < 0) {
        std::fprintf(stderr, "kombo-sandbox: cannot listen on port %d\n", options.port);
        return 1;
    }
    // httplib's queue of 5 loses what a client with many connections begins at once, which then waits for a second.
    ::listen(listening, 128);
    std::printf("listening on http://127.0.0.1:%d\n", port);
    std::fflush(stdout);
    server.listen_after_bind();
    return 0;
}
