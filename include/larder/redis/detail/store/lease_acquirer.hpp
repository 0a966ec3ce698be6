// SPDX-License-Identifier: MIT

/// @file
/// Acquires leases: of an empty slot, of one that holds what is no value, beside a value.

#ifndef LARDER_REDIS_DETAIL_STORE_LEASE_ACQUIRER_HPP
#define LARDER_REDIS_DETAIL_STORE_LEASE_ACQUIRER_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/redis/detail/store/lease_request.hpp>
#include <larder/redis/detail/store/lease_step.hpp>
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

/// The leases of one store. A thin view of its state: make one where it is needed.
///
/// Each step throws StoreError if the server cannot be asked, or answers with an error.
///
/// A template so that whoever includes it and has no store does not compile it.
template <class = void>
class BasicLeaseAcquirer {
public:
    using Dated = larder::detail::Dated;
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

    /// The same for many: what is asked of each slot, by what is known of it, goes in one round trip.
    /// One whose server did not answer when it was looked into has failed alone.
    /// The answer of slot i goes to `openings[places[i]]`. All leases are given back if it throws.
    ///
    /// @param queries  by the places, and all as dated as the first
    void open_many(std::span<const std::string> slots, std::span<const std::size_t> places,
                   std::span<Query> queries, std::span<Opening> openings) {
        std::vector<std::size_t> asks;
        std::vector<Request> asked;
        asks.reserve(slots.size());
        asked.reserve(slots.size());
        for (std::size_t i = 0; i < slots.size(); ++i) {
            const Query::Seen seen = queries[places[i]].seen;
            if (seen <= Query::Seen::stale) {
                asks.push_back(i);
                asked.emplace_back(state_, slots[i], seen == Query::Seen::stale);
            }
        }
        Pipeline pipeline;
        ClockReading clock{state_, asks.empty() ? Dated::no : queries[places[asks[0]]].dated,
                           pipeline, asks.size(),
                           [&](std::size_t j) -> const std::string& { return slots[asks[j]]; }};
        for (std::size_t j = 0; j < asks.size(); ++j) {
            add_step(pipeline, state_, slots[asks[j]], queries[places[asks[j]]], asked[j].lease.id);
        }
        std::vector<Reply> replies(pipeline.size());
        ask(pipeline, asked, replies, replies.size());
        const std::span<const Reply> of = std::span{replies}.subspan(clock.replies());
        for (std::size_t j = 0; j < asks.size(); ++j) {
            asked[j].answered(is_granted(queries[places[asks[j]]].seen, of[j]));
        }
        try {
            std::vector<SlotView> beside(asks.size());
            for (std::size_t j = 0; j < asks.size(); ++j) {
                const Query& query = queries[places[asks[j]]];
                if (query.seen != Query::Seen::nothing && of[j].is_error() && !is_torn(of[j])) {
                    state_.throw_error(pipeline, clock.replies() + j, of[j]);
                }
                if (query.seen == Query::Seen::stale) {
                    values_.turn_to(places[asks[j]]);
                    beside[j] = view_beside(slots[asks[j]], of[j], query);
                }
            }
            if (const auto untold = reader_.judge_tags(beside)) {
                std::rethrow_exception(untold);
            }
            for (std::size_t i = 0, j = 0; i < slots.size(); ++i) {
                Query& query = queries[places[i]];
                values_.turn_to(places[i]);
                if (j == asks.size() || asks[j] != i) {
                    openings[places[i]] = open_apart(slots[i], query);
                    continue;
                }
                const Epoch epoch =
                    is_granted(query.seen, of[j]) ? clock.epoch(slots[i], replies) : Epoch{};
                openings[places[i]] =
                    opened(slots[i], query, asked[j], of[j], beside[j].copy, epoch);
                ++j;
            }
        } catch (...) {
            give_back(state_, slots, places, openings);
            throw;
        }
    }

    /// The lease beside a value, if that is as `wanted`.
    Opening open_beside(const std::string& slot, const Query& query, Beside wanted) {
        Request mine{state_, slot, true};
        Answer answer = ask(mine, slot, query.dated, scripts().open_beside,
                            {slot, SlotNames::side(slot)}, {hex(mine.lease.id), state_.lease_ms()});
        const bool granted = is_granted(Query::Seen::stale, answer.replies[answer.clock.replies()]);
        mine.answered(granted);
        SlotView view = view_beside(slot, answer.reply(), query);
        reader_.judge_tags(view);
        return opened_beside(slot, query, wanted, std::move(mine), answer.reply(), view.copy,
                             granted && view.copy ? answer.epoch(slot) : Epoch{});
    }

