// SPDX-License-Identifier: MIT

/// @file
/// Reads slots: what is there, whether its tags stand, and what the next step need not ask again.

#ifndef LARDER_REDIS_DETAIL_STORE_READER_HPP
#define LARDER_REDIS_DETAIL_STORE_READER_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/redis/detail/client/sha1.hpp>
#include <larder/redis/detail/store/multi_get.hpp>
#include <larder/redis/detail/store/query.hpp>
#include <larder/redis/detail/store/script_calls.hpp>
#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/slot_names.hpp>
#include <larder/redis/detail/store/slot_view.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/redis/detail/store/values.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/store_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The reads of one store. A thin view of its state: make one where it is needed.
///
/// A template so that whoever includes it and has no store does not compile it.
template <class = void>
class BasicSlotReader {
public:
    using State = StoreState;
    using View = SlotView;
    using Reading = SlotReading;

    /// @param values  take the values that are found
    BasicSlotReader(const State& state, ValueSink& values) noexcept
        : state_{state}, values_{values} {}

    /// Reads one slot, and then the tags of what is there: never the other way round.
    ///
    /// @throws StoreError  the server cannot be asked
    [[nodiscard]] Reading read(const std::string& slot, const Query& query) const {
        Reading reading = query.remaining ? read_with_time(slot, query) : read_value(slot, query);
        judge_tags(reading.slot);
        return reading;
    }

    /// The same for many, in one round trip. One whose server does not answer is said to have failed by its
    /// query, as long as others do.
    ///
    /// @param places   where the values of the slots go
    /// @param queries  by the places; all ask the same, and are told what was seen
    /// @return the copy in each slot, if it has one
    /// @throws StoreError  no server can be asked
    [[nodiscard]] std::vector<std::optional<FoundCopy>> read_many(
        std::span<const std::string> slots, std::span<const std::size_t> places,
        std::span<Query> queries) const {
        if (slots.empty()) {
            return {};
        }
        const Query& query = queries[places[0]];
        MultiGet values;  // what is seen looks into it, or into these
        std::vector<Reply> replies;
        std::vector<View> all;
        std::exception_ptr failure;
        all.reserve(slots.size());
        if (!query.remaining) {
            std::vector<std::string_view> homes;
            homes.reserve(slots.size());
            for (const std::string& slot : slots) {
                homes.push_back(state_.names.home(slot));
            }
            values = MultiGet{state_, slots, homes};
            failure = values.failure();
            for (std::size_t i = 0; i < slots.size(); ++i) {
                values_.turn_to(places[i]);
                all.push_back(values.unread(i) ? unread()
                                               : judge(slots[i], values[i], std::nullopt, query));
            }
        }
        if (query.remaining ||
            std::any_of(all.begin(), all.end(), [](const View& view) { return view.needs_time; })) {
            all.clear();
            failure = read_many_with_time(slots, places, query, replies, all);
        }
        if (auto untold = judge_tags(all)) {
            failure = std::move(untold);
        }
        std::vector<std::optional<FoundCopy>> copies;
        copies.reserve(all.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            note(all[i], queries[places[i]]);
            if (all[i].kind == View::Kind::unread) {
                queries[places[i]].failure = failure;
            }
            copies.push_back(all[i].copy);
        }
        return copies;
    }

    /// What a reply to GET says, and one to PTTL that was asked for ahead of it.
    ///
    /// @throws StoreError  the reply is an error, but for that of another type
    [[nodiscard]] View judge(const std::string& name, ReplyView reply,
                             std::optional<std::int64_t> pttl, const Query& query) const {
        using Kind = typename View::Kind;
        View view;
        if (reply.is_nil()) {
            return view;
        }
        if (reply.is_error()) {
            if (!reply.text().starts_with("WRONGTYPE")) {
                state_.client.throw_error("GET " + name, reply);
            }
            view.kind = Kind::untouchable;
            return view;
        }
        view.bytes = reply.text();
        view.home = state_.names.home(name);
        view.kind = Kind::junk;
        SlotBytes slot = read_slot(view.bytes);
        switch (slot.kind) {
            case SlotBytes::Kind::plain:
            case SlotBytes::Kind::value:
            case SlotBytes::Kind::absence: judge_copy(slot, pttl, query, view); break;
            case SlotBytes::Kind::loading:
            case SlotBytes::Kind::writing:
            case SlotBytes::Kind::unknown: judge_in_hand(slot, pttl, view); break;
            case SlotBytes::Kind::broken: undecodable(); break;
        }
        return view;
    }

