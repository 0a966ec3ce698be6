// SPDX-License-Identifier: MIT

/// @file
/// The connections of one process to a server.

#ifndef LARDER_REDIS_DETAIL_CLIENT_PROCESS_CONNECTIONS_HPP
#define LARDER_REDIS_DETAIL_CLIENT_PROCESS_CONNECTIONS_HPP

#include <larder/detail/support/process.hpp>
#include <larder/redis/detail/client/batch_pace.hpp>
#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/client_in_hand.hpp>
#include <larder/redis/detail/client/exchange.hpp>
#include <larder/redis/detail/client/few_callers.hpp>
#include <larder/redis/detail/client/multiplexer.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/client/scoped_count.hpp>
#include <larder/redis/detail/client/semaphore.hpp>
#include <larder/redis/detail/client/server.hpp>
#include <larder/redis/options.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The connections of one process: multiplexers, and others for what must be alone.
///
/// Thread safety: all members may run concurrently.
class ProcessConnections {
public:
    explicit ProcessConnections(const ClientOptions& options,
                                std::size_t processors = std::thread::hardware_concurrency())
        : server{options},
          few_{options.connections, processors},
          multiplexers_(options.connections),
          bulk_{options.bulk_connections} {}

    /// Carries out a call over a connection that others use too.
    ///
    /// A few callers have a connection each. A crowd shares the first, for a batch costs hardly more
    /// than one command; but not while batches take long, be it for a slow network, for a slow
    /// command or for a large reply: then each has one, as long as there are some.
    void run(Call& call) noexcept {
        const ScopedCount counted{calls_};
        const time_point now = call.time.start;
        const bool shared =
            counted.count() > few_.count(server.give_way.quick(now)) && server.pace.quick(now);
        const std::size_t crowd = shared ? counted.count() : 0;
        choose(now, crowd).run(server, call, crowd);
    }

    /// Carries out a call over a connection that no other uses meanwhile.
    ///
    /// @param bulk  wait until fewer than the most of these run
    void run_alone(Call& call, bool bulk) {
        const ScopedCount counted{calls_alone_};
        const Semaphore::Permit permit =
            bulk ? bulk_.acquire(call.time.deadline) : Semaphore::Permit{};
        if (bulk && !permit) {
            static const auto why = std::make_shared<const std::string>(
                "all connections for bulk pipelines are in use");
            call.fail(Call::Failure::timed_out, why);
            return;
        }
        Exchange<Multiplexer::Leadership>{server, call}.run(std::chrono::steady_clock::now());
    }

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
        for (Multiplexer& multiplexer : multiplexers_) {
            multiplexer.close_inherited();
        }
        static std::atomic<ProcessConnections*> abandoned{nullptr};
        before_ = abandoned.exchange(this);
    }

    Server server;
    const std::uint64_t generation = larder::detail::forks();

private:
    [[nodiscard]] Multiplexer& choose(time_point now, std::size_t crowd) noexcept {
        Multiplexer* youngest = &multiplexers_.front();
        for (Multiplexer& multiplexer : multiplexers_) {
            if (!multiplexer.busy() ||
                (crowd > 0 && now - multiplexer.busy_since() <= BatchPace::longest(crowd))) {
                return multiplexer;
            }
            youngest = multiplexer.busy_since() > youngest->busy_since() ? &multiplexer : youngest;
        }
        return *youngest;
    }

    const FewCallers few_;
    std::vector<Multiplexer> multiplexers_;
    std::atomic<std::size_t> calls_{0};  // of those
    std::atomic<std::size_t> calls_alone_{0};
    Semaphore bulk_;
    ProcessConnections* before_{nullptr};  // of those abandoned
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_PROCESS_CONNECTIONS_HPP
