// SPDX-License-Identifier: MIT

/// @file
/// What the handles of one RedisStore share: client, names, counters, leases, and the
/// invalidations that the server has missed.

#ifndef LARDER_REDIS_DETAIL_STORE_STATE_HPP
#define LARDER_REDIS_DETAIL_STORE_STATE_HPP

#include <larder/clock.hpp>
#include <larder/detail/slot/invalidation_replay.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/hash.hpp>
#include <larder/options.hpp>
#include <larder/redis/client.hpp>
#include <larder/redis/detail/client/command_bytes.hpp>
#include <larder/redis/detail/client/namespaces.hpp>
#include <larder/redis/detail/store/change_channel.hpp>
#include <larder/redis/detail/store/change_script.hpp>
#include <larder/redis/detail/store/lease_renewer.hpp>
#include <larder/redis/detail/store/partition_check.hpp>
#include <larder/redis/detail/store/script_calls.hpp>
#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/slot_names.hpp>
#include <larder/redis/detail/store/values.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/script.hpp>
#include <larder/redis/store_options.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// Thread safety: all members may run concurrently.
///
/// A template so that whoever includes it and has no store does not compile it.
template <class = void>
struct BasicStoreState {
    using Replay = larder::detail::InvalidationReplay<std::string, Hash<std::string>, SteadyClock>;

    BasicStoreState(Client given, std::string name, const RedisStoreOptions& chosen, ValueType type)
        : client{std::move(given)},
          options{checked(chosen)},
          values{type},
          space{std::move(name)},
          names{space, options.schema, partitions_of(client, options.partitions)},
          registration{client.namespaces(), names.slots()},
          partition_check{client, std::string{names.name()}, names.partitions()},
          leases{options.lease, [this](const auto& due) { this->tell_of(due); }} {}

    // ---- steps ----

    /// Carries out commands, once all who use the namespace are known to divide it alike.
    ///
    /// @throws StoreError  they do not
    [[nodiscard]] std::vector<Reply> send(const Pipeline& pipeline) const {
        partition_check.require();
        return client.run(pipeline);
    }
    void send(const Pipeline& pipeline, std::span<Reply> replies) const {
        partition_check.require();
        client.run(pipeline, replies);
    }

    /// The same of what is asked of each key by itself: the nodes of a cluster that answer serve theirs,
    /// though another is away, whose replies are nil.
    ///
    /// @return why there are not all replies; null: there are
    /// @throws StoreError  there are none, or as `send`
    [[nodiscard]] std::exception_ptr send_partly(const Pipeline& pipeline,
                                                 std::span<Reply> replies) const {
        try {
            send(pipeline, replies);
        } catch (const NoReply&) {
            if (!client.clustered() ||
                std::all_of(replies.begin(), replies.end(),
                            [](const Reply& reply) { return reply.is_nil(); })) {
                throw;
            }
            return std::current_exception();
        }
        return nullptr;
    }

    /// Carries out commands of which none may fail, but for the first `unchecked`.
    ///
    /// @throws ReplyError  a reply is an error; it names that command and its key
    std::vector<Reply> run(const Pipeline& pipeline, std::size_t unchecked = 0) const {
        std::vector<Reply> replies(pipeline.size());
        run(pipeline, replies, unchecked);
        return replies;
    }
    void run(const Pipeline& pipeline, std::span<Reply> replies, std::size_t unchecked = 0) const {
        send(pipeline, replies);
        check(pipeline, replies, unchecked);
    }
    void check(const Pipeline& pipeline, std::span<const Reply> replies,
               std::size_t unchecked) const {
        for (std::size_t i = unchecked; i < replies.size(); ++i) {
            if (replies[i].is_error()) {
                throw_error(pipeline, i, replies[i]);
            }
        }
    }
    /// Throws what the i-th reply, an error, stands for.
    [[noreturn]] void throw_error(const Pipeline& pipeline, std::size_t i, ReplyView reply) const {
        std::size_t at = 0;
        for (std::size_t before = 0; before < i; ++before) {
            at = parse_command(PipelineAccess::bytes(pipeline), at).end;
        }
        client.throw_error(describe(parse_command(PipelineAccess::bytes(pipeline), at)), reply);
    }
    /// The same of one of many that fail by themselves; null if it has not.
    [[nodiscard]] std::exception_ptr failure_of(const Pipeline& pipeline, std::size_t i,
                                                ReplyView reply) const {
        if (reply.is_error()) {
            try {
                throw_error(pipeline, i, reply);
            } catch (...) {
                return std::current_exception();
            }
        }
        return nullptr;
    }

