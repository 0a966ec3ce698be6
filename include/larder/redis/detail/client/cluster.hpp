// SPDX-License-Identifier: MIT

/// @file
/// The nodes of a cluster, and who has which slots.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CLUSTER_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CLUSTER_HPP

#include <larder/detail/support/process.hpp>
#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/circuit_breaker.hpp>
#include <larder/redis/detail/client/client_in_hand.hpp>
#include <larder/redis/detail/client/cluster_node.hpp>
#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/detail/client/encryption.hpp>
#include <larder/redis/detail/client/pipeline_calls.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/client/semaphore.hpp>
#include <larder/redis/detail/client/server.hpp>
#include <larder/redis/detail/client/slot_map.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The nodes of a cluster as one process knows them. Who has which slots is asked of any of them: before
/// anything else, when a node sends a command elsewhere or fails, and now and then; at most once a
/// second, by one caller at a time, who does not wait for long. "Redis cluster specification", Redis
/// documentation, how MOVED and ASK are followed. Rule R11.
///
/// Thread safety: all members may run concurrently.
class Cluster {
public:
    using NodePtr = std::shared_ptr<ClusterNode>;

    /// What is known at one time. Never changed.
    struct View {
        std::shared_ptr<const SlotMap> map{};  ///< null: nothing yet
        std::vector<NodePtr> owners{};         ///< those of the map, in its order
        std::vector<NodePtr> nodes{};          ///< these and others

        /// Who has a slot; null: nobody.
        [[nodiscard]] NodePtr owner(std::uint16_t slot) const {
            const auto place = map ? map->owner(slot) : std::nullopt;
            return place ? owners[*place] : nullptr;
        }
    };
    using ViewPtr = std::shared_ptr<const View>;

    /// @param called      in messages
    /// @param encryption  null: none; it and the options must outlive it
    Cluster(const ClientOptions& of, std::string called, const Encryption* encryption)
        : options{of}, name{std::move(called)}, bulk{of.bulk_connections}, encryption_{encryption} {
        static_cast<void>(publish(std::make_shared<const View>()));
    }

    /// What is known, with a map.
    ///
    /// @throws ConnectionFailure  nobody who was asked in time knows
    [[nodiscard]] ViewPtr view(time_point now, time_point deadline) {
        if (now.time_since_epoch().count() >= look_again_.load(std::memory_order_relaxed)) {
            look(now);
        }
        if (ViewPtr known = view(); known->map) [[likely]] {
            return known;
        }
        const Semaphore::Permit mine = one_.acquire(deadline);
        if (ViewPtr known = view(); known->map) {
            return known;
        }
        if (!mine) {
            throw ConnectionFailure{ConnectionFailure::Kind::timed_out, "no node answers"};
        }
        ask_anybody(deadline, std::nullopt, options.cluster.seeds.size());
        return view();
    }

    /// What is known.
    [[nodiscard]] ViewPtr view() const {
        const std::lock_guard lock{mutex_};
        return view_;
    }

    /// The map may be old: it is asked for again by the next `look` that may.
    ///
    /// @param by  who may know better
    void suspect(std::optional<Endpoint> by = std::nullopt) {
        const std::lock_guard lock{mutex_};
        if (by) {
            knows_ = std::move(by);
        }
        look_again_.store((std::min)(look_again_.load(std::memory_order_relaxed),
                                     earliest_.load(std::memory_order_relaxed)),
                          std::memory_order_relaxed);
    }

    /// Asks for the map if it is time, unless another does.
    void look(time_point now) noexcept {
        rep due = look_again_.load(std::memory_order_relaxed);
        if (now.time_since_epoch().count() < due) {
            return;
        }
        try {
            if (const Semaphore::Permit mine = one_.acquire(time_point{}); mine && view()->map) {
                std::optional<Endpoint> first;
                {
                    const std::lock_guard lock{mutex_};
                    first.swap(knows_);
                }
                ask_anybody(now + patience, first, 2);
            }
        } catch (...) {
            // Nobody answers, or there is no memory: what was known is as good as before.
        }
    }

    /// The node at an address.
    [[nodiscard]] NodePtr node(const Endpoint& at) {
        ViewPtr before;  // let go without the lock
        const std::lock_guard lock{mutex_};
        if (NodePtr known = find(*view_, at)) {
            return known;
        }
        auto more = std::make_shared<View>(*view_);
        more->nodes.push_back(make_node(at));
        before = publish(more);
        return more->nodes.back();
    }

