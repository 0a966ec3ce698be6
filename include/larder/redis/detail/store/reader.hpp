// SPDX-License-Identifier: MIT

/// @file
/// Reads slots: what is there, whether its tags stand, and what the next step need not ask again.

#ifndef LARDER_REDIS_DETAIL_STORE_READER_HPP
#define LARDER_REDIS_DETAIL_STORE_READER_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/redis/detail/client/sha1.hpp>
#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/store_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// What a read wants to know, and what it has found out so far: asking again costs a round trip.
struct Query {
    bool remaining = false;  ///< how long the copy has left
    bool tagged = false;     ///< a copy without tags is none
    Ttl usual{0};            ///< the life that a value without one is given; 0: none

    enum class Saw : std::uint8_t { nothing, junk, stale, loading, writing, bypass, failure };
    Saw saw = Saw::nothing;
    std::uint64_t lease = 0;       ///< `loading`
    std::string digest{};          ///< `junk`: of its bytes
    std::exception_ptr failure{};  ///< `failure`
    int steps = 8;                 ///< how often a slot that keeps changing is looked at
};

/// A slot as it was seen. Views into the replies.
template <class V>
struct Sighted {
    enum class Kind : std::uint8_t { absent, copy, junk, loading, writing, untouchable };

    Kind kind = Kind::absent;
    std::optional<larder::detail::Copy<V>> copy{};
    std::uint64_t lease = 0;
    std::string_view bytes{};
    Ttl grace{0};
    bool asks_for_time = false;  ///< it cannot be judged without the time it has left
    std::vector<std::string_view> tags{};
    Epoch epoch{};
};

/// The reads of one store. A thin view: make one where it is needed.
template <class V, class C>
class SlotReader {
public:
    using State = StoreState<V, C>;
    using Seen = Sighted<V>;

    explicit SlotReader(const State& state) noexcept : s_{state} {}

    /// Reads slots, and then the tags of what is there: never the other way round.
    /// `found(i, sighted)` for each, which may take from it.
    template <class Found>
    void read(std::span<const std::string> slots, const Query& query, Found&& found) const {
        if (slots.empty()) {
            return;
        }
        Values values;  // what is seen looks into it
        std::vector<Seen> all;
        all.reserve(slots.size());
        if (query.remaining) {
            read_with_time(slots, query, values.replies, all);
        } else if (slots.size() == 1) {
            Pipeline pipeline;
            pipeline.command("GET", slots[0]);
            values.replies.push_back(s_.client.run_one(pipeline));
            all.push_back(judge(slots[0], values.replies.front(), std::nullopt, query));
        } else {
            values = read_values(slots);
            for (std::size_t i = 0; i < slots.size(); ++i) {
                all.push_back(judge(slots[i], values[i], std::nullopt, query));
            }
        }
        if (std::any_of(all.begin(), all.end(), [](const Seen& s) { return s.asks_for_time; })) {
            all.clear();
            read_with_time(slots, query, values.replies, all);
        }
        judge_tags(all);
        for (std::size_t i = 0; i < all.size(); ++i) {
            found(i, all[i]);
        }
    }

    /// What a reply to GET says, and one to PTTL that was asked for ahead of it.
    ///
    /// @throws StoreError  the reply is an error, but for that of another type
    [[nodiscard]] Seen judge(const std::string& name, ReplyView reply,
                             std::optional<std::int64_t> pttl, const Query& query) const {
        using Kind = typename Seen::Kind;
        Seen seen;
        if (reply.is_nil()) {
            return seen;
        }
        if (reply.is_error()) {
            if (!reply.text().starts_with("WRONGTYPE")) {
                s_.client.throw_error("GET " + name, reply);
            }
            seen.kind = Kind::untouchable;
            return seen;
        }
        seen.bytes = reply.text();
        seen.kind = Kind::junk;
        SlotBytes slot = read_slot(seen.bytes);
        switch (slot.kind) {
            case SlotBytes::Kind::plain:
            case SlotBytes::Kind::value:
            case SlotBytes::Kind::absence: judge_copy(slot, pttl, query, seen); break;
            case SlotBytes::Kind::loading:
            case SlotBytes::Kind::writing:
            case SlotBytes::Kind::unknown: judge_claim(slot, pttl, seen); break;
            case SlotBytes::Kind::broken: undecodable(); break;
        }
        return seen;
    }

    /// A copy is one only while none of its tags has a version that is newer, or none at all.
    void judge_tags(std::span<Seen> all) const {
        std::vector<std::string> names;
        for (const Seen& seen : all) {
            for (const std::string_view tag : seen.tags) {
                names.push_back(s_.names.tag(tag));
            }
        }
        if (names.empty()) {
            return;
        }
        const Values versions = read_values(names);
        std::size_t at = 0;
        for (Seen& seen : all) {
            for (std::size_t i = 0; i < seen.tags.size(); ++i, ++at) {
                const auto version = to_epoch(versions[at].text());
                if (!version || version->era != seen.epoch.era || version->tick > seen.epoch.tick) {
                    seen.kind = Seen::Kind::junk;
                    seen.copy.reset();
                }
            }
        }
    }

    /// What the next step of the same read need not ask again.
    static void note(const Seen& seen, Query& query) {
        using Saw = Query::Saw;
        switch (seen.kind) {
            case Seen::Kind::absent: query.saw = Saw::nothing; break;
            case Seen::Kind::copy:
                query.saw = seen.copy->stale() ? Saw::stale : Saw::nothing;
                break;
            case Seen::Kind::junk:
                query.saw = Saw::junk;
                query.digest = sha1_hex(seen.bytes);
                break;
            case Seen::Kind::loading:
                query.saw = Saw::loading;
                query.lease = seen.lease;
                break;
            case Seen::Kind::writing: query.saw = Saw::writing; break;
            case Seen::Kind::untouchable: query.saw = Saw::bypass; break;
        }
    }

