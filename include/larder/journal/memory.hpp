// SPDX-License-Identifier: MIT

/// @file
/// MemoryJournal: changes wait in this process, and are lost with it.

#ifndef LARDER_JOURNAL_MEMORY_HPP
#define LARDER_JOURNAL_MEMORY_HPP

#include <larder/clock.hpp>
#include <larder/detail/journal/kept_value.hpp>
#include <larder/detail/journal/pending_change.hpp>
#include <larder/detail/journal/pending_changes.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/fwd.hpp>
#include <larder/hash.hpp>
#include <larder/journal/journal.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
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
#include <type_traits>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

/// A journal in memory: the default of WriteBehind over a store in memory. What is recorded and not
/// yet written is lost when the process ends without draining it.
///
/// A cheap handle: copies share the journal. A forked child begins with an empty one: what was pending
/// is its parent's to write.
///
/// Thread safety: all members may run concurrently; what takes many keys is one step for each. Whatever
/// one throws (memory is out, or a copy, a hash or a comparison fails), the journal is as it was.
///
/// Versions grow per key; those of two keys say nothing of each other.
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
        const auto at_once = [] { return true; };
        if constexpr (std::is_same_v<detail::KeptValue<V>, std::optional<V>>) {
            return record(std::move(change.key), change.value, most, at_once);
        } else {
            auto value = detail::keep_copy(change.value ? std::addressof(*change.value) : nullptr);
            return record(std::move(change.key), value, most, at_once);
        }
    }

    /// The same in one step with another: `with()` is called when nothing can fail any more, and nobody
    /// else sees or records a change of the key until it has returned. If it gives false, or throws,
    /// nothing is recorded. Rule W11.
    ///
    /// @param value  what was pending before takes its place, to be destroyed where no lock is held
    template <class Q, std::predicate With>
    std::optional<std::uint64_t> record(Q&& key, detail::KeptValue<V>& value, std::size_t most,
                                        With&& with) {
        if (!detail::equals_itself<std::equal_to<>>(key)) {
            throw std::invalid_argument{"larder: a key that is not equal to itself has no change"};
        }
        const std::size_t hash = Hash<K>{}(key);
        State& s = state();
        Part& part = s.part_of(hash);
        typename State::Place place{s};
        std::unique_ptr<Node> made;
        std::unique_ptr<const detail::Burial> letter;
        const std::scoped_lock lock{part.mutex};
        Node* node = part.find(key, hash);
        const bool begins = node == nullptr || node->buried;
        if (begins && !place.take(most)) {
            return std::nullopt;
        }
        const bool hurries = !begins && node->backs_off;
        const auto now = begins || hurries ? clock().now() : typename State::Instant{};
        if (node == nullptr) {
            part.reserve_one();
            made = std::make_unique<Node>(std::forward<Q>(key), hash);
        }
        if (!with()) {
            return std::nullopt;
        }
        // Nothing fails from here on.
        if (made) {
            node = &part.insert(std::move(made));
        }
        if (begins) {
            place.use();
            s.begin_to_wait(part, *node, now);
            s.buried() -= node->buried ? 1 : 0;
            letter.swap(node->buried);
        } else if (hurries) {
            s.wait_anew(part, *node, now);
        }
        node->value.swap(value);
        node->attempts = 0;
        return node->version = part.next_version();
    }

    /// What is recorded of the key and not yet settled.
    [[nodiscard]] std::optional<Change<K, V>> pending(const K& key) const {
        return state().pending(key);
    }

    /// Changes that nobody else has in hand: those as old as `age`, or due again. What has been due for
    /// longest comes first.
    [[nodiscard]] std::vector<Claimed<K, V>> claim(std::size_t max, Ttl life, Ttl age) {
        return state().claim(max, life, age, clock());
    }

    /// The claims live on; those that do not count any more are left out.
    void renew(std::span<const Claimed<K, V>> claims, Ttl life) {
        state().renew(claims, life, clock());
    }

    /// The database has them; false for those that were not the claim's any more, or are not the newest.
    /// Each claim once.
    [[nodiscard]] std::vector<bool> settle(std::span<const Claimed<K, V>> claims) {
        std::vector<std::unique_ptr<Node>> gone;  // destroyed without a lock
        gone.reserve(claims.size());
        std::vector<bool> settled(claims.size());
        State& s = state();
        const std::scoped_lock lock{s.claiming};
        const std::vector<Node*> held = s.held(claims);
        const auto now = clock().now();
        for (std::size_t i = 0; i < claims.size(); ++i) {
            if (held[i] != nullptr) {
                Part& part = s.part_of(*held[i]);
                const std::scoped_lock lock_part{part.mutex};
                settled[i] = s.confirm(part, *held[i], claims[i], now);
                if (settled[i]) {
                    s.end(part, *held[i]);
                    gone.push_back(part.extract(*held[i]));
                }
            }
        }
        return settled;
    }

    /// To be tried again after `delay`.
    void defer(const Claimed<K, V>& mine, Ttl delay) {
        static_cast<void>(state().defer(mine, delay, clock()));
    }

    /// Becomes a dead letter, unless a newer change is recorded or the claim has ended: then false.
    bool bury(const Claimed<K, V>& mine, std::string_view why) {
        auto letter = std::make_unique<detail::Burial>();
        letter->why = why;
        State& s = state();
        const std::scoped_lock lock{s.claiming};
        Node* const node = s.held(mine);
        const auto now = clock().now();
        if (node == nullptr) {
            return false;
        }
        Part& part = s.part_of(*node);
        const std::scoped_lock lock_part{part.mutex};
        if (!s.confirm(part, *node, mine, now)) {
            return false;
        }
        s.end(part, *node);
        letter->at = State::failed(*node, mine);
        node->buried = std::move(letter);
        ++s.buried();
        return true;
    }

    /// What the database would not take, the oldest first.
    [[nodiscard]] std::vector<DeadLetter<K, V>> dead_letters() const {
        using Age = decltype(State::by_age(std::declval<const Node&>()));
        std::vector<std::pair<Age, DeadLetter<K, V>>> by_age;
        state().each([&](const Part& part) {
            part.each([&](const Node& node) {
                if (node.buried) {
                    by_age.push_back({State::by_age(node),
                                      {State::change(node), node.buried->why, node.attempts,
                                       node.failed, node.buried->at}});
                }
            });
        });
        std::sort(by_age.begin(), by_age.end(),
                  [](const auto& a, const auto& b) { return a.first < b.first; });
        std::vector<DeadLetter<K, V>> letters;
        letters.reserve(by_age.size());
        for (auto& [age, letter] : by_age) {
            letters.push_back(std::move(letter));
        }
        return letters;
    }

    /// The dead letter is pending again, with its version; false if there is none. It takes its place
    /// beyond a bound, too. Rule W8.
    bool revive(const K& key) {
        const std::size_t hash = Hash<K>{}(key);
        State& s = state();
        Part& part = s.part_of(hash);
        typename State::Place place{s};
        std::unique_ptr<const detail::Burial> letter;
        const std::scoped_lock lock{part.mutex};
        Node* const node = part.find(key, hash);
        if (node == nullptr || !node->buried) {
            return false;
        }
        const auto now = clock().now();
        // Nothing fails from here on.
        static_cast<void>(place.take((std::numeric_limits<std::size_t>::max)()));
        place.use();
        s.begin_to_wait(part, *node, now);
        --s.buried();
        letter.swap(node->buried);
        node->attempts = 0;
        return true;
    }

    /// The dead letter is forgotten; false if there is none.
    bool discard(const K& key) {
        const std::size_t hash = Hash<K>{}(key);
        std::unique_ptr<Node> gone;
        State& s = state();
        const std::scoped_lock lock{s.claiming};
        Part& part = s.part_of(hash);
        const std::scoped_lock lock_part{part.mutex};
        Node* const node = part.find(key, hash);
        if (node == nullptr || !node->buried) {
            return false;
        }
        gone = part.extract(*node);
        --s.buried();
        return true;
    }

    /// Changes pending. Asks for no lock.
    [[nodiscard]] std::size_t size() const noexcept {
        const State* const s = shared_->state.find();
        return s == nullptr ? 0 : s->size();
    }

    /// Dead letters there are. Asks for no lock.
    [[nodiscard]] std::size_t buried() const noexcept {
        State* const s = shared_->state.find();
        return s == nullptr ? 0 : s->buried().load();
    }

    /// The age of the oldest pending change; none if nothing is pending.
    [[nodiscard]] std::optional<Ttl> oldest() const { return state().oldest(clock()); }

private:
    using State = detail::PendingChanges<K, V>;
    using Node = typename State::Node;
    using Part = typename State::Part;

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
