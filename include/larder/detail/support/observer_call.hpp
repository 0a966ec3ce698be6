// SPDX-License-Identifier: MIT

/// @file
/// Who is being told of an event in this thread: what he causes by that, he is not told.

#ifndef LARDER_DETAIL_SUPPORT_OBSERVER_CALL_HPP
#define LARDER_DETAIL_SUPPORT_OBSERVER_CALL_HPP

#include <larder/version.hpp>

LARDER_NS_BEGIN

namespace detail {

/// The call of an observer, for its lifetime; false if this thread is within one already. An observer
/// that reads through the policy would else be told of that read's failure, and read again.
class ObserverCall {
public:
    /// @param whom  the core whose observer it is
    explicit ObserverCall(const void* whom) noexcept
        : whom_{whom}, outer_{innermost()}, first_{!is_told(whom)} {
        innermost() = this;
    }
    ObserverCall(const ObserverCall&) = delete;
    ObserverCall& operator=(const ObserverCall&) = delete;
    ~ObserverCall() { innermost() = outer_; }

    explicit operator bool() const noexcept { return first_; }

private:
    static const ObserverCall*& innermost() noexcept {
        thread_local const ObserverCall* telling = nullptr;
        return telling;
    }
    static bool is_told(const void* whom) noexcept {
        for (const ObserverCall* at = innermost(); at != nullptr; at = at->outer_) {
            if (at->whom_ == whom) {
                return true;
            }
        }
        return false;
    }

    const void* whom_;
    const ObserverCall* outer_;
    bool first_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SUPPORT_OBSERVER_CALL_HPP
