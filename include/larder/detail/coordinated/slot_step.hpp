// SPDX-License-Identifier: MIT

/// @file
/// One step of one slot over a plain store.

#ifndef LARDER_DETAIL_COORDINATED_SLOT_STEP_HPP
#define LARDER_DETAIL_COORDINATED_SLOT_STEP_HPP

#include <larder/detail/slot/state_machine.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <mutex>
#include <optional>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The slot's state and the plain store change together, under the lock of the key's stripe.
///
/// @tparam Stripes  what it is a step of
template <class Stripes>
class SlotStep {
    using Key = typename Stripes::Key;
    using Value = typename Stripes::Value;
    using Handle = typename Stripes::Handle;
    using Create = typename Stripes::Create;

public:
    SlotStep(Stripes& stripes, const Key& key, Create create)
        : SlotStep{stripes, stripes.of(key), key, create} {}

    /// The slot, as long as the step lasts.
    [[nodiscard]] Handle& slot() noexcept { return slot_; }
    SlotState* operator->() noexcept { return slot_.operator->(); }

    /// What the plain store holds.
    [[nodiscard]] std::optional<Entry<Value>> find() { return stripes_.plain.find(key_); }

    /// A refresh ends with the value that it was to replace, which the plain store may have lost.
    void expire_refresh() {
        if (slot_->refreshing() && !find()) {
            slot_->expire(Held::nothing, stripes_.clock.now());
        }
    }

    /// The lease or ticket is gone by now. A put that throws leaves what nobody knows: then the copy
    /// goes, or is distrusted until it has gone.
    void store(std::optional<Value> value, const Lifetime& life) {
        try {
            stripes_.plain.put(key_, std::move(value), life);
        } catch (...) {
            erase_or_queue();
            throw;
        }
    }
    void erase() { stripes_.plain.erase(key_); }
    void erase_or_queue() noexcept { stripes_.erase_or_queue(key_); }

private:
    SlotStep(Stripes& stripes, typename Stripes::Stripe& stripe, const Key& key, Create create)
        : stripes_{stripes},
          key_{key},
          lock_{stripe.mutex},
          // What the plain store holds is asked for only where it matters.
          slot_{stripe.slots, key, Held::fresh, stripes.clock.now(), create} {}

    Stripes& stripes_;
    const Key& key_;
    std::unique_lock<std::mutex> lock_;
    Handle slot_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_COORDINATED_SLOT_STEP_HPP
