// SPDX-License-Identifier: MIT

/// @file
/// A real redis-server of a test's own: on a free loopback port and a unix socket in a temporary
/// folder, stopped by its pid.

#ifndef LARDER_TESTS_SUPPORT_REDIS_SERVER_HPP
#define LARDER_TESTS_SUPPORT_REDIS_SERVER_HPP

#include <hiredis/hiredis.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace larder_test {

/// A redis-server process. It can be killed, started again (empty), frozen and thawed.
///
/// It dies with the thread that started it, so that nothing is left behind: make it where the test
/// runs.
///
/// Thread safety: one thread at a time, `run` apart, which opens a connection of its own.
class RedisServer {
public:
    /// @param options  more of redis-server's command line: {"--maxmemory", "2mb"}
    /// @param sentinel  not empty: it is a sentinel, of this configuration
    /// @param port      0: a free one
    explicit RedisServer(std::vector<std::string> options = {}, const std::string& sentinel = {},
                         std::uint16_t port = 0)
        : options_{std::move(options)}, port_{port != 0 ? port : free_port()} {
        std::string folder = std::filesystem::temp_directory_path() / "larder-redis-XXXXXX";
        if (::mkdtemp(folder.data()) == nullptr) {
            throw std::runtime_error{"no temporary folder"};
        }
        folder_ = folder;
        if (!sentinel.empty()) {
            config_ = folder_ / "sentinel.conf";  // which it writes anew itself
            std::ofstream{config_} << sentinel;
            options_.emplace_back("--sentinel");
        }
        start();
    }
    RedisServer(const RedisServer&) = delete;
    RedisServer& operator=(const RedisServer&) = delete;
    ~RedisServer() {
        kill();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    [[nodiscard]] std::string socket_path() const { return folder_ / "redis.sock"; }
    [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    [[nodiscard]] std::string unix_url() const { return "unix://" + socket_path(); }
    [[nodiscard]] std::string tcp_url() const {
        return "redis://127.0.0.1:" + std::to_string(port_);
    }

    /// Starts it on the same port and socket, with an empty memory, and waits until it answers.
    void start() {
        std::vector<std::string> words{"redis-server"};
        if (!config_.empty()) {
            words.push_back(config_);
        }
        words.insert(words.end(),
                     {"--port", std::to_string(port_), "--bind", "127.0.0.1", "--unixsocket",
                      socket_path(), "--dir", folder_, "--logfile", folder_ / "log", "--save", "",
                      "--appendonly", "no", "--daemonize", "no"});
        words.insert(words.end(), options_.begin(), options_.end());
        std::vector<char*> argv;
        for (std::string& word : words) {
            argv.push_back(word.data());
        }
        argv.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            const int nowhere = ::open("/dev/null", O_RDWR);
            ::dup2(nowhere, 0);
            ::dup2(nowhere, 1);
            ::dup2(nowhere, 2);
            ::execvp(argv[0], argv.data());
            ::_exit(127);
        }
        if (pid_ < 0) {
            throw std::runtime_error{"no process for redis-server"};
        }
        for (int tries = 0; tries < 1000; ++tries) {
            if (answers()) {
                return;
            }
            if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
                pid_ = -1;
                throw std::runtime_error{"redis-server has ended at once: " + log()};
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
        }
        throw std::runtime_error{"redis-server does not answer: " + log()};
    }

    /// kill -9, and waits for its end.
    void kill() noexcept {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
            pid_ = -1;
        }
    }
    void restart() {
        kill();
        start();
    }

    /// It keeps its connections and answers nothing until it is thawed.
    void freeze() const noexcept {
        if (pid_ > 0) {  // -1 is everybody
            ::kill(pid_, SIGSTOP);
            ::waitpid(pid_, nullptr, WUNTRACED);  // until it has stopped
        }
    }
    void thaw() const noexcept {
        if (pid_ > 0) {
            ::kill(pid_, SIGCONT);
        }
    }

    /// Carries out one command over a connection of its own; the reply as text: arrays as lines,
    /// "(nil)" for none, an error as it is.
    template <class... Words>
    std::string run(const Words&... words) const {
        return run_words({std::string{words}...});
    }
    [[nodiscard]] std::string run_words(const std::vector<std::string>& words) const {
        const Connection connection{::redisConnectUnix(socket_path().c_str())};
        if (!connection || connection->err != 0) {
            throw std::runtime_error{"redis-server cannot be reached"};
        }
        std::vector<const char*> argv;
        std::vector<std::size_t> sizes;
        for (const std::string& word : words) {
            argv.push_back(word.data());
            sizes.push_back(word.size());
        }
        const Answer answer{static_cast<redisReply*>(::redisCommandArgv(
            connection.get(), static_cast<int>(argv.size()), argv.data(), sizes.data()))};
        if (!answer) {
            throw std::runtime_error{std::string{"redis-server does not answer: "} +
                                     connection->errstr};
        }
        return text(*answer);
    }

    [[nodiscard]] std::string log() const {
        std::ifstream in{folder_ / "log"};
        return {std::istreambuf_iterator<char>{in}, {}};
    }

    /// A loopback port that nobody listens on.
    static std::uint16_t free_port() {
        const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        const bool bound =
            ::bind(probe, generic, size) == 0 && ::getsockname(probe, generic, &size) == 0;
        ::close(probe);
        if (!bound) {
            throw std::runtime_error{"no free port"};
        }
        return ntohs(address.sin_port);
    }

private:
    struct Free {
        void operator()(redisContext* context) const noexcept { ::redisFree(context); }
        void operator()(redisReply* reply) const noexcept { ::freeReplyObject(reply); }
    };
    using Connection = std::unique_ptr<redisContext, Free>;
    using Answer = std::unique_ptr<redisReply, Free>;

    static std::string text(const redisReply& reply) {
        switch (reply.type) {
            case REDIS_REPLY_NIL: return "(nil)";
            case REDIS_REPLY_INTEGER: return std::to_string(reply.integer);
            case REDIS_REPLY_ARRAY: {
                std::string all;
                for (std::size_t i = 0; i < reply.elements; ++i) {
                    all += (i > 0 ? "\n" : "") + text(*reply.element[i]);
                }
                return all;
            }
            default: return {reply.str, static_cast<std::size_t>(reply.len)};
        }
    }

    [[nodiscard]] bool answers() const {
        const Connection connection{::redisConnectUnix(socket_path().c_str())};
        if (!connection || connection->err != 0) {
            return false;
        }
        const Answer pong{static_cast<redisReply*>(::redisCommand(connection.get(), "PING"))};
        return pong && pong->type != REDIS_REPLY_NIL;
    }

    std::vector<std::string> options_;
    std::filesystem::path folder_{};
    std::string config_{};
    std::uint16_t port_;
    pid_t pid_ = -1;
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_REDIS_SERVER_HPP
