// SPDX-License-Identifier: MIT

/// @file
/// The writes of slots: tickets, invalidations, and values from outside of the protocol.

#ifndef LARDER_REDIS_DETAIL_STORE_WRITER_HPP
#define LARDER_REDIS_DETAIL_STORE_WRITER_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/redis/detail/store/encoder.hpp>
#include <larder/redis/detail/store/ids.hpp>
#include <larder/redis/detail/store/partitions.hpp>
#include <larder/redis/detail/store/script_calls.hpp>
#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/slot_names.hpp>
#include <larder/redis/detail/store/slot_put.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/redis/detail/store/tag_clock.hpp>
#include <larder/redis/detail/store/values.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/store_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// One end of a write of many.
struct SlotFinish {
    std::string slot{};
    larder::detail::Ticket ticket{};
    larder::detail::Finish how = larder::detail::Finish::nothing;
    const larder::detail::CopyTerms* terms = nullptr;
};

/// The writes of one store. A thin view of its state: make one where it is needed.
///
/// A template so that whoever includes it and has no store does not compile it.
template <class = void>
class BasicSlotWriter {
public:
    using CopyTerms = larder::detail::CopyTerms;
    using Dated = larder::detail::Dated;
    using Finish = larder::detail::Finish;
    using State = StoreState;
    using Ticket = larder::detail::Ticket;
    using WriteEnd = larder::detail::WriteEnd;

    explicit BasicSlotWriter(State& state) noexcept : state_{state}, encoder_{state} {}

    /// Opens a write on every slot, or on none.
    ///
    /// @param tickets  as many; they are the caller's when this returns
    /// @throws StoreError  the server cannot be told; what it may have heard of is undone
    void begin_write(std::span<const std::string> slots, Ttl life, Dated dated,
                     std::span<Ticket> tickets) {
        std::vector<Ticket> replaced;
        replaced.reserve(tickets.size());  // what is undone must not need memory
        for (bool again = false;; again = true) {
            for (Ticket& ticket : tickets) {
                ticket = {new_id(), {}};
            }
            try {
                try_begin(slots, life, dated, tickets, replaced);
                return;
            } catch (const ConnectionError&) {
                // It may be carried out yet. Another attempt has another id, and names this one.
                if (again) {
                    undo(slots, tickets, replaced);
                    throw;
                }
                replaced.assign(tickets.begin(), tickets.end());
            } catch (...) {
                undo(slots, tickets, replaced);
                throw;
            }
        }
    }

    /// Ends a write; false if its ticket was not there any more.
    ///
    /// @throws StoreError  the server cannot be told
    /// @throws anything    what the codec throws
    bool finish_write(const std::string& slot, const Ticket& ticket, Finish how,
                      const ValueSource& value, const CopyTerms& terms) {
        Pipeline pipeline;
        pipeline.repeatable();
        add_finish(pipeline, slot, ticket, terms, bytes_of(ticket, how, value, terms));
        std::vector<Reply> replies = state_.send(pipeline);
        finish_torn(std::array{&slot}, std::array{&ticket}, replies);
        state_.check(pipeline, replies, 0);
        return found_in(replies[0]);
    }

