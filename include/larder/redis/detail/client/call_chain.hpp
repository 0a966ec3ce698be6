// SPDX-License-Identifier: MIT

/// @file
/// The calls that are carried out together.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CALL_CHAIN_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CALL_CHAIN_HPP

#include <larder/redis/detail/client/call.hpp>
#include <larder/version.hpp>

#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// Calls in the order in which they are sent, linked through themselves. Whoever leaves the chain is
/// finished, and its thread is woken, but for that of the thread that works here.
class CallChain {
public:
    /// @param mine  of the thread that works here, which needs no waking
    explicit CallChain(const Call& mine) noexcept : mine_{&mine} {}

    /// Begins with this call, and all that are linked behind it.
    void assign(Call& first) noexcept { first_ = &first; }

    [[nodiscard]] Call* first() const noexcept { return first_; }

    /// The first, which goes on by itself; the chain is empty then.
    [[nodiscard]] Call& remove_first() noexcept { return *std::exchange(first_, nullptr); }

    /// `f(call)` for each that is not finished.
    template <class F>
    void each(F&& f) const {
        for (Call* call = first_; call != nullptr; call = call->next) {
            if (!call->finished()) {
                f(*call);
            }
        }
    }

    /// Whether `f(call)` holds for any from `call` on.
    template <class F>
    [[nodiscard]] static bool any(const Call* call, F&& f) {
        for (; call != nullptr; call = call->next) {
            if (f(*call)) {
                return true;
            }
        }
        return false;
    }

    /// Lets go of those that are finished. False: no others are left.
    [[nodiscard]] bool remove_finished() noexcept {
        Call** link = &first_;
        Call* gone = nullptr;
        while (Call* const call = *link) {
            if (call->finished()) {
                *link = std::exchange(call->next, gone);
                gone = call;
            } else {
                link = &call->next;
            }
        }
        wake(gone, nullptr);
        return first_ != nullptr;
    }

    /// Lets go of all before `end`, which are finished.
    void remove_until(Call* end) noexcept { wake(std::exchange(first_, end), end); }

private:
    void wake(Call* call, const Call* end) const noexcept {
        while (call != end) {
            Call* const next = call->next;  // its caller goes on as soon as it is woken
            if (call != mine_) {
                call->wake(Call::done);
            }
            call = next;
        }
    }

    const Call* mine_;
    Call* first_{nullptr};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CALL_CHAIN_HPP
