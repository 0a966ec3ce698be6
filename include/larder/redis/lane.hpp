// SPDX-License-Identifier: MIT

/// @file
/// A connection that many callers share: who comes while it is busy travels with the next batch.

#ifndef LARDER_REDIS_LANE_HPP
#define LARDER_REDIS_LANE_HPP

#include <larder/detail/counters.hpp>
#include <larder/detail/random.hpp>
#include <larder/redis/circuit.hpp>
#include <larder/redis/connection.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// What all connections to a server have in common.
struct Server {
    enum Count : std::size_t { round_trips, commands, bytes_sent, connects, resent, counts };

    explicit Server(const ClientOptions& of) : options{of}, circuit{of.breaker, of.max_breaker} {}

    const ClientOptions& options;
    Circuit circuit;
    larder::detail::Counters<counts> counters{};
};

/// One caller's commands, on that caller's stack. The caller does not leave before it is settled:
/// whoever carries it out is bounded by a deadline that is not later than its own.
struct Call {
    enum class Verdict : std::uint8_t { none, connect, timed_out, broken, credentials, refused };
    enum Turn : std::uint32_t { waits, leads, done };
    using duration = std::chrono::steady_clock::duration;

    std::string_view bytes{};
    std::size_t commands{0};
    Reply* replies{nullptr};
    bool repeatable{false};
    bool probe{false};
    time_point start{};
    time_point deadline{never};

    // What became of it.
    std::size_t answered{0};  ///< replies that are there
    bool sent{false};         ///< some of it may have reached the server
    Verdict verdict{Verdict::none};
    std::shared_ptr<const std::string> why{};

    // Within a lane.
    Call* next{nullptr};
    duration connecting{0};  ///< what the lane had spent on connecting when this came
    std::atomic<std::uint32_t> turn{waits};

    [[nodiscard]] bool settled() const noexcept {
        return answered == commands || verdict != Verdict::none;
    }

    void fail(Verdict with, const std::shared_ptr<const std::string>& because) noexcept {
        verdict = with;
        why = because;
    }

    void put_off(duration by) noexcept {
        if (deadline != never) {
            deadline += by;
        }
    }

    /// Waits until it is this caller's turn to lead, or its call is settled.
    [[nodiscard]] bool wait() noexcept {
        turn.wait(waits, std::memory_order_acquire);
        return turn.load(std::memory_order_acquire) == leads;
    }
    void wake(Turn to) noexcept {
        turn.store(to, std::memory_order_release);
        turn.notify_one();
    }
};

/// Carries out a chain of calls over one connection, opening it if need be. Afterwards each of them
/// is settled, and the connection is gone if it saw any error.
///
/// Over a connection that broke nothing is lost that may be sent again: what the server cannot have
/// seen, and what is repeatable, goes over a new one, once.
class Exchange {
public:
    using duration = std::chrono::steady_clock::duration;

    Exchange(Server& server, std::unique_ptr<Connection>& connection, Call& first,
             std::string& scratch) noexcept
        : server_{server}, connection_{connection}, first_{first}, scratch_{scratch} {}

    /// @param now  for the first of the calls, which bounds all of them
    void run(time_point now) noexcept {
        const bool probe = any([](const Call& call) { return call.probe; });
        if (!probe && server_.circuit.state() != Breaker::closed) {
            each([](Call& call) { call.fail(Call::Verdict::refused, nullptr); });
            return;
        }
        try {
            const bool answered = try_twice(now);
            if (probe && answered) {
                server_.circuit.succeeded();
            }
        } catch (...) {
            // Out of memory. What of it arrived is not known.
            connection_.reset();
            each([](Call& call) { call.fail(Call::Verdict::broken, nullptr); });
        }
        if (probe) {
            server_.circuit.gave_up();
        }
    }

    /// What was spent on opening connections.
    [[nodiscard]] duration connecting() const noexcept { return connecting_; }

private:
    [[nodiscard]] bool try_twice(time_point now) {
        const std::uint64_t era = server_.circuit.era();
        for (bool again = false;; again = true) {
            Progress progress;
            try {
                if (connection_ && !connection_->usable(era, now)) {
                    connection_.reset();
                }
                if (!connection_) {
                    connect(era);
                }
                if (any([](const Call&) { return true; })) {
                    exchange(now, again, progress);
                }
                return true;
            } catch (const Failed& failed) {
                connection_.reset();
                auto why = std::make_shared<const std::string>(failed.text);
                const bool last = again || failed.kind != Failed::Kind::broken;
                if (last) {
                    const bool credentials = failed.kind == Failed::Kind::credentials;
                    server_.circuit.failed(era, std::chrono::steady_clock::now(),
                                           larder::detail::random_fraction(),
                                           {failed.text, credentials});
                }
                mark_sent(progress.sent);
                each([&](Call& call) {
                    if (last || (call.sent && !call.repeatable)) {
                        call.fail(verdict(failed.kind), why);
                    } else {
                        call.answered = 0;
                    }
                });
                if (last) {
                    return false;
                }
            }
        }
    }

    void connect(std::uint64_t era) {
        const time_point began = std::chrono::steady_clock::now();
        struct Spent {
            ~Spent() { total += std::chrono::steady_clock::now() - began; }
            time_point began;
            duration& total;
        } const spent{began, connecting_};
        server_.counters.add(Server::connects);
        connection_ = std::make_unique<Connection>(server_.options, era,
                                                   began + server_.options.connect_timeout);
    }

