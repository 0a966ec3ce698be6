// SPDX-License-Identifier: MIT

/// @file
/// Acquires leases: of an empty slot, of one that holds what is no value, beside a value.

#ifndef LARDER_REDIS_DETAIL_STORE_LEASE_ACQUIRER_HPP
#define LARDER_REDIS_DETAIL_STORE_LEASE_ACQUIRER_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/redis/detail/store/lease_request.hpp>
#include <larder/redis/detail/store/query.hpp>
#include <larder/redis/detail/store/reader.hpp>
#include <larder/redis/detail/store/script_calls.hpp>
#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/slot_names.hpp>
#include <larder/redis/detail/store/slot_view.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/redis/detail/store/tag_clock.hpp>
#include <larder/redis/detail/store/values.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/script.hpp>
#include <larder/version.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// Whether a reload beside a value is of one that is fresh, in the background, or of one that is not.
enum class Beside : bool { fresh, stale };

/// Gives back the leases among what slots have answered, each at its place.
inline void give_back(StoreState& state, std::span<const std::string> slots,
                      std::span<const std::size_t> places,
                      std::span<const SlotOpening> openings) noexcept {
    for (std::size_t i = 0; i < slots.size(); ++i) {
        const SlotOpening& one = openings[places[i]];
        if (one.slot == larder::detail::Slot::lead) {
            state.give_back(slots[i], one.lease);
        }
    }
}

/// The leases of one store. A thin view of its state: make one where it is needed.
///
/// Each step throws StoreError if the server cannot be asked, or answers with an error.
///
/// A template so that whoever includes it and has no store does not compile it.
template <class = void>
class BasicLeaseAcquirer {
public:
    using Lease = larder::detail::Lease;
    using Opening = SlotOpening;
    using State = StoreState;

    /// @param values  take the values that are found
    BasicLeaseAcquirer(State& state, ValueSink& values) noexcept
        : state_{state}, values_{values}, reader_{state, values} {}

    /// For a reader without a fresh copy; the query may know what it saw.
    Opening open(const std::string& slot, Query& query) {
        switch (std::exchange(query.seen, Query::Seen::nothing)) {
            case Query::Seen::failure: std::rethrow_exception(query.failure);
            case Query::Seen::writing: return write_in_flight();
            case Query::Seen::bypass: return {};
            case Query::Seen::loading:
                return held_by(slot, query, {query.lease, {}, false}, std::nullopt);
            case Query::Seen::stale: return open_beside(slot, query, Beside::stale);
            case Query::Seen::junk: return replace(slot, query);
            case Query::Seen::nothing: break;
        }
        return acquire(slot, query);
    }

    /// The lease of each slot that is empty, in one round trip; others as `open`. The answer of slot i
    /// goes to `openings[places[i]]`. All are given back if it throws.
    void open_many(std::span<const std::string> slots, const Query& query,
                   std::span<Opening> openings, std::span<const std::size_t> places) {
        if (slots.empty()) {
            return;
        }
        std::vector<Request> asked;
        asked.reserve(slots.size());
        Pipeline pipeline;
        for (const std::string& slot : slots) {
            add_open(pipeline, slot, asked.emplace_back(state_, slot).lease.id);
        }
        std::vector<Reply> replies(pipeline.size());
        ask(pipeline, asked, replies, replies.size());
        const auto of = [&](std::size_t i) {
            return std::span<const Reply>{replies}.subspan(opens * i, opens);
        };
        for (std::size_t i = 0; i < slots.size(); ++i) {
            asked[i].answered(is_granted(of(i)));
        }
        std::optional<Epoch> made;  // where there is no clock: once for all
        try {
            for (std::size_t i = 0; i < slots.size(); ++i) {
                values_.turn_to(places[i]);
                Opening opening = is_granted(of(i))
                                      ? asked[i].hand_out(epoch_for(of(i)[0], made), std::nullopt)
                                      : occupied(slots[i], of(i), query);
                openings[places[i]] = std::move(opening);
            }
        } catch (...) {
            give_back(state_, slots, places, openings);
            throw;
        }
    }

