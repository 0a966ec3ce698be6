// SPDX-License-Identifier: MIT

/// @file
/// One connection: bytes out, replies in.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CONNECTION_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CONNECTION_HPP

#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/detail/client/encryption.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/client/reply_parser.hpp>
#include <larder/redis/detail/client/stream.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
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

/// The server is not, or not yet, what takes writes: it has changed its role. Before 7.0 the error of
/// a script wraps the one that the script met.
[[nodiscard]] inline bool about_role(std::string_view error) noexcept {
    const bool wrapped = error.starts_with("ERR Error running script");
    for (const std::string_view kind : {"READONLY ", "LOADING ", "MASTERDOWN "}) {
        if (wrapped ? error.find(kind) != std::string_view::npos : error.starts_with(kind)) {
            return true;
        }
    }
    return false;
}

/// The server has no connection to give: it says so to whatever comes first, and closes.
[[nodiscard]] inline bool about_clients(std::string_view error) noexcept {
    return error.starts_with("ERR max number of clients");
}

/// A connection that has been introduced: user, database, name. After anything was thrown it must
/// not be used any more.
class Connection {
public:
    /// What a server is asked beside what the options say.
    enum class Greet : std::uint8_t {
        nothing,
        ping,  ///< whether it serves the connection
        role,  ///< whether it is a primary
    };

    /// @param era    of the breaker, when it was opened
    /// @param encryption  null: none
    /// @param greet  what it is asked before anything is sent that must not be sent twice
    Connection(const ClientOptions& options, Encryption* encryption, std::uint64_t era,
               time_point deadline, Greet greet)
        : stream_{options, encryption, deadline},
          parser_{options.max_reply_bytes},
          buffer_(16 * 1024),
          era_{era} {
        if (encryption == nullptr) {
            introduce(options, deadline, greet);
        } else {
            introduce_encrypted(options, *encryption, deadline,
                                greet == Greet::nothing ? Greet::ping : greet);
        }
    }

    /// Sends some bytes. While the kernel takes no more of them replies are read, so that two full
    /// buffers do not wait for each other.
    ///
    /// @param sent  counts the bytes that the kernel took
    /// @param left  counts the replies down, which are delivered: `deliver(Reply)`
    /// @return  whether it took them at once
    template <class Deliver>
    [[nodiscard]] bool send(std::string_view bytes, std::size_t& sent, std::size_t& left,
                            ReplyDeadline& deadline, Deliver&& deliver) {
        for (bool at_once = true;; at_once = false) {
            const std::size_t took = stream_.send(bytes.substr(sent));
            sent += took;
            if (sent == bytes.size()) {
                return at_once;
            }
            if (took == 0 && (stream_.wait(POLLIN | POLLOUT, deadline.until()) & POLLIN) != 0 &&
                receive(false, deadline)) {
                deliver_all(left, deliver);
                deadline.seen(std::chrono::steady_clock::now());
            }
            check_time(deadline);
        }
    }

    /// Delivers as many replies as are left: `deliver(Reply)`.
    ///
    /// @param wait  the whole time of a command is left: the first wait is cheaper
    /// @param slow  `slow(now)` while large replies take their time, after some more came and after
    ///              the deadline; it may change `left`. False: this connection is another's from now
    ///              on, and must not be touched
    template <class Deliver, class Slow>
    void read(std::size_t& left, ReplyDeadline& deadline, bool wait, Deliver&& deliver,
              Slow&& slow) {
        time_point now{};
        for (; left > 0; wait = false) {
            if (receive(wait, deadline)) {
                deliver_all(left, deliver);
                if (left == 0) {
                    return;
                }
                now = std::chrono::steady_clock::now();
                deadline.seen(now);
            } else if (stream_.wait(POLLIN, deadline.next(now)) != 0) {
                continue;
            } else {
                now = std::chrono::steady_clock::now();
            }
            // A server that drips never makes us wait for long, and must not hold us for ever.
            check_time(deadline, now);
            if (deadline.is_large() && !slow(now)) {
                return;
            }
        }
    }

    /// Sends some commands, and waits for their replies.
    void ask(std::string_view bytes, time_point deadline, std::span<Reply> replies) {
        std::size_t sent = 0;
        std::size_t left = replies.size();
        const auto take = [&](Reply reply) {
            replies[replies.size() - left - 1] = std::move(reply);
        };
        ReplyDeadline until{deadline, ReplyDeadline::duration{0}};
        static_cast<void>(send(bytes, sent, left, until, take));
        read(left, until, false, take, [](time_point) { return true; });
        if (!clean()) {
            throw ConnectionFailure{ConnectionFailure::Kind::broken,
                                    "a reply that nobody asked for"};
        }
    }

    /// Sends one command, and waits for its reply.
    [[nodiscard]] Reply ask(std::string_view bytes, time_point deadline) {
        Reply answer;
        ask(bytes, deadline, {&answer, 1});
        return answer;
    }

    /// Delivers what has come by now, asked for or not: `deliver(Reply)`.
    ///
    /// @return  whether something came: then there may be more
    template <class Deliver>
    bool take(Deliver&& deliver) {
        ReplyDeadline none;
        const bool came = receive(false, none);
        for (Reply reply; parser_.next(reply);) {
            deliver(std::move(reply));
        }
        return came;
    }

