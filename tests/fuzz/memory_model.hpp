// SPDX-License-Identifier: MIT

/// @file
/// What a MemoryStore must hold and answer, as a map of copies with a clock; slots as the state machine
/// has them. What is evicted, and when what has expired goes, the store says itself by `on_removal`.

#ifndef LARDER_TESTS_FUZZ_MEMORY_MODEL_HPP
#define LARDER_TESTS_FUZZ_MEMORY_MODEL_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/state_machine.hpp>
#include <larder/entry.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace larder_test {

/// Values are numbers that are used once; keys are numbers; tags are bits.
class MemoryModel {
public:
    using Instant = std::chrono::steady_clock::time_point;
    using Held = larder::detail::Held;
    using Effect = larder::detail::Effect;
    using State = larder::detail::SlotState;

    static constexpr unsigned tags = 3;

    struct Copy {
        std::optional<int> value{};
        Instant stale_at{};
        Instant gone_at{};
        larder::Ttl life{};
        unsigned tags = 0;
        std::uint64_t since = 0;  ///< the moment of its lease or ticket
        std::size_t weight = 0;

        /// When it was used last: surely, and perhaps (a write over it, or a step of its slot, may count or not).
        std::uint64_t used = 0;
        std::uint64_t touched = 0;
    };
    struct Key {
        std::optional<Copy> copy{};
        State state{};
        bool place = false;  ///< a write in flight may have kept the copy's place
    };

    Instant now{};
    std::size_t max_weight = static_cast<std::size_t>(-1);

    Key& operator[](int key) { return keys_[key]; }
    [[nodiscard]] std::map<int, Key>& keys() { return keys_; }

    [[nodiscard]] bool stands(unsigned carried, std::uint64_t since) const {
        for (unsigned tag = 0; tag < tags; ++tag) {
            if ((carried >> tag & 1U) != 0 && invalidated_[tag] > since) {
                return false;
            }
        }
        return true;
    }
    void invalidate(unsigned which) {
        ++tick_;
        for (unsigned tag = 0; tag < tags; ++tag) {
            if ((which >> tag & 1U) != 0) {
                invalidated_[tag] = tick_;
            }
        }
    }
    [[nodiscard]] std::uint64_t tick() const { return tick_; }

    [[nodiscard]] bool live(const Copy& copy) const {
        return now < copy.gone_at && stands(copy.tags, copy.since);
    }
    [[nodiscard]] Held held(const Key& key) const {
        return !key.copy || !live(*key.copy) ? Held::nothing
               : now < key.copy->stale_at    ? Held::fresh
                                             : Held::stale;
    }
    /// The slot as a step finds it.
    Key& touch(int key) {
        Key& at = keys_[key];
        at.state.expire(held(at), now);
        return at;
    }
    [[nodiscard]] Copy copy(std::optional<int> value, larder::Lifetime life, unsigned carried,
                            std::uint64_t since, std::size_t weight) const {
        return {value,
                later(now, life.fresh),
                later(later(now, life.fresh), life.grace),
                life.fresh,
                carried,
                since,
                weight};
    }

    /// A step of its slot has, which may count as a use or not.
    void touch(Copy& copy) { copy.touched = ++uses_; }
    /// A look has found it.
    void use(Copy& copy) { copy.used = copy.touched = ++uses_; }
    /// It is new, or in the place of one that was there: of that nothing is sure.
    void list(Copy& copy, bool in_place) {
        copy.touched = ++uses_;
        copy.used = in_place ? 0 : uses_;
    }
    /// True if some live value was surely used before this one was.
    [[nodiscard]] bool older_than(const Copy& copy) const {
        return std::any_of(keys_.begin(), keys_.end(), [&](const auto& key) {
            const auto& other = key.second.copy;
            return other && other->value && live(*other) && other->touched < copy.used;
        });
    }

    /// A value for a slot whose step is `step`, taken only if `may` says so. What takes place is
    /// stored; else whatever copy there was goes if the step says so.
    ///
    /// @return what happens to the copy
    template <class May, class Step>
    static Effect change(Key& at, bool fit, May&& may, Step&& step) {
        const bool stores = fit && may(std::as_const(at.state));
        const Effect effect = step(at.state);
        return stores ? Effect::store : effect == Effect::keep ? Effect::keep : Effect::erase;
    }

    [[nodiscard]] static Instant later(Instant from, larder::Ttl by) {
        constexpr larder::Ttl longest = std::chrono::hours{24 * 365 * 100};
        const Instant::duration step = (std::min)(by, longest);
        return from > (Instant::max)() - step ? (Instant::max)() : from + step;
    }

private:
    std::map<int, Key> keys_{};
    std::array<std::uint64_t, tags> invalidated_{};
    std::uint64_t tick_ = 1;
    std::uint64_t uses_ = 0;
};

}  // namespace larder_test

#endif  // LARDER_TESTS_FUZZ_MEMORY_MODEL_HPP