    /// The lease, whoever has it.
    Opening force(const std::string& slot, Dated dated) {
        const auto before = state_.leases.now();
        Request mine{state_, slot};
        Answer answer = ask(mine, slot, dated, scripts().force, {slot, SlotNames::side(slot)},
                            {hex(mine.lease.id), state_.lease_ms(), loading_bytes(mine.lease.id)});
        if (is_torn(answer.reply())) {
            mine.answered(false);
            return force_alone(slot, dated);
        }
        const std::string_view kind = answer.reply().text();
        mine.lease.beside = kind == "+";
        mine.answered(kind == "+" || kind == "L");
        if (kind != "+" && kind != "L") {
            return kind == "W" ? write_in_flight() : Opening{};
        }
        state_.leases.lose(slot, before);
        return mine.hand_out(answer.epoch(slot), std::nullopt);
    }

private:
    using Copy = std::optional<FoundCopy>;
    using Request = LeaseRequest;
    using Slot = larder::detail::Slot;

    static constexpr std::size_t clocks = 1;    // the most commands of a ClockReading of one slot
    static constexpr std::size_t releases = 2;  // the same of `add_release`

    // What a script has answered, and the clock ahead of it.
    struct Answer {
        ClockReading clock;
        std::array<Reply, clocks + 1> replies{};

        [[nodiscard]] ReplyView reply() const noexcept { return replies[clock.replies()]; }
        [[nodiscard]] Epoch epoch(const std::string& slot) { return clock.epoch(slot, replies); }
    };

    static const SlotScripts& scripts() { return SlotScripts::instance(); }

    // One of many that is not asked with the others.
    Opening open_apart(const std::string& slot, Query& query) {
        if (query.seen != Query::Seen::failure) {
            return open(slot, query);
        }
        Opening failed;
        failed.failure = query.failure;
        return failed;
    }

    // ---- asking for leases ----

    void ask(const Pipeline& pipeline, std::span<Request> asked, std::span<Reply> replies,
             std::size_t unchecked) const {
        try {
            state_.send(pipeline, replies);
            for (std::size_t i = unchecked; i < replies.size(); ++i) {
                if (replies[i].is_error() && !is_torn(replies[i])) {
                    state_.throw_error(pipeline, i, replies[i]);
                }
            }
        } catch (const NoReply& failure) {
            if (failure.outcome() == Outcome::not_sent) {
                for (Request& one : asked) {
                    one.answered(false);
                }
            }
            throw;
        }
    }
    Answer ask(Request& mine, const std::string& slot, Dated dated, const Script& script,
               std::initializer_list<std::string_view> keys,
               std::initializer_list<std::string_view> args) const {
        Pipeline pipeline;
        Answer answer{{state_, dated, pipeline, std::span{&slot, 1}}};
        add_script(pipeline, script, keys, args);
        ask(pipeline, std::span{&mine, 1}, std::span{answer.replies}.first(pipeline.size()),
            answer.clock.replies());
        return answer;
    }

    // The lease of an empty slot, or what is there. It may still show a lease of this process that
    // has ended: that is given back on the way.
    Opening acquire(const std::string& slot, const Query& query, const Lease& ended = {}) {
        std::array<Reply, clocks + releases + 1> room;
        std::size_t last = 0;
        {
            Request mine{state_, slot};
            Pipeline pipeline;
            ClockReading clock{state_, query.dated, pipeline, std::span{&slot, 1}};
            if (ended) {
                add_release(pipeline, slot, ended.id, ended.beside);
            }
            last = pipeline.size();
            add_open(pipeline, state_, slot, mine.lease.id);
            const std::span<Reply> replies = std::span{room}.first(pipeline.size());
            ask(pipeline, std::span{&mine, 1}, replies, replies.size());
            mine.answered(room[last].is_nil());
            if (room[last].is_nil()) {
                return mine.hand_out(clock.epoch(slot, replies), std::nullopt);
            }
        }
        return occupied(slot, room[last], query);
    }