    /// The same for many in one round trip: each fails by itself.
    ///
    /// @param values  by the places of the rows
    /// @throws StoreError  the server cannot be told, or has not said whether it was
    [[nodiscard]] std::vector<WriteEnd> finish_write_many(std::span<const SlotFinish> rows,
                                                          ValueSource& values) {
        std::vector<WriteEnd> ends(rows.size());
        std::vector<std::size_t> asked;
        asked.reserve(rows.size());
        Pipeline pipeline;
        pipeline.repeatable();
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto& [slot, ticket, how, terms] = rows[i];
            std::optional<std::string> bytes;
            values.turn_to(i);
            try {
                bytes = bytes_of(ticket, how, values, *terms);
            } catch (...) {
                ends[i].failure = std::current_exception();
                continue;
            }
            add_finish(pipeline, slot, ticket, *terms, bytes);
            asked.push_back(i);
        }
        std::vector<Reply> replies = state_.send(pipeline);
        std::vector<const std::string*> slots;
        std::vector<const Ticket*> tickets;
        for (const std::size_t i : asked) {
            slots.push_back(&rows[i].slot);
            tickets.push_back(&rows[i].ticket);
        }
        finish_torn(slots, tickets, replies);
        for (std::size_t at = 0; at < asked.size(); ++at) {
            WriteEnd& end = ends[asked[at]];
            end.failure = state_.failure_of(pipeline, at, replies[at]);
            end.found = !end.failure && found_in(replies[at]);
        }
        return ends;
    }

    /// A whole write, in one step with another: `record(put)` carries out both, and says whether it did.
    ///
    /// @throws whatever `record` throws, in which case nothing is known; or the codec, and nothing is done
    template <class Record>
    bool write_at_once(const std::string& slot, const ValueSource& value, const CopyTerms& terms,
                       const Record& record) {
        const SlotPut put = put_of(slot, value, terms);
        const auto before = state_.leases.now();
        const bool recorded = record(put);
        if (recorded) {
            state_.leases.lose(slot, before);
        }
        return recorded;
    }

    /// The same of many, each in a step of its own.
    ///
    /// @param values  by the places of the slots
    /// @return what `record(puts)` gives: a RecordEnd of each
    template <class Record>
    auto write_many_at_once(std::span<const std::string> slots, ValueSource& values,
                            std::span<const CopyTerms> terms, const Record& record) {
        std::vector<SlotPut> puts;
        puts.reserve(slots.size());
        for (std::size_t i = 0; i < slots.size(); ++i) {
            values.turn_to(i);
            puts.push_back(put_of(slots[i], values, terms[i]));
        }
        const auto before = state_.leases.now();
        auto ends = record(std::span<const SlotPut>{puts});
        for (std::size_t i = 0; i < slots.size(); ++i) {
            if (ends[i].written == Written::yes) {
                state_.leases.lose(slots[i], before);
            }
        }
        return ends;
    }

    /// Adds an unfenced put; of what is not to be kept, or is too large, an erase.
    void add_put(Pipeline& pipeline, const std::string& slot, const ValueSource& value,
                 const Lifetime& life) const {
        const std::optional<std::string> bytes =
            life.fresh > Ttl::zero() ? encoder_.encode(value, {life, {}}, {}) : std::nullopt;
        if (bytes) {
            add_script(pipeline, *state_.channel, SlotScripts::instance().put, {slot},
                       {SlotEncoder::milliseconds(life), *bytes});
        } else {
            add_script(pipeline, *state_.channel, SlotScripts::instance().erase, {slot}, {});
        }
    }

    /// Carries out such puts. They are sent once: another's value may have come between.
    void put(const Pipeline& pipeline, std::span<const std::string> slots) {
        const auto moment = state_.missed.moment();
        const auto before = state_.leases.now();
        static_cast<void>(state_.run(pipeline));
        for (const std::string& slot : slots) {
            state_.leases.lose(slot, before);
            state_.missed.forget(slot, moment);
        }
    }

    /// Invalidates; how many copies there were. What was queued before it is done.
    std::size_t erase(std::span<const std::string> slots) {
        const auto moment = state_.missed.moment();
        const std::size_t had = slots.empty() ? 0 : state_.erase(slots);
        for (const std::string& slot : slots) {
            state_.missed.forget(slot, moment);
        }
        return had;
    }

