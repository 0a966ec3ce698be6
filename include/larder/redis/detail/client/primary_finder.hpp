// SPDX-License-Identifier: MIT

/// @file
/// Asks Redis Sentinel where the primary is.

#ifndef LARDER_REDIS_DETAIL_CLIENT_PRIMARY_FINDER_HPP
#define LARDER_REDIS_DETAIL_CLIENT_PRIMARY_FINDER_HPP

#include <larder/redis/detail/client/command_bytes.hpp>
#include <larder/redis/detail/client/connection.hpp>
#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/detail/client/encryption.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/client/semaphore.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

LARDER_NS_BEGIN

namespace redis::detail {

/// Asks one sentinel after the other until one knows, and that one first the next time. Asks again now
/// and then: a primary that was replaced may not know it, and would take writes that are lost.
/// Sentinel clients, "Guidelines for Redis clients with support for Redis Sentinel", redis.io.
///
/// Thread safety: all members may run concurrently; one caller asks at a time.
class PrimaryFinder {
public:
    /// @param encryption  null: none; both must outlive it
    PrimaryFinder(const ClientOptions& options, Encryption* encryption)
        : primary_{options.sentinel.primary}, encryption_{encryption}, asked_{options} {
        asked_.user = options.sentinel.user;
        asked_.password = options.sentinel.password;
        asked_.database = 0;
        asked_.sentinel.primary.clear();  // it is no primary of that name itself
    }
    PrimaryFinder(const PrimaryFinder&) = delete;
    PrimaryFinder& operator=(const PrimaryFinder&) = delete;

    /// Where the primary is.
    ///
    /// @throws ConnectionFailure  no sentinel that answers knows
    [[nodiscard]] Endpoint find(time_point deadline) {
        const Semaphore::Permit mine = one_.acquire(deadline);
        if (!mine) {
            throw ConnectionFailure{ConnectionFailure::Kind::timed_out,
                                    "the sentinels do not answer"};
        }
        found_ = ask(deadline);
        look_again_ = since_epoch(std::chrono::steady_clock::now() + every);
        return *found_;
    }

    /// Whether it is elsewhere by now. Asks at most once a second, one caller of all, who does not wait
    /// for long; where no sentinel answers, nothing has changed.
    [[nodiscard]] bool moved(time_point now) noexcept {
        rep due = look_again_.load(std::memory_order_relaxed);
        if (since_epoch(now) < due ||
            !look_again_.compare_exchange_strong(due, since_epoch(now + every))) {
            return false;
        }
        try {
            const Semaphore::Permit mine = one_.acquire(now);
            return mine && found_ && ask(now + patience, 1) != *found_;
        } catch (...) {
            return false;
        }
    }

private:
    using rep = time_point::rep;
    static constexpr std::chrono::seconds every{1};
    static constexpr std::chrono::milliseconds patience{100};

    static rep since_epoch(time_point at) noexcept { return at.time_since_epoch().count(); }

    [[nodiscard]] std::size_t count() const noexcept { return asked_.sentinel.sentinels.size(); }

    // @param most  sentinels that are asked
    Endpoint ask(time_point deadline, std::size_t most) {
        ConnectionFailure last{ConnectionFailure::Kind::connect, "no sentinel"};
        for (std::size_t left = most; left > 0; --left) {
            const time_point now = std::chrono::steady_clock::now();
            try {
                // One that does not answer leaves its share of the time to the others.
                return ask_one(now + (deadline - now) / left);
            } catch (const ConnectionFailure& failed) {
                const Endpoint& at = asked_.sentinel.sentinels[next_];
                last = {failed.kind, "the sentinel " + to_string(at) + ": " + failed.text};
                connection_.reset();
                next_ = (next_ + 1) % count();
            }
        }
        throw ConnectionFailure{last};
    }
    Endpoint ask(time_point deadline) { return ask(deadline, count()); }

    Endpoint ask_one(time_point deadline) {
        if (!connection_ || !connection_->usable(0, std::chrono::steady_clock::now())) {
            connection_.reset();
            const Endpoint& at = asked_.sentinel.sentinels[next_];
            asked_.host = at.host;
            asked_.port = at.port;
            connection_ = std::make_unique<Connection>(asked_, encryption_, 0, deadline,
                                                       Connection::Greet::ping);
        }
        std::string bytes;
        append_command(bytes, std::array<std::string_view, 3>{"SENTINEL", "GET-MASTER-ADDR-BY-NAME",
                                                              primary_});
        const Reply reply = connection_->ask(bytes, deadline);
        if (reply.is_error()) {
            const std::string text{reply.text()};
            throw ConnectionFailure{about_credentials(text) ? ConnectionFailure::Kind::credentials
                                                            : ConnectionFailure::Kind::connect,
                                    text};
        }
        if (reply.is_nil()) {
            throw ConnectionFailure{ConnectionFailure::Kind::connect,
                                    "it knows no primary called " + primary_};
        }
        return endpoint(reply);
    }

    static Endpoint endpoint(const Reply& reply) {
        Endpoint at;
        if (reply.is_array() && reply.size() == 2) {
            at.host = std::string{reply[0].text()};
            const std::string_view port = reply[1].text();
            const auto [end, error] =
                std::from_chars(port.data(), port.data() + port.size(), at.port);
            if (error == std::errc{} && end == port.data() + port.size() && at.port != 0 &&
                !at.host.empty() && at.host.find('\0') == std::string::npos) {
                return at;
            }
        }
        throw ConnectionFailure{ConnectionFailure::Kind::connect,
                                "it tells no address of the primary"};
    }

    const std::string primary_;
    Encryption* const encryption_;
    Semaphore one_{1};  // guards what follows
    ClientOptions asked_;
    std::size_t next_ = 0;  // the sentinel that is asked first
    std::unique_ptr<Connection> connection_{};
    std::optional<Endpoint> found_{};
    std::atomic<rep> look_again_{(std::numeric_limits<rep>::max)()};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_PRIMARY_FINDER_HPP
