// SPDX-License-Identifier: MIT

/// @file
/// MemoryJournal: changes wait in this process, and are lost with it.

#ifndef LARDER_JOURNAL_MEMORY_HPP
#define LARDER_JOURNAL_MEMORY_HPP

#include <larder/clock.hpp>
#include <larder/detail/later.hpp>
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
#include <memory>
#include <mutex>
#include <optional>
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

    MemoryJournal() : MemoryJournal{C{}} {}
    explicit MemoryJournal(C clock) : state_{std::make_shared<State>(std::move(clock))} {}

    /// @copydoc Journal
    std::uint64_t record(Change<K, V> change) {
        State& s = *state_;
        const std::scoped_lock lock{s.mutex};
        const auto [at, is_new] = s.items.try_emplace(std::move(change.key));
        Item& item = at->second;
        if (is_new) {
            s.arrive(*at);
        }
        item.value.swap(change.value);  // the former one is destroyed without the lock
        item.attempts = 0;
        if (!s.dead.empty()) {
            s.dead.erase(at->first);
        }
        return item.version = ++s.versions;
    }

    [[nodiscard]] std::optional<Change<K, V>> pending(const K& key) const {
        const std::scoped_lock lock{state_->mutex};
        const auto at = state_->items.find(key);
        return at == state_->items.end() ? std::nullopt : std::optional{State::change(*at)};
    }

    [[nodiscard]] std::vector<Claimed<K, V>> claim(std::size_t max, Ttl life, Ttl age) {
        State& s = *state_;
        const std::scoped_lock lock{s.mutex};
        const auto now = s.clock.now();
        std::vector<Claimed<K, V>> claims;
        claims.reserve((std::min)(max, s.items.size()));
        while (claims.size() < max) {
            Node* const due = s.due(now, age);
            if (due == nullptr) {
                break;
            }
            claims.push_back({State::change(*due), s.claims + 1, due->second.attempts});
            // A claim that nobody renews or settles is due again.
            s.wait(*due, detail::later(now, life));
            due->second.claim = ++s.claims;
        }
        return claims;
    }

    void renew(std::span<const Claimed<K, V>> claims, Ttl life) {
        State& s = *state_;
        const std::scoped_lock lock{s.mutex};
        const auto until = detail::later(s.clock.now(), life);
        for (const auto& mine : claims) {
            if (const auto at = s.held(mine); at != s.items.end()) {
                s.wait(*at, until);
            }
        }
    }

    [[nodiscard]] std::vector<bool> settle(std::span<const Claimed<K, V>> claims) {
        const std::scoped_lock lock{state_->mutex};
        std::vector<bool> settled;
        settled.reserve(claims.size());
        for (const auto& mine : claims) {
            settled.push_back(state_->close(mine, [&](At at) { state_->leave(at); }));
        }
        return settled;
    }

    void defer(const Claimed<K, V>& mine, Ttl delay) {
        const std::scoped_lock lock{state_->mutex};
        state_->close(mine, [&](At at) {
            state_->wait(*at, detail::later(state_->clock.now(), delay));
            at->second.claim = 0;
            at->second.attempts = mine.attempts + 1;
        });
    }

    bool bury(const Claimed<K, V>& mine, std::string_view why) {
        const std::scoped_lock lock{state_->mutex};
        return state_->close(mine, [&](At at) {
            state_->dead.insert_or_assign(mine.change.key,
                                          DeadLetter<K, V>{State::change(*at), std::string{why}});
            state_->leave(at);
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
        const std::scoped_lock lock{s.mutex};
        const auto letter = s.dead.find(key);
        if (letter == s.dead.end()) {
            return false;
        }
        // A newer change would have taken the letter away: nothing is pending.
        const auto at = s.items.try_emplace(key).first;
        s.arrive(*at);
        at->second.value.swap(letter->second.change.value);
        at->second.version = letter->second.change.version;
        s.dead.erase(letter);
        return true;
    }

    bool discard(const K& key) {
        const std::scoped_lock lock{state_->mutex};
        return state_->dead.erase(key) > 0;
    }

    /// Asks for no lock.
    [[nodiscard]] std::size_t size() const noexcept {
        return state_->size.load(std::memory_order_acquire);
    }

    [[nodiscard]] std::optional<Ttl> oldest() const {
        const std::scoped_lock lock{state_->mutex};
        if (state_->oldest == nullptr) {
            return std::nullopt;
        }
        return std::chrono::duration_cast<Ttl>(state_->clock.now() - state_->oldest->second.since);
    }

private:
    using Instant = std::chrono::steady_clock::time_point;

    struct Item;
    using Node = std::pair<const K, Item>;
    using Waiting = std::multimap<Instant, Node*>;

    struct Item {
        std::optional<V> value{};
        std::uint64_t version = 0;
        std::uint64_t claim = 0;
        std::size_t attempts = 0;
        Instant since{};
        Node* older = nullptr;
        Node* newer = nullptr;
        std::optional<typename Waiting::iterator>
            place{};  // none: fresh, nobody has claimed it yet
    };
    using Items = std::unordered_map<K, Item, Hash<K>, std::equal_to<>>;
    using At = typename Items::iterator;

    // Items are in a list by age. Since the oldest are claimed first, those that are fresh are its
    // end; the others also wait, by when they are due again: their claim ends, their next try.
    struct State {
        explicit State(C given) : clock{std::move(given)} {}

        C clock;
        std::mutex mutex{};
        Items items{};
        std::atomic<std::size_t> size{0};
        Node* oldest = nullptr;
        Node* newest = nullptr;
        Node* first_fresh = nullptr;
        Waiting waiting{};
        std::unordered_map<K, DeadLetter<K, V>, Hash<K>, std::equal_to<>> dead{};
        std::uint64_t versions = 0;
        std::uint64_t claims = 0;

        static Change<K, V> change(const Node& node) {
            return {node.first, node.second.value, node.second.version};
        }

        void arrive(Node& node) {
            link(node);
            size.fetch_add(1, std::memory_order_relaxed);
            // By the time of day, or an earlier run's rows would be newer than all that is written.
            // Keys that are pending for a moment need not look at the clock.
            const auto today = std::chrono::system_clock::now().time_since_epoch();
            const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(today);
            versions = (std::max)(versions, static_cast<std::uint64_t>(micros.count()));
        }
        void leave(At at) noexcept {
            unlink(*at);
            items.erase(at);
            size.fetch_sub(1, std::memory_order_release);
        }

        // What has to be written next; null: nothing, for now.
        [[nodiscard]] Node* due(Instant now, Ttl age) const {
            if (!waiting.empty() && waiting.begin()->first <= now) {
                return waiting.begin()->second;
            }
            const bool is_due = first_fresh != nullptr && now - first_fresh->second.since >= age;
            return is_due ? first_fresh : nullptr;
        }
        void wait(Node& node, Instant until) {
            auto& place = node.second.place;
            if (place) {
                auto moved = waiting.extract(*place);
                moved.key() = until;
                place = waiting.insert(std::move(moved));
            } else {
                place = waiting.emplace(until, &node);
                first_fresh = node.second.newer;
            }
        }
        At held(const Claimed<K, V>& mine) {
            const auto at = items.find(mine.change.key);
            return at != items.end() && at->second.claim == mine.claim ? at : items.end();
        }
        // Ends a claim: `end` if its change is still the newest; a newer one begins to wait anew.
        template <class End>
        bool close(const Claimed<K, V>& mine, End end) {
            const auto at = held(mine);
            if (at == items.end()) {
                return false;
            }
            if (at->second.version != mine.change.version) {
                at->second.claim = 0;
                unlink(*at);
                link(*at);
                return false;
            }
            end(at);
            return true;
        }

    private:
        void link(Node& node) {
            Item& item = node.second;
            item.since = clock.now();
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

    std::shared_ptr<State> state_;
};

LARDER_NS_END

#endif  // LARDER_JOURNAL_MEMORY_HPP
