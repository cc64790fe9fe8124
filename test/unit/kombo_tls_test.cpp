#include "fault_server.h"

#include <cstdio>
#include <cstdlib>
#include <curl/curl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

namespace kombo {
namespace {

using std::filesystem::path;

constexpr int impossible = 77; ///< exit status: no namespaces here

/// A folder with certificates of their own authorities, public.pem and private.pem with keys, and a folder of
/// authorities that trusts the public one alone.
class Certificates {
public:
    Certificates() {
        std::string pattern = (std::filesystem::temp_directory_path() / "kombo-tls-XXXXXX").string();
        folder_ = mkdtemp(pattern.data());
        shell(
            "for name in public private; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
            "-days 2 -subj /CN=$name -addext subjectAltName=IP:127.0.0.1 -keyout $name.key -out $name.pem; done; "
            "mkdir trusted; cp public.pem trusted; openssl rehash trusted; cp private.pem trusted/ca-certificates.crt");
    }
    ~Certificates() { std::filesystem::remove_all(folder_); }
    Certificates(const Certificates &) = delete;
    Certificates &operator=(const Certificates &) = delete;

    std::string file(const char *name) const { return folder_ / name; }

private:
    void shell(const std::string &commands) const {
        if (std::system(("cd " + folder_.string() + " && { " + commands + "; } >/dev/null 2>&1").c_str()) != 0)
            throw std::runtime_error("openssl made no certificates");
    }

    path folder_;
};

/// An `openssl s_server` with the public certificate.
class TlsServer {
public:
    explicit TlsServer(const Certificates &certificates) {
        const FaultServer probe({answer(200, "")}); // for a port that is free
        url_ = "https" + probe.url().substr(4);
        port_ = url_.substr(url_.rfind(':') + 1, url_.rfind('/') - url_.rfind(':') - 1);
        certificate_ = certificates.file("public.pem");
        key_ = certificates.file("public.key");
    }
    ~TlsServer() { stop(); }
    TlsServer(const TlsServer &) = delete;
    TlsServer &operator=(const TlsServer &) = delete;

    void start() {
        pid_ = fork();
        if (pid_ != 0) return;
        execlp("openssl", "openssl", "s_server", "-accept", port_.c_str(), "-cert", certificate_.c_str(), "-key",
               key_.c_str(), "-www", "-quiet", static_cast<char *>(nullptr));
        _exit(1);
    }

    void stop() {
        if (pid_ > 0) kill(std::exchange(pid_, 0), SIGKILL);
    }

    /// What a request comes to: its status, or the error's text.
    std::string ask(const std::string &ca_file) const {
        HttpOptions options;
        options.ca_file = ca_file;
        std::string said;
        for (int attempt = 0; attempt < 400; ++attempt) { // it takes a moment to listen
            Transfers transfers;
            const Transfers::Id id = transfers.start({url_, {}}, options);
            std::optional<Finished> finished;
            for (transfers.perform(); !(finished = transfers.take(id)); turn(transfers)) continue;
            const auto *error = std::get_if<ApiError>(&*finished);
            said = error ? error->what() : std::to_string(std::get<Response>(*finished).status);
            if (said.find("could not connect") == std::string::npos) break;
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
        return said;
    }

private:
    std::string url_, port_, certificate_, key_;
    pid_t pid_ = 0;
};

/// In a process whose file system has the folder in the place that is built into libcurl.
int with_trusted_folder(const std::string &folder, const std::function<bool()> &check) {
    const pid_t child = fork();
    if (child == 0) {
        const char *built_in = curl_version_info(CURLVERSION_NOW)->capath;
        if (!built_in || unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
            mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            mount(folder.c_str(), built_in, nullptr, MS_BIND, nullptr) != 0)
            _exit(impossible);
        _exit(check() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Tls, a_file_of_authorities_is_in_place_of_the_systems_and_not_beside_them) {
    const Certificates certificates;
    TlsServer server(certificates);
    const int status = with_trusted_folder(certificates.file("trusted"), [&] {
        server.start();
        const std::string by_system = server.ask("");
        const std::string by_other = server.ask(certificates.file("private.pem"));
        const std::string by_its_own = server.ask(certificates.file("public.pem"));
        const bool right =
            by_system == "200" && by_its_own == "200" && by_other.find("not trusted") != std::string::npos;
        if (!right) std::fprintf(stderr, "%s | %s | %s\n", by_system.c_str(), by_other.c_str(), by_its_own.c_str());
        server.stop();
        return right;
    });
    if (status == impossible) GTEST_SKIP() << "this machine gives no process a file system of its own";
    EXPECT_EQ(status, 0);
}

} // namespace
} // namespace kombo
