// SPDX-License-Identifier: MIT

/// @file
/// MemoryJournal: changes wait in this process, and are lost with it.

#ifndef LARDER_JOURNAL_MEMORY_HPP
#define LARDER_JOURNAL_MEMORY_HPP

#include <larder/clock.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/fwd.hpp>
#include <larder/hash.hpp>
#include <larder/journal/journal.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

/// A journal in memory: the default of WriteBehind over a store in memory. What is recorded and not
/// yet written is lost when the process ends without draining it.
///
/// A cheap handle: copies share the journal. A forked child begins with an empty one: what was pending
/// is its parent's to write.
///
/// Thread safety: all members may run concurrently. Whatever one throws (memory is out, or a copy, a
/// hash or a comparison fails), the journal is as it was.
template <class K, class V, class C>
class MemoryJournal {
public:
    using key_type = K;
    using value_type = V;

    static constexpr bool durable = false;
    static constexpr bool shared = false;

    MemoryJournal() : MemoryJournal{C{}} {}
    explicit MemoryJournal(C clock) : shared_{std::make_shared<Shared>(std::move(clock))} {}

    /// Rule W4.
    ///
    /// @copydoc Journal
    std::uint64_t record(Change<K, V> change) {
        return *record(std::move(change), (std::numeric_limits<std::size_t>::max)());
    }

    /// The same under a bound: no version, and `change` as it was, if the key has none that waits and
    /// `most` others have.
    ///
    /// @throws std::invalid_argument  the key is not equal to itself: it would never be found again
    std::optional<std::uint64_t> record(Change<K, V>&& change, std::size_t most) {
        if (!detail::equals_itself<std::equal_to<>>(change.key)) {
            throw std::invalid_argument{"larder: a key that is not equal to itself has no change"};
        }
        // What goes is destroyed without the lock.
        Kept value{};
        typename Dead::node_type gone{};
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        if (s.items.size() >= most && !s.items.contains(change.key)) {
            return std::nullopt;
        }
        const auto letter = s.dead.empty() ? s.dead.end() : s.dead.find(change.key);
        value = keep(change.value);
        const auto [at, is_new] = s.items.try_emplace(std::move(change.key), clock());
        // Nothing fails from here on.
        if (is_new) {
            s.arrive(*at);
        }
        if (letter != s.dead.end()) {
            gone = s.dead.extract(letter);
        }
        at->second.value.swap(value);
        at->second.attempts = 0;
        return at->second.version = ++s.versions;
    }

    [[nodiscard]] std::optional<Change<K, V>> pending(const K& key) const {
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        const auto at = s.items.find(key);
        return at == s.items.end() ? std::nullopt : std::optional{change(*at)};
    }

    [[nodiscard]] std::vector<Claimed<K, V>> claim(std::size_t max, Ttl life, Ttl age) {
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        const auto now = clock().now();
        const auto until = detail::later(now, life);
        const std::vector<Node*> due = s.due(max, now, age);
        Waiting places = State::places(due, until);
        std::vector<Claimed<K, V>> claims;
        claims.reserve(due.size());
        for (const Node* node : due) {
            const std::uint64_t name = s.claims + claims.size() + 1;
            claims.push_back({change(*node), name, node->second.attempts});
        }
        // Nothing fails from here on. A claim that nobody renews or settles is due again.
        for (Node* node : due) {
            node->second.claim = ++s.claims;
            s.wait(*node, until);
        }
        s.take_in(places);
        return claims;
    }

    void renew(std::span<const Claimed<K, V>> claims, Ttl life) {
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        const std::vector<At> held = s.held(claims);
        const auto until = detail::later(clock().now(), life);
        for (const At at : held) {
            if (at != s.items.end()) {
                s.wait(*at, until);
            }
        }
    }

    /// Each claim once.
    [[nodiscard]] std::vector<bool> settle(std::span<const Claimed<K, V>> claims) {
        std::vector<typename Items::node_type> gone;  // destroyed without the lock
        gone.reserve(claims.size());
        std::vector<bool> settled(claims.size());
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        const std::vector<At> held = s.held(claims);
        const auto now = clock().now();
        for (std::size_t i = 0; i < claims.size(); ++i) {
            settled[i] = s.is_newest(held[i], claims[i], now);
            if (settled[i]) {
                gone.push_back(s.leave(held[i]));
            }
        }
        return settled;
    }

