// SPDX-License-Identifier: MIT

/// @file
/// SqliteJournal: changes wait in a file, and outlive process and machine.

#ifndef LARDER_JOURNAL_SQLITE_HPP
#define LARDER_JOURNAL_SQLITE_HPP

#include <larder/clock.hpp>
#include <larder/concepts.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/key_from_text.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/fwd.hpp>
#include <larder/journal/detail/sqlite_core.hpp>
#include <larder/journal/journal.hpp>
#include <larder/journal/sqlite_options.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

/// A journal in a file of SQLite's: what is recorded survives the process, and the machine.
///
/// ```cpp
/// larder::SqliteJournal<int, Product> journal{"orders.journal"};
/// larder::WriteBehind orders{store, OrderTable{db}, journal, {.ttl = 24h}};
/// ```
///
/// `record` returns when the change is on the disk. Writers that come at once share one wait for it, so
/// many threads record far more than one. What is pending is kept in memory, too: reads and claims do
/// not wait for the disk. Neither does `settle`: what it has taken out is gone for who opens the file after
/// a crash of the process, but may be pending again after one of the machine, and is then written again.
///
/// One process has the file, and one journal in it: another that opens it is told so. A child that was
/// forked off must not use it, and is told so, too.
///
/// A change whose key or value does not decode becomes a dead letter with that reason, and is counted.
/// It is kept: a `SqliteJournal<std::string, std::string, RawCodec<>>` over the same file shows the bytes
/// of all.
///
/// A cheap handle: copies share the journal.
///
/// Thread safety: all members may run concurrently; each is one atomic step.
/// @throws StoreError  the file cannot be written or read: it names the file, the key and the cause.
///                     Nothing has changed, but for a change that could not be recorded: the file may
///                     show it after a crash
///
/// @tparam C  a Codec; JsonCodec is in <larder/json.hpp>
/// @tparam T  the Clock by which changes grow old and claims end
template <class K, class V, class C, class T>
class SqliteJournal {
    static_assert(
        requires { sizeof(C); },
        "larder: SqliteJournal keeps values as JSON unless it is given a codec: "
        "include <larder/json.hpp>");
    static_assert(
        !requires { sizeof(C); } || Codec<C, V>,
        "larder: a Codec needs encode(const V&) -> std::string, "
        "decode(std::string_view) -> V and static constexpr bool textual");
    static_assert(
        detail::InvertibleKey<K>,
        "larder: a key of a durable journal is an integer, an enumeration, a string, a tuple of "
        "these, or has std::string to_key(const K&) and bool from_key(std::string_view, K&) in its "
        "own namespace");

    using Core = detail::SqliteCore;

public:
    using key_type = K;
    using value_type = V;
    using codec_type = C;

    static constexpr bool durable = true;
    static constexpr bool shared = false;

    /// Opens the file, or makes it. What was pending in it is pending, and in nobody's hand.
    ///
    /// @throws StoreError             it cannot be opened or written, is damaged or something else, or
    ///                                another process has it
    /// @throws std::invalid_argument  the path has a zero byte, or an option makes no sense
    explicit SqliteJournal(std::string path, SqliteJournalOptions options = {}, C codec = {},
                           T clock = {})
        : shared_{std::make_shared<Shared>(std::move(path), std::move(codec))} {
        shared_->core.get() =
            std::make_unique<Core>(shared_->path, options, [clock] { return clock.now(); });
    }

    /// @copydoc Journal
    std::uint64_t record(Change<K, V> change) {
        return *record(std::move(change), (std::numeric_limits<std::size_t>::max)());
    }

    /// The same under a bound: no version, and `change` as it was, if the key has none that waits and
    /// `most` others have.
    ///
    /// @throws std::invalid_argument  the key is not equal to itself: it would never be found again
    /// @throws what the codec throws: nothing is recorded
    std::optional<std::uint64_t> record(Change<K, V>&& change, std::size_t most) {
        if (!detail::equals_itself<std::equal_to<>>(change.key)) {
            throw std::invalid_argument{"larder: a key that is not equal to itself has no change"};
        }
        Core::Bytes bytes;
        if (change.value) {
            bytes = shared_->codec.encode(*change.value);
        }
        return core().record(detail::key_text(change.key), bytes, most);
    }

    /// What is recorded of the key and not yet settled.
    ///
    /// @throws StoreError  its value does not decode, too
    [[nodiscard]] std::optional<Change<K, V>> pending(const K& key) const {
        auto found = core().pending(detail::key_text(key));
        if (!found) {
            return std::nullopt;
        }
        try {
            return Change<K, V>{key, decode(found->value), found->version};
        } catch (const std::exception& error) {
            throw StoreError{shared_->path + ": the change of key " + found->key +
                             " does not decode: " + error.what()};
        }
    }

    /// Changes that nobody else has in hand, the oldest first: those as old as `age`, or due again. Those
    /// that do not decode are buried meanwhile.
    [[nodiscard]] std::vector<Claimed<K, V>> claim(std::size_t max, Ttl life, Ttl age) {
        std::vector<Claimed<K, V>> claims;
        while (claims.size() < max) {
            const auto some = core().claim(max - claims.size(), life, age);
            if (some.empty()) {
                break;
            }
            try {
                decode(some, claims);
            } catch (...) {
                core().renew(some, Ttl::zero());
                core().renew(texts(claims), Ttl::zero());
                throw;
            }
        }
        return claims;
    }

