// SPDX-License-Identifier: MIT

/// @file
/// MemoryJournal: changes wait in this process, and are lost with it.

#ifndef LARDER_JOURNAL_MEMORY_HPP
#define LARDER_JOURNAL_MEMORY_HPP

#include <larder/clock.hpp>
#include <larder/detail/journal/kept_value.hpp>
#include <larder/detail/journal/pending_changes.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/fwd.hpp>
#include <larder/journal/journal.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
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

    /// Nothing is recorded yet.
    MemoryJournal() : MemoryJournal{C{}} {}
    /// The same, by another clock.
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
        detail::KeptValue<V> value{};
        typename Dead::node_type gone{};
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        if (s.items.size() >= most && !s.items.contains(change.key)) {
            return std::nullopt;
        }
        const auto letter = s.dead.empty() ? s.dead.end() : s.dead.find(change.key);
        value = detail::keep_value(change.value);
        const auto [at, is_new] = s.items.try_emplace(std::move(change.key), clock());
        // Nothing fails from here on.
        if (is_new) {
            s.add(*at);
        }
        if (letter != s.dead.end()) {
            gone = s.dead.extract(letter);
        }
        at->second.value.swap(value);
        at->second.attempts = 0;
        return at->second.version = ++s.versions;
    }

    /// What is recorded of the key and not yet settled.
    [[nodiscard]] std::optional<Change<K, V>> pending(const K& key) const {
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        const auto at = s.items.find(key);
        return at == s.items.end() ? std::nullopt : std::optional{State::change(*at)};
    }

    /// Changes that nobody else has in hand, the oldest first: those as old as `age`, or due again.
    [[nodiscard]] std::vector<Claimed<K, V>> claim(std::size_t max, Ttl life, Ttl age) {
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        const auto now = clock().now();
        const auto until = detail::later(now, life);
        const std::vector<Node*> due = s.due(max, now, age);
        auto places = State::places(due, until);
        std::vector<Claimed<K, V>> claims;
        claims.reserve(due.size());
        for (const Node* node : due) {
            const std::uint64_t name = s.claims + claims.size() + 1;
            claims.push_back({State::change(*node), name, node->second.attempts});
        }
        // Nothing fails from here on. A claim that nobody renews or settles is due again.
        for (Node* node : due) {
            node->second.claim = ++s.claims;
            s.wait_until(*node, until);
        }
        s.enqueue(places);
        return claims;
    }

    /// The claims live on; those that do not count any more are left out.
    void renew(std::span<const Claimed<K, V>> claims, Ttl life) {
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        const std::vector<At> held = s.held(claims);
        const auto until = detail::later(clock().now(), life);
        for (const At at : held) {
            if (at != s.items.end()) {
                s.wait_until(*at, until);
            }
        }
    }

    /// The database has them; false for those that were not the claim's any more, or are not the newest.
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
            settled[i] = s.confirm(held[i], claims[i], now);
            if (settled[i]) {
                gone.push_back(s.remove(held[i]));
            }
        }
        return settled;
    }

    /// To be tried again after `delay`.
    void defer(const Claimed<K, V>& mine, Ttl delay) {
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        const At at = s.held(mine);
        const auto now = clock().now();
        if (s.confirm(at, mine, now)) {
            s.wait_until(*at, detail::later(now, delay));
            at->second.claim = 0;
            at->second.attempts = mine.attempts + 1;
        }
    }

    /// Becomes a dead letter, unless a newer change is recorded or the claim has ended: then false.
    bool bury(const Claimed<K, V>& mine, std::string_view why) {
        typename Items::node_type gone{};
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        const At at = s.held(mine);
        if (at != s.items.end() && at->second.version == mine.change.version) {
            // A change takes its key's letter away: there is none.
            s.dead.try_emplace(at->first, DeadLetter<K, V>{State::change(*at), std::string{why}});
            gone = s.remove(at);
            return true;
        }
        return s.confirm(at, mine, clock().now());
    }

    /// What the database would not take, the oldest first.
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

    /// The dead letter is pending again, with its version; false if there is none. It takes its place
    /// beyond a bound, too. Rule W8.
    bool revive(const K& key) {
        typename Dead::node_type gone{};
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        const auto letter = s.dead.find(key);
        if (letter == s.dead.end()) {
            return false;
        }
        std::optional<V> copy = letter->second.change.value;
        detail::KeptValue<V> value = detail::keep_value(copy);
        // A newer change would have taken the letter away: nothing is pending.
        Node& node = *s.items.try_emplace(key, clock()).first;
        // Nothing fails from here on.
        s.add(node);
        node.second.value.swap(value);
        node.second.version = letter->second.change.version;
        gone = s.dead.extract(letter);
        return true;
    }

    /// The dead letter is forgotten; false if there is none.
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

    /// Changes pending. Asks for no lock.
    [[nodiscard]] std::size_t size() const noexcept {
        const State* const s = shared_->state.find();
        return s == nullptr ? 0 : s->size.load(std::memory_order_acquire);
    }

    /// The age of the oldest pending change; none if nothing is pending.
    [[nodiscard]] std::optional<Ttl> oldest() const {
        State& s = state();
        const std::scoped_lock lock{s.mutex};
        const Node* const oldest = s.oldest();
        if (oldest == nullptr) {
            return std::nullopt;
        }
        return std::chrono::duration_cast<Ttl>(clock().now() - oldest->second.since);
    }

private:
    using State = detail::PendingChanges<K, V>;
    using Node = typename State::Node;
    using Items = typename State::Items;
    using Dead = typename State::Dead;
    using At = typename State::At;

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
