// SPDX-License-Identifier: MIT

/// @file
/// The leases that one call holds for a batch, until each is filled or given back.

#ifndef LARDER_DETAIL_READ_LEASED_BATCH_HPP
#define LARDER_DETAIL_READ_LEASED_BATCH_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/flight/load_frame.hpp>
#include <larder/detail/read/leased_load.hpp>
#include <larder/detail/read/read_step.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/protocol_calls.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <span>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Keys that one thread opens together, and loads in one batch where it leads, each under a lease of
/// its own.
///
/// Of one thread.
template <class E>
class LeasedBatch {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;

    LeasedBatch(E& core, std::vector<Key> keys)
        : core_{core}, keys_{std::move(keys)}, held_(keys_.size(), nullptr) {
        leases_.reserve(keys_.size());  // so that `open` cannot fail with leases in its hands
    }
    LeasedBatch(const LeasedBatch&) = delete;
    LeasedBatch& operator=(const LeasedBatch&) = delete;

    [[nodiscard]] const std::vector<Key>& keys() const noexcept { return keys_; }

    /// Opens the slots of all keys, once, and takes what leases there are.
    ///
    /// @param queries  one a key: what each asks, and has seen
    /// @return what each slot has answered, without the duty of a lead
    /// @throws StoreError  the store has failed; it has been counted, and the observer told
    std::vector<Opening<Value>> open(std::vector<typename E::Store::Query> queries) {
        std::vector<Opening<Value>> openings;
        try {
            openings = open_many(core_.store, std::span<const Key>{keys_}, std::span{queries});
        } catch (const StoreError&) {
            core_.count(Count::store_errors);
            core_.report(EventKind::store_failed, keys_.front(), std::current_exception());
            throw;
        }
        const auto failed =
            std::find_if(openings.begin(), openings.end(),
                         [](const Opening<Value>& opening) { return opening.failure != nullptr; });
        if (failed != openings.end()) {
            core_.count(Count::store_errors);
            core_.report(EventKind::store_failed,
                         keys_[static_cast<std::size_t>(failed - openings.begin())],
                         failed->failure);
        }
        for (std::size_t i = 0; i < openings.size(); ++i) {
            if (openings[i].slot == Slot::lead) {
                held_[i] = &leases_.emplace_back(core_, keys_[i], openings[i], ReadKind::miss);
                held_[i]->flight().among_others(true);
            }
        }
        return openings;
    }

    /// The lease of a key; null if there is none.
    [[nodiscard]] LeasedLoad<E>* lease(std::size_t i) const noexcept { return held_[i]; }

    /// One load for all leases, and a fill of what it brought; each of them knows what became of it.
    ///
    /// @param load  called with the keys, gives their rows
    template <class Load>
    void load_and_fill(const Load& load) {
        if (leases_.empty()) {
            return;
        }
        std::vector<Key> some;
        if (leases_.size() < keys_.size()) {
            some.reserve(leases_.size());
            for (const LeasedLoad<E>& lease : leases_) {
                some.push_back(lease.key());
            }
        }
        const std::span<const Key> keys{some.empty() ? keys_ : some};
        const KeysFrame<Key> frame{&core_, keys};
        try {
            take_in(load(keys));
        } catch (...) {
            for (LeasedLoad<E>& lease : leases_) {
                lease.load_failed(std::current_exception());
            }
            return;
        }
        fill();
    }

private:
    void take_in(std::vector<Loaded<Value>> rows) {
        for (std::size_t i = 0; i < leases_.size(); ++i) {
            const KeyFrame<Key> frame{&core_, leases_[i].key()};
            try {
                leases_[i].loaded({std::move(rows[i])});
            } catch (...) {
                leases_[i].load_failed(std::current_exception());
            }
        }
    }

    void fill() {
        if constexpr (requires(std::span<const FillRequest<Key, Value>> rows) {
                          core_.store.fill_many(rows);
                      }) {
            fill_at_once();
        } else {
            for (LeasedLoad<E>& lease : leases_) {
                if (!lease.failure()) {
                    lease.fill();
                }
            }
        }
    }

    void fill_at_once() {
        std::vector<FillRequest<Key, Value>> rows;
        rows.reserve(leases_.size());
        for (const LeasedLoad<E>& lease : leases_) {
            if (!lease.failure()) {
                core_.end_back_off(lease.key());
                rows.push_back(lease.filling());
            }
        }
        std::vector<Filled> all;
        std::exception_ptr failure;
        try {
            all = core_.store.fill_many(std::span<const FillRequest<Key, Value>>{rows});
        } catch (...) {
            failure = std::current_exception();
        }
        std::size_t at = 0;
        for (LeasedLoad<E>& lease : leases_) {
            if (!lease.failure()) {
                lease.fill_as(failure ? Filled{false, true, failure} : std::move(all[at++]));
            }
        }
    }

    E& core_;
    const std::vector<Key> keys_;
    std::vector<LeasedLoad<E>*> held_;
    std::vector<LeasedLoad<E>> leases_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_LEASED_BATCH_HPP