    // The same by scripts of one key: no copy is left that is older than the load. Who has taken the lease
    // in between has begun later than this. Rules R3 and S5.
    Opening force_alone(const std::string& slot, Dated dated) {
        state_.erase(std::span{&slot, 1});
        Query query{.remaining = true};
        query.dated = dated;
        Opening opening = acquire(slot, query);
        return opening.slot == Slot::lead || opening.writing ? std::move(opening) : Opening{};
    }

    // The lease of a slot that holds exactly the bytes that were seen, which are no value.
    Opening replace(const std::string& slot, const Query& query) {
        {
            Request mine{state_, slot};
            Answer answer = ask(mine, slot, query.dated, scripts().replace, {slot},
                                {query.digest, loading_bytes(mine.lease.id), state_.lease_ms()});
            const bool granted = answer.reply().integer() == 1;
            mine.answered(granted);
            if (granted) {
                return mine.hand_out(answer.epoch(slot), std::nullopt);
            }
        }
        return acquire(slot, query);
    }

    // ---- what the server has answered ----

    // The value that a lease is beside.
    SlotView view_beside(const std::string& slot, ReplyView reply, const Query& query) const {
        const std::string_view kind = reply[0].text();
        return kind == "+" || kind == "R" ? reader_.judge(slot, reply[2], reply[3].integer(), query)
                                          : SlotView{};
    }

    // What a step of `add_step` was answered.
    Opening opened(const std::string& slot, Query& query, Request& mine, const Reply& reply,
                   Copy beside, const Epoch& epoch) {
        const Query::Seen seen = std::exchange(query.seen, Query::Seen::nothing);
        if (seen == Query::Seen::stale) {
            return opened_beside(slot, query, Beside::stale, std::move(mine), reply, beside, epoch);
        }
        if (is_granted(seen, reply)) {
            return mine.hand_out(epoch, std::nullopt);
        }
        return seen == Query::Seen::junk ? acquire(slot, query) : occupied(slot, reply, query);
    }

    Opening opened_beside(const std::string& slot, const Query& query, Beside wanted,
                          Request&& asked, ReplyView reply, Copy copy, const Epoch& epoch) {
        if (is_torn(reply)) {  // a script of one key cannot do it
            Opening none;
            none.slot = wanted == Beside::fresh ? Slot::hit : Slot::bypass;
            return none;
        }
        const std::string kind{reply[0].text()};
        const std::uint64_t holder = unhex(reply[1].text()).value_or(0);
        {
            Request mine = std::move(asked);
            if (copy && copy->stale() != (wanted == Beside::stale)) {
                copy.reset();
            }
            if (kind == "+" && copy) {
                return mine.hand_out(epoch, copy);
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
            return held_by(slot, query, {holder, {}, true}, copy);
        }
        if (kind == "W") {
            return write_in_flight();
        }
        return kind == "U" || kind == "X" ? Opening{} : acquire(slot, query);
    }

    // ---- where there is none to be had ----

    // What a slot that was not empty answered to `add_open`.
    Opening occupied(const std::string& slot, const Reply& opened, const Query& query) {
        if (query.steps > 0 && is_old_server(opened)) {
            return acquire(slot, query.again());
        }
        SlotReading reading;  // what is seen may look into it
        SlotView seen = reader_.judge(slot, opened, std::nullopt, query);
        if ((seen.needs_time || (query.remaining && seen.copy)) && !is_known(slot, seen)) {
            reading = reader_.read(slot, query.again());
            seen = reading.slot;
        } else {
            reader_.judge_tags(seen);
        }
        if (seen.kind == SlotView::Kind::copy && !seen.copy->stale()) {
            return {Slot::hit, seen.copy, {}, {}, nullptr};
        }
        if (query.steps == 0) {
            return {};  // it changes faster than it can be read
        }
        Query next = query.again();
        SlotReader::note(seen, next);
        return open(slot, next);
    }
    // A lease of this process: nobody need ask whether it has an end.
    bool is_known(const std::string& slot, const SlotView& seen) const {
        return seen.kind == SlotView::Kind::loading &&
               (state_.leases.flight(slot, seen.lease) || state_.leases.ended(slot, seen.lease));
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
        return {answer, copy, lease, {}, std::move(flight)};
    }

    static Opening write_in_flight() {
        Opening opening;
        opening.writing = true;
        return opening;
    }

    State& state_;
    ValueSink& values_;
    SlotReader reader_;
};

using LeaseAcquirer = BasicLeaseAcquirer<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_LEASE_ACQUIRER_HPP
