// SPDX-License-Identifier: MIT

/// @file
/// Takes leases: of an empty slot, of one that holds what is no value, beside a value.

#ifndef LARDER_REDIS_DETAIL_STORE_LEASE_ACQUIRER_HPP
#define LARDER_REDIS_DETAIL_STORE_LEASE_ACQUIRER_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/random.hpp>
#include <larder/error.hpp>
#include <larder/redis/detail/store/lease_renewer.hpp>
#include <larder/redis/detail/store/reader.hpp>
#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <atomic>
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

/// An id of a lease or a ticket. A new one for each attempt: one whose reply was lost may still be
/// carried out, and must then be worth nothing.
[[nodiscard]] inline std::uint64_t new_id() noexcept {
    for (;;) {
        if (const std::uint64_t id = larder::detail::random_bits(); id != 0) {
            return id;
        }
    }
}

/// Whether a reload beside a value is of one that is fresh, in the background, or of one that is not.
enum class Beside : bool { fresh, stale };

/// The leases of one store. A thin view: make one where it is needed.
template <class V, class C>
class LeaseAcquirer {
public:
    using State = StoreState<V, C>;
    using Flight = larder::detail::Flight<V>;
    using Lease = larder::detail::Lease;
    using Opening = larder::detail::Opening<V>;
    using Copy = std::optional<larder::detail::Copy<V>>;
    using Slot = larder::detail::Slot;

    explicit LeaseAcquirer(State& state) noexcept : s_{state}, reader_{state} {}

    /// A reader without a fresh copy; `look` may know what it saw.
    Opening open(const std::string& slot, Query& query) {
        switch (std::exchange(query.saw, Query::Saw::nothing)) {
            case Query::Saw::failure: std::rethrow_exception(query.failure);
            case Query::Saw::writing: return written();
            case Query::Saw::bypass: return {};
            case Query::Saw::loading:
                return join(slot, query, {query.lease, {}, false}, std::nullopt);
            case Query::Saw::stale: return reopen(slot, query, Beside::stale);
            case Query::Saw::junk: return replace(slot, query);
            case Query::Saw::nothing: break;
        }
        return acquire(slot, query);
    }

    /// The lease of each slot that is empty, in one round trip; others as `open`.
    /// `each(i, opening)`, in their order.
    template <class Each>
    void open_many(std::span<const std::string> slots, const Query& query, Each&& each) {
        if (slots.empty()) {
            return;
        }
        std::vector<Announced> asked;
        asked.reserve(slots.size());
        Pipeline pipeline;
        for (const std::string& slot : slots) {
            add_open(pipeline, slot, asked.emplace_back(s_, slot).lease.id);
        }
        const std::vector<Reply> replies = ask(pipeline, asked, asked.size() * opens);
        for (std::size_t i = 0; i < slots.size(); ++i) {
            asked[i].answered(replies[opens * i + 2].is_nil());
        }
        std::optional<Epoch> made;  // where there is no clock: once for all
        const auto epoch_for = [&](const Reply& clock) {
            const auto epoch = to_epoch(clock.text());
            if (!epoch && !made) {
                made = epoch_of(clock);
            }
            return epoch ? *epoch : *made;
        };
        for (std::size_t i = 0; i < slots.size(); ++i) {
            const Reply& reply = replies[opens * i + 2];
            if (reply.is_nil()) {
                each(i, asked[i].lead(epoch_for(replies[opens * i]), std::nullopt));
            } else {
                each(i, old_server(reply)
                            ? acquire(slots[i], query)
                            : found(slots[i], reply, replies[opens * i + 1].integer(), query));
            }
        }
    }

