// SPDX-License-Identifier: MIT

/// @file
/// Memory that grows and never moves.

#ifndef LARDER_DETAIL_MEMORY_CHUNKS_HPP
#define LARDER_DETAIL_MEMORY_CHUNKS_HPP

#include <larder/version.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Chunks of memory of one size, by number. What is there stays where it is, for as long as this
/// lives: readers without a lock find it.
///
/// Thread safety: `at` may run beside `add`, for a chunk whose number was handed over by a release
/// store after it was added.
class Chunks {
public:
    /// A line of most machines' caches: where chunks begin.
    static constexpr std::size_t alignment = 64;

    explicit Chunks(std::size_t bytes) noexcept : bytes_{bytes} {}
    ~Chunks() {
        for (std::size_t chunk = 0; chunk < size_; ++chunk) {
            ::operator delete(at(chunk), std::align_val_t{alignment});
        }
    }
    Chunks(const Chunks&) = delete;
    Chunks& operator=(const Chunks&) = delete;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// Says how large each is to be, while there are none.
    void resize_chunks(std::size_t bytes) noexcept { bytes_ = bytes; }

    [[nodiscard]] std::byte* at(std::size_t chunk) const noexcept {
        return directory_.load(std::memory_order_acquire)[chunk].load(std::memory_order_relaxed);
    }

    /// One more, the last: what is to be there is the caller's to make.
    ///
    /// @throws std::bad_alloc  in which case there is none
    std::byte* add() {
        if (size_ == room_) {
            widen();
        }
        void* const chunk = ::operator new(bytes_, std::align_val_t{alignment});
        directory_.load(std::memory_order_relaxed)[size_].store(static_cast<std::byte*>(chunk),
                                                                std::memory_order_relaxed);
        ++size_;
        return static_cast<std::byte*>(chunk);
    }

private:
    using Place = std::atomic<std::byte*>;

    // Readers may still be in the old directory, so it stays: all of them together are no longer than
    // the last.
    void widen() {
        const std::size_t room = room_ == 0 ? 4 : 2 * room_;
        directories_.reserve(directories_.size() + 1);
        directories_.push_back(std::make_unique<Place[]>(room));
        Place* const wider = directories_.back().get();
        for (std::size_t chunk = 0; chunk < size_; ++chunk) {
            wider[chunk].store(at(chunk), std::memory_order_relaxed);
        }
        directory_.store(wider, std::memory_order_release);
        room_ = room;
    }

    std::atomic<Place*> directory_{nullptr};
    std::size_t bytes_;
    std::size_t size_ = 0;
    std::size_t room_ = 0;
    std::vector<std::unique_ptr<Place[]>> directories_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_CHUNKS_HPP