    /// Waits until something comes. 0: the deadline has passed.
    [[nodiscard]] short wait(time_point deadline) const { return stream_.wait(POLLIN, deadline); }

    /// As `Socket::descriptor`; after `take` has said that nothing came.
    [[nodiscard]] int descriptor() const noexcept { return stream_.descriptor(); }

    /// Whether the server has said no more than it was asked: else it must not be asked again here.
    [[nodiscard]] bool clean() const noexcept { return parser_.empty(); }

    /// Of the breaker, when it was opened.
    [[nodiscard]] std::uint64_t era() const noexcept { return era_; }

    /// Whether it can be used, as far as can be told without asking.
    [[nodiscard]] bool usable(std::uint64_t era, time_point now) noexcept {
        const bool idle = now - used_ >= std::chrono::milliseconds{1};
        used_ = now;
        return era == era_ && !(idle && stream_.spoiled());
    }

    void close_inherited() noexcept { stream_.close_inherited(); }

private:
    // False: nothing came.
    bool receive(bool wait, ReplyDeadline& deadline) {
        const std::size_t got = stream_.receive(buffer_.data(), buffer_.size(), wait);
        if (got == 0) {
            return false;
        }
        deadline.arrived(got);
        parser_.feed(buffer_.data(), got);
        if (got == buffer_.size() && got < 256 * 1024) {
            buffer_.resize(2 * got);
        }
        return true;
    }

    template <class Deliver>
    void deliver_all(std::size_t& left, Deliver& deliver) {
        for (Reply reply; left > 0 && parser_.next(reply);) {
            --left;
            deliver(std::move(reply));
        }
    }

    static void check_time(const ReplyDeadline& deadline,
                           time_point now = std::chrono::steady_clock::now()) {
        if (deadline.deadline() != never && now >= deadline.until()) {
            throw ConnectionFailure{ConnectionFailure::Kind::timed_out,
                                    deadline.flows(now) ? "the reply comes too slowly"
                                    : deadline.began()  ? "no complete reply"
                                                        : "no reply"};
        }
    }

    // A server says what it thinks of a client's certificate after the handshake, in place of the first
    // reply.
    void introduce_encrypted(const ClientOptions& options, Encryption& encryption,
                             time_point deadline, Greet greet) {
        try {
            introduce(options, deadline, greet);
        } catch (ConnectionFailure& failed) {
            if (failed.kind == ConnectionFailure::Kind::broken) {
                failed.kind = ConnectionFailure::Kind::connect;
                failed.text += "; the server may want another certificate of the client";
                encryption.renew();
            }
            throw;
        }
    }

    enum class Greeting : std::uint8_t { auth, select, name, ping, role };

    static void check_greeting(Greeting step, const Reply& reply) {
        using Kind = ConnectionFailure::Kind;
        if (!reply.is_error()) {
            if (step == Greeting::role && (reply.size() == 0 || reply[0].text() != "master")) {
                throw ConnectionFailure{Kind::connect, "it is no primary (any more, or yet)"};
            }
            return;
        }
        const std::string text{reply.text()};
        if (about_clients(text)) {
            throw ConnectionFailure{Kind::connect, text};
        }
        // A server that takes no names, or no PING, serves all the same.
        if (step == Greeting::name || step == Greeting::ping) {
            return;
        }
        throw ConnectionFailure{step == Greeting::auth || about_credentials(text)
                                    ? Kind::credentials
                                : step == Greeting::select ? Kind::database
                                                           : Kind::connect,
                                text};
    }

    void introduce(const ClientOptions& options, time_point deadline, Greet greet) {
        std::vector<Greeting> steps;
        std::string bytes;
        const auto add = [&](Greeting step, std::initializer_list<std::string_view> words) {
            steps.push_back(step);
            append_command(bytes, words);
        };
        if (!options.password.empty()) {
            if (options.user.empty()) {
                add(Greeting::auth, {"AUTH", options.password});
            } else {
                add(Greeting::auth, {"AUTH", options.user, options.password});
            }
        }
        if (options.database != 0) {
            add(Greeting::select, {"SELECT", std::to_string(options.database)});
        }
        if (!options.name.empty()) {
            add(Greeting::name, {"CLIENT", "SETNAME", options.name});
        }
        if (greet == Greet::role) {
            add(Greeting::role, {"ROLE"});
        } else if (steps.empty() && greet == Greet::ping) {
            add(Greeting::ping, {"PING"});
        }
        if (steps.empty()) {
            return;
        }
        std::size_t step = 0;
        const auto check = [&](const Reply& reply) { check_greeting(steps[step++], reply); };
        std::size_t sent = 0;
        std::size_t left = steps.size();
        ReplyDeadline until{deadline, ReplyDeadline::duration{0}};
        (void)send(bytes, sent, left, until, check);
        read(left, until, false, check, [](time_point) { return true; });
        if (!clean()) {
            throw ConnectionFailure{ConnectionFailure::Kind::broken,
                                    "a reply that nobody asked for"};
        }
    }

    Stream stream_;
    ReplyParser parser_;
    std::vector<char> buffer_;
    std::uint64_t era_;
    time_point used_{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CONNECTION_HPP
