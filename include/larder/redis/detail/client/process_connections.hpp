// SPDX-License-Identifier: MIT

/// @file
/// The connections of one process to a server.

#ifndef LARDER_REDIS_DETAIL_CLIENT_PROCESS_CONNECTIONS_HPP
#define LARDER_REDIS_DETAIL_CLIENT_PROCESS_CONNECTIONS_HPP

#include <larder/detail/support/process.hpp>
#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/client_in_hand.hpp>
#include <larder/redis/detail/client/exchange.hpp>
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
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The connections of one process: multiplexers, and others for what must be alone.
///
/// Thread safety: all members may run concurrently.
class ProcessConnections {
public:
    explicit ProcessConnections(const ClientOptions& options)
        : server{options}, multiplexers_(options.connections), bulk_{options.bulk_connections} {}

    /// Carries out a call over a connection that others use too.
    ///
    /// A few callers have a connection each, if there are enough. A crowd shares the first, for a
    /// batch costs hardly more than one command; but nobody joins a batch that is under way for
    /// long, be it for a slow network or for a large reply, while there is another.
    void run(Call& call) noexcept {
        const ScopedCount counted{calls_};
        choose(call.time.start, counted.count() > 2 * multiplexers_.size()).run(server, call);
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
    static constexpr std::chrono::microseconds long_batch{200};

    [[nodiscard]] Multiplexer& choose(time_point now, bool crowded) noexcept {
        Multiplexer* youngest = &multiplexers_.front();
        for (Multiplexer& multiplexer : multiplexers_) {
            if (!multiplexer.busy() || (crowded && now - multiplexer.busy_since() < long_batch)) {
                return multiplexer;
            }
            youngest = multiplexer.busy_since() > youngest->busy_since() ? &multiplexer : youngest;
        }
        return *youngest;
    }

    std::vector<Multiplexer> multiplexers_;
    std::atomic<std::size_t> calls_{0};  // of those
    std::atomic<std::size_t> calls_alone_{0};
    Semaphore bulk_;
    ProcessConnections* before_{nullptr};  // of those abandoned
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_PROCESS_CONNECTIONS_HPP
