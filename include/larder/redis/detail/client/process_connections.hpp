// SPDX-License-Identifier: MIT

/// @file
/// The connections of one process to a server.

#ifndef LARDER_REDIS_DETAIL_CLIENT_PROCESS_CONNECTIONS_HPP
#define LARDER_REDIS_DETAIL_CLIENT_PROCESS_CONNECTIONS_HPP

#include <larder/detail/support/process.hpp>
#include <larder/redis/detail/client/batch_pace.hpp>
#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/client_in_hand.hpp>
#include <larder/redis/detail/client/encryption.hpp>
#include <larder/redis/detail/client/exchange.hpp>
#include <larder/redis/detail/client/few_callers.hpp>
#include <larder/redis/detail/client/idle_connections.hpp>
#include <larder/redis/detail/client/multiplexer.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/client/scoped_count.hpp>
#include <larder/redis/detail/client/semaphore.hpp>
#include <larder/redis/detail/client/server.hpp>
#include <larder/redis/options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The connections of one process: multiplexers, and others for what must be alone.
///
/// Thread safety: all members may run concurrently.
class ProcessConnections {
public:
    /// @param name        in messages
    /// @param encryption  of all that this client has; null: none
    /// @param counters    shared with other servers
    explicit ProcessConnections(
        const ClientOptions& options, std::string name, const Encryption* encryption = nullptr,
        std::size_t processors = std::thread::hardware_concurrency(),
        std::shared_ptr<Server::Counters> counters = std::make_shared<Server::Counters>())
        : server{options, std::move(name),
                 encryption != nullptr ? encryption->for_process() : nullptr, std::move(counters)},
          few_{options.connections, processors},
          multiplexers_(options.connections),
          bulk_{options.bulk_connections} {}

    /// Carries out a call over a connection that others use too.
    ///
    /// A few callers have a connection each. A crowd shares the first, for a batch costs hardly more
    /// than one command; but not while batches take long, be it for a slow network, for a slow
    /// command or for a large reply: then each has one, as long as there are some.
    /// Where the server gives no further connection, the calls go to those that it has given.
    void run(Call& call) noexcept {
        const ScopedCount counted{calls_};
        close_unused(call.time.start);
        run_shared(call, counted.count(), true);
        while (call.failure == Call::Failure::no_further) {
            const time_point now = no_further();
            call.start_again(now);
            run_shared(call, counted.count(), false);
        }
    }

    /// Carries out a call over a connection that no other uses meanwhile. One that does not block is
    /// carried out with others if the server gives no further connection.
    ///
    /// @param bulk    wait until fewer than the most of these run
    /// @param blocks  others must not wait for it
    void run_alone(Call& call, bool bulk, bool blocks) {
        const ScopedCount counted{calls_alone_};
        const Semaphore::Permit permit =
            bulk ? bulk_.acquire(call.time.deadline) : Semaphore::Permit{};
        if (bulk && !permit) {
            static const auto why = std::make_shared<const std::string>(
                "all connections for bulk pipelines are in use");
            call.fail(Call::Failure::timed_out, why);
            return;
        }
        const time_point now = std::chrono::steady_clock::now();
        call.has_others = works(nullptr, true);
        if (!blocks && call.has_others && !may_open(now)) {
            run(call);
            return;
        }
        Exchange<Multiplexer::Leadership>{server, call}.run(now);
        without_further(call, blocks);
    }

    /// Whether so many have a connection to themselves that those of more would not be kept.
    [[nodiscard]] bool crowded() const noexcept {
        return calls_alone_.load(std::memory_order_relaxed) >= IdleConnections::most;
    }

    /// A call over a connection that no other uses meanwhile, in two halves: whoever asks several
    /// servers sends to all of them, and only then reads. One that does not block is carried out with
    /// others if the server gives no further connection.
    class Halves {
    public:
        /// @param on, call  must outlive it
        Halves(ProcessConnections& on, Call& call, bool blocks) noexcept
            : counted_{on.calls_alone_},
              on_{on},
              call_{call},
              blocks_{blocks},
              exchange_{on.server, call} {}

        void send(time_point now) noexcept {
            call_.has_others = on_.works(nullptr, true);
            exchange_.send_first(now);
        }

        void finish() noexcept {
            exchange_.finish();
            on_.without_further(call_, blocks_);
        }

    private:
        const ScopedCount counted_;
        ProcessConnections& on_;
        Call& call_;
        const bool blocks_;
        Exchange<Multiplexer::Leadership> exchange_;
    };