    void exchange(time_point now, bool again, Progress& progress) {
        std::size_t commands = 0;
        std::size_t calls = 0;
        Call* at = nullptr;
        each([&](Call& call) {
            at = at == nullptr ? &call : at;
            commands += call.commands;
            ++calls;
        });
        std::string_view bytes = at->bytes;
        if (calls > 1) {
            scratch_.clear();
            each([&](Call& call) { scratch_ += call.bytes; });
            bytes = scratch_;
        }
        server_.counters.add(Server::round_trips);
        server_.counters.add(Server::commands, commands);
        server_.counters.add(Server::bytes_sent, bytes.size());
        if (again) {
            server_.counters.add(Server::resent, commands);
        }
        const duration patience = server_.options.command_timeout;
        const time_point deadline =
            first_.deadline == never ? never : first_.deadline + connecting_;
        const bool fresh =
            !again && connecting_ == duration{0} && now - first_.start < patience / 64;
        const auto take = [&](Reply reply) {
            at->replies[at->answered++] = std::move(reply);
            if (at->answered == at->commands) {
                do {
                    at = at->next;
                } while (at != nullptr && at->settled());
            }
        };
        if (!connection_->exchange(bytes, commands, deadline, fresh, progress, take)) {
            connection_.reset();
        }
    }

    // Of the calls that were sent together, those whose first byte the kernel took.
    void mark_sent(std::size_t sent) noexcept {
        std::size_t begin = 0;
        for (Call* call = &first_; call != nullptr; call = call->next) {
            if (call->verdict == Call::Verdict::none && begin < sent) {
                call->sent = true;
            }
            begin += call->bytes.size();
        }
    }

    [[nodiscard]] static Call::Verdict verdict(Failed::Kind kind) noexcept {
        switch (kind) {
            case Failed::Kind::connect: return Call::Verdict::connect;
            case Failed::Kind::timed_out: return Call::Verdict::timed_out;
            case Failed::Kind::credentials: return Call::Verdict::credentials;
            case Failed::Kind::broken: break;
        }
        return Call::Verdict::broken;
    }

    // Those that are not settled.
    template <class F>
    void each(F&& f) {
        for (Call* call = &first_; call != nullptr; call = call->next) {
            if (!call->settled()) {
                f(*call);
            }
        }
    }
    template <class F>
    [[nodiscard]] bool any(F&& f) const {
        for (const Call* call = &first_; call != nullptr; call = call->next) {
            if (!call->settled() && f(*call)) {
                return true;
            }
        }
        return false;
    }

    Server& server_;
    std::unique_ptr<Connection>& connection_;
    Call& first_;
    std::string& scratch_;
    duration connecting_{0};
};

/// A shared connection without a thread of its own. The caller that finds it idle leads: it sends
/// all that has gathered, reads all replies, hands the lead to the one that has waited longest, and
/// wakes those whose replies are there.
///
/// Thread safety: all members may run concurrently.
class Lane {
public:
    /// More than that is not sent at once.
    static constexpr std::size_t max_bytes = 256 * 1024;
    static constexpr std::size_t max_commands = 1024;

    /// Whether somebody is using it. A hint.
    [[nodiscard]] bool busy() const noexcept { return busy_.load(std::memory_order_relaxed); }

    /// When the batch was sent that it is busy with. A hint.
    [[nodiscard]] time_point busy_since() const noexcept {
        return time_point{Call::duration{since_.load(std::memory_order_relaxed)}};
    }

    void run(Server& server, Call& call) noexcept {
        time_point now = call.start;
        std::unique_lock lock{mutex_};
        call.connecting = connecting_;
        (last_ == nullptr ? head_ : last_->next) = &call;
        last_ = &call;
        if (busy()) {
            lock.unlock();
            if (!call.wait()) {
                return;
            }
            lock.lock();
            now = std::chrono::steady_clock::now();
        } else {
            busy_.store(true, std::memory_order_relaxed);
        }
        since_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
        cut_batch();
        // Waiting for a connection is not waiting for the server.
        call.put_off(connecting_ - call.connecting);
        lock.unlock();

        Exchange exchange{server, connection_, call, scratch_};
        exchange.run(now);

        lock.lock();
        connecting_ += exchange.connecting();
        Call* const leader = head_;
        busy_.store(leader != nullptr, std::memory_order_relaxed);
        lock.unlock();
        Call* done = call.next;
        if (leader != nullptr) {
            leader->wake(Call::leads);
        }
        while (done != nullptr) {
            Call* const next = done->next;  // its caller goes on as soon as it is woken
            done->wake(Call::done);
            done = next;
        }
    }

    /// In a child: closes the parent's socket, which stays open there.
    void close_inherited() noexcept {
        if (connection_) {
            connection_->close_inherited();
        }
    }

private:
    // Takes from the queue what fits into one batch: at least its first, who leads.
    void cut_batch() noexcept {
        std::size_t bytes = head_->bytes.size();
        std::size_t commands = head_->commands;
        Call* end = head_;
        while (end->next != nullptr) {
            bytes += end->next->bytes.size();
            commands += end->next->commands;
            if (bytes > max_bytes || commands > max_commands) {
                break;
            }
            end = end->next;
        }
        head_ = std::exchange(end->next, nullptr);
        if (head_ == nullptr) {
            last_ = nullptr;
        }
    }

    std::mutex mutex_{};
    std::atomic<bool> busy_{false};
    std::atomic<Call::duration::rep> since_{0};
    Call* head_{nullptr};  // the queue; whoever leads has taken its batch out
    Call* last_{nullptr};
    Call::duration connecting_{0};

    // The leader's.
    std::unique_ptr<Connection> connection_{};
    std::string scratch_{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_LANE_HPP
