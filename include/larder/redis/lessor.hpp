// SPDX-License-Identifier: MIT

/// @file
/// Takes leases: of an empty slot, of one that holds what is no value, beside a value.

#ifndef LARDER_REDIS_LESSOR_HPP
#define LARDER_REDIS_LESSOR_HPP

#include <larder/detail/flight.hpp>
#include <larder/detail/random.hpp>
#include <larder/detail/slot.hpp>
#include <larder/error.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/slot_format.hpp>
#include <larder/redis/slot_reader.hpp>
#include <larder/redis/slot_scripts.hpp>
#include <larder/redis/store_state.hpp>
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
class Lessor {
public:
    using State = StoreState<V, C>;
    using Flight = larder::detail::Flight<V>;
    using Lease = larder::detail::Lease;
    using Opening = larder::detail::Opening<V>;
    using Copy = std::optional<larder::detail::Copy<V>>;
    using Slot = larder::detail::Slot;

    explicit Lessor(State& state) noexcept : s_{state}, reader_{state} {}

    /// A reader without a fresh copy; `look` may know what it saw.
    Opening open(const std::string& slot, Look& look) {
        switch (std::exchange(look.saw, Look::Saw::nothing)) {
            case Look::Saw::failure: std::rethrow_exception(look.failure);
            case Look::Saw::writing: return written();
            case Look::Saw::bypass: return {};
            case Look::Saw::loading: return join(slot, look, {look.lease, {}, false}, std::nullopt);
            case Look::Saw::stale: return reopen(slot, look, Beside::stale);
            case Look::Saw::junk: return replace(slot, look);
            case Look::Saw::nothing: break;
        }
        return acquire(slot, look);
    }

    /// The lease of each slot that is empty, in one round trip; others as `open`.
    /// `each(i, opening)`, in their order.
    template <class Each>
    void open_many(std::span<const std::string> slots, const Look& look, Each&& each) {
        if (slots.empty()) {
            return;
        }
        std::vector<Announced> asked;
        asked.reserve(slots.size());
        Pipeline pipeline;
        for (const std::string& slot : slots) {
            add_open(pipeline, slot, asked.emplace_back(s_, slot).lease.id);
        }
        const std::vector<Reply> replies = s_.client.run(pipeline);
        std::optional<Epoch> made;  // where there is no clock: once for all
        const auto epoch_for = [&](const Reply& clock) {
            const auto epoch = to_epoch(clock.text());
            if (!epoch && !made) {
                made = epoch_of(clock);
            }
            return epoch ? *epoch : *made;
        };
        for (std::size_t i = 0; i < slots.size(); ++i) {
            const Reply& reply = replies[3 * i + 2];
            if (reply.is_nil()) {
                each(i, asked[i].lead(epoch_for(replies[3 * i]), std::nullopt));
            } else {
                each(i, old_server(reply)
                            ? acquire(slots[i], look)
                            : found(slots[i], reply, replies[3 * i + 1].integer(), look));
            }
        }
    }

    /// The lease beside a value, if that is as `wanted`.
    Opening reopen(const std::string& slot, const Look& look, Beside wanted) {
        Announced mine{s_, slot, true};
        Pipeline pipeline;
        pipeline.command("GET", s_.names.clock());
        add_script(pipeline, scripts().reopen, {slot, Names::side(slot)},
                   {hex(mine.lease.id), s_.lease_ms()});
        const std::vector<Reply> replies = s_.run(pipeline);
        const ReplyView reply = replies[1];
        const std::string_view kind = reply[0].text();
        const bool taken = kind == "+";
        Copy copy;
        if (taken || kind == "R") {
            try {
                copy = copy_in(slot, reply[2], reply[3].integer(), look);
            } catch (...) {
                mine.give_back_if(taken);
                throw;
            }
        }
        const bool as_wanted = copy && copy->stale() == (wanted == Beside::stale);
        if (taken && as_wanted) {
            return mine.lead(epoch_of(replies[0]), std::move(copy));
        }
        mine.give_back_if(taken);
        if (wanted == Beside::fresh) {
            Opening none;
            none.slot = kind == "W" ? Slot::bypass : Slot::hit;
            return none;
        }
        if (kind == "R" && as_wanted) {
            copy->refreshing = true;
            return join(slot, look, {unhex(reply[1].text()).value_or(0), {}, true},
                        std::move(copy));
        }
        if (kind == "W") {
            return written();
        }
        return kind == "U" || kind == "X" ? Opening{} : acquire(slot, look);
    }

    /// The lease, from whoever has it.
    Opening take(const std::string& slot) {
        Announced mine{s_, slot};
        Pipeline pipeline;
        pipeline.command("GET", s_.names.clock());
        add_script(pipeline, scripts().force, {slot, Names::side(slot)},
                   {hex(mine.lease.id), s_.lease_ms(), loading_bytes(mine.lease.id)});
        const std::vector<Reply> replies = s_.run(pipeline);
        const std::string_view kind = replies[1].text();
        if (kind != "+" && kind != "L") {
            return kind == "W" ? written() : Opening{};
        }
        if (kind == "+") {
            mine.set_beside();
        }
        s_.leases.lose(slot, mine.lease.id);
        return mine.lead(epoch_of(replies[0]), std::nullopt);
    }

