// SPDX-License-Identifier: MIT

/// @file
/// Whether it is the change that is to blame, or the database that is down.

#ifndef LARDER_DETAIL_WRITE_BEHIND_OUTAGE_HPP
#define LARDER_DETAIL_WRITE_BEHIND_OUTAGE_HPP

#include <larder/detail/support/random.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/write_behind/retry_delay.hpp>
#include <larder/entry.hpp>
#include <larder/policy/write_behind_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>

LARDER_NS_BEGIN

namespace detail {

/// A bad row fails while others are taken; a database that is down takes none. So it is taken to be
/// down once two keys have failed, each alone, and nothing was taken since. Then one change is tried at
/// a time, with waits in between, until one is taken. Each try looks twice as far ahead as the one before, so
/// that a hundred bad rows at the head are passed in seven. What was looked at goes to the end of the line,
/// and steps that are always the same might pass one by for ever: after some rounds they are drawn.
///
/// The waits grow as those of a change that fails again and again, but not over a second; while they
/// would be longer, only one try for each of these longer waits counts against its change. Many changes
/// outlive an outage of hours by that, and yet what fails for good is buried at last.
///
/// Thread safety: all members may run concurrently.
class Outage {
public:
    using Instant = std::chrono::steady_clock::time_point;

    /// The longest wait between two tries: so soon is it seen that the database is back.
    static constexpr Ttl longest_rest{std::chrono::seconds{1}};

    /// The database has answered.
    void taken() noexcept {
        if (!well_.load(std::memory_order_relaxed)) {
            const std::scoped_lock lock{mutex_};
            failed_.reset();
            reach_ = 1;
            rounds_ = 0;
            down_ = false;
            well_ = true;
        }
    }

    /// A change was tried alone, and in vain.
    ///
    /// @param key  its hash
    /// @return whether that counts against the change
    [[nodiscard]] bool failed(const WriteBehindOptions& options, std::size_t key, Instant now) {
        const std::scoped_lock lock{mutex_};
        well_ = false;
        if (!down_ && failed_.value_or(key) == key) {
            failed_ = key;
            return true;
        }
        const bool counts = !down_ || now >= next_counted_;
        if (counts) {
            counted_ = down_ ? counted_ + 1 : 0;
            const Ttl delay = retry_delay(options, counted_);
            next_counted_ = later(now, delay);
            rest_ = (std::min)(delay, longest_rest);
        }
        down_ = true;
        next_try_ = later(now, rest_);
        return counts;
    }

    /// One change is to be tried at a time.
    [[nodiscard]] bool down() const noexcept { return down_; }

    /// How many changes are to be looked at while it is down: the last of them is tried.
    [[nodiscard]] std::size_t reach() {
        const std::scoped_lock lock{mutex_};
        return reach_;
    }
    /// So many were found. If there were no more, or it was far enough, the next try is the first of all.
    void reached(const WriteBehindOptions& options, std::size_t count) {
        constexpr std::size_t batches = 16;
        constexpr std::size_t alike = 4;  // rounds
        const std::scoped_lock lock{mutex_};
        if (count < reach_ || reach_ / batches >= options.batch) {
            ++rounds_;
            reach_ = 1;
        } else if (rounds_ < alike) {
            reach_ *= 2;
        } else {
            reach_ += 1 + static_cast<std::size_t>(random_fraction() * static_cast<double>(reach_));
        }
    }

    /// How long nothing is to be tried; zero: no longer.
    [[nodiscard]] Ttl rest(Instant now) {
        const std::scoped_lock lock{mutex_};
        return down_ && now < next_try_ ? std::chrono::ceil<Ttl>(next_try_ - now) : Ttl::zero();
    }

    /// The wait after the last try.
    [[nodiscard]] Ttl last_rest() {
        const std::scoped_lock lock{mutex_};
        return rest_;
    }

private:
    std::mutex mutex_{};
    std::atomic<bool> well_{true};  // nothing has failed since something was taken
    std::atomic<bool> down_{false};
    std::optional<std::size_t> failed_{};  // the key that did
    std::size_t counted_ = 0;
    std::size_t reach_ = 1;
    std::size_t rounds_ = 0;  // in which it grew
    Ttl rest_{};
    Instant next_try_{};
    Instant next_counted_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_OUTAGE_HPP
