// SPDX-License-Identifier: MIT

/// @file
/// Values as the bytes of a slot.

#ifndef LARDER_REDIS_DETAIL_STORE_ENCODER_HPP
#define LARDER_REDIS_DETAIL_STORE_ENCODER_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/entry.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/redis/detail/store/values.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>

LARDER_NS_BEGIN

namespace redis::detail {

/// Values as the bytes of a slot. A thin view of a store's state: make one where it is needed.
///
/// A template so that whoever includes it and has no store does not compile it.
template <class = void>
class BasicSlotEncoder {
public:
    using CopyTerms = larder::detail::CopyTerms;
    using State = StoreState;

    explicit BasicSlotEncoder(const State& state) noexcept : state_{state} {}

    /// Empty, and counted, if it is too large to be kept.
    ///
    /// @throws anything  what the codec throws
    [[nodiscard]] std::optional<std::string> encode(const ValueSource& value,
                                                    const CopyTerms& terms,
                                                    const Epoch& epoch) const {
        std::optional<std::string> bytes = framed(value, terms, epoch);
        if (bytes && bytes->size() > state_.most_slot_bytes()) {
            bytes.reset();
        }
        if (!bytes) {
            state_.oversized.fetch_add(1, std::memory_order_relaxed);
        }
        return bytes;
    }

    /// A life with its grace, as Redis takes it.
    [[nodiscard]] static std::string milliseconds(const Lifetime& life) {
        const Lifetime bounded = within_bounds(life);
        return std::to_string((bounded.fresh + bounded.grace).count());
    }

private:
    std::optional<std::string> framed(const ValueSource& value, const CopyTerms& terms,
                                      const Epoch& epoch) const {
        std::optional<std::string> body = value.encode();
        if (body && body->size() > state_.options.max_value_bytes) {
            return std::nullopt;
        }
        const bool plain = state_.values.textual && body && terms.tags.empty() && !terms.own_life &&
                           terms.life.grace <= Ttl::zero() &&
                           (body->empty() || body->front() != SlotBytes::magic);
        if (plain) {
            return body;
        }
        const Lifetime life = within_bounds(terms.life);
        return write_slot(body, terms.own_life ? life.fresh : Ttl::zero(), life.grace, epoch,
                          terms.tags);
    }

    static Lifetime within_bounds(const Lifetime& life) {
        return {std::clamp(life.fresh, Ttl{1}, longest_life),
                std::clamp(life.grace, Ttl{0}, longest_life)};
    }

    const State& state_;
};

using SlotEncoder = BasicSlotEncoder<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_ENCODER_HPP
