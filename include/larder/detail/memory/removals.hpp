// SPDX-License-Identifier: MIT

/// @file
/// What leaves a MemoryStore in one step.

#ifndef LARDER_DETAIL_MEMORY_REMOVALS_HPP
#define LARDER_DETAIL_MEMORY_REMOVALS_HPP

#include <larder/detail/memory/any_removals.hpp>
#include <larder/detail/memory/cell.hpp>
#include <larder/detail/memory/entry_head.hpp>
#include <larder/detail/memory/room.hpp>
#include <larder/store/memory_options.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <type_traits>

LARDER_NS_BEGIN

namespace detail {

/// Reports what left and destroys it when it goes itself: make it before the lock is taken.
///
/// @tparam Entry  what a `StoredEntry` is
template <class Entry>
class Removals final : public AnyRemovals {
    using K = typename Entry::Key;
    using V = typename Entry::Value;

public:
    /// @param options  tells whom to report to; outlives this, as `whole_room` does
    Removals(const MemoryStoreOptions<K, V>& options, Room& whole_room) noexcept
        : AnyRemovals{whole_room}, options_{options} {}
    Removals(const Removals&) = delete;
    Removals& operator=(const Removals&) = delete;
    [[gnu::noinline]] ~Removals() {
        room.give_back();
        if (options_.on_removal) {
            report();
        }
    }

    void reserve() override {
        if (kept() && first_.key && spare_.empty()) {
            spare_.emplace_back();
        }
    }
    std::size_t reserve_some(std::size_t wanted) noexcept override {
        if (!kept()) {
            return wanted;
        }
        std::size_t room_for = 1;
        try {
            for (; room_for < wanted; ++room_for) {
                spare_.emplace_back();
            }
        } catch (...) {}
        return room_for;
    }
    void add(EntryHead& entry, RemovalCause cause) noexcept override {
        if (!kept()) {
            return;
        }
        Left* left = &first_;
        if (first_.key) {
            more_.splice(more_.end(), spare_, spare_.begin());
            left = &more_.back();
        }
        auto& its = static_cast<Entry&>(entry);
        left->key.emplace(its.key.take());
        left->take(its, cause);
    }
    /// The value of an entry that stays; once at most.
    void add_value(const K& key, Entry& entry, RemovalCause cause) noexcept {
        if (kept()) {
            key_ = std::addressof(key);
            replaced_.take(entry, cause);
        }
    }

private:
    struct Left {
        std::optional<Kept<K>> key{};
        std::optional<Kept<V>> value{};
        RemovalCause cause{};

        void take(Entry& entry, RemovalCause why) noexcept {
            if (entry.state().has_value()) {
                value.emplace(entry.value.take());
            }
            cause = why;
        }
    };

    // Plain bytes that nobody asked for need not be kept.
    [[nodiscard]] bool kept() const noexcept {
        return !std::is_trivially_destructible_v<Kept<K>> ||
               !std::is_trivially_destructible_v<Kept<V>> || options_.on_removal;
    }
    void report() const noexcept {
        if (first_.key) {
            report(shown<K>(*first_.key), first_);
        }
        for (const Left& left : more_) {
            report(shown<K>(*left.key), left);
        }
        if (key_ != nullptr) {
            report(*key_, replaced_);
        }
    }
    [[gnu::noinline]] void report(const K& key, const Left& left) const noexcept {
        if (left.value) {
            try {
                options_.on_removal(key, shown<V>(*left.value), left.cause);
            } catch (...) {}
        }
    }

    const MemoryStoreOptions<K, V>& options_;
    Left first_{};  // most often the only one
    std::list<Left> more_{};
    std::list<Left> spare_{};
    const K* key_ = nullptr;
    Left replaced_{};  // a value, of this key
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_REMOVALS_HPP