    void defer(const Claimed<K, V>& mine, Ttl delay) {
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        const At at = s.held(mine);
        const auto now = clock().now();
        if (s.is_newest(at, mine, now)) {
            s.wait(*at, detail::later(now, delay));
            at->second.claim = 0;
            at->second.attempts = mine.attempts + 1;
        }
    }

    bool bury(const Claimed<K, V>& mine, std::string_view why) {
        typename Items::node_type gone{};
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        const At at = s.held(mine);
        if (at != s.items.end() && at->second.version == mine.change.version) {
            // A change takes its key's letter away: there is none.
            s.dead.try_emplace(at->first, DeadLetter<K, V>{change(*at), std::string{why}});
            gone = s.leave(at);
            return true;
        }
        return s.is_newest(at, mine, clock().now());
    }

    [[nodiscard]] std::vector<DeadLetter<K, V>> dead_letters() const {
        std::vector<DeadLetter<K, V>> letters;
        {
            State& s = state();
            const std::scoped_lock lock{s.mutex};
            letters.reserve(s.dead.size());
            for (const auto& [key, letter] : s.dead) {
                letters.push_back(letter);
            }
        }
        std::sort(letters.begin(), letters.end(),
                  [](const auto& a, const auto& b) { return a.change.version < b.change.version; });
        return letters;
    }

    /// It takes its place beyond a bound, too. Rule W8.
    bool revive(const K& key) {
        typename Dead::node_type gone{};
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        const auto letter = s.dead.find(key);
        if (letter == s.dead.end()) {
            return false;
        }
        std::optional<V> copy = letter->second.change.value;
        Kept value = keep(copy);
        // A newer change would have taken the letter away: nothing is pending.
        Node& node = *s.items.try_emplace(key, clock()).first;
        // Nothing fails from here on.
        s.arrive(node);
        node.second.value.swap(value);
        node.second.version = letter->second.change.version;
        gone = s.dead.extract(letter);
        return true;
    }

    bool discard(const K& key) {
        typename Dead::node_type gone{};
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        const auto letter = s.dead.find(key);
        if (letter == s.dead.end()) {
            return false;
        }
        gone = s.dead.extract(letter);
        return true;
    }

    /// Asks for no lock.
    [[nodiscard]] std::size_t size() const noexcept {
        const State* const s = shared_->state.find();
        return s == nullptr ? 0 : s->size.load(std::memory_order_acquire);
    }

    [[nodiscard]] std::optional<Ttl> oldest() const {
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        if (s.oldest == nullptr) {
            return std::nullopt;
        }
        return std::chrono::duration_cast<Ttl>(clock().now() - s.oldest->second.since);
    }

private:
    using Instant = std::chrono::steady_clock::time_point;

    // A value whose replacement cannot fail: in place where its moves cannot, else on the heap.
    using Kept = std::conditional_t<std::is_nothrow_move_constructible_v<V> &&
                                        std::is_nothrow_swappable_v<V>,
                                    std::optional<V>, std::unique_ptr<V>>;

    struct Item;
    using Node = std::pair<const K, Item>;
    using Waiting = std::multimap<Instant, Node*>;

    struct Item {
        explicit Item(const C& clock) : since{clock.now()} {}

        Kept value{};
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

    static Kept keep(std::optional<V>& value) {
        if constexpr (std::is_same_v<Kept, std::optional<V>>) {
            return std::move(value);
        } else {
            return value ? std::make_unique<V>(std::move(*value)) : nullptr;
        }
    }
    static Change<K, V> change(const Node& node) {
        const auto& [key, item] = node;
        return {key, item.value ? std::optional<V>{*item.value} : std::nullopt, item.version};
    }

