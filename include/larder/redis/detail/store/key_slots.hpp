// SPDX-License-Identifier: MIT

/// @file
/// The slots of a store's keys.

#ifndef LARDER_REDIS_DETAIL_STORE_KEY_SLOTS_HPP
#define LARDER_REDIS_DETAIL_STORE_KEY_SLOTS_HPP

#include <larder/detail/support/key_text.hpp>
#include <larder/redis/detail/store/query.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/redis/key_name.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The slots of keys, in some order of theirs.
struct TrustedSlots {
    std::vector<std::string> slots{};
    std::vector<std::size_t> places{};  ///< of each, among all keys
};

/// Names the slots of one store's keys. A thin view of its state: make one where it is needed.
template <class K>
class KeySlots {
public:
    explicit KeySlots(StoreState& state) noexcept : state_{state} {}

    /// The name of the key's slot. What is looked up by need not be a key.
    template <class Q>
    [[nodiscard]] std::string of(const Q& key) const {
        if constexpr (!larder::detail::NamesItself<K> &&
                      std::convertible_to<const Q&, std::string_view>) {
            return state_.names.slot(key);
        } else if constexpr (std::same_as<Q, K>) {
            return state_.names.slot(key_name(key));
        } else {
            return state_.names.slot(key_name(K(key)));
        }
    }

    /// The same, made once a read.
    template <class Q>
    [[nodiscard]] const std::string& of(const Q& key, Query& query) const {
        if (query.slot.empty()) {
            query.slot = of(key);
        }
        return query.slot;
    }

    /// Those of all keys, in their order.
    [[nodiscard]] std::vector<std::string> of_all(std::span<const K> keys) const {
        std::vector<std::string> slots;
        slots.reserve(keys.size());
        for (const K& key : keys) {
            slots.push_back(of(key));
        }
        return slots;
    }

    /// Those that may be asked for: the server was told of all their invalidations. To be asked
    /// before the bytes are: who is told of one while it reads has read what was there before.
    /// Rule S17.
    [[nodiscard]] TrustedSlots trusted(std::span<const K> keys) const {
        TrustedSlots all;
        all.slots.reserve(keys.size());
        all.places.reserve(keys.size());
        for (std::size_t i = 0; i < keys.size(); ++i) {
            std::string name = of(keys[i]);
            if (!state_.distrusts(name)) {
                all.slots.push_back(std::move(name));
                all.places.push_back(i);
            }
        }
        return all;
    }

private:
    StoreState& state_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_KEY_SLOTS_HPP
