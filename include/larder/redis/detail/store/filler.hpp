// SPDX-License-Identifier: MIT

/// @file
/// Fills slots with what a load gave.

#ifndef LARDER_REDIS_DETAIL_STORE_FILLER_HPP
#define LARDER_REDIS_DETAIL_STORE_FILLER_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/redis/detail/store/encoder.hpp>
#include <larder/redis/detail/store/script_calls.hpp>
#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/slot_names.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/redis/detail/store/values.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/script.hpp>
#include <larder/version.hpp>

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

/// One fill of many.
struct SlotFill {
    std::string slot{};
    larder::detail::Lease lease{};
    const larder::detail::CopyTerms* terms = nullptr;
};

/// The fills of one store. A thin view of its state: make one where it is needed.
///
/// A template so that whoever includes it and has no store does not compile it.
template <class = void>
class BasicSlotFiller {
public:
    using CopyTerms = larder::detail::CopyTerms;
    using Filled = larder::detail::Filled;
    using Lease = larder::detail::Lease;
    using State = StoreState;

    explicit BasicSlotFiller(State& state) noexcept : state_{state}, encoder_{state} {}

    /// Fills one slot. What is not to be kept is withdrawn, and what cannot be encoded.
    ///
    /// @throws StoreError  the server cannot be told
    /// @throws anything    what the codec throws
    Filled fill(const std::string& slot, const Lease& lease, const ValueSource& value,
                const CopyTerms& terms) {
        if (!lease) {
            return {};
        }
        std::exception_ptr failure;
        const std::optional<std::string> bytes = bytes_of(slot, lease, value, terms, failure);
        Pipeline pipeline;
        add_fill(pipeline, slot, lease, terms, bytes);
        pipeline.repeatable();
        Reply reply;
        state_.send(pipeline, std::span{&reply, 1});
        Filled filled;
        if (is_torn(reply)) {
            Pipeline drop;
            add_drop(drop, slot, lease);
            static_cast<void>(state_.run(drop));
            filled = dropped(slot, lease, terms);
        } else {
            state_.check(pipeline, std::span{&reply, 1}, 0);
            filled = filled_by(reply, slot, lease);
        }
        if (failure) {
            std::rethrow_exception(failure);
        }
        return filled;
    }

    /// The same in one round trip; a value that cannot be encoded fails alone.
    ///
    /// @param values  by the places of the rows
    /// @throws StoreError  the server cannot be told
    [[nodiscard]] std::vector<Filled> fill_many(std::span<const SlotFill> rows,
                                                ValueSource& values) {
        std::vector<Filled> all(rows.size());
        Pipeline pipeline;
        pipeline.repeatable();
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto& [slot, lease, terms] = rows[i];
            if (lease) {
                values.turn_to(i);
                add_fill(pipeline, slot, lease, *terms,
                         bytes_of(slot, lease, values, *terms, all[i].failure));
            }
        }
        const std::vector<Reply> replies = state_.send(pipeline);
        drop_torn(rows, pipeline, replies);
        std::size_t at = 0;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (const auto& [slot, lease, terms] = rows[i]; lease) {
                const Reply& reply = replies[at++];
                Filled filled =
                    is_torn(reply) ? dropped(slot, lease, *terms) : filled_by(reply, slot, lease);
                filled.failure = std::move(all[i].failure);
                all[i] = std::move(filled);
            }
        }
        return all;
    }

private:
    // Empty if nothing is to be stored.
    std::optional<std::string> bytes_of(const std::string& slot, const Lease& lease,
                                        const ValueSource& value, const CopyTerms& terms,
                                        std::exception_ptr& failure) {
        try {
            if (terms.kept() && !state_.distrusts(slot)) {
                return encoder_.encode(value, terms, lease.epoch);
            }
        } catch (...) {
            failure = std::current_exception();
        }
        return std::nullopt;
    }

    void add_fill(Pipeline& pipeline, const std::string& slot, const Lease& lease,
                  const CopyTerms& terms, const std::optional<std::string>& bytes) const {
        const SlotScripts& scripts = SlotScripts::instance();
        const std::string loading = loading_bytes(lease.id);
        const std::string life = bytes ? SlotEncoder::milliseconds(terms.life) : "0";
        const std::string moment = to_text(lease.epoch);
        const std::string id = hex(lease.id);
        const std::string_view value = bytes ? std::string_view{*bytes} : std::string_view{};
        if (!terms.tags.empty()) {
            std::vector<std::string> keys{slot};
            if (lease.beside) {
                keys.push_back(SlotNames::side(slot));
            }
            SlotNames::append_tags(keys, state_.names.home(slot), terms.tags);
            add_script(pipeline, *state_.channel,
                       lease.beside ? scripts.fill_beside_tagged : scripts.fill_tagged, keys,
                       {loading, life, value, moment, id});
        } else if (lease.beside) {
            add_script(pipeline, *state_.channel, scripts.fill_beside,
                       {slot, SlotNames::side(slot)}, {loading, life, value, moment, id});
        } else {
            add_script(pipeline, *state_.channel, scripts.fill, {slot}, {loading, life, value});
        }
    }

    // A fill of several keys was refused: those of one can leave nothing, and do. Rules R3 and S6.
    void add_drop(Pipeline& pipeline, const std::string& slot, const Lease& lease) const {
        const SlotScripts& scripts = SlotScripts::instance();
        pipeline.repeatable();
        if (lease.beside) {
            add_script(pipeline, *state_.channel, scripts.erase, {slot}, {});
            add_script(pipeline, scripts.release_beside, {SlotNames::side(slot)}, {hex(lease.id)});
        } else {
            add_script(pipeline, *state_.channel, scripts.fill, {slot},
                       {loading_bytes(lease.id), "0", ""});
        }
    }
    Filled dropped(const std::string& slot, const Lease& lease, const CopyTerms& terms) {
        state_.leases.remove(slot, lease.id);
        Filled filled;
        filled.tags_stand = terms.tags.empty();  // nobody has looked
        return filled;
    }
    // Throws if another was refused.
    void drop_torn(std::span<const SlotFill> rows, const Pipeline& asked,
                   std::span<const Reply> replies) {
        Pipeline drops;
        std::size_t at = 0;
        for (const SlotFill& row : rows) {
            if (row.lease) {
                if (is_torn(replies[at])) {
                    add_drop(drops, row.slot, row.lease);
                } else if (replies[at].is_error()) {
                    state_.throw_error(asked, at, replies[at]);
                }
                ++at;
            }
        }
        static_cast<void>(state_.run(drops));
    }

    Filled filled_by(const Reply& reply, const std::string& slot, const Lease& lease) {
        state_.leases.remove(slot, lease.id);
        Filled filled;
        filled.kept = reply[1].integer() == 1;
        filled.tags_stand = reply[2].integer() == 1;
        return filled;
    }

    State& state_;
    SlotEncoder encoder_;
};

using SlotFiller = BasicSlotFiller<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_FILLER_HPP
