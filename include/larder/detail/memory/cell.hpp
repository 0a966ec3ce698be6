// SPDX-License-Identifier: MIT

/// @file
/// The place of a key or of a value within an entry.

#ifndef LARDER_DETAIL_MEMORY_CELL_HPP
#define LARDER_DETAIL_MEMORY_CELL_HPP

#include <larder/version.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// What a cell holds: the thing itself, or, where moving it could fail, or where it is large or aligned
/// to more than a cache line, a pointer to it.
template <class T>
using Kept = std::conditional_t<std::is_nothrow_move_constructible_v<T> &&
                                    std::is_nothrow_move_assignable_v<T> && sizeof(T) <= 256 &&
                                    alignof(T) <= 64,
                                T, std::unique_ptr<T>>;

/// What is kept, made of what it is.
template <class T, class U>
[[nodiscard]] Kept<T> keep(U&& thing) {
    if constexpr (std::is_same_v<Kept<T>, T>) {
        return T(std::forward<U>(thing));
    } else {
        return std::make_unique<T>(std::forward<U>(thing));
    }
}
template <class T>
[[nodiscard]] const T& shown(const Kept<T>& kept) noexcept {
    if constexpr (std::is_same_v<Kept<T>, T>) {
        return kept;
    } else {
        return *kept;
    }
}

/// Room for one thing, which is there or is not: the entry knows. Moving it in and out cannot fail.
template <class T, bool ByWords>
class Cell {
public:
    Cell() noexcept {}   // NOLINT(modernize-use-equals-default): there is nothing in it
    ~Cell() noexcept {}  // NOLINT(modernize-use-equals-default): the entry has taken it out
    Cell(const Cell&) = delete;
    Cell& operator=(const Cell&) = delete;

    // NOLINTBEGIN(cppcoreguidelines-pro-type-union-access): the entry knows whether it is there
    void put(Kept<T>&& thing) noexcept {
        std::construct_at(std::addressof(kept_), std::move(thing));
    }
    [[nodiscard]] Kept<T> take() noexcept {
        Kept<T> taken{std::move(kept_)};
        std::destroy_at(std::addressof(kept_));
        return taken;
    }
    [[nodiscard]] const T& get() const noexcept { return shown<T>(kept_); }
    // NOLINTEND(cppcoreguidelines-pro-type-union-access)

private:
    union {
        Kept<T> kept_;
    };
};

/// The same for plain bytes that readers without the lock may see: word by word, each an atomic. What
/// they have read is put together only once it is known to belong together.
template <class T>
class Cell<T, true> {
    using Word = std::conditional_t<
        sizeof(T) % 8 == 0, std::uint64_t,
        std::conditional_t<sizeof(T) % 4 == 0, std::uint32_t,
                           std::conditional_t<sizeof(T) % 2 == 0, std::uint16_t, std::uint8_t>>>;
    static constexpr std::size_t count = sizeof(T) / sizeof(Word);

public:
    /// As it was read.
    using Words = std::array<Word, count>;

    Cell() = default;
    Cell(const Cell&) = delete;
    Cell& operator=(const Cell&) = delete;

    void put(const T& thing) noexcept {
        Words words;
        std::memcpy(words.data(), std::addressof(thing), sizeof(T));
        for (std::size_t n = 0; n < count; ++n) {
            words_[n].store(words[n], std::memory_order_release);
        }
    }
    [[nodiscard]] T take() const noexcept { return get(); }
    [[nodiscard]] T get() const noexcept { return make(read()); }

    [[nodiscard]] Words read() const noexcept {
        Words words;
        for (std::size_t n = 0; n < count; ++n) {
            words[n] = words_[n].load(std::memory_order_acquire);
        }
        return words;
    }
    [[nodiscard]] static T make(const Words& words) noexcept { return std::bit_cast<T>(words); }

private:
    std::array<std::atomic<Word>, count> words_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_CELL_HPP