    /// A node that answers, as far as is known; null: there is none.
    ///
    /// @param but  none at its address; may be null
    [[nodiscard]] NodePtr any_node(const ClusterNode* but = nullptr) {
        const ViewPtr known = view();
        const std::size_t turn = turn_.fetch_add(1, std::memory_order_relaxed);
        for (std::size_t i = 0; i < known->owners.size(); ++i) {
            const NodePtr& node = known->owners[(turn + i) % known->owners.size()];
            if (node.get() != but && node->is_asked()) {
                return node;
            }
        }
        for (std::size_t i = 0; i < options.cluster.seeds.size(); ++i) {
            const Endpoint& at = seed(turn + i);
            if (but == nullptr || at != but->at) {
                if (NodePtr found = node(at); found->is_asked()) {
                    return found;
                }
            }
        }
        return nullptr;
    }

    /// Counts the changes of the map.
    [[nodiscard]] std::uint64_t topology() const noexcept {
        return topology_.load(std::memory_order_acquire);
    }

    /// Of all nodes together: open where none is asked.
    [[nodiscard]] Breaker breaker() const noexcept {
        const ViewPtr known = view();
        Breaker all = known->owners.empty() ? Breaker::closed : Breaker::open;
        for (const NodePtr& node : known->owners) {
            const Breaker one = node->connections.server.breaker.state();
            all = one == Breaker::closed || (one == Breaker::half_open && all == Breaker::open)
                      ? one
                      : all;
        }
        return all;
    }

    /// What is in hand, at all nodes: all of it zero, once nobody is in a call.
    [[nodiscard]] ClientInHand in_hand() const noexcept {
        ClientInHand all;
        all.calls = one_.acquired();
        all.bulk = bulk.acquired();
        for (const NodePtr& node : view()->nodes) {
            const ClientInHand one = node->connections.in_hand();
            all.probes += one.probes;
            all.calls += one.calls;
            all.bulk += one.bulk;
            all.leads += one.leads;
        }
        return all;
    }

    /// In a child: gives up what its parent had. Nothing is locked, and nothing destroyed.
    void abandon() noexcept {
        for (const NodePtr& node : inherited_.load(std::memory_order_acquire)->nodes) {
            node->connections.abandon();
        }
        static std::atomic<Cluster*> abandoned{nullptr};
        before_ = abandoned.exchange(this);
    }

    const ClientOptions& options;
    const std::string name;
    const std::shared_ptr<Server::Counters> counters = std::make_shared<Server::Counters>();
    Semaphore bulk;  ///< bulk pipelines for several nodes
    const std::uint64_t generation = larder::detail::forks();

private:
    using rep = time_point::rep;
    static constexpr std::chrono::seconds at_most_every{1};
    static constexpr std::chrono::milliseconds patience{200};

    [[nodiscard]] static NodePtr find(const View& view, const Endpoint& at) {
        const auto found = std::find_if(view.nodes.begin(), view.nodes.end(),
                                        [&](const NodePtr& node) { return node->at == at; });
        return found == view.nodes.end() ? nullptr : *found;
    }

    [[nodiscard]] const Endpoint& seed(std::size_t turn) const noexcept {
        return options.cluster.seeds[turn % options.cluster.seeds.size()];
    }

    [[nodiscard]] NodePtr make_node(const Endpoint& at) const {
        return std::make_shared<ClusterNode>(options, at, name, encryption_, counters);
    }

    // With the mutex. What was known before.
    [[nodiscard]] ViewPtr publish(ViewPtr next) noexcept {
        inherited_.store(next.get(), std::memory_order_release);
        return std::exchange(view_, std::move(next));
    }

