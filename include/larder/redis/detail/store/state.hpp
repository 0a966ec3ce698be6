// SPDX-License-Identifier: MIT

/// @file
/// What the handles of one RedisStore share: client, names, codec, counters, leases.

#ifndef LARDER_REDIS_DETAIL_STORE_STATE_HPP
#define LARDER_REDIS_DETAIL_STORE_STATE_HPP

#include <larder/entry.hpp>
#include <larder/options.hpp>
#include <larder/redis/client.hpp>
#include <larder/redis/detail/client/command_bytes.hpp>
#include <larder/redis/detail/client/namespaces.hpp>
#include <larder/redis/detail/store/lease_renewer.hpp>
#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/key_name.hpp>
#include <larder/redis/store_options.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The names of a namespace's keys. Those that are not slots begin with `~`, which no namespace does.
class Names {
public:
    Names(std::string name, std::uint32_t schema) {
        require_namespace(name);
        if (schema != 0) {
            name += '@' + std::to_string(schema);
        }
        slots_ = name + ':';
        clock_ = "~clock:" + name;
        tags_ = "~tag:" + slots_;
    }

    /// What all slots begin with.
    [[nodiscard]] const std::string& slots() const noexcept { return slots_; }
    [[nodiscard]] std::string slot(std::string_view key) const {
        std::string name;
        name.reserve(slots_.size() + key.size());
        return name.append(slots_).append(key);
    }
    /// The lease beside a value.
    [[nodiscard]] static std::string side(const std::string& slot) { return "~refresh:" + slot; }
    [[nodiscard]] const std::string& clock() const noexcept { return clock_; }
    [[nodiscard]] std::string tag(std::string_view tag) const {
        return std::string{tags_}.append(tag);
    }

private:
    std::string slots_{};
    std::string clock_{};
    std::string tags_{};
};

inline void add_script(Pipeline& pipeline, const Script& script, std::span<const std::string> keys,
                       std::initializer_list<std::string_view> args) {
    const std::vector<std::string_view> names{keys.begin(), keys.end()};
    pipeline.script(script, names, std::span{args.begin(), args.size()});
}
inline void add_script(Pipeline& pipeline, const Script& script,
                       std::initializer_list<std::string_view> keys,
                       std::initializer_list<std::string_view> args) {
    pipeline.script(script, std::span{keys.begin(), keys.size()},
                    std::span{args.begin(), args.size()});
}

/// The load failed: the slot shows its lease no more.
inline void add_release(Pipeline& pipeline, const std::string& slot, std::uint64_t lease,
                        bool beside) {
    const SlotScripts& scripts = SlotScripts::instance();
    add_script(pipeline, scripts.release, {slot}, {loading_bytes(lease)});
    if (beside) {
        add_script(pipeline, scripts.release_side, {Names::side(slot)}, {hex(lease)});
    }
}

/// Thread safety: all members may run concurrently.
template <class V, class C>
struct StoreState {
    StoreState(Client given, std::string name, const StoreOptions& chosen, C c)
        : client{std::move(given)},
          options{checked(chosen)},
          codec{std::move(c)},
          names{std::move(name), options.schema},
          registration{client.namespaces(), names.slots()},
          leases{options.lease, [this](const auto& due) { tell(due); }} {}