    /// A copy is one only while none of its tags has a version that is newer, or none at all.
    /// Rule T4.
    ///
    /// @return why it is not known of some, which are unread then; null: it is
    [[nodiscard]] std::exception_ptr judge_tags(std::span<View> all) const {
        struct Tag {
            std::string_view home{};
            std::string_view name{};
            auto operator<=>(const Tag&) const = default;
        };
        std::vector<Tag> tags;  // each once
        for (const View& view : all) {
            for (const std::string_view tag : view.tags) {
                tags.push_back({view.home, tag});
            }
        }
        if (tags.empty()) {
            return nullptr;
        }
        std::sort(tags.begin(), tags.end());
        tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
        std::vector<std::string> names;
        std::vector<std::string_view> homes;
        names.reserve(tags.size());
        homes.reserve(tags.size());
        for (const Tag& tag : tags) {
            names.push_back(SlotNames::tag(tag.home, tag.name));
            homes.push_back(tag.home);
        }
        const MultiGet versions{state_, names, homes};
        for (View& view : all) {
            bool known = true;
            const bool stands =
                std::all_of(view.tags.begin(), view.tags.end(), [&](std::string_view tag) {
                    const auto at = std::lower_bound(tags.begin(), tags.end(), Tag{view.home, tag});
                    const auto place = static_cast<std::size_t>(at - tags.begin());
                    const auto version = to_epoch(versions[place].text());
                    known = known && !versions.unread(place);
                    return version && version->era == view.epoch.era &&
                           version->tick <= view.epoch.tick;
                });
            if (!stands) {
                view.kind = known ? View::Kind::junk : View::Kind::unread;
                view.copy.reset();
            }
        }
        return versions.failure();
    }
    /// The same of one slot.
    ///
    /// @throws StoreError  it is not known
    void judge_tags(View& view) const {
        if (const auto untold = judge_tags(std::span{&view, 1})) {
            std::rethrow_exception(untold);
        }
    }

    /// What the next step of the same read need not ask again.
    static void note(const View& view, Query& query) {
        using Seen = Query::Seen;
        switch (view.kind) {
            case View::Kind::absent: query.seen = Seen::nothing; break;
            case View::Kind::copy:
                query.seen = view.copy->stale() ? Seen::stale : Seen::nothing;
                if (query.wants_tags) {
                    query.tags.assign(view.tags.begin(), view.tags.end());
                }
                break;
            case View::Kind::junk:
                query.seen = Seen::junk;
                query.digest = sha1_hex(view.bytes);
                break;
            case View::Kind::loading:
                query.seen = Seen::loading;
                query.lease = view.lease;
                break;
            case View::Kind::writing: query.seen = Seen::writing; break;
            case View::Kind::untouchable: query.seen = Seen::bypass; break;
            case View::Kind::unread: query.seen = Seen::failure; break;
        }
    }

    /// The flight of a load in this process, if the slot still shows its lease.
    [[nodiscard]] static std::shared_ptr<larder::detail::AnyFlight> underway(
        State& state, const std::string& slot) {
        if (state.distrusts(slot)) {
            return nullptr;
        }
        try {
            for (auto& [lease, flight] : state.leases.under_way(slot)) {
                if (left_of(state, slot, {lease.id, {}, lease.beside})) {
                    return std::move(flight);
                }
            }
        } catch (const StoreError&) {
            state.failed();
        }
        return nullptr;
    }

    /// How long the lease has left, if the slot still shows it.
    [[nodiscard]] static std::optional<Ttl> left_of(const State& state, const std::string& slot,
                                                    const larder::detail::Lease& lease) {
        std::int64_t left = -1;
        if (lease.beside) {
            left = left_beside(state, slot, lease);
        } else {
            std::array<Reply, time_reads> replies;
            Pipeline pipeline;
            add_time_read(pipeline, slot);
            state.run(pipeline, replies);
            if (replies[1].text() == loading_bytes(lease.id)) {
                // That was asked before: it may be another's.
                left = std::clamp(replies[0].integer(), std::int64_t{0},
                                  std::int64_t{longest_lease.count()});
            }
        }
        return left < 0 ? std::nullopt : std::optional{Ttl{left}};
    }

private:
    static std::int64_t left_beside(const State& state, const std::string& slot,
                                    const larder::detail::Lease& lease) {
        const std::string side = SlotNames::side(slot);
        Pipeline pipeline;
        pipeline.repeatable();
        add_script(pipeline, SlotScripts::instance().lease_left, {slot, side},
                   {hex(lease.id), loading_bytes(lease.id)});
        Reply reply;
        state.send(pipeline, std::span{&reply, 1});
        if (!is_torn(reply)) {
            state.check(pipeline, std::span{&reply, 1}, 0);
            return reply.integer();
        }
        std::array<Reply, time_reads> replies;  // of the side alone
        Pipeline alone;
        add_time_read(alone, side);
        state.run(alone, replies);
        return replies[1].text().starts_with(hex(lease.id)) ? replies[0].integer() : -1;
    }

