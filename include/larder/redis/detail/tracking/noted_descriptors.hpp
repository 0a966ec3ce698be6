// SPDX-License-Identifier: MIT

/// @file
/// Which sockets a forked child inherits and must close.

#ifndef LARDER_REDIS_DETAIL_TRACKING_NOTED_DESCRIPTORS_HPP
#define LARDER_REDIS_DETAIL_TRACKING_NOTED_DESCRIPTORS_HPP

#include <larder/version.hpp>

#include <array>
#include <atomic>
#include <cstdint>

#include <sys/stat.h>
#include <unistd.h>

LARDER_NS_BEGIN

namespace redis::detail {

/// A child that kept its parent's sockets would keep the server at telling them, after the parent has
/// gone. It finds them here, whatever the parent was about when it forked. A child that has closed all, as
/// daemons do, may have given the number of one to a file of its own: the system tells them apart. If they
/// are more than fit, the rest lives as long as the child.
///
/// Thread safety: all members may run concurrently.
class NotedDescriptors {
public:
    NotedDescriptors() noexcept {
        for (auto& place : places_) {
            place.store(none, std::memory_order_relaxed);
        }
    }

    /// It was opened.
    void add(int descriptor) noexcept {
        const std::uint64_t note = note_of(descriptor);
        for (auto& place : places_) {
            std::uint64_t free = none;
            if (place.compare_exchange_strong(free, note)) {
                return;
            }
        }
    }

    /// It is about to be closed.
    void remove(int descriptor) noexcept {
        const std::uint64_t note = note_of(descriptor);
        for (auto& place : places_) {
            std::uint64_t noted = note;
            if (place.compare_exchange_strong(noted, none)) {
                return;
            }
        }
    }

    /// In a child: closes what its parent has.
    void close_all() noexcept {
        for (auto& place : places_) {
            const std::uint64_t note = place.exchange(none);
            const auto descriptor = static_cast<int>(note & 0xffff'ffffU);
            if (note != none && note == note_of(descriptor)) {
                ::close(descriptor);
            }
        }
    }

private:
    static constexpr std::uint64_t none = ~std::uint64_t{0};

    // What it is, and its number; `none` if it is no socket.
    [[nodiscard]] static std::uint64_t note_of(int descriptor) noexcept {
        struct stat is {};
        if (::fstat(descriptor, &is) != 0 || !S_ISSOCK(is.st_mode)) {
            return none;
        }
        return static_cast<std::uint64_t>(is.st_ino) << 32U |
               static_cast<std::uint32_t>(descriptor);
    }

    std::array<std::atomic<std::uint64_t>, 128> places_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_TRACKING_NOTED_DESCRIPTORS_HPP
