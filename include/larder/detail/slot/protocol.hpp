// SPDX-License-Identifier: MIT

/// @file
/// What the slot protocol hands back and forth between a policy and a coherent store.

#ifndef LARDER_DETAIL_SLOT_PROTOCOL_HPP
#define LARDER_DETAIL_SLOT_PROTOCOL_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>

LARDER_NS_BEGIN

namespace detail {

/// A moment of a store's tag clock. Moments of different eras never match.
struct Epoch {
    std::uint64_t era = 0;
    std::uint64_t tick = 0;

    friend bool operator==(const Epoch&, const Epoch&) = default;
};

/// The right to fill a slot, as long as the slot still shows it. Id 0: no lease.
struct Lease {
    std::uint64_t id = 0;
    Epoch epoch{};

    /// Of a reload beside a value, where the store keeps such leases apart.
    bool beside = false;

    explicit operator bool() const noexcept { return id != 0; }
};

/// A write in flight. Id 0: none.
struct Ticket {
    std::uint64_t id = 0;
    Epoch epoch{};

    explicit operator bool() const noexcept { return id != 0; }
};

/// How long a copy that is to be made lives, and what it carries.
struct CopyTerms {
    Lifetime life{};
    Tags tags{};

    /// The life is this entry's own, not the policy's usual one.
    bool own_life = false;

    /// Of a copy of a copy: how old that one is,
    Ttl age{0};

    /// and how much longer that one lives,
    Ttl beyond{0};

    /// at this moment, from which the life counts.
    std::optional<std::chrono::steady_clock::time_point> since{};

    [[nodiscard]] bool kept() const noexcept { return life.fresh > Ttl::zero(); }
};

/// What a read asks of a store beyond the value: of one where nothing costs more, nothing.
struct NoQuery {};

/// What a read asks of near copies, where a store has such.
struct NearAsk {
    bool skip = false;    ///< none is wanted: `From::far`
    bool exact = false;   ///< how long the far copy has left is
    bool tagged = false;  ///< a copy without tags is none
};

/// The store has near copies: `look` asks them alone, `peek_past` what is behind them.
template <class S>
inline constexpr bool has_near =
    requires(const S& s, const typename S::key_type& key) { s.pass_by(key); };

/// A copy as `peek` and `open` found it.
template <class V>
struct Copy {
    Entry<V> entry{};

    /// How long it was fresh in all when it was put; zero where the store does not know.
    Ttl fresh{0};

    /// A refresh of it is under way.
    bool refreshing = false;

    [[nodiscard]] bool stale() const noexcept { return entry.remaining <= Ttl::zero(); }
};

/// What a slot answers to a reader that found no fresh copy.
enum class Slot : std::uint8_t {
    hit,     ///< a fresh copy is there after all
    lead,    ///< the caller holds the lease: load, then fill or release
    join,    ///< somebody in this process holds the lease: wait for `flight`
    remote,  ///< somebody elsewhere holds the lease: wait for the slot to change
    bypass,  ///< a write is in flight, or the slot is not ours to touch: load without filling
};

/// The answer of `open` and `open_refresh`.
template <class V>
struct Opening {
    Slot slot = Slot::bypass;

    /// `hit`: the fresh copy. Else the stale copy, if there is one: for when the load fails or is late.
    std::optional<Copy<V>> copy{};

    /// `lead`: the caller's. `join`, `remote`: the holder's.
    Lease lease{};

    /// `lead`: the caller's duty towards whoever joins a Flight<V>. The lease ends with it, at the latest.
    AnyLead lead{};

    /// `join`: what to wait for, a Flight<V>.
    std::shared_ptr<AnyFlight> flight{};

    /// `bypass`: a write is in flight. Else the store has failed, or the slot is not ours to touch.
    bool writing = false;

    /// `bypass`, of many: why the store has failed at this one. Stores throw it where they fail at all.
    std::exception_ptr failure{};
};

/// The answer of `fill`.
struct Filled {
    bool kept = false;       ///< the slot now holds the value
    bool tags_stand = true;  ///< none of its tags was invalidated since the lease, kept or not

    /// Why it could not be stored. Stores throw it; the read path, which does not, notes it here.
    std::exception_ptr failure{};

    /// The read path notes, too, that an older copy is still served: it could not be erased either.
    bool outlived = false;
};

/// One fill of many; views of what the caller holds. What is not to be kept is withdrawn.
template <class K, class V>
struct FillRequest {
    const K* key = nullptr;
    Lease lease{};
    const std::optional<V>* value = nullptr;
    const CopyTerms* terms = nullptr;
};

/// An invalidation that a store has missed.
struct MissedInvalidation {
    /// The write whose end the store was to be told, if it may not have heard of that either.
    Ticket ticket{};

    /// The write may still take effect for so long: until then the key is not trusted, whatever the
    /// store was told.
    Ttl hold{0};

    /// Queued even beyond the bound: the database has been written.
    bool force = false;
};

/// What is out of a store, for tests: nothing, once nothing runs.
struct InHand {
    std::size_t leases = 0;
    std::size_t tickets = 0;

    InHand& operator+=(const InHand& other) noexcept {
        leases += other.leases;
        tickets += other.tickets;
        return *this;
    }

    friend bool operator==(const InHand&, const InHand&) = default;
};

/// False for a NaN: a copy of such a key would never be found again, so none is kept.
template <class Equal = std::equal_to<>, class K>
[[nodiscard]] bool equals_itself(const K& key) {
    return Equal{}(key, key);
}

/// Whether a lease or a ticket is to know the moment of the tag clock, which costs a command where the
/// clock is far away: only what may carry tags needs it.
enum class Dated : bool { no, yes };

/// How a write leaves its slot.
enum class Finish : std::uint8_t {
    nothing,  ///< no copy
    value,    ///< a copy of the value, or of its known absence
};

/// One end of a write, among many: what `finish_write` takes.
template <class K, class V>
struct FinishRequest {
    const K* key = nullptr;
    Ticket ticket{};
    Finish how = Finish::nothing;
    std::optional<V> value{};
    CopyTerms terms{};
};

/// How a store has taken the end of a write.
struct WriteEnd {
    bool found = true;             ///< the ticket was still there
    std::exception_ptr failure{};  ///< why the store could not be told; null if it was
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SLOT_PROTOCOL_HPP
