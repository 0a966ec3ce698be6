// SPDX-License-Identifier: MIT

/// @file
/// All connections of a client: the shared ones, and those for what must be alone.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CONNECTIONS_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CONNECTIONS_HPP

#include <larder/detail/support/process.hpp>
#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/exchange.hpp>
#include <larder/redis/detail/client/in_hand.hpp>
#include <larder/redis/detail/client/multiplexer.hpp>
#include <larder/redis/detail/client/namespaces.hpp>
#include <larder/redis/detail/client/places.hpp>
#include <larder/redis/detail/client/server.hpp>
#include <larder/redis/options.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// A pipeline of more commands is bulk.
inline constexpr std::size_t bulk_commands = 512;

/// What the copies of a client share.
class Connections {
public:
    /// The connections of one process.
    class Shared {
    public:
        explicit Shared(const ClientOptions& options)
            : server{options}, lanes_(options.connections), bulk_{options.bulk_connections} {}

        /// Carries out a call over a connection that others use too.
        ///
        /// A few callers have a connection each, if there are enough. A crowd shares the first, for a
        /// batch costs hardly more than one command; but nobody joins a batch that is under way for
        /// long, be it for a slow network or for a large reply, while there is another.
        void run(Call& call) noexcept {
            const Counted counted{calls_};
            lane(call.time.start, counted.count() > 2 * lanes_.size()).run(server, call);
        }

        /// Carries out a call over a connection that no other uses meanwhile.
        ///
        /// @param bulk  wait until fewer than the most of these run
        void run_alone(Call& call, bool bulk) {
            const Counted counted{calls_alone_};
            const Places::Place place = bulk ? bulk_.take(call.time.deadline) : Places::Place{};
            if (bulk && !place) {
                static const auto why = std::make_shared<const std::string>(
                    "all connections for bulk pipelines are in use");
                call.fail(Call::Verdict::timed_out, why);
                return;
            }
            Exchange<Lane::Lead>{server, call}.run(std::chrono::steady_clock::now());
        }

        /// What is in hand: all of it zero, once nobody is in a call.
        [[nodiscard]] InHand in_hand() const noexcept {
            InHand all;
            all.probes = server.circuit.probes();
            all.calls = calls_.load(std::memory_order_relaxed) +
                        calls_alone_.load(std::memory_order_relaxed);
            all.bulk = bulk_.taken();
            for (const Lane& lane : lanes_) {
                all.leads += lane.busy() ? 1U : 0U;
            }
            return all;
        }

        /// In a child: gives up what its parent had. Another thread of the parent may have held a
        /// lock, or have been anywhere within a reply, so nothing is locked and nothing destroyed.
        void abandon() noexcept {
            server.idle.close();
            for (Lane& lane : lanes_) {
                lane.close_inherited();
            }
            static std::atomic<Shared*> abandoned{nullptr};
            before_ = abandoned.exchange(this);
        }

        Server server;
        const std::uint64_t generation = larder::detail::forks();

    private:
        static constexpr std::chrono::microseconds long_batch{200};

        [[nodiscard]] Lane& lane(time_point now, bool crowded) noexcept {
            Lane* youngest = &lanes_.front();
            for (Lane& lane : lanes_) {
                if (!lane.busy() || (crowded && now - lane.busy_since() < long_batch)) {
                    return lane;
                }
                youngest = lane.busy_since() > youngest->busy_since() ? &lane : youngest;
            }
            return *youngest;
        }

        std::vector<Lane> lanes_;
        std::atomic<std::size_t> calls_{0};  // of those
        std::atomic<std::size_t> calls_alone_{0};
        Places bulk_;
        Shared* before_{nullptr};  // of those abandoned
    };

    explicit Connections(ClientOptions of)
        : options{checked(std::move(of))}, name{name_of(options)}, shared_{new Shared{options}} {}
    Connections(const Connections&) = delete;
    Connections& operator=(const Connections&) = delete;
    ~Connections() {
        Shared* const last = shared_.load(std::memory_order_acquire);
        if (last->generation == larder::detail::forks()) {
            delete last;
        } else {
            last->abandon();
        }
    }

    /// This process' connections.
    [[nodiscard]] Shared& shared() {
        Shared* const known = shared_.load(std::memory_order_acquire);
        return known->generation == larder::detail::forks() ? *known : after_fork(known);
    }

    const ClientOptions options;
    const std::string name;
    Namespaces namespaces{};

private:
    static ClientOptions checked(ClientOptions options) {
        validate(options);
        return options;
    }

    static std::string name_of(const ClientOptions& options) {
        if (!options.path.empty()) {
            return options.path;
        }
        const bool bare = options.host.find(':') == std::string::npos;
        return (bare ? options.host : '[' + options.host + ']') + ':' +
               std::to_string(options.port);
    }

    Shared& after_fork(Shared* inherited) {
        auto mine = std::make_unique<Shared>(options);
        if (shared_.compare_exchange_strong(inherited, mine.get(), std::memory_order_acq_rel)) {
            inherited->abandon();
            return *mine.release();
        }
        return *inherited;  // another thread of the child was first
    }

    std::atomic<Shared*> shared_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CONNECTIONS_HPP
