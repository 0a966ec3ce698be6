// SPDX-License-Identifier: MIT

/// @file
/// A lease in hand, and what becomes of it, whatever the value.

#ifndef LARDER_DETAIL_READ_HELD_LEASE_HPP
#define LARDER_DETAIL_READ_HELD_LEASE_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/keyed_core.hpp>
#include <larder/detail/read/read_step.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <exception>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The part of a LeasedLoad that knows no value: the lease, the duty towards whoever has joined, and
/// how load and fill have ended.
///
/// Of one thread at a time. The key must outlive it.
template <class K>
class HeldLease {
public:
    HeldLease& operator=(HeldLease&&) = delete;

    [[nodiscard]] const K& key() const noexcept { return *key_; }
    [[nodiscard]] AnyFlight& flight() const noexcept { return *lead_.flight(); }

    /// The load has thrown.
    void load_failed(std::exception_ptr why) noexcept { failure_ = std::move(why); }

    /// Why the load failed; null if it has not.
    [[nodiscard]] const std::exception_ptr& failure() const noexcept { return failure_; }

    /// What became of the fill.
    [[nodiscard]] const Filled& filled() const noexcept { return filled_; }

    /// What became of that as a row of a batch.
    void fill_as(Filled filled) noexcept {
        filled_ = std::move(filled);
        if (filled_.failure) {
            filled_.tags_stand = terms_.tags.empty();
        } else {
            held_ = false;
            count_fenced();
        }
    }

    /// A reload whose fill was refused is an invalidation: whatever copy there is, or is being made, may
    /// be older than what it returns. Never throws: the failure is noted in `filled`. Rule S5.
    void close_reload() noexcept {
        try {
            core_->erase(*key_);
        } catch (...) {
            fill_failed();
        }
    }

    /// What the load brought could not be stored. An older copy that is still served goes: the source
    /// has said what is true. Rule S6.
    ///
    /// @return false if it cannot be made to
    bool undo_fill() noexcept {
        try {
            std::rethrow_exception(filled_.failure);
        } catch (const StoreError&) {
            core_->count(Count::store_errors);
        } catch (...) {
            // A codec, a copy constructor: the store is well.
        }
        held_ = true;
        release();
        core_->report(EventKind::fill_failed, *key_, filled_.failure);
        filled_.outlived = covers_ && !core_->invalidate(*key_);
        return !filled_.outlived;
    }

    /// The load has failed: the lease goes back, and whoever has joined is told.
    void give_back() noexcept {
        release();
        if (failure_) {
            core_->count(Count::load_failures);
            lead_.fail(failure_);
        }
    }

protected:
    /// @param covers  an older copy is served until it is filled
    HeldLease(KeyedCore<K>& core, const K& key, const Lease& lease, AnyLead&& lead,
              bool covers) noexcept
        : core_{&core}, key_{&key}, lease_{lease}, lead_{std::move(lead)}, covers_{covers} {}

    // Before anything is loaded.
    HeldLease(HeldLease&& other) noexcept
        : core_{other.core_},
          key_{other.key_},
          lease_{other.lease_},
          lead_{std::move(other.lead_)},
          covers_{other.covers_},
          held_{std::exchange(other.held_, false)} {}
    ~HeldLease() { release(); }

    // With what is being thrown.
    void fill_failed() noexcept {
        filled_ = {false, terms_.tags.empty(), std::current_exception()};
    }
    // The store has taken the lease back.
    void taken_back() noexcept {
        held_ = false;
        count_fenced();
    }
    [[nodiscard]] AnyLead& lead() noexcept { return lead_; }
    [[nodiscard]] const Lease& lease() const noexcept { return lease_; }

    CopyTerms terms_{};  // once it is loaded
    Filled filled_{};

private:
    void release() noexcept {
        if (!std::exchange(held_, false)) {
            return;
        }
        try {
            core_->release(*key_, lease_);
        } catch (...) {
            core_->count(Count::store_errors);
        }
    }

    void count_fenced() noexcept {
        if (terms_.kept() && !filled_.kept) {
            core_->count(Count::fenced_fills);
        }
    }

    KeyedCore<K>* core_;
    const K* key_;
    Lease lease_;
    AnyLead lead_;
    bool covers_;
    bool held_ = true;
    std::exception_ptr failure_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_HELD_LEASE_HPP