    /// The claims live on; those that do not count any more are left out.
    void renew(std::span<const Claimed<K, V>> claims, Ttl life) {
        core().renew(texts(claims), life);
    }

    /// The database has them; false for those that were not the claim's any more, or are not the newest.
    [[nodiscard]] std::vector<bool> settle(std::span<const Claimed<K, V>> claims) {
        return core().settle(texts(claims));
    }

    /// To be tried again after `delay`.
    void defer(const Claimed<K, V>& mine, Ttl delay) { core().defer(text(mine), delay); }

    /// Becomes a dead letter, unless a newer change is recorded or the claim has ended: then false.
    bool bury(const Claimed<K, V>& mine, std::string_view why) {
        return core().bury(text(mine), why);
    }

    /// What the database would not take, the oldest first. Those that do not decode are left out.
    [[nodiscard]] std::vector<DeadLetter<K, V>> dead_letters() const {
        std::vector<DeadLetter<K, V>> letters;
        for (auto& letter : core().dead_letters()) {
            std::string why;
            if (auto change = decode(letter.change, why)) {
                letters.push_back({std::move(*change), std::move(letter.why), letter.attempts,
                                   letter.first, letter.last});
            }
        }
        return letters;
    }

    /// The dead letter is pending again, with its version; false if there is none. It takes its place
    /// beyond a bound, too. Rule W8.
    bool revive(const K& key) { return core().revive(detail::key_text(key)); }

    /// The dead letter is forgotten; false if there is none.
    bool discard(const K& key) { return core().discard(detail::key_text(key)); }

    /// Dead letters there are, those that do not decode among them.
    [[nodiscard]] std::size_t buried() const { return core().buried(); }

    /// Changes pending. Does not wait for the disk.
    [[nodiscard]] std::size_t size() const { return core().size(); }

    /// The age of the oldest pending change; none if nothing is pending.
    [[nodiscard]] std::optional<Ttl> oldest() const { return core().oldest(); }

    /// Changes that did not decode, and became dead letters.
    [[nodiscard]] std::uint64_t undecodable() const noexcept { return shared_->undecodable; }

    /// The file, as it was given.
    [[nodiscard]] const std::string& path() const noexcept { return shared_->path; }

private:
    struct Shared {
        Shared(std::string at, C given) : path{std::move(at)}, codec{std::move(given)} {}

        const std::string path;
        const C codec;
        std::atomic<std::uint64_t> undecodable{0};
        detail::ForkLocal<std::unique_ptr<Core>> core{};
    };

    // SQLite's connections and locks are those of the process that has opened them.
    [[nodiscard]] Core& core() const {
        std::unique_ptr<Core>* const mine = shared_->core.find();
        if (mine == nullptr) {
            throw StoreError{shared_->path + ": the journal is that of the parent process"};
        }
        return **mine;
    }

    [[nodiscard]] std::optional<V> decode(const Core::Bytes& bytes) const {
        return bytes ? std::optional<V>{shared_->codec.decode(*bytes)} : std::nullopt;
    }
    // None, and why, if it does not decode.
    [[nodiscard]] std::optional<Change<K, V>> decode(const Change<std::string, std::string>& bytes,
                                                     std::string& why) const {
        try {
            Change<K, V> change{};
            if (!detail::key_from_text(bytes.key, change.key)) {
                why = "the key does not decode";
                return std::nullopt;
            }
            change.value = decode(bytes.value);
            change.version = bytes.version;
            return change;
        } catch (const std::bad_alloc&) {
            throw;
        } catch (const std::exception& error) {
            why = std::string{"the value does not decode: "} + error.what();
        } catch (...) {
            why = "the value does not decode";
        }
        return std::nullopt;
    }
    void decode(const std::vector<Core::Claim>& some, std::vector<Claimed<K, V>>& claims) {
        claims.reserve(claims.size() + some.size());
        for (const Core::Claim& mine : some) {
            std::string why;
            if (auto change = decode(mine.change, why)) {
                claims.push_back({std::move(*change), mine.claim, mine.attempts});
            } else {
                bury_undecoded(mine, why);
            }
        }
    }
    // If that fails, it is tried again when the claim has ended.
    void bury_undecoded(const Core::Claim& mine, const std::string& why) {
        try {
            if (core().bury(mine, why)) {
                ++shared_->undecodable;
            }
        } catch (const StoreError&) {}
    }

    [[nodiscard]] static Core::Claim text(const Claimed<K, V>& mine) {
        return {{detail::key_text(mine.change.key), std::nullopt, mine.change.version},
                mine.claim,
                mine.attempts};
    }
    [[nodiscard]] static std::vector<Core::Claim> texts(std::span<const Claimed<K, V>> claims) {
        std::vector<Core::Claim> all;
        all.reserve(claims.size());
        for (const auto& mine : claims) {
            all.push_back(text(mine));
        }
        return all;
    }

    std::shared_ptr<Shared> shared_;
};

LARDER_NS_END

#endif  // LARDER_JOURNAL_SQLITE_HPP