    /// Carries out a step under the id in use, or one that repeats harmlessly.
    Reply step(const Script& script, std::initializer_list<std::string_view> keys,
               std::initializer_list<std::string_view> args) const {
        Pipeline pipeline;
        add_script(pipeline, script, keys, args);
        return run_step(pipeline);
    }
    Reply step(const Script& script, std::span<const std::string> keys,
               std::initializer_list<std::string_view> args) const {
        Pipeline pipeline;
        add_script(pipeline, script, keys, args);
        return run_step(pipeline);
    }
    Reply step(const ChangeScript& script, std::initializer_list<std::string_view> keys,
               std::initializer_list<std::string_view> args) const {
        Pipeline pipeline;
        add_script(pipeline, *channel, script, keys, args);
        return run_step(pipeline);
    }
    Reply run_step(Pipeline& pipeline) const {
        pipeline.repeatable();
        Reply reply;
        run(pipeline, std::span{&reply, 1});
        return reply;
    }

    /// The load failed: the slot shows its lease no more.
    void release(const std::string& slot, const larder::detail::Lease& lease) {
        Pipeline pipeline;
        pipeline.repeatable();
        add_release(pipeline, slot, lease.id, lease.beside);
        static_cast<void>(run(pipeline));
        leases.remove(slot, lease.id);
    }

    /// The same for a lease that nobody uses. If the server cannot be told, who sees it gives it back,
    /// or else it ends.
    void give_back(const std::string& slot, const larder::detail::Lease& lease) noexcept {
        try {
            release(slot, lease);
        } catch (...) {
            failed();
        }
    }

    /// Tells the server of invalidations, and what else the pipeline does: who counts is told by 1.
    std::size_t erase(const Pipeline& pipeline, std::span<const std::string> slots) {
        const auto before = leases.now();
        std::size_t had = 0;
        for (const Reply& reply : run(pipeline)) {
            had += reply.is_integer() && reply.integer() == 1 ? 1U : 0U;
        }
        for (const std::string& slot : slots) {
            leases.lose(slot, before);
        }
        return had;
    }

    /// The same by name; how many copies there were.
    std::size_t erase(std::span<const std::string> slots) {
        Pipeline pipeline;
        pipeline.repeatable();
        for (const std::string& slot : slots) {
            add_script(pipeline, *channel, SlotScripts::instance().erase, {slot}, {});
        }
        return erase(pipeline, slots);
    }

    /// Erases every key of the namespace, page by page. On a cluster twice: what goes to a primary
    /// that was asked, from one that was not, is found the second time.
    void clear() {
        partition_check.require();
        for (int passes = client.clustered() ? 2 : 1; passes > 0; --passes) {
            for (const Endpoint& primary : client.primaries()) {
                clear(primary);
            }
        }
    }

    /// Whether the server has not been told of an invalidation of this slot; tries to tell it first.
    [[nodiscard]] bool distrusts(const std::string& slot) {
        if (missed.empty()) [[likely]] {
            return false;
        }
        missed.help();
        return missed.contains(slot);
    }

    // ---- sizes and counts ----

    /// What is more could be written, and never read: a reply holds a slot, and little else.
    [[nodiscard]] std::size_t most_slot_bytes() const noexcept {
        constexpr std::size_t frame = 256;
        const std::size_t most = client.options().max_reply_bytes;
        return most > frame ? most - frame : 0;
    }

    [[nodiscard]] Stats stats() const {
        Stats stats;
        stats.store_errors = failures.load(std::memory_order_relaxed);
        stats.undecodable = undecodable.load(std::memory_order_relaxed);
        stats.oversized = oversized.load(std::memory_order_relaxed);
        stats.queued_invalidations = missed.size();
        stats.breaker = client.breaker();
        return stats;
    }

