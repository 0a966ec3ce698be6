// SPDX-License-Identifier: MIT

/// @file
/// The Journal concept: where a write-behind change is kept until the database has it.

#ifndef LARDER_JOURNAL_JOURNAL_HPP
#define LARDER_JOURNAL_JOURNAL_HPP

#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

/// A change that a flusher has in hand. Its claim is what lets it settle.
template <class K, class V>
struct Claimed {
    Change<K, V> change{};

    /// Names the claim; another claim of the same change has another.
    std::uint64_t claim{0};

    /// How often it was tried before.
    std::size_t attempts{0};
};

/// A change that the database would not take, kept until somebody decides.
template <class K, class V>
struct DeadLetter {
    Change<K, V> change{};
    std::string why{};

    /// How often it was tried, the last time included.
    std::size_t attempts{0};

    /// When it failed for the first time, and when it was buried.
    std::chrono::system_clock::time_point first{};
    std::chrono::system_clock::time_point last{};
};

/// Where changes wait for the database.
///
/// | Expression                      | Returns                   | Effect                                   |
/// |---------------------------------|---------------------------|------------------------------------------|
/// | `j.record(change)`              | the version given to it   | replaces the key's pending change and takes its dead letter away, in one step |
/// | `j.pending(k)`                  | `optional<Change>`        | what is recorded and not yet settled     |
/// | `j.claim(max, life, age)`       | vector of Claimed         | changes nobody else has in hand, that are as old as `age` or due for another try; what has been due for longest comes first |
/// | `j.renew(claims, life)`         |                           | the claims live on; zero: they are over. They come without values |
/// | `j.settle(claims)`              | vector of bool            | the database has them; false: it was not this flusher's any more, or there is a newer one |
/// | `j.defer(claimed, delay)`       |                           | to be tried again after `delay`          |
/// | `j.bury(claimed, why)`          | bool                      | becomes a dead letter, tried `claimed.attempts + 1` times, unless a newer change is recorded |
/// | `j.dead_letters()`              | vector of DeadLetter      | the oldest first; its `first` is when it was deferred first, or else buried |
/// | `j.revive(k)`                   | bool                      | the dead letter is pending again, with its version |
/// | `j.discard(k)`                  | bool                      | the dead letter is forgotten             |
/// | `j.size()`, `j.oldest()`        | changes pending; the age of the first of them | |
///
/// `j.buried()`, where there is one, gives the number of dead letters; else they are listed for that.
///
/// `durable`: it outlives the process. `shared`: every process that shares the store sees it.
///
/// `record` with a bound makes it a BoundedJournal, which writers need not queue for.
///
/// Thread safety: all functions may run concurrently; each is one atomic step. They throw
/// StoreError and change nothing when the journal cannot be reached.
template <class J>
concept Journal =
    requires(J& j, const typename J::key_type& key,
             const Change<typename J::key_type, typename J::value_type>& change,
             std::span<const Claimed<typename J::key_type, typename J::value_type>> claims,
             const Claimed<typename J::key_type, typename J::value_type>& claimed, std::size_t max,
             Ttl life, Ttl age, std::string_view why) {
        { j.record(change) } -> std::same_as<std::uint64_t>;
        {
            j.pending(key)
        } -> std::same_as<std::optional<Change<typename J::key_type, typename J::value_type>>>;
        {
            j.claim(max, life, age)
        } -> std::same_as<std::vector<Claimed<typename J::key_type, typename J::value_type>>>;
        j.renew(claims, life);
        { j.settle(claims) } -> std::same_as<std::vector<bool>>;
        j.defer(claimed, life);
        { j.bury(claimed, why) } -> std::same_as<bool>;
        {
            j.dead_letters()
        } -> std::same_as<std::vector<DeadLetter<typename J::key_type, typename J::value_type>>>;
        { j.revive(key) } -> std::same_as<bool>;
        { j.discard(key) } -> std::same_as<bool>;
        { j.size() } -> std::same_as<std::size_t>;
        { j.oldest() } -> std::same_as<std::optional<Ttl>>;
        { J::durable } -> std::convertible_to<bool>;
        { J::shared } -> std::convertible_to<bool>;
    };

/// A Journal that counts in the same step in which it records:
///
/// | Expression                          | Returns             | Effect                                 |
/// |-------------------------------------|---------------------|----------------------------------------|
/// | `j.record(std::move(change), most)` | `optional<version>` | as `record`; none, and nothing is done nor taken from `change`, if the key has no change that waits and `most` others have |
template <class J>
concept BoundedJournal =
    Journal<J> && requires(J& j, Change<typename J::key_type, typename J::value_type>&& change,
                           std::size_t most) {
        { j.record(std::move(change), most) } -> std::same_as<std::optional<std::uint64_t>>;
    };

/// A Journal that tells of many keys at once, where asking costs a round trip:
///
/// | Expression             | Returns                     | Effect                             |
/// |------------------------|-----------------------------|------------------------------------|
/// | `j.pending_many(keys)` | vector of `optional<Change>` | as `pending`, in the order of the keys |
template <class J>
concept BatchJournal = Journal<J> && requires(J& j, std::span<const typename J::key_type> keys) {
    {
        j.pending_many(keys)
    } -> std::same_as<
        std::vector<std::optional<Change<typename J::key_type, typename J::value_type>>>>;
};

LARDER_NS_END

#endif  // LARDER_JOURNAL_JOURNAL_HPP