    /// How long the lease has left, if the slot still shows it.
    [[nodiscard]] std::optional<Ttl> left_of(const std::string& slot,
                                             const larder::detail::Lease& lease) const {
        std::int64_t left = -1;
        if (lease.beside) {
            left = s_.step(SlotScripts::instance().left, {slot, Names::side(slot)},
                           {hex(lease.id), loading_bytes(lease.id)})
                       .integer();
        } else {
            Pipeline pipeline;
            pipeline.command("PTTL", slot).command("GET", slot);
            const std::vector<Reply> replies = s_.run(pipeline);
            if (replies[1].text() == loading_bytes(lease.id)) {
                // That was asked before: it may be another's.
                left = std::clamp(replies[0].integer(), std::int64_t{0},
                                  std::int64_t{longest_lease.count()});
            }
        }
        return left < 0 ? std::nullopt : std::optional{Ttl{left}};
    }

private:
    // The replies to MGET, each for so many keys.
    struct Values {
        std::vector<Reply> replies{};
        std::size_t each = 1;

        [[nodiscard]] ReplyView operator[](std::size_t i) const noexcept {
            return replies[i / each][i % each];
        }
    };

    // No reply is larger than the client takes, if the values are no larger than they may be.
    Values read_values(std::span<const std::string> keys) const {
        Values values;
        values.each = (std::max)(std::size_t{1}, s_.most_slot_bytes() / s_.options.max_value_bytes);
        Pipeline pipeline;
        for (std::size_t i = 0; i < keys.size(); i += values.each) {
            const auto some = keys.subspan(i, (std::min)(values.each, keys.size() - i));
            std::vector<std::string_view> words{"MGET"};
            words.insert(words.end(), some.begin(), some.end());
            pipeline.command(std::span<const std::string_view>{words});
        }
        values.replies = s_.run(pipeline);
        std::size_t answered = 0;
        for (const Reply& reply : values.replies) {
            answered += reply.size();
        }
        if (answered != keys.size()) {
            throw StoreError{"MGET was answered for another number of keys"};
        }
        return values;
    }

    void read_with_time(std::span<const std::string> slots, const Query& query,
                        std::vector<Reply>& replies, std::vector<Seen>& all) const {
        // PTTL first: after GET, a stale value could borrow its successor's.
        Pipeline pipeline;
        for (const std::string& slot : slots) {
            pipeline.command("PTTL", slot).command("GET", slot);
        }
        replies = s_.client.run(pipeline);
        for (std::size_t i = 0; i < slots.size(); ++i) {
            const std::int64_t pttl = time_left(replies[2 * i]);
            all.push_back(judge(slots[i], replies[2 * i + 1], pttl, query));
            if (pttl == -1 && all.back().copy && query.usual > Ttl::zero()) {
                adopt(slots[i], (std::min)(query.usual, longest_life) + all.back().grace);
            }
        }
    }
    [[nodiscard]] std::int64_t time_left(const Reply& reply) const {
        if (reply.is_error()) {
            s_.client.throw_error("PTTL", reply);
        }
        return reply.integer();
    }
    void adopt(const std::string& slot, Ttl life) const {
        try {
            static_cast<void>(
                s_.step(SlotScripts::instance().adopt, {slot}, {std::to_string(life.count())}));
        } catch (const StoreError&) {
            s_.failed();  // a server that takes no writes: another read will try
        }
    }

    void judge_claim(const SlotBytes& slot, std::optional<std::int64_t> pttl, Seen& seen) const {
        // One without an end is none.
        const bool loading = slot.kind == SlotBytes::Kind::loading;
        const bool unknown = slot.kind == SlotBytes::Kind::unknown;
        const Ttl most = loading ? longest_lease : longest_ticket;
        if (pttl && (*pttl == -1 || (!unknown && *pttl > most.count()))) {
            undecodable();
            return;
        }
        seen.asks_for_time = !pttl;
        seen.lease = slot.lease;
        seen.kind = loading   ? Seen::Kind::loading
                    : unknown ? Seen::Kind::untouchable
                              : Seen::Kind::writing;
    }

    void judge_copy(SlotBytes& slot, std::optional<std::int64_t> pttl, const Query& query,
                    Seen& seen) const {
        if (query.tagged && slot.tags.empty()) {
            return;  // nobody knows what it depends on
        }
        std::optional<V> value;
        if (slot.kind != SlotBytes::Kind::absence) {
            try {
                if (slot.kind == SlotBytes::Kind::plain && !C::textual) {
                    undecodable();
                    return;
                }
                value.emplace(s_.codec.decode(slot.body));
            } catch (...) {
                undecodable();
                return;
            }
        }
        Ttl remaining = longest_life;
        if (query.usual > Ttl::zero()) {
            remaining = (std::min)(query.usual, longest_life);
        }
        if (pttl && *pttl >= 0) {
            remaining =
                (std::min)((std::min)(Ttl{*pttl}, 2 * longest_life) - slot.grace, longest_life);
            if (slot.grace == Ttl::zero()) {
                remaining = (std::max)(remaining, Ttl{1});
            }
        }
        seen.asks_for_time = !pttl && slot.grace > Ttl::zero();
        seen.grace = slot.grace;
        seen.tags = std::move(slot.tags);
        seen.epoch = slot.epoch;
        seen.kind = Seen::Kind::copy;
        seen.copy.emplace(larder::detail::Copy<V>{{std::move(value), remaining}, slot.life, false});
    }

    void undecodable() const noexcept { s_.undecodable.fetch_add(1, std::memory_order_relaxed); }

    const State& s_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_READER_HPP
