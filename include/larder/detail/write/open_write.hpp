// SPDX-License-Identifier: MIT

/// @file
/// A write of one key in flight: carries out one step at a time.

#ifndef LARDER_DETAIL_WRITE_OPEN_WRITE_HPP
#define LARDER_DETAIL_WRITE_OPEN_WRITE_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/protocol_calls.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/detail/write/after_write.hpp>
#include <larder/detail/write/keyed_write.hpp>
#include <larder/detail/write/write_steps.hpp>
#include <larder/error.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <exception>
#include <optional>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The duty of a write. Whoever lets go of it before its end says nothing: until `saving` it has
/// written nothing, and after that nobody knows what it has written.
///
/// What fails is kept, and thrown by `rethrow`, so that what is owed then is carried out first.
/// Rule S13.
///
/// @tparam C  a Core
template <class C>
class OpenWrite final : public KeyedWrite<typename C::Key> {
    using Base = KeyedWrite<typename C::Key>;

public:
    using Key = typename C::Key;
    using Value = typename C::Value;

    /// Does nothing yet.
    ///
    /// @param key  outlives it
    OpenWrite(C& core, const Key& key, AfterWrite after) noexcept
        : Base{core, key, after}, core_{&core} {}
    OpenWrite(C& core, const Key&& key, AfterWrite after) = delete;
    OpenWrite(OpenWrite&& other) noexcept = default;
    ~OpenWrite() { this->leave(); }

    /// Carries out the next step.
    ///
    /// @param save  lets the database decide, and gives the row as it now is, which outlives this; null
    ///              if there is none
    template <class Save>
    void step(Save&& save) noexcept {
        this->next() == WriteStep::save ? attempt(save) : this->advance();
    }

    /// Whether what a write leaves may carry tags.
    [[nodiscard]] static Dated dated(const C& core, AfterWrite after) noexcept {
        return after == AfterWrite::replace && core.tags_of ? Dated::yes : Dated::no;
    }

    /// What became of it in the database.
    ///
    /// @param row  outlives this; null: there is none
    void saved(Written written, const Value* row = nullptr) noexcept {
        if (this->next() == WriteStep::save) {  // else it has ended
            row_ = row;
            this->outcome(written);
        }
    }

    /// What the store is to be told where `finish` or `clear` is next. Where the copy cannot be made,
    /// that is reported, and `clear` is next.
    ///
    /// @param request  as new; filled in place, since the move of a value may throw
    void ending(FinishRequest<Key, Value>& request) noexcept {
        request.key = &this->key();
        request.ticket = this->ticket();
        if (this->next() != WriteStep::finish || !this->replaces()) {
            return;
        }
        try {
            if (row_ != nullptr) {
                request.value.emplace(*row_);
            }
            request.terms = core_->copy_terms(this->key(), request.value, std::nullopt, {});
            request.how = request.terms.kept() ? Finish::value : Finish::nothing;
        } catch (...) {
            this->ended({false, std::current_exception()});
        }
    }

private:
    // If the repository throws, and does not say that it wrote nothing, the commit may still land.
    template <class Save>
    void attempt(Save& save) noexcept {
        this->saving();
        try {
            saved(Written::yes, save());
        } catch (...) {
            this->failed(std::current_exception());
            saved(wrote_nothing(core_->loader, this->failure()) ? Written::no : Written::unknown);
        }
    }

    Ticket begin_write() override {
        const AfterWrite after = this->replaces() ? AfterWrite::replace : AfterWrite::drop;
        return detail::begin_write(core_->store, this->key(), core_->options.ticket,
                                   dated(*core_, after));
    }

    void end() noexcept override {
        FinishRequest<Key, Value> request;
        ending(request);
        WriteEnd end;
        try {
            end.found =
                core_->store.finish_write(this->key(), this->ticket(), request.how,
                                          std::move(request.value), std::move(request.terms));
        } catch (...) {
            end.failure = std::current_exception();
        }
        this->ended(end);
    }

    C* core_;
    const Value* row_ = nullptr;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_OPEN_WRITE_HPP
