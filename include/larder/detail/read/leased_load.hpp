// SPDX-License-Identifier: MIT

/// @file
/// A load under a lease: the fill, and what its waiters are told.

#ifndef LARDER_DETAIL_READ_LEASED_LOAD_HPP
#define LARDER_DETAIL_READ_LEASED_LOAD_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/read/read_steps.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <exception>
#include <optional>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// A lease in hand, until it is filled, withdrawn or given back; its destruction gives it back, and
/// sends whoever has joined on. Its steps are called in turn: `loaded` or `load_failed`, then `fill` or
/// `give_back`, and after a fill `close_reload` and `undo_fill` as `ReadSteps` says, then `complete`.
///
/// Of one thread at a time. The key must outlive it.
template <class E>
class LeasedLoad {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;

    /// What a load brought, and how it is to be kept.
    struct Row {
        std::optional<Value> value{};
        Source source{};
        CopyTerms terms{};
    };

    /// @param opening  its answer is `lead`; its duty is taken out of it
    LeasedLoad(E& core, const Key& key, Opening<Value>& opening, ReadKind kind) noexcept
        : core_{&core},
          key_{&key},
          lease_{opening.lease},
          lead_{std::move(opening.lead)},
          kind_{kind},
          covers_{opening.copy.has_value() || kind != ReadKind::miss} {}

    /// Before anything is loaded.
    LeasedLoad(LeasedLoad&& other) noexcept
        : core_{other.core_},
          key_{other.key_},
          lease_{other.lease_},
          lead_{std::move(other.lead_)},
          kind_{other.kind_},
          covers_{other.covers_},
          held_{std::exchange(other.held_, false)} {}
    LeasedLoad& operator=(LeasedLoad&&) = delete;
    ~LeasedLoad() { release(); }

    [[nodiscard]] const Key& key() const noexcept { return *key_; }
    [[nodiscard]] AnyFlight& flight() const noexcept { return *lead_.flight(); }

    /// Takes in what a load has brought.
    ///
    /// @throws whatever the policy's tags throw
    void loaded(Sourced<Value> sourced) {
        Loaded<Value>& row = sourced.loaded;
        CopyTerms terms = core_->copy_terms(*key_, row.value, row.ttl, std::move(row.tags));
        row_.emplace(Row{std::move(row.value), sourced.source, std::move(terms)});
    }
    /// The load has thrown.
    void load_failed(std::exception_ptr why) noexcept { failure_ = std::move(why); }

    /// Why the load failed; null if it has not.
    [[nodiscard]] const std::exception_ptr& failure() const noexcept { return failure_; }

    /// What was taken in.
    [[nodiscard]] const Row& row() const noexcept { return *row_; }

    /// What became of the fill.
    [[nodiscard]] const Filled& filled() const noexcept { return filled_; }

    /// Fills the slot if the lease still stands. Never throws: the value is there all the same, and
    /// the failure noted in `filled`.
    void fill() noexcept {
        core_->end_back_off(*key_);
        // Whether the tags of what is not kept stand is asked all the same: it may be shared.
        attempt([&] {
            if (row_->terms.kept() || !row_->terms.tags.empty()) {
                filled_ = core_->store.fill(*key_, lease_, row_->value, row_->terms);
                count_fenced();
            } else {
                core_->store.withdraw(*key_, lease_);
            }
            held_ = false;
        });
    }

    /// As a row of a batch that is filled at once.
    [[nodiscard]] FillRequest<Key, Value> filling() const noexcept {
        return {key_, lease_, &row_->value, &row_->terms};
    }
    /// What became of that.
    void fill_as(Filled filled) noexcept {
        filled_ = std::move(filled);
        if (filled_.failure) {
            filled_.tags_stand = row_->terms.tags.empty();
        } else {
            held_ = false;
            count_fenced();
        }
    }

    /// A reload whose fill was refused is an invalidation: whatever copy there is, or is being made, may
    /// be older than what it returns. Never throws: see `fill`. Rule S5.
    void close_reload() noexcept {
        attempt([&] { core_->store.erase(*key_); });
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

    /// Tells whoever has joined what the lease has brought, and gives it to the caller. Rule T5.
    ///
    /// @throws whatever kept it from the store, where an older copy is still served: nobody is told
    ///         what the next read may contradict
    Fetched<Value> complete() {
        if (filled_.outlived) {
            lead_.fail(filled_.failure);
            std::rethrow_exception(filled_.failure);
        }
        const Source source = row_->source;
        Fetched<Value> fetched{std::move(row_->value), source, Ttl::zero(),
                               filled_.kept ? row_->terms.life.fresh : Ttl::zero()};
        // The slot has let go of the flight: only those who joined still hold it. What carries a tag
        // that was invalidated meanwhile is not for them: they are sent on.
        if (filled_.tags_stand && lead_.awaited()) {
            try {
                Fetched<Value> shared = fetched;
                shared.source = source == Source::loaded ? Source::joined : source;
                lead_.complete(std::move(shared));
            } catch (...) {
                lead_.fail(std::current_exception());  // a copy constructor that throws
            }
        }
        return fetched;
    }

private:
    template <class Call>
    void attempt(const Call& call) noexcept {
        try {
            call();
        } catch (...) {
            filled_ = {false, row_->terms.tags.empty(), std::current_exception()};
        }
    }

    void release() noexcept {
        if (!std::exchange(held_, false)) {
            return;
        }
        try {
            core_->store.release(*key_, lease_);
        } catch (...) {
            core_->count(Count::store_errors);
        }
    }

    void count_fenced() noexcept {
        if (row_->terms.kept() && !filled_.kept) {
            core_->count(Count::fenced_fills);
        }
    }

    E* core_;
    const Key* key_;
    Lease lease_;
    Lead<Fetched<Value>> lead_;
    ReadKind kind_;
    bool covers_;  // an older copy is served until it is filled
    bool held_ = true;
    std::optional<Row> row_{};
    Filled filled_{};
    std::exception_ptr failure_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_LEASED_LOAD_HPP