    [[nodiscard]] std::string lease_ms() const { return std::to_string(options.lease.count()); }
    void failed() const noexcept { failures.fetch_add(1, std::memory_order_relaxed); }

    const Client client;
    const RedisStoreOptions options;
    const ValueType values;
    const std::string space;  ///< without its schema
    const SlotNames names;
    const Namespaces::Registration registration;
    const std::shared_ptr<ChangeChannel> channel{
        std::make_shared<ChangeChannel>(SlotNames::channel(names.slots()))};
    const PartitionCheck partition_check;
    const SteadyClock clock{};
    mutable std::atomic<std::uint64_t> failures{0};
    mutable std::atomic<std::uint64_t> undecodable{0};
    mutable std::atomic<std::uint64_t> oversized{0};
    mutable std::atomic<bool> sets_with_get{true};  ///< SET … NX GET, since 7.0
    LeaseRenewer leases;                            // after the rest: its timer uses that

    /// Invalidations that the server has missed. Last: it owns no part of the rest, and ends first.
    Replay missed{clock,
                  {.tell = [this](auto some) { this->tell_of(some); },
                   .at_once = 256,
                   .clear = [this] { this->clear(); }}};

private:
    static const RedisStoreOptions& checked(const RedisStoreOptions& options) {
        validate(options);
        return options;
    }

    void clear(const Endpoint& primary) {
        const std::string pattern = names.pattern();
        std::string cursor = "0";
        do {
            Pipeline pipeline;
            pipeline.repeatable().command("SCAN", cursor, "MATCH", pattern, "COUNT", 500);
            Reply page;
            client.run_at(primary, pipeline, std::span{&page, 1});
            check(pipeline, std::span{&page, 1}, 0);
            cursor = std::string{page[0].text()};
            std::vector<std::string> slots;
            for (std::size_t i = 0; i < page[1].size(); ++i) {
                slots.emplace_back(page[1][i].text());
            }
            erase(slots);
        } while (cursor != "0");
    }

    void tell_of(const LeaseRenewer::Due& due) const {
        const SlotScripts& scripts = SlotScripts::instance();
        const std::string length = lease_ms();
        Pipeline pipeline;
        pipeline.repeatable();
        for (const LeasePlace& lease : due.renew) {
            add_script(pipeline, scripts.renew, {lease.slot}, {loading_bytes(lease.id), length});
            if (lease.beside) {
                add_script(pipeline, scripts.renew_beside, {SlotNames::side(lease.slot)},
                           {hex(lease.id), length});
            }
        }
        for (const LeasePlace& lease : due.give_back) {
            add_release(pipeline, lease.slot, lease.id, lease.beside);
        }
        static_cast<void>(send(pipeline));
    }

    // What the server has missed: how writes ended, and that the copy goes. The nodes of a cluster that
    // answer are told, though another is away.
    void tell_of(std::span<const Replay::Invalidation> some) {
        Pipeline pipeline;
        pipeline.repeatable();
        for (const auto& one : some) {
            for (const larder::detail::Ticket& ticket : one.tickets) {
                add_finish_with_nothing(pipeline, *channel, one.key, ticket.id);
            }
            add_script(pipeline, *channel, SlotScripts::instance().erase, {one.key}, {});
        }
        const auto before = leases.now();
        std::vector<Reply> replies(pipeline.size());
        std::exception_ptr failure = send_partly(pipeline, replies);
        std::vector<Replay::Invalidation> told;
        told.reserve(some.size());
        std::size_t at = 0;
        for (const auto& one : some) {
            bool all = true;
            for (const std::size_t end = at + one.tickets.size() + 1; at < end; ++at) {
                const bool refused = replies[at].is_error();
                all = all && !refused && !replies[at].is_nil();
                if (refused && !failure) {
                    failure = failure_of(pipeline, at, replies[at]);
                }
            }
            if (all) {
                leases.lose(one.key, before);
                told.push_back(one);
            }
        }
        if (failure) {
            missed.told(told);
            std::rethrow_exception(failure);
        }
    }
};

using StoreState = BasicStoreState<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_STATE_HPP
