// SPDX-License-Identifier: MIT

/// @file
/// The changes of a MemoryJournal, and the order in which they are to be written.

#ifndef LARDER_DETAIL_JOURNAL_PENDING_CHANGES_HPP
#define LARDER_DETAIL_JOURNAL_PENDING_CHANGES_HPP

#include <larder/detail/journal/journal_part.hpp>
#include <larder/detail/journal/kept_value.hpp>
#include <larder/detail/journal/pending_change.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/hash.hpp>
#include <larder/journal/journal.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// What waits for the database, and what it would not take. The steps of the journal are those of the
/// model in tests/models/write_behind.pml, which proves what they are for.
///
/// Writers meet only at the part of their key, and, with a key that has nothing pending, at the count.
/// All that a flusher does is under the lock of the claims, and nothing else takes a change out of the
/// journal: there, what was found under a part's lock is still there when that has been let go.
///
/// Who uses it does first what may fail, and then what cannot: the steps here that change something are
/// noexcept.
///
/// Lock order: `claiming`, then one part at a time.
///
/// Thread safety: what says nothing else may run concurrently.
template <class K, class V>
class PendingChanges {
public:
    using Part = JournalPart<K, V>;
    using Node = typename Part::Node;
    using Instant = typename Node::Instant;
    using Waiting = typename Node::Waiting;

    PendingChanges() : parts_(part_count()) {}

    /// The high bits choose the part: its table takes the low ones.
    [[nodiscard]] Part& part_of(std::size_t hash) noexcept {
        return parts_[(hash >> (sizeof(std::size_t) * 4)) & (parts_.size() - 1)];
    }
    [[nodiscard]] Part& part_of(const Node& node) noexcept { return part_of(node.hash); }
    [[nodiscard]] std::size_t size() const noexcept {
        return size_.load(std::memory_order_acquire);
    }
    /// How many dead letters there are.
    [[nodiscard]] std::atomic<std::size_t>& buried() noexcept { return buried_; }

    /// Calls `step(part)` for one after the other, under its lock.
    template <class Step>
    void each(Step&& step) {
        for (Part& part : parts_) {
            const std::scoped_lock lock{part.mutex};
            step(part);
        }
    }

    /// A place under a bound, given back unless it is used.
    class Place {
    public:
        explicit Place(PendingChanges& in) noexcept : size_{&in.size_} {}
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;
        ~Place() {
            if (taken_) {
                size_->fetch_sub(1, std::memory_order_acq_rel);
            }
        }

        /// False if so many are taken.
        [[nodiscard]] bool take(std::size_t most) noexcept {
            std::size_t seen = size_->load(std::memory_order_relaxed);
            do {
                if (seen >= most) {
                    return false;
                }
            } while (!size_->compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel));
            return taken_ = true;
        }
        void use() noexcept { taken_ = false; }