    /// The lease beside a value, if that is as `wanted`.
    Opening reopen(const std::string& slot, const Query& query, Beside wanted) {
        Copy copy;
        std::string kind;
        std::uint64_t holder = 0;
        {
            Announced mine{s_, slot, true};
            Pipeline pipeline;
            pipeline.command("GET", s_.names.clock());
            add_script(pipeline, scripts().reopen, {slot, Names::side(slot)},
                       {hex(mine.lease.id), s_.lease_ms()});
            const std::vector<Reply> replies = ask(pipeline, std::span{&mine, 1}, clock_reads);
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
                return mine.lead(epoch_of(replies[0]), std::move(copy));
            }
        }
        if (kind == "R" && query.steps > 0 && s_.leases.ended(slot, holder)) {
            release(s_, slot, {holder, {}, true});
            return reopen(slot, one_less(query), wanted);
        }
        if (wanted == Beside::fresh) {
            Opening none;
            none.slot = kind == "W" ? Slot::bypass : Slot::hit;
            return none;
        }
        if (kind == "R" && copy) {
            copy->refreshing = true;
            return join(slot, query, {holder, {}, true}, std::move(copy));
        }
        if (kind == "W") {
            return written();
        }
        return kind == "U" || kind == "X" ? Opening{} : acquire(slot, query);
    }

    /// The lease, from whoever has it.
    Opening take(const std::string& slot) {
        const auto moment = s_.leases.now();
        Announced mine{s_, slot};
        Pipeline pipeline;
        pipeline.command("GET", s_.names.clock());
        add_script(pipeline, scripts().force, {slot, Names::side(slot)},
                   {hex(mine.lease.id), s_.lease_ms(), loading_bytes(mine.lease.id)});
        const std::vector<Reply> replies = ask(pipeline, std::span{&mine, 1}, clock_reads);
        const std::string_view kind = replies[1].text();
        mine.lease.beside = kind == "+";
        mine.answered(kind == "+" || kind == "L");
        if (kind != "+" && kind != "L") {
            return kind == "W" ? written() : Opening{};
        }
        s_.leases.lose(slot, moment);
        return mine.lead(epoch_of(replies[0]), std::nullopt);
    }

    /// The load failed.
    static void release(State& state, const std::string& slot, const Lease& lease) {
        Pipeline pipeline;
        pipeline.repeatable();
        add_release(pipeline, slot, lease.id, lease.beside);
        static_cast<void>(state.run(pipeline));
        state.leases.remove(slot, lease.id);
    }

    /// The clock as it was read ahead of a lease or a ticket; made where there is none.
    [[nodiscard]] Epoch epoch_of(ReplyView reply) const {
        if (const auto epoch = to_epoch(reply.text())) {
            return *epoch;
        }
        if (reply.is_error() && reply.text().starts_with("NOPERM")) {
            return {};  // a user that may not, and uses no tags
        }
        try {
            const Reply made =
                s_.step(scripts().clock, {s_.names.clock()}, {to_text({new_id(), 0})});
            return to_epoch(made.text()).value_or(Epoch{});
        } catch (const StoreError&) {
            s_.failed();
            return {};  // what has tags will not be kept
        }
    }

