// SPDX-License-Identifier: MIT

/// @file
/// The batches of a flusher that are being written, or wait for that.

#ifndef LARDER_DETAIL_WRITE_BEHIND_BATCHES_UNDER_WAY_HPP
#define LARDER_DETAIL_WRITE_BEHIND_BATCHES_UNDER_WAY_HPP

#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Thread safety: all members may run concurrently.
///
/// @tparam B  a ClaimedBatch
template <class B>
class BatchesUnderWay {
    using Time = std::chrono::steady_clock;

public:
    using Shared = std::shared_ptr<B>;

    /// A claim, which may become a batch. Its destruction ends it.
    class Claiming {
    public:
        /// It has not begun if there are `most` batches and claims already, nor if one of these claims has
        /// been under way for as long as `late`: what it has cannot be renewed yet, and might be claimed
        /// again, and the older change be written last.
        Claiming(BatchesUnderWay& all, std::size_t most, Time::duration late) : all_{all} {
            const std::scoped_lock lock{all_.mutex_};
            const auto now = Time::now();
            const std::size_t count = all_.all_.size() + all_.claims_.size();
            const bool waits = !all_.claims_.empty() && now - all_.claims_.front().since >= late;
            if (count < most && !waits) {
                all_.all_.reserve(count + 1);  // `add` needs no memory
                all_.claims_.push_back({all_.last_claim_ + 1, now});
                number_ = ++all_.last_claim_;
            }
        }
        ~Claiming() {
            if (begun()) {
                const std::scoped_lock lock{all_.mutex_};
                all_.end_claim(number_);
            }
        }
        Claiming(const Claiming&) = delete;
        Claiming& operator=(const Claiming&) = delete;

        [[nodiscard]] bool begun() const noexcept { return number_ != 0; }

        /// It is over: this is what was claimed.
        ///
        /// @return true if nobody renews claims: a keeper is to be called
        [[nodiscard]] bool add(Shared batch) noexcept {
            const std::scoped_lock lock{all_.mutex_};
            all_.all_.push_back(std::move(batch));
            all_.end_claim(std::exchange(number_, 0));
            return !all_.kept_;
        }

    private:
        BatchesUnderWay& all_;
        std::uint64_t number_ = 0;
    };

    /// A task of the executor's, which may have further batches.
    class Task {
    public:
        explicit Task(BatchesUnderWay& all) noexcept : all_{all} {
            const std::scoped_lock lock{all_.mutex_};
            ++all_.tasks_;
        }
        ~Task() {
            const std::scoped_lock lock{all_.mutex_};
            --all_.tasks_;
        }
        Task(const Task&) = delete;
        Task& operator=(const Task&) = delete;

    private:
        BatchesUnderWay& all_;
    };

    /// Batches and claims.
    [[nodiscard]] std::size_t size() {
        const std::scoped_lock lock{mutex_};
        return all_.size() + claims_.size();
    }
    /// Nothing is claimed, waits or is written, and no task runs.
    [[nodiscard]] bool idle() {
        const std::scoped_lock lock{mutex_};
        return all_.empty() && claims_.empty() && tasks_ == 0;
    }
    /// Waits until the claims that are under way now have ended, but not beyond `until`.
    void wait_for_claims(Time::time_point until) {
        std::unique_lock lock{mutex_};
        // Not all that long at once: the end of time is no time that every system can wait for.
        const std::uint64_t last = last_claim_;
        const auto waits = [&] {
            return std::any_of(claims_.begin(), claims_.end(),
                               [&](const UnderWay& claim) { return claim.number <= last; });
        };
        for (auto now = Time::now(); waits() && now < until; now = Time::now()) {
            claimed_.wait_until(lock, (std::min)(until, now + std::chrono::hours{1}));
        }
    }

    /// It has ended.
    void remove(const B& batch) noexcept {
        Shared gone;  // destroyed without a lock
        const std::scoped_lock lock{mutex_};
        const auto at = std::find_if(all_.begin(), all_.end(),
                                     [&](const Shared& one) { return one.get() == &batch; });
        gone = std::move(*at);
        all_.erase(at);
    }

    /// One that `wanted(batch)` is true of, or null.
    template <class Wanted>
    [[nodiscard]] Shared find(Wanted&& wanted) {
        const std::scoped_lock lock{mutex_};
        const auto at =
            std::find_if(all_.begin(), all_.end(), [&](const Shared& one) { return wanted(*one); });
        return at == all_.end() ? nullptr : *at;
    }

    /// All of them, for their keeper. If there are none, it is not needed until it is called again.
    [[nodiscard]] std::vector<Shared> kept() {
        const std::scoped_lock lock{mutex_};
        kept_ = !all_.empty();
        return all_;
    }

private:
    struct UnderWay {
        std::uint64_t number = 0;
        Time::time_point since{};
    };

    // Under the lock.
    void end_claim(std::uint64_t number) noexcept {
        claims_.erase(std::find_if(claims_.begin(), claims_.end(),
                                   [&](const UnderWay& claim) { return claim.number == number; }));
        claimed_.notify_all();
    }

    std::mutex mutex_{};
    std::condition_variable claimed_{};
    std::vector<Shared> all_{};
    std::vector<UnderWay> claims_{};  // the oldest first
    std::uint64_t last_claim_ = 0;
    std::size_t tasks_ = 0;
    bool kept_ = false;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_BATCHES_UNDER_WAY_HPP
