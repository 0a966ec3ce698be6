// SPDX-License-Identifier: MIT

/// @file
/// The right to make a near copy of what the far store is asked for.

#ifndef LARDER_DETAIL_NEAR_NEAR_LEASE_HPP
#define LARDER_DETAIL_NEAR_NEAR_LEASE_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/detail/near/near_copies.hpp>
#include <larder/detail/near/near_feed.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// A fresh copy as the far store has shown it.
template <class V>
struct FarCopy {
    std::optional<V> value{};
    Remaining remaining{};
    Ttl life{0};  ///< zero: not known
    Tags tags{};
};

/// A lease of a near slot, taken before far is asked. It is given back when it goes, and who has joined
/// it is sent on. Rules N1 and N6.
///
/// Of one thread. The key must outlive it.
template <class Near>
class NearLease {
public:
    using Key = typename Near::key_type;
    using Value = typename Near::value_type;
    using Copies = NearCopies<Near>;

    NearLease(Copies& copies, const Key& key) noexcept : copies_{copies}, key_{key} {}
    NearLease(const NearLease&) = delete;
    NearLease& operator=(const NearLease&) = delete;
    ~NearLease() { give_back(); }

    /// Nothing comes of it: who has joined it is sent on.
    void give_back() noexcept {
        if (held()) {
            try {
                copies_.near().release(key_, opening_.lease);
            } catch (...) {}  // it ends with its flight
            opening_ = {};
        }
    }

    /// Takes it, if nobody has it. Where that fails there is none.
    void take() noexcept {
        try {
            asked_ = copies_.now();
            opening_ = copies_.near().open(key_);
        } catch (...) {
            opening_ = {};
        }
    }

    [[nodiscard]] const Key& key() const noexcept { return key_; }

    /// It is this thread's, as far as that knows.
    [[nodiscard]] bool held() const noexcept { return opening_.slot == Slot::lead; }

    /// There is none to have: another thread has made a copy since near was looked at.
    [[nodiscard]] bool found() const noexcept { return opening_.slot == Slot::hit; }

    /// Another thread has it, and what that brings may be waited for: nothing was told since it was taken.
    [[nodiscard]] bool joined() const { return opening_.flight != nullptr && copies_.reliable(); }

    /// Waits until that is over. Not with a lease in hand.
    ///
    /// @return what far has answered the other; null if nobody may know. Then near may have it
    [[nodiscard]] const Fetched<Value>* wait() {
        if (wait_for(*opening_.flight, {}) != WaitEnd::over) {
            return nullptr;
        }
        return as_flight_of<Fetched<Value>>(*opening_.flight).result();
    }

    /// Makes a near copy of what far has answered, if nothing has happened to the key since the lease.
    /// Else whatever near has is dropped. Who waits is told in either case.
    ///
    /// The life is reckoned from when far was asked: a thread may be held up at any place since.
    ///
    /// @param usual  the life of a copy that does not tell its own; zero: nobody knows
    void fill(FarCopy<Value>&& copy, Ttl usual) noexcept {
        Filled filled{false, true};
        std::optional<Fetched<Value>> told;
        try {
            const Ttl late = std::chrono::ceil<Ttl>(left(copies_.now(), asked_));
            const Ttl remaining = std::chrono::floor<Ttl>(copy.remaining);
            const Ttl life = copy.life > Ttl::zero() ? copy.life : (std::max)(usual, remaining);
            const Ttl age = (std::max)(life - remaining, Ttl::zero());
            if (opening_.lead.awaited() && remaining > late) {
                told.emplace(Fetched<Value>{copy.value, Source::hit, age + late, remaining - late});
            }
            const Ttl fresh = (std::min)(copies_.options().ttl, remaining);
            if (fresh > late) {
                filled = copies_.near().fill(
                    key_, opening_.lease, std::move(copy.value),
                    {{fresh}, std::move(copy.tags), true, age, remaining - fresh, asked_});
            }
        } catch (...) {}
        if (!filled.kept) {
            copies_.drop(key_);
        }
        opening_.slot = Slot::bypass;
        Lead<Fetched<Value>> lead{std::move(opening_.lead)};
        if (told && filled.tags_stand) {
            lead.complete(std::move(*told));
        }
    }

private:
    Copies& copies_;
    const Key& key_;
    NearFeed::Instant asked_{};
    Opening<Value> opening_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_NEAR_NEAR_LEASE_HPP
