// SPDX-License-Identifier: MIT

/// @file
/// What leaves a MemoryStore in one step.

#ifndef LARDER_DETAIL_MEMORY_REMOVALS_HPP
#define LARDER_DETAIL_MEMORY_REMOVALS_HPP

#include <larder/detail/memory/cell.hpp>
#include <larder/detail/memory/room.hpp>
#include <larder/detail/memory/room_in_hand.hpp>
#include <larder/store/memory_options.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Takes what leaves, and its room; reports and destroys it when it goes itself: make it before the lock
/// is taken.
template <class K, class V>
class Removals {
public:
    /// @param options  tells whom to report to; outlives this, as `whole_room` does
    Removals(const MemoryStoreOptions<K, V>& options, Room& whole_room) noexcept
        : room{whole_room}, options_{options} {}
    Removals(const Removals&) = delete;
    Removals& operator=(const Removals&) = delete;
    ~Removals() {
        room.give_back();
        report(first_);
        for (const Left& left : more_) {
            report(left);
        }
        if (key_ != nullptr) {
            report(*key_, value_, cause_);
        }
    }

    /// Room in here for an entry; for the first there always is.
    ///
    /// @throws std::bad_alloc  in which case nothing has changed
    void reserve() {
        if (kept() && first_.key && more_.size() == more_.capacity()) {
            more_.reserve(2 * more_.capacity() + 1);
        }
    }
    /// Room for so many entries, or, where there is no memory, for one; of nothing in here as yet.
    ///
    /// @returns for how many
    std::size_t reserve_some(std::size_t wanted) noexcept {
        if (kept()) {
            try {
                more_.reserve(wanted);
            } catch (...) {
                return 1;
            }
        }
        return wanted;
    }
    /// An entry that left, in room that is reserved.
    void add(Kept<K>&& key, std::optional<Kept<V>>&& value, RemovalCause cause) noexcept {
        if (!kept()) {
            return;
        }
        if (!first_.key) {
            first_.key.emplace(std::move(key));
            first_.value = std::move(value);
            first_.cause = cause;
        } else {
            more_.push_back({std::move(key), std::move(value), cause});
        }
    }
    /// A value whose entry stays.
    void add(const K& key, std::optional<Kept<V>>&& value, RemovalCause cause) noexcept {
        if (!kept()) {
            return;
        }
        key_ = std::addressof(key);
        cause_ = cause;
        value_ = std::move(value);
    }

    RoomInHand room;

private:
    struct Left {
        std::optional<Kept<K>> key{};
        std::optional<Kept<V>> value{};
        RemovalCause cause{};
    };

    // Plain bytes that nobody asked for need not be kept.
    [[nodiscard]] bool kept() const noexcept {
        return !std::is_trivially_destructible_v<Kept<K>> ||
               !std::is_trivially_destructible_v<Kept<V>> || options_.on_removal;
    }
    void report(const Left& left) const noexcept {
        if (left.key) {
            report(shown<K>(*left.key), left.value, left.cause);
        }
    }
    void report(const K& key, const std::optional<Kept<V>>& value,
                RemovalCause cause) const noexcept {
        if (value && options_.on_removal) {
            try {
                options_.on_removal(key, shown<V>(*value), cause);
            } catch (...) {}
        }
    }

    const MemoryStoreOptions<K, V>& options_;
    Left first_{};  // most often the only one
    std::vector<Left> more_{};
    const K* key_ = nullptr;
    RemovalCause cause_{};
    std::optional<Kept<V>> value_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_REMOVALS_HPP