    /// The lease beside a value, if that is as `wanted`.
    Opening open_beside(const std::string& slot, const Query& query, Beside wanted) {
        Copy copy;
        std::string kind;
        std::uint64_t holder = 0;
        {
            Request mine{state_, slot, true};
            const ScriptReplies replies =
                ask(mine, scripts().open_beside, {slot, SlotNames::side(slot)},
                    {hex(mine.lease.id), state_.lease_ms()});
            const ReplyView reply = replies[1];
            kind = reply[0].text();
            holder = unhex(reply[1].text()).value_or(0);
            mine.answered(kind == "+");
            if (kind == "+" || kind == "R") {
                copy = copy_in(slot, reply[2], reply[3].integer(), query);
            }
            if (copy && copy->stale() != (wanted == Beside::stale)) {
                copy.reset();
            }
            if (kind == "+" && copy) {
                return mine.hand_out(epoch_of(state_, replies[0]), std::move(copy));
            }
        }
        if (kind == "R" && query.steps > 0 && state_.leases.ended(slot, holder)) {
            state_.release(slot, {holder, {}, true});
            return open_beside(slot, query.again(), wanted);
        }
        if (wanted == Beside::fresh) {
            Opening none;
            none.slot = kind == "W" ? Slot::bypass : Slot::hit;
            return none;
        }
        if (kind == "R" && copy) {
            copy->refreshing = true;
            return held_by(slot, query, {holder, {}, true}, std::move(copy));
        }
        if (kind == "W") {
            return write_in_flight();
        }
        return kind == "U" || kind == "X" ? Opening{} : acquire(slot, query);
    }

    /// The lease, whoever has it.
    Opening force(const std::string& slot) {
        const auto before = state_.leases.now();
        Request mine{state_, slot};
        const ScriptReplies replies =
            ask(mine, scripts().force, {slot, SlotNames::side(slot)},
                {hex(mine.lease.id), state_.lease_ms(), loading_bytes(mine.lease.id)});
        const std::string_view kind = replies[1].text();
        mine.lease.beside = kind == "+";
        mine.answered(kind == "+" || kind == "L");
        if (kind != "+" && kind != "L") {
            return kind == "W" ? write_in_flight() : Opening{};
        }
        state_.leases.lose(slot, before);
        return mine.hand_out(epoch_of(state_, replies[0]), std::nullopt);
    }

private:
    using Copy = std::optional<FoundCopy>;
    using Request = LeaseRequest;
    using ScriptReplies = std::array<Reply, 2>;
    using Slot = larder::detail::Slot;

    static constexpr std::size_t opens = 3;        // the commands of `add_open`
    static constexpr std::size_t releases = 2;     // the most commands of `add_release`
    static constexpr std::size_t clock_reads = 1;  // at first, and they may fail

    static const SlotScripts& scripts() { return SlotScripts::instance(); }

    // ---- asking for leases ----

    void ask(const Pipeline& pipeline, std::span<Request> asked, std::span<Reply> replies,
             std::size_t unchecked) const {
        try {
            state_.run(pipeline, replies, unchecked);
        } catch (const NoReply& failure) {
            if (failure.outcome() == Outcome::not_sent) {
                for (Request& one : asked) {
                    one.answered(false);
                }
            }
            throw;
        }
    }
    // By a script, with the clock read on the way: an older clock is only stricter.
    ScriptReplies ask(Request& mine, const Script& script,
                      std::initializer_list<std::string_view> keys,
                      std::initializer_list<std::string_view> args) const {
        Pipeline pipeline;
        pipeline.command("GET", state_.names.clock());
        add_script(pipeline, script, keys, args);
        ScriptReplies replies;
        ask(pipeline, std::span{&mine, 1}, replies, clock_reads);
        return replies;
    }
    // The lease of an empty slot: reads the clock and the time left on the way.
    void add_open(Pipeline& pipeline, const std::string& slot, std::uint64_t id) const {
        pipeline.command("GET", state_.names.clock()).command("PTTL", slot);
        if (state_.sets_with_get.load(std::memory_order_relaxed)) {
            pipeline.command("SET", slot, loading_bytes(id), "NX", "GET", "PX", state_.lease_ms());
        } else {
            add_script(pipeline, scripts().open, {slot}, {loading_bytes(id), state_.lease_ms()});
        }
    }
    static bool is_granted(std::span<const Reply> opened) { return opened[2].is_nil(); }

