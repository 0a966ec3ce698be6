// SPDX-License-Identifier: MIT

/// @file
/// MemoryJournal: changes wait in this process, and are lost with it.

#ifndef LARDER_JOURNAL_MEMORY_HPP
#define LARDER_JOURNAL_MEMORY_HPP

#include <larder/clock.hpp>
#include <larder/entry.hpp>
#include <larder/hash.hpp>
#include <larder/journal/journal.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

/// A journal in memory: the default of WriteBehind over a store in memory. What is recorded and not
/// yet written is lost when the process ends without draining it.
///
/// A cheap handle: copies share the journal.
///
/// Thread safety: all members may run concurrently.
template <class K, class V, class C = SteadyClock>
class MemoryJournal {
public:
    using key_type = K;
    using value_type = V;

    static constexpr bool durable = false;
    static constexpr bool shared = false;

    explicit MemoryJournal(C clock = {}) : state_{std::make_shared<State>(std::move(clock))} {}

    /// @copydoc Journal
    std::uint64_t record(const Change<K, V>& change) {
        State& s = *state_;
        const auto now = s.clock.now();
        const std::scoped_lock lock{s.mutex};
        const auto [at, is_new] = s.items.try_emplace(change.key);
        try {
            at->second.value = change.value;
            if (is_new) {
                at->second.since = now;
                s.ready(at, now);
            }
        } catch (...) {
            if (is_new) {
                s.items.erase(at);
            }
            throw;
        }
        at->second.attempts = 0;
        s.dead.erase(change.key);
        return at->second.version = ++s.versions;
    }

    [[nodiscard]] std::optional<Change<K, V>> pending(const K& key) const {
        const std::scoped_lock lock{state_->mutex};
        const auto at = state_->items.find(key);
        return at == state_->items.end() ? std::nullopt : std::optional{State::change(at)};
    }

    [[nodiscard]] std::vector<Claimed<K, V>> claim(std::size_t max, Ttl life) {
        State& s = *state_;
        const auto now = s.clock.now();
        const std::scoped_lock lock{s.mutex};
        std::vector<Claimed<K, V>> claims;
        while (claims.size() < max && !s.queue.empty() && s.queue.top().when <= now) {
            const auto at = s.items.find(s.queue.top().key);
            const bool current = at != s.items.end() && at->second.ready_at == s.queue.top().when;
            if (current) {
                claims.push_back({State::change(at), ++s.claims, at->second.attempts});
                at->second.claim = s.claims;
            }
            s.queue.pop();
            if (current) {
                s.ready(at, now + life);  // a claim that nobody renews or settles is due again
            }
        }
        return claims;
    }

    void renew(std::span<const Claimed<K, V>> claims, Ttl life) {
        State& s = *state_;
        const auto until = s.clock.now() + life;
        const std::scoped_lock lock{s.mutex};
        for (const auto& mine : claims) {
            if (const auto at = s.held(mine); at != s.items.end()) {
                s.ready(at, until);
            }
        }
    }

    [[nodiscard]] std::vector<bool> settle(std::span<const Claimed<K, V>> claims) {
        const std::scoped_lock lock{state_->mutex};
        std::vector<bool> settled;
        settled.reserve(claims.size());
        for (const auto& mine : claims) {
            settled.push_back(state_->close(mine, [&](auto at) { state_->items.erase(at); }));
        }
        return settled;
    }

    void defer(const Claimed<K, V>& mine, Ttl delay) {
        const auto when = state_->clock.now() + delay;
        const std::scoped_lock lock{state_->mutex};
        state_->close(mine, [&](auto at) {
            at->second.claim = 0;
            at->second.attempts = mine.attempts + 1;
            state_->ready(at, when);
        });
    }

    bool bury(const Claimed<K, V>& mine, std::string_view why) {
        const std::scoped_lock lock{state_->mutex};
        return state_->close(mine, [&](auto at) {
            state_->dead.insert_or_assign(mine.change.key,
                                          DeadLetter<K, V>{State::change(at), std::string{why}});
            state_->items.erase(at);
        });
    }

