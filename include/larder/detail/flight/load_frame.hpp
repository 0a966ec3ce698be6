// SPDX-License-Identifier: MIT

/// @file
/// What this thread is loading: who asks for that again would never end.

#ifndef LARDER_DETAIL_FLIGHT_LOAD_FRAME_HPP
#define LARDER_DETAIL_FLIGHT_LOAD_FRAME_HPP

#include <larder/detail/flight/wait_graph.hpp>
#include <larder/hash.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// A load in this thread's hands, for its lifetime. Frames are made and end in the order of the stack.
class LoadFrame {
public:
    LoadFrame(const LoadFrame&) = delete;
    LoadFrame& operator=(const LoadFrame&) = delete;

    /// True if this thread is loading anything at all.
    [[nodiscard]] static bool any() noexcept { return top() != nullptr; }

    /// Whether a loader of this thread may ask the engine for a key.
    template <class K>
    [[nodiscard]] static MayWait ask(const void* core, const K& key) {
        for (const LoadFrame* at = top(); at != nullptr; at = at->outer_) {
            if (at->core_ == core && at->holds(&key)) {
                // A loader of many that asks for one of them may do so for the sake of another; but
                // it would be asked for that one again.
                return at->many_ && at != top() ? MayWait::deadlock : MayWait::recursive;
            }
        }
        return MayWait::yes;
    }

protected:
    LoadFrame(const void* core, bool many) noexcept
        : core_{core}, many_{many}, outer_{std::exchange(top(), this)} {}
    ~LoadFrame() { top() = outer_; }

    /// @param key  of the type of the engine's keys
    [[nodiscard]] virtual bool holds(const void* key) const = 0;

private:
    static LoadFrame*& top() noexcept {
        thread_local LoadFrame* innermost = nullptr;
        return innermost;
    }

    const void* core_;
    bool many_;
    LoadFrame* outer_;
};

/// The load of one key.
template <class K>
class KeyFrame final : public LoadFrame {
public:
    KeyFrame(const void* core, const K& key) noexcept : LoadFrame{core, false}, key_{key} {}

private:
    [[nodiscard]] bool holds(const void* key) const override {
        return std::equal_to<>{}(key_, *static_cast<const K*>(key));
    }

    const K& key_;
};

/// A load of many at once.
template <class K>
class KeysFrame final : public LoadFrame {
public:
    KeysFrame(const void* core, std::span<const K> keys) noexcept
        : LoadFrame{core, true}, keys_{keys} {}

private:
    using Place = std::pair<std::size_t, const K*>;

    // By hash, made when a loader asks for the first time.
    [[nodiscard]] bool holds(const void* key) const override {
        const auto by_hash = [](const Place& a, const Place& b) { return a.first < b.first; };
        if (places_.empty()) {
            std::vector<Place> places;
            places.reserve(keys_.size());
            for (const K& mine : keys_) {
                places.emplace_back(Hash<K>{}(mine), &mine);
            }
            std::sort(places.begin(), places.end(), by_hash);
            places_ = std::move(places);
        }
        const K& asked = *static_cast<const K*>(key);
        const auto [from, to] = std::equal_range(places_.begin(), places_.end(),
                                                 Place{Hash<K>{}(asked), nullptr}, by_hash);
        return std::any_of(
            from, to, [&](const Place& place) { return std::equal_to<>{}(*place.second, asked); });
    }

    std::span<const K> keys_;
    mutable std::vector<Place> places_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_LOAD_FRAME_HPP
