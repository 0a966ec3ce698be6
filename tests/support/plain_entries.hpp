// SPDX-License-Identifier: MIT

/// @file
/// The entries of an eviction policy in a plain array, and a bounded set of keys that a policy evicts from.

#ifndef LARDER_TESTS_SUPPORT_PLAIN_ENTRIES_HPP
#define LARDER_TESTS_SUPPORT_PLAIN_ENTRIES_HPP

#include <larder/store/eviction/policy.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace larder_test {

/// Spreads the bits of a key.
[[nodiscard]] inline std::uint64_t spread(std::uint64_t key) noexcept {
    key = (key ^ key >> 33) * 0xff51afd7ed558ccdU;
    key = (key ^ key >> 33) * 0xc4ceb9fe1a85ec53U;
    return key ^ key >> 33;
}

/// Entries 1 to `most`. Counts how often a policy asks for uses.
class PlainEntries {
public:
    using Id = std::uint32_t;

    explicit PlainEntries(std::size_t most) : entries_(most + 1) {}

    [[nodiscard]] Id newer(Id id) const noexcept { return entries_[id].newer; }
    [[nodiscard]] Id older(Id id) const noexcept { return entries_[id].older; }
    void set_newer(Id id, Id newer) noexcept { entries_[id].newer = newer; }
    void set_older(Id id, Id older) noexcept { entries_[id].older = older; }
    [[nodiscard]] unsigned uses(Id id) const noexcept {
        ++asked;
        return entries_[id].uses;
    }
    void set_uses(Id id, unsigned uses) noexcept { entries_[id].uses = uses; }
    [[nodiscard]] unsigned queue(Id id) const noexcept { return entries_[id].queue; }
    void set_queue(Id id, unsigned queue) noexcept { entries_[id].queue = queue; }
    [[nodiscard]] std::uint64_t hash(Id id) const noexcept { return spread(entries_[id].key); }

    void set_key(Id id, std::uint64_t key) noexcept { entries_[id].key = key; }
    [[nodiscard]] std::uint64_t key(Id id) const noexcept { return entries_[id].key; }

    mutable std::size_t asked = 0;

private:
    struct Entry {
        std::uint64_t key = 0;
        Id newer = 0;
        Id older = 0;
        unsigned uses = 0;
        unsigned queue = 0;
    };

    std::vector<Entry> entries_;
};

/// Keys of which a policy keeps at most `most`.
template <larder::EvictionPolicy P>
class BoundedKeys {
public:
    using Id = std::uint32_t;

    explicit BoundedKeys(std::size_t most) : entries{most} {
        for (std::size_t id = most; id > 0; --id) {
            free_.push_back(static_cast<Id>(id));
        }
    }

    /// Uses the key, or lists it where it was not. True if it was.
    bool get(std::uint64_t key) {
        if (const auto at = ids.find(key); at != ids.end()) {
            if constexpr (P::sees_hits) {
                policy.hit(entries, at->second);
            } else {
                entries.set_uses(at->second,
                                 (std::min)(entries.uses(at->second) + 1, P::most_uses));
            }
            return true;
        }
        if (free_.empty()) {
            evict();
        }
        const Id id = free_.back();
        free_.pop_back();
        ids[key] = id;
        entries.set_key(id, key);
        entries.set_uses(id, 0);
        policy.insert(entries, id, entries.hash(id));
        return false;
    }

    /// The hits among `keys`.
    template <class Keys>
    std::size_t hits(const Keys& keys) {
        return static_cast<std::size_t>(
            std::count_if(keys.begin(), keys.end(), [&](std::uint64_t key) { return get(key); }));
    }

    /// Makes room; the key that went.
    std::uint64_t evict() {
        const Id id = policy.evict(entries);
        const std::uint64_t key = entries.key(id);
        ids.erase(key);
        free_.push_back(id);
        return key;
    }
    void remove(std::uint64_t key) {
        const Id id = ids.at(key);
        policy.remove(entries, id);
        ids.erase(key);
        free_.push_back(id);
    }

    PlainEntries entries;
    P policy{};
    std::unordered_map<std::uint64_t, Id> ids{};

private:
    std::vector<Id> free_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_PLAIN_ENTRIES_HPP
