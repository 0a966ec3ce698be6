// SPDX-License-Identifier: MIT

/// @file
/// A load that waits for the executor.

#ifndef LARDER_DETAIL_FLIGHT_QUEUED_LOAD_HPP
#define LARDER_DETAIL_FLIGHT_QUEUED_LOAD_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// A load that is begun once: by the executor, by a waiter that may not wait for the executor, or, if the
/// executor throws it away, by nobody; then its waiters are sent on.
///
/// Thread safety: all members may run concurrently.
class QueuedLoad {
public:
    /// @param flight  what its waiters wait for
    explicit QueuedLoad(std::shared_ptr<AnyFlight> flight) noexcept : flight_{std::move(flight)} {}
    QueuedLoad(const QueuedLoad&) = delete;
    QueuedLoad& operator=(const QueuedLoad&) = delete;
    virtual ~QueuedLoad() = default;

    /// What its waiters wait for.
    [[nodiscard]] const std::shared_ptr<AnyFlight>& flight() const noexcept { return flight_; }

    /// It is being carried out, has been, or will not be.
    [[nodiscard]] bool begun() const noexcept { return begun_.load(std::memory_order_acquire); }

    /// True once, for the one that is to carry it out.
    [[nodiscard]] bool begin() noexcept { return !begun_.exchange(true); }

    /// In this thread, once `begin` has said so. Whatever becomes of it, the flight ends.
    virtual void carry_out() noexcept = 0;

    /// It will not be carried out.
    void abandon() noexcept {
        if (begin()) {
            abandoned_.store(true, std::memory_order_release);
            AnyLead{std::move(lead_)};
        }
    }
    /// It was never carried out.
    [[nodiscard]] bool abandoned() const noexcept {
        return abandoned_.load(std::memory_order_acquire);
    }

    /// One of its waiters has waited for a load of another process before: it waits for no other. Of
    /// use before it has begun.
    void pass_remote() noexcept { past_remote_.store(true, std::memory_order_relaxed); }
    [[nodiscard]] bool past_remote() const noexcept {
        return past_remote_.load(std::memory_order_relaxed);
    }

    /// Somebody waits for it, or has left it for the next.
    [[nodiscard]] bool awaited() const noexcept { return waiters_.load() > 0; }

protected:
    AnyLead take_lead() noexcept { return std::move(lead_); }

private:
    friend class QueuedWaiter;

    const std::shared_ptr<AnyFlight> flight_;
    AnyLead lead_ = AnyLead::of_nobody(flight_);
    std::atomic<std::size_t> waiters_{0};
    std::atomic<bool> begun_{false};
    std::atomic<bool> abandoned_{false};
    std::atomic<bool> past_remote_{false};
};

/// Somebody who waits for a queued load. What nobody waits for is abandoned when it could begin.
class QueuedWaiter {
public:
    explicit QueuedWaiter(std::shared_ptr<QueuedLoad> load) noexcept : load_{std::move(load)} {
        load_->waiters_.fetch_add(1);
    }
    QueuedWaiter(QueuedWaiter&& other) noexcept = default;
    QueuedWaiter& operator=(QueuedWaiter&&) = delete;
    ~QueuedWaiter() {
        if (load_) {
            load_->waiters_.fetch_sub(1);
        }
    }

    /// What it waits for.
    [[nodiscard]] QueuedLoad& load() const noexcept { return *load_; }

    /// The caller goes on without it, and yet it is to be carried out: for the next.
    void leave_for_the_next() noexcept { load_->waiters_.fetch_add(1); }

private:
    std::shared_ptr<QueuedLoad> load_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_QUEUED_LOAD_HPP
