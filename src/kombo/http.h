#pragma once

#include "error.h"
#include "headers.h"
#include "time.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace kombo {

struct HttpOptions {
    std::string ca_file; ///< PEM file of the only trusted authorities, the proxy's too; empty: those of the system
    std::string proxy;   ///< URL of a proxy; empty: none, also not from the environment
    std::string proxy_user_password; ///< user:password, as they are; empty: none
    std::chrono::milliseconds connect_timeout{10'000};
    std::chrono::milliseconds request_timeout{120'000};
    size_t max_response_size = size_t{256} << 20; ///< bytes, after decompression
    /// The longest time that a connection is reused: a host that moves in DNS is followed no later than that.
    std::chrono::seconds connection_life{180};
    bool allow_http = false;
};

/// One GET. The headers (`Name: value`) may hold secrets and appear in no error text.
struct Request {
    std::string url;
    std::vector<std::string> headers;
};

/// An answer of any status whose body arrived whole, as far as HTTP can tell.
struct Response {
    long status = 0;
    Headers headers;
    std::string body;
    Timestamp sent_at;                             ///< our clock when the request was started
    std::chrono::steady_clock::time_point started; ///< the same by a clock that nobody sets
    std::chrono::microseconds elapsed{};           ///< from the start to the last byte
    size_t wire_bytes = 0;                         ///< bytes received, headers included, before decompression
};

/// The end of a transfer; an error is of class Transport.
using Finished = std::variant<Response, ApiError>;

/// Several HTTP transfers on one curl multi handle. Never waits: the caller waits for interests() and timeout() in a
/// loop of its own, and tells what happened. Connections are kept and reused as long as the object lives. All signals
/// are blocked around every call into libcurl, so that its resolver threads never run the caller's handlers.
class Transfers {
public:
    using Id = uint64_t;

    /// A socket that the caller has to watch.
    struct Interest {
        int fd;
        bool read;
        bool write;
    };

    /// Throws std::runtime_error when libcurl cannot be set up.
    Transfers();
    ~Transfers();
    Transfers(const Transfers &) = delete;
    Transfers &operator=(const Transfers &) = delete;

    /// Begins a transfer; nothing is sent before the next perform(), on_timeout() or on_socket(). What is wrong with
    /// the URL comes out of take(). Throws std::runtime_error when libcurl refuses a setting.
    Id start(const Request &request, const HttpOptions &options);

    /// Ends a transfer, finished or not, and forgets it. Returns at once, also while a name is being resolved.
    void cancel(Id id);

    /// The sockets to wait for.
    const std::vector<Interest> &interests() const;

    /// Changes whenever interests() does (a file descriptor that was closed and opened again included), so that a
    /// caller knows when to rebuild its wait set.
    uint64_t interests_version() const;

    /// The time until on_timeout() is due; zero: call it now; nullopt: no limit.
    std::optional<std::chrono::milliseconds> timeout() const;

    /// A socket is ready.
    void on_socket(int fd, bool readable, bool writable, bool error);

    /// timeout() has passed (calling it early does no harm).
    void on_timeout();

    /// Same as on_timeout(): lets all transfers do what they can without waiting.
    void perform();

    /// Sees to the sockets that are ready, without waiting: for a caller that has other work to do meanwhile.
    void look();

    /// The result of a finished transfer, which is then forgotten; nullopt while in flight. Throws std::logic_error
    /// for an id that is not known.
    std::optional<Finished> take(Id id);

    /// Number of transfers that are not finished.
    size_t in_flight() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace kombo
