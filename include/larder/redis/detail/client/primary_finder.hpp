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

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// Asks one sentinel after the other until one knows. Asks again now and then, another each time: a
/// primary that was replaced may not know it, and would take writes that are lost; and so may a sentinel
/// that is cut off. Each failover has a number, and who tells the highest knows best. Sentinel clients,
/// "Guidelines for Redis clients with support for Redis Sentinel" and "Configuration epochs", redis.io.
///
/// Thread safety: all members may run concurrently; one caller asks at a time.
class PrimaryFinder {
public:
    /// @param encryption  null: none; both must outlive it
    PrimaryFinder(const ClientOptions& options, Encryption* encryption)
        : primary_{options.sentinel.primary},
          encryption_{encryption},
          asked_{options},
          sentinels_(options.sentinel.sentinels.size()) {
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
        const bool doubted = doubted_.exchange(false);
        if (doubted) {
            ask_another();
        }
        found_ = ask_all(deadline, doubted);
        rep unset = never_yet;  // else in its time, however many connections are opened
        look_again_.compare_exchange_strong(unset,
                                            since_epoch(std::chrono::steady_clock::now() + every));
        return found_->at;
    }

    /// What was found does not serve: the next time all sentinels are asked.
    void doubt() noexcept { doubted_ = true; }

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
            return mine && found_ && has_news(now + patience);
        } catch (...) {
            return false;
        }
    }

    /// In a child: as `Connection::close_inherited`.
    void close_inherited() noexcept {
        for (Sentinel& sentinel : sentinels_) {
            if (sentinel.connection) {
                sentinel.connection->close_inherited();
            }
        }
    }

private:
    using rep = time_point::rep;
    static constexpr rep never_yet = (std::numeric_limits<rep>::max)();
    static constexpr std::chrono::seconds every{1};
    static constexpr std::chrono::milliseconds patience{100};

    struct Answer {
        Endpoint at{};
        std::uint64_t epoch{0};  // of the failover that led there
    };
    struct Sentinel {
        std::unique_ptr<Connection> connection{};
        Endpoint told{};  // last; no host: nothing yet
    };

    static rep since_epoch(time_point at) noexcept { return at.time_since_epoch().count(); }

    void ask_another() noexcept { next_ = (next_ + 1) % sentinels_.size(); }

    // The next sentinel tells of a later failover, or another address than it did before.
    bool has_news(time_point deadline) {
        ask_another();
        const Endpoint before = sentinels_[next_].told;
        const Answer answer = ask(deadline);
        return answer.at != found_->at && (answer.epoch > found_->epoch ||
                                           (answer.epoch == found_->epoch && before == found_->at));
    }

    // The first answer will do that is not known to be old. Of no other is it known whether there is a
    // better one: all are asked.
    Answer ask_all(time_point deadline, bool doubted) {
        const std::uint64_t enough = found_ ? found_->epoch + (doubted ? 1 : 0) : 0;
        std::optional<Answer> best;
        ConnectionFailure last{ConnectionFailure::Kind::connect, "no sentinel"};
        for (auto left = std::ssize(sentinels_); left > 0; --left, ask_another()) {
            const time_point now = std::chrono::steady_clock::now();
            try {
                // One that does not answer leaves its share of the time to the others, and to the
                // primary.
                const time_point::duration share = (deadline - now) / (left + 1);
                Answer answer =
                    ask(now + (best ? (std::min<time_point::duration>)(share, patience) : share));
                if (!best || answer.epoch > best->epoch) {
                    best = std::move(answer);
                }
                if (best->epoch >= enough) {
                    return *best;
                }
            } catch (const ConnectionFailure& failed) {
                const Endpoint& at = asked_.sentinel.sentinels[next_];
                last = {failed.kind, "the sentinel " + to_string(at) + ": " + failed.text};
            }
        }
        if (!best) {
            throw ConnectionFailure{last};
        }
        return *best;
    }

    // The next sentinel.
    Answer ask(time_point deadline) {
        Sentinel& sentinel = sentinels_[next_];
        std::unique_ptr<Connection> connection = std::move(sentinel.connection);
        if (!connection || !connection->usable(0, std::chrono::steady_clock::now())) {
            const Endpoint& at = asked_.sentinel.sentinels[next_];
            asked_.host = at.host;
            asked_.port = at.port;
            connection = std::make_unique<Connection>(asked_, encryption_, 0, deadline,
                                                      Connection::Greet::ping);
        }
        std::string bytes;
        append_command(bytes, std::array<std::string_view, 3>{"SENTINEL", "MASTER", primary_});
        append_command(bytes, std::array<std::string_view, 3>{"SENTINEL", "GET-MASTER-ADDR-BY-NAME",
                                                              primary_});
        std::array<Reply, 2> replies;
        connection->ask(bytes, deadline, replies);
        sentinel.connection = std::move(connection);
        sentinel.told = told(replies[1]);
        return {sentinel.told, epoch(replies[0])};
    }

    Endpoint told(const Reply& reply) const {
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

    // Of names and values. 0: it does not say, for whom it may tell less to.
    static std::uint64_t epoch(const Reply& reply) noexcept {
        for (std::size_t i = 0; reply.is_array() && i + 1 < reply.size(); i += 2) {
            if (reply[i].text() == "config-epoch") {
                std::uint64_t number = 0;
                const std::string_view text = reply[i + 1].text();
                std::from_chars(text.data(), text.data() + text.size(), number);
                return number;
            }
        }
        return 0;
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
    std::atomic<bool> doubted_{false};
    Semaphore one_{1};  // guards what follows
    ClientOptions asked_;
    std::vector<Sentinel> sentinels_;
    std::size_t next_ = 0;  // the one that is asked first
    std::optional<Answer> found_{};
    std::atomic<rep> look_again_{never_yet};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_PRIMARY_FINDER_HPP