private:
    // A tagged finish was refused, as a script of several keys: one of a single key can leave nothing,
    // and does. Rule R3.
    void finish_torn(std::span<const std::string* const> slots,
                     std::span<const Ticket* const> tickets, std::span<Reply> replies) const {
        Pipeline pipeline;
        std::vector<std::size_t> torn;
        for (std::size_t i = 0; i < replies.size(); ++i) {
            if (is_torn(replies[i])) {
                add_finish_with_nothing(pipeline, *state_.channel, *slots[i], tickets[i]->id);
                torn.push_back(i);
            }
        }
        if (torn.empty()) {
            return;
        }
        pipeline.repeatable();
        std::vector<Reply> again = state_.send(pipeline);
        for (std::size_t at = 0; at < torn.size(); ++at) {
            replies[torn[at]] = std::move(again[at]);
        }
    }

    SlotPut put_of(const std::string& slot, const ValueSource& value,
                   const CopyTerms& terms) const {
        const Partitions& parts = state_.names.partitions();
        SlotPut put{.client = &state_.client,
                    .slot = slot,
                    .channel = state_.channel->used(),
                    .partitions = parts.plain() ? 0 : parts.count()};
        // The moment of its tags is told to its bytes by the script.
        std::optional<std::string> bytes =
            terms.kept() ? encoder_.encode(value, terms, {}) : std::nullopt;
        if (bytes) {
            put.bytes = std::move(*bytes);
            put.life = SlotEncoder::milliseconds(terms.life);
            if (!terms.tags.empty()) {
                SlotNames::append_tags(put.tags, state_.names.home(slot), terms.tags);
            }
        }
        return put;
    }

    // Empty if nothing is to be left.
    std::optional<std::string> bytes_of(const Ticket& ticket, Finish how, const ValueSource& value,
                                        const CopyTerms& terms) const {
        return how == Finish::value && terms.kept() ? encoder_.encode(value, terms, ticket.epoch)
                                                    : std::nullopt;
    }

    void add_finish(Pipeline& pipeline, const std::string& slot, const Ticket& ticket,
                    const CopyTerms& terms, const std::optional<std::string>& bytes) const {
        const SlotScripts& scripts = SlotScripts::instance();
        if (!bytes) {
            add_finish_with_nothing(pipeline, *state_.channel, slot, ticket.id);
        } else if (terms.tags.empty()) {
            add_script(pipeline, *state_.channel, scripts.finish_write, {slot},
                       {hex(ticket.id), SlotEncoder::milliseconds(terms.life), *bytes});
        } else {
            std::vector<std::string> keys{slot};
            SlotNames::append_tags(keys, state_.names.home(slot), terms.tags);
            add_script(pipeline, *state_.channel, scripts.finish_write_tagged, keys,
                       {hex(ticket.id), SlotEncoder::milliseconds(terms.life), *bytes,
                        to_text(ticket.epoch)});
        }
    }
    static bool found_in(const Reply& finished) { return finished[0].integer() == 1; }

    void try_begin(std::span<const std::string> slots, Ttl life, Dated dated,
                   std::span<Ticket> tickets, std::span<const Ticket> replaced) const {
        if (slots.empty()) {
            return;
        }
        const std::string length = std::to_string(std::clamp(life, Ttl{1}, longest_ticket).count());
        Pipeline pipeline;
        ClockReading clock{state_, dated, pipeline, slots};
        for (std::size_t i = 0; i < slots.size(); ++i) {
            const bool had = i < replaced.size() && replaced[i];
            add_script(pipeline, *state_.channel, SlotScripts::instance().begin_write, {slots[i]},
                       {hex(tickets[i].id), length, had ? hex(replaced[i].id) : std::string{}});
        }
        const auto before = state_.leases.now();
        const std::vector<Reply> replies = ask_for(pipeline, tickets);
        for (std::size_t i = 0; i < slots.size(); ++i) {
            state_.leases.lose(slots[i], before);
            tickets[i].epoch = clock.epoch(slots[i], replies);
        }
    }

    // What cannot have been written is no ticket. A command ahead of those reads the clock: that may
    // be forbidden.
    std::vector<Reply> ask_for(const Pipeline& pipeline, std::span<Ticket> tickets) const {
        std::vector<Reply> replies;
        try {
            replies = state_.send(pipeline);
        } catch (const NoReply& failure) {
            if (failure.outcome() == Outcome::not_sent) {
                std::fill(tickets.begin(), tickets.end(), Ticket{});
            }
            throw;
        }
        const std::size_t ahead = replies.size() - tickets.size();
        for (std::size_t i = 0; i < tickets.size(); ++i) {
            if (replies[ahead + i].is_error()) {
                tickets[i] = {};
            }
        }
        state_.check(pipeline, replies, ahead);
        return replies;
    }

    // Tickets that may have been written and will not be used, of both attempts. A server that cannot
    // be told is when it is back: else they would hide their keys. Those of others are not distrusted.
    void undo(std::span<const std::string> slots, std::span<const Ticket> tickets,
              std::span<const Ticket> replaced) noexcept {
        const auto each = [&](auto&& f) {
            for (const std::span<const Ticket> attempt :
                 {std::span<const Ticket>{tickets}, replaced}) {
                for (std::size_t i = 0; i < attempt.size(); ++i) {
                    if (attempt[i]) {
                        f(slots[i], attempt[i]);
                    }
                }
            }
        };
        std::vector<Reply> replies;
        try {
            Pipeline pipeline;
            pipeline.repeatable();
            each([&](const std::string& slot, const Ticket& ticket) {
                add_finish_with_nothing(pipeline, *state_.channel, slot, ticket.id);
            });
            replies.resize(pipeline.size());
            static_cast<void>(state_.send_partly(pipeline, replies));
        } catch (...) {
            replies.clear();
        }
        std::size_t at = 0;
        bool all = true;
        each([&](const std::string& slot, const Ticket& ticket) {
            if (at >= replies.size() || !replies[at].is_array()) {
                all = false;
                state_.missed.add(slot, 0, {.ticket = ticket, .force = true});
            }
            ++at;
        });
        if (!all) {
            state_.failed();
        }
    }

    State& state_;
    SlotEncoder encoder_;
};

using SlotWriter = BasicSlotWriter<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_WRITER_HPP