    // Whoever calls has the permit. One that does not answer leaves its share of the time to the others.
    //
    // @param most  nodes that are asked
    void ask_anybody(time_point deadline, const std::optional<Endpoint>& first, std::size_t most) {
        const time_point now = std::chrono::steady_clock::now();
        earliest_.store((now + at_most_every).time_since_epoch().count(),
                        std::memory_order_relaxed);
        look_again_.store(earliest_.load(std::memory_order_relaxed), std::memory_order_relaxed);
        ConnectionFailure last{ConnectionFailure::Kind::connect, "no node is asked"};
        std::vector<NodePtr> asked;
        for (std::size_t left = most; left > 0; --left) {
            const NodePtr node = !first || !asked.empty() ? next_to_ask(asked) : this->node(*first);
            if (!node) {
                break;
            }
            asked.push_back(node);
            const time_point start = std::chrono::steady_clock::now();
            try {
                learn(ask_one(*node, start, start + (deadline - start) / left));
                look_again_.store((now + options.cluster.refresh).time_since_epoch().count(),
                                  std::memory_order_relaxed);
                return;
            } catch (const ConnectionFailure& failed) {
                last = {failed.kind, to_string(node->at) + ": " + failed.text};
            }
        }
        throw ConnectionFailure{last};
    }

    // Those first of which nothing bad is known, then the seeds.
    [[nodiscard]] NodePtr next_to_ask(const std::vector<NodePtr>& asked) {
        const auto fresh = [&](const NodePtr& node) {
            return std::find(asked.begin(), asked.end(), node) == asked.end();
        };
        if (NodePtr any = any_node(); any && fresh(any)) {
            return any;
        }
        const std::size_t turn = turn_.load(std::memory_order_relaxed);
        for (std::size_t i = 0; i < options.cluster.seeds.size(); ++i) {
            if (NodePtr any = node(seed(turn + i)); fresh(any)) {
                return any;
            }
        }
        return nullptr;
    }

    [[nodiscard]] SlotMap ask_one(ClusterNode& node, time_point now, time_point deadline) const {
        Pipeline question;
        question.command("CLUSTER", "SLOTS").repeatable();
        Reply reply;
        Call call =
            call_of(question, &reply, {.start = now, .deadline = deadline, .latest = deadline});
        CircuitBreaker& breaker = node.connections.server.breaker;
        call.permission = breaker.request(now);
        if (!call.permission.granted()) {
            const auto reason = breaker.reason();
            throw ConnectionFailure{reason->credentials ? ConnectionFailure::Kind::credentials
                                                        : ConnectionFailure::Kind::connect,
                                    reason->text};
        }
        node.connections.run_alone(call, false, false);  // its time is not that of others
        if (call.failure != Call::Failure::none) {
            throw ConnectionFailure{call.failure == Call::Failure::credentials
                                        ? ConnectionFailure::Kind::credentials
                                        : ConnectionFailure::Kind::connect,
                                    call.why ? *call.why : "no reply"};
        }
        call.permission.succeeded();
        if (auto map = SlotMap::parse(reply, node.at)) {
            return *std::move(map);
        }
        const std::string text{reply.text()};
        throw ConnectionFailure{about_credentials(text) ? ConnectionFailure::Kind::credentials
                                                        : ConnectionFailure::Kind::connect,
                                text.empty() ? "it knows of no slots" : text};
    }

    // Nodes that left are let go, once nobody uses them.
    void learn(SlotMap map) {
        ViewPtr before;  // let go without the lock
        const std::lock_guard lock{mutex_};
        auto next = std::make_shared<View>();
        for (const Endpoint& at : map.owners()) {
            const NodePtr known = find(*view_, at);
            next->owners.push_back(known ? known : make_node(at));
        }
        next->nodes = next->owners;
        for (const Endpoint& seed : options.cluster.seeds) {
            if (const NodePtr known = find(*view_, seed); known && !find(*next, seed)) {
                next->nodes.push_back(known);
            }
        }
        const bool changed = !view_->map || !(*view_->map == map);
        next->map = changed ? std::make_shared<const SlotMap>(std::move(map)) : view_->map;
        before = publish(std::move(next));
        topology_.fetch_add(changed ? 1 : 0, std::memory_order_release);
    }

    const Encryption* const encryption_;
    Semaphore one_{1};  // who asks for the map
    std::atomic<rep> look_again_{(std::numeric_limits<rep>::min)()};
    std::atomic<rep> earliest_{(std::numeric_limits<rep>::min)()};
    std::atomic<std::size_t> turn_{0};
    std::atomic<std::uint64_t> topology_{0};
    mutable std::mutex mutex_{};  // guards what follows
    ViewPtr view_{};
    std::optional<Endpoint> knows_{};
    std::atomic<const View*> inherited_{nullptr};  // the view: a child cannot lock
    Cluster* before_{nullptr};                     // of those abandoned
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CLUSTER_HPP