    /// The load brought nothing to keep.
    static void release(State& state, const std::string& slot, const Lease& lease) {
        Pipeline pipeline;
        pipeline.repeatable();
        add_release(pipeline, slot, lease);
        static_cast<void>(state.run(pipeline));
    }
    static void add_release(Pipeline& pipeline, const std::string& slot, const Lease& lease) {
        add_script(pipeline, scripts().release, {slot}, {loading_bytes(lease.id)});
        if (lease.beside) {
            add_script(pipeline, scripts().release_side, {Names::side(slot)}, {hex(lease.id)});
        }
    }

    /// The clock as it was read ahead of a lease or a ticket; made where there is none.
    [[nodiscard]] Epoch epoch_of(ReplyView reply) const {
        if (const auto epoch = to_epoch(reply.text())) {
            return *epoch;
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
    // A lease that is asked for, known here before the slot can show it: others may join at once.
    class Announced {
    public:
        Announced(State& state, std::string slot, bool beside = false)
            : lease{new_id(), {}, beside},
              state_{&state},
              slot_{std::move(slot)},
              lead_{std::make_shared<Flight>()} {
            state.leases.add({lease.id, beside, slot_}, lead_.flight());
        }
        Announced(Announced&& other) noexcept
            : lease{other.lease},
              state_{std::exchange(other.state_, nullptr)},
              slot_{std::move(other.slot_)},
              lead_{std::move(other.lead_)} {}
        Announced& operator=(Announced&&) = delete;
        ~Announced() {
            if (state_ != nullptr) {
                state_->leases.forget(lease.id);
            }
        }

        void set_beside() {
            lease.beside = true;
            state_->leases.set_beside(lease.id);
        }
        // It is the caller's.
        Opening lead(const Epoch& epoch, Copy copy) {
            lease.epoch = epoch;
            state_ = nullptr;
            return {Slot::lead, std::move(copy), lease, std::move(lead_), nullptr};
        }
        void give_back_if(bool taken) {
            if (taken) {
                try {
                    release(*state_, slot_, lease);
                } catch (const StoreError&) {
                    state_->failed();  // it ends by itself
                }
            }
        }

        Lease lease;

    private:
        State* state_;
        std::string slot_;
        larder::detail::Lead<Fetched<V>> lead_;
    };

    static const SlotScripts& scripts() { return SlotScripts::instance(); }

    static Opening written() {
        Opening opening;
        opening.writing = true;
        return opening;
    }

    Opening join(const std::string& slot, const Look& look, const Lease& lease, Copy copy) {
        std::shared_ptr<Flight> flight = s_.leases.flight(lease.id);
        if (!flight && look.steps > 0 && s_.leases.ended(lease.id)) {
            Look next{.remaining = true, .tagged = look.tagged, .usual = look.usual};
            next.steps = look.steps - 1;
            return acquire(slot, next);
        }
        const Slot answer = flight ? Slot::join : Slot::foreign;
        return {answer, std::move(copy), lease, {}, std::move(flight)};
    }

    Copy copy_in(const std::string& slot, ReplyView bytes, std::int64_t pttl,
                 const Look& look) const {
        Sighted<V> seen = reader_.judge(slot, bytes, pttl, look);
        reader_.judge_tags(std::span{&seen, 1});
        return std::move(seen.copy);
    }

    // The lease of an empty slot, or what is there.
    Opening acquire(const std::string& slot, const Look& look) {
        Announced mine{s_, slot};
        Pipeline pipeline;
        add_open(pipeline, slot, mine.lease.id);
        std::vector<Reply> replies = s_.client.run(pipeline);
        if (old_server(replies[2])) {
            pipeline.clear();
            add_open(pipeline, slot, mine.lease.id);
            replies = s_.client.run(pipeline);
        }
        if (replies[2].is_nil()) {
            return mine.lead(epoch_of(replies[0]), std::nullopt);
        }
        return found(slot, replies[2], replies[1].integer(), look);
    }

    // What a slot that was not empty answers.
    Opening found(const std::string& slot, ReplyView bytes, std::int64_t pttl, const Look& look) {
        Sighted<V> seen = reader_.judge(slot, bytes, pttl, look);
        reader_.judge_tags(std::span{&seen, 1});
        if (seen.kind == Sighted<V>::Kind::copy && !seen.copy->stale()) {
            return {Slot::hit, std::move(seen.copy), {}, {}, nullptr};
        }
        if (look.steps == 0) {
            return {};  // it changes faster than it can be looked at
        }
        Look next{.remaining = true, .tagged = look.tagged, .usual = look.usual};
        next.steps = look.steps - 1;
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
    Opening replace(const std::string& slot, const Look& look) {
        {
            Announced mine{s_, slot};
            Pipeline pipeline;
            pipeline.command("GET", s_.names.clock());
            add_script(pipeline, scripts().replace, {slot},
                       {look.digest, loading_bytes(mine.lease.id), s_.lease_ms()});
            const std::vector<Reply> replies = s_.run(pipeline);
            if (replies[1].integer() == 1) {
                return mine.lead(epoch_of(replies[0]), std::nullopt);
            }
        }
        return acquire(slot, look);
    }

    State& s_;
    SlotReader<V, C> reader_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_LESSOR_HPP