    Epoch epoch_for(const Reply& clock, std::optional<Epoch>& made) const {
        if (const auto epoch = to_epoch(clock.text())) {
            return *epoch;
        }
        if (!made) {
            made = epoch_of(state_, clock);
        }
        return *made;
    }

    // The lease of an empty slot, or what is there. It may still show a lease of this process that
    // has ended: that is given back on the way.
    Opening acquire(const std::string& slot, const Query& query, const Lease& ended = {}) {
        std::array<Reply, releases + opens> room;
        std::span<Reply> replies;
        {
            Request mine{state_, slot};
            Pipeline pipeline;
            if (ended) {
                add_release(pipeline, slot, ended.id, ended.beside);
            }
            const std::size_t before = pipeline.size();
            add_open(pipeline, slot, mine.lease.id);
            replies = std::span{room}.first(pipeline.size());
            ask(pipeline, std::span{&mine, 1}, replies, replies.size());
            replies = replies.subspan(before);
            mine.answered(is_granted(replies));
            if (is_granted(replies)) {
                return mine.hand_out(epoch_of(state_, replies[0]), std::nullopt);
            }
        }
        return occupied(slot, replies, query);
    }

    // The lease of a slot that holds exactly the bytes that were seen, which are no value.
    Opening replace(const std::string& slot, const Query& query) {
        {
            Request mine{state_, slot};
            const ScriptReplies replies =
                ask(mine, scripts().replace, {slot},
                    {query.digest, loading_bytes(mine.lease.id), state_.lease_ms()});
            mine.answered(replies[1].integer() == 1);
            if (replies[1].integer() == 1) {
                return mine.hand_out(epoch_of(state_, replies[0]), std::nullopt);
            }
        }
        return acquire(slot, query);
    }

    // ---- where there is none to be had ----

    // What a slot that was not empty answered to `add_open`.
    Opening occupied(const std::string& slot, std::span<const Reply> opened, const Query& query) {
        if (query.steps > 0 && is_old_server(opened[2])) {
            return acquire(slot, query.again());
        }
        SlotView seen = view_of(slot, opened[2], opened[1].integer(), query);
        if (seen.kind == SlotView::Kind::copy && !seen.copy->stale()) {
            return {Slot::hit, std::move(seen.copy), {}, {}, nullptr};
        }
        if (query.steps == 0) {
            return {};  // it changes faster than it can be read
        }
        Query next = query.again();
        reader_.note(seen, next);
        return open(slot, next);
    }
    bool is_old_server(const Reply& reply) const {
        const bool old = reply.is_error() && reply.text() == "ERR syntax error";
        if (old) {
            state_.sets_with_get.store(false, std::memory_order_relaxed);
        }
        return old;
    }

    Opening held_by(const std::string& slot, const Query& query, const Lease& lease, Copy copy) {
        auto flight = state_.leases.flight(slot, lease.id);
        if (!flight && query.steps > 0 && state_.leases.ended(slot, lease.id)) {
            return acquire(slot, query.again(), lease);
        }
        const Slot answer = flight ? Slot::join : Slot::remote;
        return {answer, std::move(copy), lease, {}, std::move(flight)};
    }

    static Opening write_in_flight() {
        Opening opening;
        opening.writing = true;
        return opening;
    }

    SlotView view_of(const std::string& slot, ReplyView bytes, std::int64_t pttl,
                     const Query& query) const {
        SlotView view = reader_.judge(slot, bytes, pttl, query);
        reader_.judge_tags(std::span{&view, 1});
        return view;
    }
    Copy copy_in(const std::string& slot, ReplyView bytes, std::int64_t pttl,
                 const Query& query) const {
        return view_of(slot, bytes, pttl, query).copy;
    }

    State& state_;
    ValueSink& values_;
    SlotReader reader_;
};

using LeaseAcquirer = BasicLeaseAcquirer<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_LEASE_ACQUIRER_HPP