    // Items are in a list by age. Since the oldest are claimed first, those that are fresh are its
    // end; the others also wait, by when they are due again: their claim ends, their next try.
    //
    // Each function above does first what may fail, and then what cannot: the steps here that change
    // something are noexcept.
    struct State {
        std::mutex mutex{};
        Items items{};
        std::atomic<std::size_t> size{0};
        Node* oldest = nullptr;
        Node* newest = nullptr;
        Node* first_fresh = nullptr;
        Waiting waiting{};
        Dead dead{};
        std::uint64_t versions = 0;
        std::uint64_t claims = 0;

        void arrive(Node& node) noexcept {
            link(node);
            size.store(items.size(), std::memory_order_release);
            // By the time of day, or an earlier run's rows would be newer than all that is written.
            // Keys that are pending for a moment need not look at the clock.
            const auto today = std::chrono::system_clock::now().time_since_epoch();
            const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(today);
            versions = (std::max)(versions, static_cast<std::uint64_t>(micros.count()));
        }
        typename Items::node_type leave(At at) noexcept {
            unlink(*at);
            auto gone = items.extract(at);
            size.store(items.size(), std::memory_order_release);
            return gone;
        }

        // What has to be written next.
        [[nodiscard]] std::vector<Node*> due(std::size_t max, Instant now, Ttl age) const {
            std::vector<Node*> nodes;
            nodes.reserve((std::min)(max, items.size()));
            for (auto at = waiting.begin();
                 at != waiting.end() && at->first <= now && nodes.size() < max; ++at) {
                nodes.push_back(at->second);
            }
            for (Node* node = first_fresh; node != nullptr && nodes.size() < max &&
                                           std::chrono::floor<Ttl>(now - node->second.since) >= age;
                 node = node->second.newer) {
                nodes.push_back(node);
            }
            return nodes;
        }
        // Places for those that have none.
        static Waiting places(const std::vector<Node*>& nodes, Instant until) {
            Waiting places;
            for (Node* node : nodes) {
                if (!node->second.place) {
                    places.emplace_hint(places.end(), until, node);
                }
            }
            return places;
        }
        // Those were the oldest of the fresh ones.
        void take_in(Waiting& places) noexcept {
            for (auto at = places.begin(); at != places.end(); ++at) {
                Item& item = at->second->second;
                item.place = at;
                first_fresh = item.newer;
            }
            waiting.merge(places);
        }
        // For who has a place.
        void wait(Node& node, Instant until) noexcept {
            if (auto& place = node.second.place) {
                auto moved = waiting.extract(*place);
                moved.key() = until;
                place = waiting.insert(std::move(moved));
            }
        }

        At held(const Claimed<K, V>& mine) {
            const auto at = items.find(mine.change.key);
            const bool held =
                at != items.end() && mine.claim != 0 && at->second.claim == mine.claim;
            return held ? at : items.end();
        }
        std::vector<At> held(std::span<const Claimed<K, V>> many) {
            std::vector<At> all;
            all.reserve(many.size());
            for (const auto& mine : many) {
                all.push_back(held(mine));
            }
            return all;
        }
        // If not, the claim ends, and the newer change begins to wait anew.
        bool is_newest(At at, const Claimed<K, V>& mine, Instant now) noexcept {
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

    private:
        void link(Node& node) noexcept {
            Item& item = node.second;
            item.older = newest;
            item.newer = nullptr;
            (newest != nullptr ? newest->second.newer : oldest) = &node;
            newest = &node;
            if (first_fresh == nullptr) {
                first_fresh = &node;
            }
        }
        void unlink(Node& node) noexcept {
            Item& item = node.second;
            if (item.place) {
                waiting.erase(*item.place);
                item.place.reset();
            } else if (first_fresh == &node) {
                first_fresh = item.newer;
            }
            (item.older != nullptr ? item.older->second.newer : oldest) = item.newer;
            (item.newer != nullptr ? item.newer->second.older : newest) = item.older;
        }
    };

    struct Shared {
        explicit Shared(C given) : clock{std::move(given)} {}

        const C clock;
        detail::ForkLocal<State> state{};
    };

    [[nodiscard]] State& state() const { return shared_->state.get(); }
    [[nodiscard]] const C& clock() const noexcept { return shared_->clock; }

    std::shared_ptr<Shared> shared_;
};

LARDER_NS_END

#endif  // LARDER_JOURNAL_MEMORY_HPP