    [[nodiscard]] std::vector<DeadLetter<K, V>> dead_letters() const {
        const std::scoped_lock lock{state_->mutex};
        std::vector<DeadLetter<K, V>> letters;
        letters.reserve(state_->dead.size());
        for (const auto& [key, letter] : state_->dead) {
            letters.push_back(letter);
        }
        std::sort(letters.begin(), letters.end(),
                  [](const auto& a, const auto& b) { return a.change.version < b.change.version; });
        return letters;
    }

    bool revive(const K& key) {
        State& s = *state_;
        const auto now = s.clock.now();
        const std::scoped_lock lock{s.mutex};
        const auto letter = s.dead.find(key);
        if (letter == s.dead.end()) {
            return false;
        }
        // A newer change would have taken the letter away: nothing is pending.
        const auto at = s.items.try_emplace(key).first;
        at->second.value = letter->second.change.value;
        at->second.version = letter->second.change.version;
        at->second.since = now;
        s.ready(at, now);
        s.dead.erase(letter);
        return true;
    }

    bool discard(const K& key) {
        const std::scoped_lock lock{state_->mutex};
        return state_->dead.erase(key) > 0;
    }

    [[nodiscard]] std::size_t size() const {
        const std::scoped_lock lock{state_->mutex};
        return state_->items.size();
    }

    [[nodiscard]] std::optional<Ttl> oldest() const {
        const auto now = state_->clock.now();
        const std::scoped_lock lock{state_->mutex};
        std::optional<Ttl> age;
        for (const auto& [key, item] : state_->items) {
            const Ttl mine = std::chrono::duration_cast<Ttl>(now - item.since);
            age = age ? (std::max)(*age, mine) : mine;
        }
        return age;
    }

private:
    using Instant = std::chrono::steady_clock::time_point;

    struct Item {
        std::optional<V> value{};
        std::uint64_t version = 0;
        std::uint64_t claim = 0;
        std::size_t attempts = 0;
        Instant since{};
        Instant ready_at{};  // the place in the queue that counts; others of this key are void
    };
    using Items = std::unordered_map<K, Item, Hash<K>, std::equal_to<>>;
    using At = typename Items::iterator;

    struct Place {
        Instant when;
        std::uint64_t order;
        K key;
        friend bool operator<(const Place& a, const Place& b) {
            return a.when != b.when ? a.when > b.when : a.order > b.order;
        }
    };

    struct State {
        explicit State(C given) : clock{std::move(given)} {}

        C clock;
        std::mutex mutex{};
        Items items{};
        std::priority_queue<Place> queue{};
        std::unordered_map<K, DeadLetter<K, V>, Hash<K>, std::equal_to<>> dead{};
        std::uint64_t versions = 0;
        std::uint64_t claims = 0;
        std::uint64_t order = 0;

        template <class It>
        static Change<K, V> change(It at) {
            return {at->first, at->second.value, at->second.version};
        }
        void ready(At at, Instant when) {
            queue.push({when, ++order, at->first});
            at->second.ready_at = when;
        }
        At held(const Claimed<K, V>& mine) {
            const auto at = items.find(mine.change.key);
            return at != items.end() && at->second.claim == mine.claim ? at : items.end();
        }
        // Ends a claim: `end` if its change is still the newest; a newer one is due at once.
        template <class End>
        bool close(const Claimed<K, V>& mine, End end) {
            const auto at = held(mine);
            if (at == items.end()) {
                return false;
            }
            if (at->second.version != mine.change.version) {
                at->second.claim = 0;
                ready(at, clock.now());
                return false;
            }
            end(at);
            return true;
        }
    };

    std::shared_ptr<State> state_;
};

LARDER_NS_END

#endif  // LARDER_JOURNAL_MEMORY_HPP