    /// What is in hand: all of it zero, once nobody is in a call.
    [[nodiscard]] ClientInHand in_hand() const noexcept {
        ClientInHand all;
        all.probes = server.breaker.probes();
        all.calls =
            calls_.load(std::memory_order_relaxed) + calls_alone_.load(std::memory_order_relaxed);
        all.bulk = bulk_.acquired();
        for (const Multiplexer& multiplexer : multiplexers_) {
            all.leads += multiplexer.busy() ? 1U : 0U;
        }
        return all;
    }

    /// In a child: gives up what its parent had. Another thread of the parent may have held a
    /// lock, or have been anywhere within a reply, so nothing is locked and nothing destroyed.
    void abandon() noexcept {
        server.idle.close_all();
        if (server.primary != nullptr) {
            server.primary->close_inherited();
        }
        for (Multiplexer& multiplexer : multiplexers_) {
            multiplexer.close_inherited();
        }
        static std::atomic<ProcessConnections*> abandoned{nullptr};
        before_ = abandoned.exchange(this);
    }

    Server server;
    const std::uint64_t generation = larder::detail::forks();

private:
    using rep = Call::duration::rep;

    // A call that was to be alone, and for which the server gave no connection.
    void without_further(Call& call, bool blocks) noexcept {
        if (call.failure == Call::Failure::no_further) {
            const time_point now = no_further();
            if (blocks) {
                call.failure = Call::Failure::connect;
            } else {
                call.start_again(now);
                run(call);
            }
        }
    }

    // How long no further connection is tried where the server has none.
    static constexpr std::chrono::seconds full{1};

    // How long a connection is kept that nobody uses.
    static constexpr std::chrono::seconds unused{10};

    // @param cold  connections that are just being opened are expected to work
    void run_shared(Call& call, std::size_t callers, bool cold) noexcept {
        const time_point now = call.time.start;
        const bool shared =
            callers > few_.count(server.give_way.quick(now)) && server.pace.quick(now);
        const std::size_t crowd = shared ? callers : 0;
        Multiplexer& chosen = choose(now, crowd);
        call.has_others = works(&chosen, cold);
        chosen.run(server, call, crowd);
    }

    [[nodiscard]] Multiplexer& choose(time_point now, std::size_t crowd) noexcept {
        const bool all = may_open(now);
        Multiplexer* youngest = nullptr;
        for (Multiplexer& multiplexer : multiplexers_) {
            if (!all && !multiplexer.connected()) {
                continue;
            }
            if (!multiplexer.busy() ||
                (crowd > 0 && now - multiplexer.busy_since() <= BatchPace::longest(crowd))) {
                return multiplexer;
            }
            if (youngest == nullptr || multiplexer.busy_since() > youngest->busy_since()) {
                youngest = &multiplexer;
            }
        }
        return youngest == nullptr ? multiplexers_.front() : *youngest;
    }

    // Whether any but this one has a connection, as far as is known.
    [[nodiscard]] bool works(const Multiplexer* but, bool cold) const noexcept {
        return std::any_of(multiplexers_.begin(), multiplexers_.end(), [&](const Multiplexer& one) {
            return &one != but && (one.connected() || (cold && one.busy()));
        });
    }

    [[nodiscard]] bool may_open(time_point now) const noexcept {
        return now.time_since_epoch().count() >= opens_.load(std::memory_order_relaxed);
    }

    time_point no_further() noexcept {
        const time_point now = std::chrono::steady_clock::now();
        opens_.store((now + full).time_since_epoch().count(), std::memory_order_relaxed);
        return now;
    }

    // What a crowd has left behind. Looked for once in a while, by whoever passes by.
    void close_unused(time_point now) noexcept {
        rep next = looks_.load(std::memory_order_relaxed);
        if (now.time_since_epoch().count() >= next &&
            looks_.compare_exchange_strong(next, (now + unused / 2).time_since_epoch().count(),
                                           std::memory_order_relaxed)) {
            for (Multiplexer& multiplexer : multiplexers_) {
                multiplexer.close_unused(now - unused);
            }
        }
    }

    const FewCallers few_;
    std::vector<Multiplexer> multiplexers_;
    std::atomic<std::size_t> calls_{0};  // of those
    std::atomic<std::size_t> calls_alone_{0};
    std::atomic<rep> opens_{(Call::duration::min)().count()};  // further connections, from then on
    std::atomic<rep> looks_{(Call::duration::min)().count()};  // for unused ones
    Semaphore bulk_;
    ProcessConnections* before_{nullptr};  // of those abandoned
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_PROCESS_CONNECTIONS_HPP
