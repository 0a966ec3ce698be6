// SPDX-License-Identifier: MIT

/// @file
/// The changes of a MemoryJournal, in the order in which they are to be written.

#ifndef LARDER_DETAIL_JOURNAL_PENDING_CHANGES_HPP
#define LARDER_DETAIL_JOURNAL_PENDING_CHANGES_HPP

#include <larder/detail/journal/kept_value.hpp>
#include <larder/entry.hpp>
#include <larder/hash.hpp>
#include <larder/journal/journal.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// What waits for the database, and what it would not take. The steps of the journal are those of the
/// model in tests/models/write_behind.pml, which proves what they are for.
///
/// Changes are in a list by age. Since the oldest are claimed first, those that nobody has claimed yet are
/// its end; the others also wait, by when they are due again: their claim ends, their next try.
///
/// Who uses it does first what may fail, and then what cannot: the steps here that change something are
/// noexcept.
///
/// Thread safety: none of its own. Hold `mutex` for every call; `size` is an atomic.
template <class K, class V>
class PendingChanges {
public:
    using Instant = std::chrono::steady_clock::time_point;
    struct Item;
    using Node = std::pair<const K, Item>;
    using Waiting = std::multimap<Instant, Node*>;

    struct Item {
        template <class C>
        explicit Item(const C& clock) : since{clock.now()} {}

        KeptValue<V> value{};
        std::uint64_t version = 0;
        std::uint64_t claim = 0;  // the last one; 0: none that counts
        std::size_t attempts = 0;
        Instant since;
        Node* older = nullptr;
        Node* newer = nullptr;
        std::optional<typename Waiting::iterator>
            place{};  // none: fresh, nobody has claimed it yet
    };
    using Items = std::unordered_map<K, Item, Hash<K>, std::equal_to<>>;
    using Dead = std::unordered_map<K, DeadLetter<K, V>, Hash<K>, std::equal_to<>>;
    using At = typename Items::iterator;

    std::mutex mutex{};
    Items items{};
    Dead dead{};  ///< what the database would not take
    std::atomic<std::size_t> size{0};
    std::uint64_t versions = 0;  ///< the last that was given
    std::uint64_t claims = 0;    ///< likewise

    /// Lists a change that is new among the items.
    void add(Node& node) noexcept {
        link(node);
        size.store(items.size(), std::memory_order_release);
        // By the time of day, or an earlier run's rows would be newer than all that is written.
        // Keys that are pending for a moment need not look at the clock.
        const auto today = std::chrono::system_clock::now().time_since_epoch();
        const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(today);
        versions = (std::max)(versions, static_cast<std::uint64_t>(micros.count()));
    }
    /// Unlists one, and takes it from the items.
    typename Items::node_type remove(At at) noexcept {
        unlink(*at);
        auto gone = items.extract(at);
        size.store(items.size(), std::memory_order_release);
        return gone;
    }

    /// What has to be written next.
    [[nodiscard]] std::vector<Node*> due(std::size_t max, Instant now, Ttl age) const {
        std::vector<Node*> nodes;
        nodes.reserve((std::min)(max, items.size()));
        for (auto at = waiting_.begin();
             at != waiting_.end() && at->first <= now && nodes.size() < max; ++at) {
            nodes.push_back(at->second);
        }
        for (Node* node = first_fresh_; node != nullptr && nodes.size() < max &&
                                        std::chrono::floor<Ttl>(now - node->second.since) >= age;
             node = node->second.newer) {
            nodes.push_back(node);
        }
        return nodes;
    }
    /// Places among those that wait, for those that have none.
    static Waiting places(const std::vector<Node*>& nodes, Instant until) {
        Waiting places;
        for (Node* node : nodes) {
            if (!node->second.place) {
                places.emplace_hint(places.end(), until, node);
            }
        }
        return places;
    }
    /// Gives each its place. They were the oldest of the fresh ones.
    void enqueue(Waiting& places) noexcept {
        for (auto at = places.begin(); at != places.end(); ++at) {
            Item& item = at->second->second;
            item.place = at;
            first_fresh_ = item.newer;
        }
        waiting_.merge(places);
    }
    /// Due again then: for who has a place.
    void wait_until(Node& node, Instant until) noexcept {
        if (auto& place = node.second.place) {
            auto moved = waiting_.extract(*place);
            moved.key() = until;
            place = waiting_.insert(std::move(moved));
        }
    }

    /// The change of a claim that counts; else the end.
    At held(const Claimed<K, V>& mine) {
        const auto at = items.find(mine.change.key);
        const bool held = at != items.end() && mine.claim != 0 && at->second.claim == mine.claim;
        return held ? at : items.end();
    }
    /// The same of many.
    std::vector<At> held(std::span<const Claimed<K, V>> many) {
        std::vector<At> all;
        all.reserve(many.size());
        for (const auto& mine : many) {
            all.push_back(held(mine));
        }
        return all;
    }
    /// True if the claimed change is the newest of its key. If not, the claim ends, and the newer one
    /// begins to wait anew.
    bool confirm(At at, const Claimed<K, V>& mine, Instant now) noexcept {
        if (at == items.end()) {
            return false;
        }
        Item& item = at->second;
        if (item.version == mine.change.version) {
            return true;
        }
        unlink(*at);
        item.claim = 0;
        item.since = now;
        link(*at);
        return false;
    }

    /// The oldest; null if nothing is pending.
    [[nodiscard]] const Node* oldest() const noexcept { return oldest_; }

    /// As users see it.
    static Change<K, V> change(const Node& node) {
        const auto& [key, item] = node;
        return {key, copy_of<V>(item.value), item.version};
    }

private:
    void link(Node& node) noexcept {
        Item& item = node.second;
        item.older = newest_;
        item.newer = nullptr;
        (newest_ != nullptr ? newest_->second.newer : oldest_) = &node;
        newest_ = &node;
        if (first_fresh_ == nullptr) {
            first_fresh_ = &node;
        }
    }
    void unlink(Node& node) noexcept {
        Item& item = node.second;
        if (item.place) {
            waiting_.erase(*item.place);
            item.place.reset();
        } else if (first_fresh_ == &node) {
            first_fresh_ = item.newer;
        }
        (item.older != nullptr ? item.older->second.newer : oldest_) = item.newer;
        (item.newer != nullptr ? item.newer->second.older : newest_) = item.older;
    }

    Node* oldest_ = nullptr;
    Node* newest_ = nullptr;
    Node* first_fresh_ = nullptr;
    Waiting waiting_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_JOURNAL_PENDING_CHANGES_HPP
