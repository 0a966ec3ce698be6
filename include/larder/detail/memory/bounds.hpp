// SPDX-License-Identifier: MIT

/// @file
/// How large a MemoryStore may be, and in how many parts.

#ifndef LARDER_DETAIL_MEMORY_BOUNDS_HPP
#define LARDER_DETAIL_MEMORY_BOUNDS_HPP

#include <larder/detail/memory/entry_slab.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

LARDER_NS_BEGIN

namespace detail {

/// What a store's options say of its size, whatever it stores.
class Bounds {
public:
    /// @param options  of a MemoryStore
    /// @throws std::invalid_argument  naming the option that makes no sense, and its value
    template <class Options>
    explicit Bounds(const Options& options)
        : Bounds{options.capacity, options.max_weight, static_cast<bool>(options.weigh),
                 options.shards} {}

    /// The most entries.
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    /// The most weight; 0: it does not count.
    [[nodiscard]] std::size_t max_weight() const noexcept { return max_weight_; }

    /// In how many shards: a power of two. One that is tiny evicts badly, and more than threads can use
    /// are a waste; but none may come to hold more than half of what it could.
    [[nodiscard, gnu::noinline]] std::size_t shards() const noexcept {
        const std::size_t threads = (std::max)(std::thread::hardware_concurrency(), 1U);
        const std::size_t wanted = shards_ != 0
                                       ? std::bit_ceil(shards_)
                                       : std::bit_floor(std::clamp<std::size_t>(
                                             capacity_ / 512, 1, (std::min)(16 * threads, most)));
        const std::size_t needed = (std::min)(capacity_ / (EntrySlab::most / 2) + 1, 4 * most);
        return (std::max)(wanted, std::bit_ceil(capacity_ == unbounded ? 1 : needed));
    }

private:
    static constexpr std::size_t most = 1024;
    static constexpr auto unbounded = static_cast<std::size_t>(-1);

    [[gnu::noinline]] Bounds(const std::optional<std::size_t>& capacity, std::size_t max_weight,
                             bool weighs, std::size_t shards)
        : capacity_{capacity.value_or(max_weight != 0 ? unbounded : 100'000)},
          max_weight_{max_weight},
          shards_{shards} {
        if (capacity_ == 0) {
            throw std::invalid_argument{
                "larder: MemoryStoreOptions::capacity must be positive, but is 0"};
        }
        if ((max_weight != 0) != weighs) {
            throw std::invalid_argument{
                weighs
                    ? "larder: MemoryStoreOptions::max_weight must be positive where weigh is set, but is 0"
                    : "larder: MemoryStoreOptions::weigh must be set where max_weight is, which is " +
                          std::to_string(max_weight)};
        }
        if (shards > most) {
            throw std::invalid_argument{
                "larder: MemoryStoreOptions::shards must be at most 1024, but is " +
                std::to_string(shards)};
        }
    }

    std::size_t capacity_;
    std::size_t max_weight_;
    std::size_t shards_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_BOUNDS_HPP