    // The commands of `add_time_read`.
    static constexpr std::size_t time_reads = 2;

    // PTTL first: after GET, a stale value could borrow its successor's. Rule R2.
    static void add_time_read(Pipeline& pipeline, const std::string& slot) {
        pipeline.command("PTTL", slot).command("GET", slot);
    }
    [[nodiscard]] Reading read_with_time(const std::string& slot, const Query& query) const {
        std::array<Reply, time_reads> replies;
        Pipeline pipeline;
        add_time_read(pipeline, slot);
        state_.send(pipeline, replies);
        View view = judge_with_time(slot, replies, query);
        return {std::move(replies[1]), std::move(view)};
    }
    // Asks for the time as well if what is there cannot be judged without.
    [[nodiscard]] Reading read_value(const std::string& slot, const Query& query) const {
        Pipeline pipeline;
        pipeline.command("GET", slot);
        Reply reply;
        state_.send(pipeline, std::span{&reply, 1});
        View view = judge(slot, reply, std::nullopt, query);
        if (view.needs_time) {
            return read_with_time(slot, query);
        }
        return {std::move(reply), std::move(view)};
    }
    [[nodiscard]] View judge_with_time(const std::string& slot, std::span<const Reply> replies,
                                       const Query& query) const {
        const std::int64_t pttl = time_left(replies[0]);
        View view = judge(slot, replies[1], pttl, query);
        if (pttl == -1 && view.copy && query.usual > Ttl::zero()) {
            adopt(slot, (std::min)(query.usual, longest_life) + view.grace);
        }
        return view;
    }
    std::exception_ptr read_many_with_time(std::span<const std::string> slots,
                                           std::span<const std::size_t> places, const Query& query,
                                           std::vector<Reply>& replies,
                                           std::vector<View>& all) const {
        Pipeline pipeline;
        for (const std::string& slot : slots) {
            add_time_read(pipeline, slot);
        }
        replies.resize(pipeline.size());
        std::exception_ptr failure = state_.send_partly(pipeline, replies);
        for (std::size_t i = 0; i < slots.size(); ++i) {
            values_.turn_to(places[i]);
            const std::span<const Reply> mine =
                std::span{replies}.subspan(time_reads * i, time_reads);
            all.push_back(mine[0].is_nil() ? unread() : judge_with_time(slots[i], mine, query));
        }
        return failure;
    }
    [[nodiscard]] static View unread() {
        View view;
        view.kind = View::Kind::unread;
        return view;
    }
    [[nodiscard]] std::int64_t time_left(const Reply& reply) const {
        if (reply.is_error()) {
            state_.client.throw_error("PTTL", reply);
        }
        return reply.integer();
    }
    void adopt(const std::string& slot, Ttl life) const {
        try {
            static_cast<void>(
                state_.step(SlotScripts::instance().adopt, {slot}, {std::to_string(life.count())}));
        } catch (const StoreError&) {
            state_.failed();  // a server that takes no writes: another read will try
        }
    }

    void judge_in_hand(const SlotBytes& slot, std::optional<std::int64_t> pttl, View& view) const {
        // One without an end is none.
        const bool loading = slot.kind == SlotBytes::Kind::loading;
        const bool unknown = slot.kind == SlotBytes::Kind::unknown;
        const Ttl most = loading ? longest_lease : longest_ticket;
        if (pttl && (*pttl == -1 || (!unknown && *pttl > most.count()))) {
            undecodable();
            return;
        }
        view.needs_time = !pttl;
        view.lease = slot.lease;
        view.kind = loading   ? View::Kind::loading
                    : unknown ? View::Kind::untouchable
                              : View::Kind::writing;
    }

    void judge_copy(SlotBytes& slot, std::optional<std::int64_t> pttl, const Query& query,
                    View& view) const {
        if (query.tagged && slot.tags.empty()) {
            return;  // nobody knows what it depends on
        }
        std::optional<Elsewhere> value;
        if (slot.kind != SlotBytes::Kind::absence) {
            const bool readable = slot.kind != SlotBytes::Kind::plain || state_.values.textual;
            if (!readable || !values_.decode(slot.body)) {
                undecodable();
                return;
            }
            value.emplace();
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
        view.needs_time = !pttl && slot.grace > Ttl::zero();
        view.grace = slot.grace;
        view.tags = std::move(slot.tags);
        view.epoch = slot.epoch;
        view.kind = View::Kind::copy;
        view.copy.emplace(FoundCopy{{value, remaining}, slot.life, false});
    }

    void undecodable() const noexcept {
        state_.undecodable.fetch_add(1, std::memory_order_relaxed);
    }

    const State& state_;
    ValueSink& values_;
};

using SlotReader = BasicSlotReader<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_READER_HPP
