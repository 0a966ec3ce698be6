// SPDX-License-Identifier: MIT

/// @file
/// A load under a lease: the fill, and what its waiters are told.

#ifndef LARDER_DETAIL_READ_LEASED_LOAD_HPP
#define LARDER_DETAIL_READ_LEASED_LOAD_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/read/held_lease.hpp>
#include <larder/detail/read/read_step.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/entry.hpp>
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
class LeasedLoad final : public HeldLease<typename E::Key> {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;

    /// @param opening  its answer is `lead`; its duty is taken out of it
    LeasedLoad(E& core, const Key& key, Opening<Value>& opening, ReadKind kind) noexcept
        : HeldLease<Key>{core, key, opening.lease, std::move(opening.lead),
                         opening.copy.has_value() || kind != ReadKind::miss},
          core_{&core} {}

    /// Takes in what a load has brought.
    ///
    /// @throws whatever the policy's tags throw
    void loaded(Sourced<Value> sourced) {
        Loaded<Value>& row = sourced.loaded;
        this->terms_ = core_->copy_terms(this->key(), row.value, row.ttl, std::move(row.tags));
        value_ = std::move(row.value);
        source_ = sourced.source;
    }

    /// Fills the slot if the lease still stands. Never throws: the value is there all the same, and
    /// the failure noted in `filled`.
    void fill() noexcept {
        core_->end_back_off(this->key());
        // Whether the tags of what is not kept stand is asked all the same: it may be shared.
        try {
            if (this->terms_.kept() || !this->terms_.tags.empty()) {
                this->filled_ = core_->store.fill(this->key(), this->lease(), value_, this->terms_);
            } else {
                core_->store.withdraw(this->key(), this->lease());
            }
            this->taken_back();
        } catch (...) {
            this->fill_failed();
        }
    }

    /// As a row of a batch that is filled at once.
    [[nodiscard]] FillRequest<Key, Value> filling() const noexcept {
        return {&this->key(), this->lease(), &value_, &this->terms_};
    }

    /// Tells whoever has joined what the lease has brought, and gives it to the caller. Rule T5.
    ///
    /// @throws whatever kept it from the store, where an older copy is still served: nobody is told
    ///         what the next read may contradict
    Fetched<Value> complete() {
        const Filled& filled = this->filled_;
        if (filled.outlived) {
            this->lead().fail(filled.failure);
            std::rethrow_exception(filled.failure);
        }
        Fetched<Value> fetched{std::move(value_), source_, Ttl::zero(),
                               filled.kept ? this->terms_.life.fresh : Ttl::zero()};
        // The slot has let go of the flight: only those who joined still hold it. What carries a tag
        // that was invalidated meanwhile is not for them: they are sent on.
        if (filled.tags_stand && this->lead().awaited()) {
            share(fetched);
        }
        return fetched;
    }

private:
    void share(const Fetched<Value>& fetched) noexcept {
        try {
            Fetched<Value> shared = fetched;
            shared.source = source_ == Source::loaded ? Source::joined : source_;
            Lead<Fetched<Value>>{std::move(this->lead())}.complete(std::move(shared));
        } catch (...) {
            this->lead().fail(std::current_exception());  // a copy constructor that throws
        }
    }

    E* core_;
    std::optional<Value> value_{};
    Source source_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_LEASED_LOAD_HPP
