// SPDX-License-Identifier: MIT

/// @file
/// One connection: bytes out, replies in.

#ifndef LARDER_REDIS_CONNECTION_HPP
#define LARDER_REDIS_CONNECTION_HPP

#include <larder/redis/error.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reader.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/socket.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <poll.h>

LARDER_NS_BEGIN

namespace redis::detail {

/// The server says that user and password are missing or wrong.
[[nodiscard]] inline bool about_credentials(std::string_view error) noexcept {
    return error.starts_with("NOAUTH") || error.starts_with("WRONGPASS") ||
           error.starts_with("ERR invalid password") ||  // before 6.0, and without a user
           error.starts_with("ERR AUTH ") ||
           error.starts_with("ERR Client sent AUTH, but no password is set");
}

/// How far an exchange has come.
struct Progress {
    std::size_t sent{0};     ///< bytes that the kernel took
    std::size_t replies{0};  ///< replies that came
};

/// A connection that has been introduced: user, database, name. After anything was thrown it must
/// not be used any more.
class Connection {
public:
    /// @param era  of the circuit, when it was opened
    Connection(const ClientOptions& options, std::uint64_t era, time_point deadline)
        : socket_{Socket::open(options, deadline)},
          reader_{options.max_reply_bytes},
          buffer_(16 * 1024),
          era_{era} {
        introduce(options, deadline);
    }

    /// Sends some bytes and hands on as many replies as are expected: `take(Reply)`.
    ///
    /// While the kernel takes no more bytes replies are read, so that two full buffers do not wait
    /// for each other.
    ///
    /// @param fresh  the deadline is as far away as a command may take: the first wait is cheaper
    /// @return  false: the server said more than it was asked, and must not be asked again here
    template <class Take>
    [[nodiscard]] bool exchange(std::string_view bytes, std::size_t expected, time_point deadline,
                                bool fresh, Progress& progress, Take&& take) {
        for (;;) {
            const std::size_t sent = socket_.send(bytes.substr(progress.sent));
            progress.sent += sent;
            if (progress.sent == bytes.size()) {
                break;
            }
            if (sent == 0) {
                if ((socket_.wait(POLLIN | POLLOUT, deadline) & POLLIN) != 0) {
                    receive(false);
                    hand_on(expected, progress, take);
                }
            } else if (std::chrono::steady_clock::now() >= deadline) {
                throw Failed{Failed::Kind::timed_out, "no reply"};
            }
        }
        for (bool wait = fresh; progress.replies < expected; wait = false) {
            if (!receive(wait)) {
                (void)socket_.wait(POLLIN, deadline);
            } else if (hand_on(expected, progress, take); progress.replies < expected) {
                // A server that drips never makes us wait for long, and must not hold us for ever.
                if (deadline != never && std::chrono::steady_clock::now() >= deadline) {
                    throw Failed{Failed::Kind::timed_out, "no complete reply"};
                }
            }
        }
        return reader_.empty();
    }

    /// Whether it can be used, as far as can be told without asking.
    [[nodiscard]] bool usable(std::uint64_t era, time_point now) noexcept {
        const bool idle = now - used_ >= std::chrono::milliseconds{1};
        used_ = now;
        return era == era_ && !(idle && socket_.spoiled());
    }

    void close_inherited() noexcept { socket_.close(); }

private:
    // False: nothing came.
    bool receive(bool wait) {
        const std::size_t got = socket_.receive(buffer_.data(), buffer_.size(), wait);
        if (got == 0) {
            return false;
        }
        reader_.feed(buffer_.data(), got);
        if (got == buffer_.size() && got < 256 * 1024) {
            buffer_.resize(2 * got);
        }
        return true;
    }

    template <class Take>
    void hand_on(std::size_t expected, Progress& progress, Take& take) {
        for (Reply reply; progress.replies < expected && reader_.next(reply); ++progress.replies) {
            take(std::move(reply));
        }
    }

    void introduce(const ClientOptions& options, time_point deadline) {
        enum class Step { auth, select, name };
        std::vector<Step> steps;
        std::string bytes;
        const auto add = [&](Step step, std::initializer_list<std::string_view> words) {
            steps.push_back(step);
            append_command(bytes, {words.begin(), words.size()});
        };
        if (!options.password.empty()) {
            if (options.user.empty()) {
                add(Step::auth, {"AUTH", options.password});
            } else {
                add(Step::auth, {"AUTH", options.user, options.password});
            }
        }
        if (options.database != 0) {
            add(Step::select, {"SELECT", std::to_string(options.database)});
        }
        if (!options.name.empty()) {
            add(Step::name, {"CLIENT", "SETNAME", options.name});
        }
        if (steps.empty()) {
            return;
        }
        Progress progress;
        std::size_t step = 0;
        const auto check = [&](const Reply& reply) {
            const Step now = steps[step++];
            // A server that takes no names serves all the same.
            if (!reply.is_error() || now == Step::name) {
                return;
            }
            const std::string text{reply.text()};
            throw Failed{now == Step::auth || about_credentials(text) ? Failed::Kind::credentials
                                                                      : Failed::Kind::connect,
                         text};
        };
        if (!exchange(bytes, steps.size(), deadline, false, progress, check)) {
            throw Failed{Failed::Kind::broken, "a reply that nobody asked for"};
        }
    }

    Socket socket_;
    Reader reader_;
    std::vector<char> buffer_;
    std::uint64_t era_;
    time_point used_{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_CONNECTION_HPP