    /// Carries out commands of which none may fail, but for the first `unchecked`.
    ///
    /// @throws ReplyError  a reply is an error; it names that command and its key
    std::vector<Reply> run(const Pipeline& pipeline, std::size_t unchecked = 0) const {
        std::vector<Reply> replies = client.run(pipeline);
        check(pipeline, replies, unchecked);
        return replies;
    }
    void check(const Pipeline& pipeline, std::span<const Reply> replies,
               std::size_t unchecked) const {
        for (std::size_t i = unchecked; i < replies.size(); ++i) {
            if (replies[i].is_error()) {
                std::size_t at = 0;
                for (std::size_t before = 0; before < i; ++before) {
                    at = parse_command(PipelineAccess::bytes(pipeline), at).end;
                }
                client.throw_error(describe(parse_command(PipelineAccess::bytes(pipeline), at)),
                                   replies[i]);
            }
        }
    }
    /// A step under the id in use, or one that repeats harmlessly.
    Reply step(const Script& script, std::span<const std::string> keys,
               std::initializer_list<std::string_view> args) const {
        Pipeline pipeline;
        pipeline.repeatable();
        add_script(pipeline, script, keys, args);
        return std::move(run(pipeline).front());
    }
    Reply step(const Script& script, std::initializer_list<std::string> keys,
               std::initializer_list<std::string_view> args) const {
        return step(script, std::span{keys.begin(), keys.size()}, args);
    }

    /// Invalidates; how many copies there were.
    std::size_t erase(std::span<const std::string> slots) {
        Pipeline pipeline;
        pipeline.repeatable();
        for (const std::string& slot : slots) {
            add_script(pipeline, SlotScripts::instance().erase, {slot}, {});
        }
        return erased(pipeline, slots);
    }
    /// The same by a pipeline that does it, and perhaps more: who counts is told by 1.
    std::size_t erased(const Pipeline& pipeline, std::span<const std::string> slots) {
        const auto held = leases.now();
        std::size_t had = 0;
        for (const Reply& reply : run(pipeline)) {
            had += reply.is_integer() && reply.integer() == 1 ? 1U : 0U;
        }
        for (const std::string& slot : slots) {
            leases.lose(slot, held);
        }
        return had;
    }
    /// Erases every key of the namespace, page by page.
    void clear() {
        const std::string pattern = glob_escaped(names.slots()) + '*';
        std::string cursor = "0";
        do {
            const Reply page = client.command("SCAN", cursor, "MATCH", pattern, "COUNT", 500);
            cursor = std::string{page[0].text()};
            std::vector<std::string> slots;
            for (std::size_t i = 0; i < page[1].size(); ++i) {
                slots.emplace_back(page[1][i].text());
            }
            erase(slots);
        } while (cursor != "0");
    }

    /// What is more could be written, and never read: a reply holds a slot, and little else.
    [[nodiscard]] std::size_t most_slot_bytes() const noexcept {
        constexpr std::size_t frame = 256;
        const std::size_t most = client.options().max_reply_bytes;
        return most > frame ? most - frame : 0;
    }

    [[nodiscard]] std::string lease_ms() const { return std::to_string(options.lease.count()); }
    void failed() const noexcept { failures.fetch_add(1, std::memory_order_relaxed); }

    const Client client;
    const StoreOptions options;
    const C codec;
    const Names names;
    const Namespaces::Registration registration;
    mutable std::atomic<std::uint64_t> failures{0};
    mutable std::atomic<std::uint64_t> undecodable{0};
    mutable std::atomic<std::uint64_t> oversized{0};
    mutable std::atomic<bool> sets_with_get{true};  ///< SET … NX GET, since 7.0
    LeaseRenewer<V> leases;                         // last: its timer uses the rest

private:
    static const StoreOptions& checked(const StoreOptions& options) {
        validate(options);
        return options;
    }

    void tell(const typename LeaseRenewer<V>::Due& due) const {
        const SlotScripts& scripts = SlotScripts::instance();
        const std::string length = lease_ms();
        Pipeline pipeline;
        pipeline.repeatable();
        for (const HeldLease& lease : due.renew) {
            add_script(pipeline, scripts.renew, {lease.slot}, {loading_bytes(lease.id), length});
            if (lease.beside) {
                add_script(pipeline, scripts.renew_side, {Names::side(lease.slot)},
                           {hex(lease.id), length});
            }
        }
        for (const HeldLease& lease : due.give_back) {
            add_release(pipeline, lease.slot, lease.id, lease.beside);
        }
        static_cast<void>(client.run(pipeline));
    }
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_STATE_HPP