private:
    static constexpr std::size_t opens = 3;        // the commands of `add_open`
    static constexpr std::size_t clock_reads = 1;  // at first, and they may fail

    // A lease that is asked for, known here before the slot can show it: others may join at once.
    // Unless it becomes the caller's, it is settled when this goes.
    class Announced {
    public:
        Announced(State& state, const std::string& slot, bool beside = false)
            : lease{new_id(), {}, beside}, state_{&state}, slot_{slot} {
            lead_ = Lead{std::make_shared<Flight>()};
            state.leases.add({lease.id, beside, slot}, lead_.flight());
        }
        Announced(Announced&& other) noexcept
            : lease{other.lease},
              state_{std::exchange(other.state_, nullptr)},
              slot_{std::move(other.slot_)},
              fate_{other.fate_},
              lead_{std::move(other.lead_)} {}
        Announced& operator=(Announced&&) = delete;
        ~Announced() {
            if (state_ == nullptr) {
                return;
            }
            switch (fate_) {
                case Fate::unknown: break;  // its flight is over: who sees it gives it back
                case Fate::refused: state_->leases.forget(slot_, lease.id); break;
                case Fate::taken: give_back(); break;
            }
        }

        /// What the server said, or that it cannot have been asked.
        void answered(bool taken) noexcept { fate_ = taken ? Fate::taken : Fate::refused; }

        /// It is the caller's.
        Opening lead(const Epoch& epoch, Copy copy) {
            lease.epoch = epoch;
            state_->leases.confirm(slot_, lease.id, lease.beside);
            Opening opening{Slot::lead, std::move(copy), lease, std::move(lead_), nullptr};
            state_ = nullptr;
            return opening;
        }

        Lease lease;

    private:
        using Lead = larder::detail::Lead<Fetched<V>>;

        enum class Fate : std::uint8_t { unknown, refused, taken };

        void give_back() noexcept {
            try {
                release(*state_, slot_, lease);
            } catch (...) {
                state_->failed();  // who sees it tries again
            }
        }

        State* state_;
        std::string slot_;
        Fate fate_ = Fate::unknown;
        Lead lead_{};
    };

    static const SlotScripts& scripts() { return SlotScripts::instance(); }

    // A step that takes leases.
    std::vector<Reply> ask(const Pipeline& pipeline, std::span<Announced> asked,
                           std::size_t unchecked) const {
        try {
            return s_.run(pipeline, unchecked);
        } catch (const NoReply& failure) {
            if (failure.outcome() == Outcome::not_sent) {
                for (Announced& one : asked) {
                    one.answered(false);
                }
            }
            throw;
        }
    }

    static Opening written() {
        Opening opening;
        opening.writing = true;
        return opening;
    }

    Opening join(const std::string& slot, const Query& query, const Lease& lease, Copy copy) {
        std::shared_ptr<Flight> flight = s_.leases.flight(slot, lease.id);
        if (!flight && query.steps > 0 && s_.leases.ended(slot, lease.id)) {
            return acquire(slot, one_less(query), lease);
        }
        const Slot answer = flight ? Slot::join : Slot::remote;
        return {answer, std::move(copy), lease, {}, std::move(flight)};
    }

    // The same look, which has seen nothing yet.
    static Query one_less(const Query& query) {
        Query next{.remaining = true, .tagged = query.tagged, .usual = query.usual};
        next.steps = query.steps - 1;
        return next;
    }

    Copy copy_in(const std::string& slot, ReplyView bytes, std::int64_t pttl,
                 const Query& query) const {
        Sighted<V> seen = reader_.judge(slot, bytes, pttl, query);
        reader_.judge_tags(std::span{&seen, 1});
        return std::move(seen.copy);
    }

    // The lease of an empty slot, or what is there. It may still show a lease of this process that
    // has ended: that is given back on the way.
    Opening acquire(const std::string& slot, const Query& query, const Lease& ended = {}) {
        std::vector<Reply> replies;
        std::size_t at = 0;
        bool again = false;
        do {
            Announced mine{s_, slot};
            Pipeline pipeline;
            if (ended) {
                add_release(pipeline, slot, ended.id, ended.beside);
            }
            at = pipeline.size();
            add_open(pipeline, slot, mine.lease.id);
            replies = ask(pipeline, std::span{&mine, 1}, at + opens);
            mine.answered(replies[at + 2].is_nil());
            if (replies[at + 2].is_nil()) {
                return mine.lead(epoch_of(replies[at]), std::nullopt);
            }
        } while (old_server(replies[at + 2]) && !std::exchange(again, true));
        return found(slot, replies[at + 2], replies[at + 1].integer(), query);
    }

    // What a slot that was not empty answers.
    Opening found(const std::string& slot, ReplyView bytes, std::int64_t pttl, const Query& query) {
        Sighted<V> seen = reader_.judge(slot, bytes, pttl, query);
        reader_.judge_tags(std::span{&seen, 1});
        if (seen.kind == Sighted<V>::Kind::copy && !seen.copy->stale()) {
            return {Slot::hit, std::move(seen.copy), {}, {}, nullptr};
        }
        if (query.steps == 0) {
            return {};  // it changes faster than it can be looked at
        }
        Query next = one_less(query);
        reader_.note(seen, next);
        return open(slot, next);
    }

    // Reads the clock and the time left on the way: an older clock is only stricter.
    void add_open(Pipeline& pipeline, const std::string& slot, std::uint64_t id) const {
        pipeline.command("GET", s_.names.clock()).command("PTTL", slot);
        if (s_.sets_with_get.load(std::memory_order_relaxed)) {
            pipeline.command("SET", slot, loading_bytes(id), "NX", "GET", "PX", s_.lease_ms());
        } else {
            add_script(pipeline, scripts().open, {slot}, {loading_bytes(id), s_.lease_ms()});
        }
    }
    bool old_server(const Reply& reply) const {
        const bool old = reply.is_error() && reply.text() == "ERR syntax error";
        if (old) {
            s_.sets_with_get.store(false, std::memory_order_relaxed);
        }
        return old;
    }

    // The lease of a slot that holds exactly the bytes that were seen, which are no value.
    Opening replace(const std::string& slot, const Query& query) {
        {
            Announced mine{s_, slot};
            Pipeline pipeline;
            pipeline.command("GET", s_.names.clock());
            add_script(pipeline, scripts().replace, {slot},
                       {query.digest, loading_bytes(mine.lease.id), s_.lease_ms()});
            const std::vector<Reply> replies = ask(pipeline, std::span{&mine, 1}, clock_reads);
            mine.answered(replies[1].integer() == 1);
            if (replies[1].integer() == 1) {
                return mine.lead(epoch_of(replies[0]), std::nullopt);
            }
        }
        return acquire(slot, query);
    }

    State& s_;
    SlotReader<V, C> reader_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_LEASE_ACQUIRER_HPP
