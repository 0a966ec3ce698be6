// SPDX-License-Identifier: MIT

/// @file
/// Who has asked for a flush, and which requests were served.

#ifndef LARDER_DETAIL_WRITE_BEHIND_FLUSH_REQUESTS_HPP
#define LARDER_DETAIL_WRITE_BEHIND_FLUSH_REQUESTS_HPP

#include <larder/version.hpp>

#include <atomic>
#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// The calls of `flush` that a flusher knows of.
///
/// Thread safety: all members may run concurrently.
class FlushRequests {
public:
    /// One call that waits; the flusher hurries meanwhile.
    class Waiting {
    public:
        explicit Waiting(FlushRequests& all) noexcept : all_{all}, number_{++all.asked_} {
            ++all_.waiting_;
        }
        ~Waiting() { --all_.waiting_; }
        Waiting(const Waiting&) = delete;
        Waiting& operator=(const Waiting&) = delete;

        /// Nothing is left to write.
        void served() noexcept { all_.serve(number_); }

    private:
        FlushRequests& all_;
        std::uint64_t number_;
    };

    /// Somebody waits, or has asked and was not served: one who did not wait is served all the same.
    [[nodiscard]] bool hurry() const noexcept { return waiting_ > 0 || asked_ != served_; }

    /// How often was asked so far.
    [[nodiscard]] std::uint64_t asked() const noexcept { return asked_; }

    /// All that was asked up to `number` has been written.
    void serve(std::uint64_t number) noexcept {
        std::uint64_t before = served_;
        while (before < number && !served_.compare_exchange_weak(before, number)) {}
    }

private:
    std::atomic<int> waiting_{0};
    std::atomic<std::uint64_t> asked_{0};
    std::atomic<std::uint64_t> served_{0};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_FLUSH_REQUESTS_HPP