    private:
        std::atomic<std::size_t>* size_;
        bool taken_ = false;
    };

    /// Lists a change that begins to wait, with a place. Hold the part.
    void begin_to_wait(Part& part, Node& node, Instant now) noexcept {
        node.since = now;
        node.arrival = arrivals_.fetch_add(1, std::memory_order_relaxed);
        part.link(node);
    }

    /// The same of one that waits already. A newer change is not to wait for the older one's next try: it
    /// keeps its place until it is claimed.
    void wait_anew(Part& part, Node& node, Instant now) noexcept {
        part.unlink(node);
        begin_to_wait(part, node, now);
    }

    // ---- of a journal, as they are ----

    /// What is recorded of the key and not yet settled.
    [[nodiscard]] std::optional<Change<K, V>> pending(const K& key) {
        const std::size_t hash = Hash<K>{}(key);
        Part& part = part_of(hash);
        const std::scoped_lock lock{part.mutex};
        const Node* const node = part.find(key, hash);
        return node == nullptr || node->buried ? std::nullopt : std::optional{change(*node)};
    }

    /// Changes that nobody else has in hand, the oldest first: those as old as `age`, or due again.
    template <class C>
    [[nodiscard]] std::vector<Claimed<K, V>> claim(std::size_t max, Ttl life, Ttl age,
                                                   const C& clock) {
        std::vector<Claimed<K, V>> claims;
        const std::scoped_lock lock{claiming};
        if (size() == 0) {
            return claims;
        }
        claims.reserve((std::min)(max, size()));
        const Instant now = clock.now();
        const Instant until = later(now, life);
        std::uint64_t name = claims_ + 1;
        const std::vector<Node*> nodes = due(max, now, age, [&](const Node& node) {
            claims.push_back({change(node), name++, node.attempts});
        });
        auto given = places(nodes, until);
        // Nothing fails from here on. A claim that nobody renews or settles is due again.
        claim(nodes, given, until);
        return claims;
    }

    /// The claims live on; those that do not count any more are left out.
    template <class C>
    void renew(std::span<const Claimed<K, V>> claims, Ttl life, const C& clock) {
        const std::scoped_lock lock{claiming};
        const std::vector<Node*> nodes = held(claims);
        const Instant until = later(clock.now(), life);
        for (Node* const node : nodes) {
            if (node != nullptr) {
                wait_until(*node, until);
            }
        }
    }

    /// To be tried again after `delay`.
    ///
    /// @return false if the claim did not count any more, or there is a newer change
    template <class C>
    bool defer(const Claimed<K, V>& mine, Ttl delay, const C& clock) {
        const std::scoped_lock lock{claiming};
        Node* const node = held(mine);
        const Instant now = clock.now();
        if (node == nullptr) {
            return false;
        }
        Part& part = part_of(*node);
        const std::scoped_lock lock_part{part.mutex};
        if (!confirm(part, *node, mine, now)) {
            return false;
        }
        wait_until(*node, later(now, delay));
        node->claim = 0;
        node->backs_off = true;
        failed(*node, mine);
        return true;
    }

    /// The age of the oldest pending change; none if nothing is pending.
    template <class C>
    [[nodiscard]] std::optional<Ttl> oldest(const C& clock) {
        std::optional<Instant> since;
        each([&](const Part& part) {
            if (const Node* const node = part.oldest()) {
                since = (std::min)(since.value_or(node->since), node->since);
            }
        });
        if (!since) {
            return std::nullopt;
        }
        return std::chrono::duration_cast<Ttl>(clock.now() - *since);
    }

    // ---- hold `claiming` for what follows ----

    std::mutex claiming{};

    /// What has to be written next, each shown to `see` under its part's lock: what is due again, and
    /// what is old enough; what has been due for longest comes first.
    template <class See>
    std::vector<Node*> due(std::size_t max, Instant now, Ttl age, See&& see) {
        std::vector<Node*> nodes;
        std::vector<Node*> fresh;  // the oldest of each part
        each([&](Part& part) {
            if (part.first_fresh() != nullptr) {
                fresh.push_back(part.first_fresh());
            }
        });
        auto again = waiting_.begin();
        while (nodes.size() < max) {
            const auto oldest = std::min_element(
                fresh.begin(), fresh.end(),
                [](const Node* a, const Node* b) { return by_age(*a) < by_age(*b); });
            const bool old_enough =
                oldest != fresh.end() && std::chrono::floor<Ttl>(now - (*oldest)->since) >= age;
            if (again != waiting_.end() && again->first <= now &&
                (!old_enough || again->first <= later((*oldest)->since, age))) {
                Node& node = *again++->second;
                const std::scoped_lock lock{part_of(node).mutex};
                if (!node.fresh) {
                    nodes.push_back(&node);
                    see(node);
                    node.backs_off =
                        false;  // who records over it does not list it as fresh any more
                }
            } else if (old_enough) {
                Node*& node = *oldest;
                nodes.push_back(node);
                const std::scoped_lock lock{part_of(*node).mutex};
                see(*node);
                node = node->newer;
                if (node == nullptr) {
                    fresh.erase(oldest);
                }
            } else {
                break;
            }
        }
        return nodes;
    }
    /// Places among those that wait, for those that have none.
    static Waiting places(const std::vector<Node*>& nodes, Instant until) {
        Waiting places;
        for (Node* node : nodes) {
            if (!node->place) {
                places.emplace_hint(places.end(), until, node);
            }
        }
        return places;
    }
    /// They are claimed, by the next names, and due again then. `given` are their places.
    void claim(const std::vector<Node*>& nodes, Waiting& given, Instant until) noexcept {
        for (Node* node : nodes) {
            node->claim = ++claims_;
            wait_until(*node, until);
            Part& part = part_of(*node);
            const std::scoped_lock lock{part.mutex};
            part.claimed(*node);
        }
        for (auto at = given.begin(); at != given.end(); ++at) {
            at->second->place = at;
        }
        waiting_.merge(given);
    }
    /// Due again then: for who has a place.
    void wait_until(Node& node, Instant until) noexcept {
        if (auto& place = node.place) {
            auto moved = waiting_.extract(*place);
            moved.key() = until;
            place = waiting_.insert(std::move(moved));
        }
    }

    /// The change of a claim that counts; else null.
    [[nodiscard]] Node* held(const Claimed<K, V>& mine) {
        const K& key = mine.change.key;
        const std::size_t hash = Hash<K>{}(key);
        Part& part = part_of(hash);
        const std::scoped_lock lock{part.mutex};
        Node* const node = part.find(key, hash);
        return node != nullptr && mine.claim != 0 && node->claim == mine.claim ? node : nullptr;
    }
    /// The same of many.
    [[nodiscard]] std::vector<Node*> held(std::span<const Claimed<K, V>> many) {
        std::vector<Node*> all;
        all.reserve(many.size());
        for (const auto& mine : many) {
            all.push_back(held(mine));
        }
        return all;
    }
    /// True if the claimed change is the newest of its key. If not, the claim ends, and the newer one
    /// begins to wait anew. Hold the part, too.
    bool confirm(Part& part, Node& node, const Claimed<K, V>& mine, Instant now) noexcept {
        if (node.version == mine.change.version) {
            return true;
        }
        leave(part, node);
        begin_to_wait(part, node, now);
        return false;
    }
    /// It is not pending any more, and gives up its place. Hold the part, too.
    void end(Part& part, Node& node) noexcept {
        leave(part, node);
        size_.fetch_sub(1, std::memory_order_acq_rel);
    }

    /// The claimed change was tried in vain. Hold the part, too.
    ///
    /// @return now, by the time of day
    static std::chrono::system_clock::time_point failed(Node& node,
                                                        const Claimed<K, V>& mine) noexcept {
        const auto now = std::chrono::system_clock::now();
        if (mine.attempts == 0) {
            node.failed = now;
        }
        node.attempts = mine.attempts + 1;
        return now;
    }

    /// Less is older. Hold the part.
    static std::pair<Instant, std::uint64_t> by_age(const Node& node) noexcept {
        return {node.since, node.arrival};
    }
    /// As users see it. Hold the part.
    static Change<K, V> change(const Node& node) {
        return {node.key, copy_of<V>(node.value), node.version};
    }

private:
    void leave(Part& part, Node& node) noexcept {
        part.unlink(node);
        if (node.place) {
            waiting_.erase(*node.place);
            node.place.reset();
        }
        node.claim = 0;
    }
    // A claim that waits for no other takes some of each part: not too many of them.
    static std::size_t part_count() noexcept {
        return std::bit_ceil(
            std::clamp<std::size_t>(4 * std::thread::hardware_concurrency(), 8, 64));
    }

    std::vector<Part> parts_;
    Waiting waiting_{};
    std::uint64_t claims_ = 0;  // the last that was given
    std::atomic<std::size_t> buried_{0};
    // Written by whoever begins to wait: in a line of their own.
    alignas(64) std::atomic<std::size_t> size_{0};
    std::atomic<std::uint64_t> arrivals_{0};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_JOURNAL_PENDING_CHANGES_HPP
