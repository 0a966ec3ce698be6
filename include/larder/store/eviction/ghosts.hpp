// SPDX-License-Identifier: MIT

/// @file
/// What was evicted not long ago, in two bytes each.

#ifndef LARDER_STORE_EVICTION_GHOSTS_HPP
#define LARDER_STORE_EVICTION_GHOSTS_HPP

#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

LARDER_NS_BEGIN

/// Remembers the keys that were evicted last: from the small queue about as many as there are
/// entries, from the main queue about a seventh as many.
///
/// A ghost is 16 bits of its key's hash. The rest of the hash chooses a bucket, a cache line, which
/// has its last 28 ghosts of the small queue and its last 4 of the main queue, newest first. So
/// nothing is threaded or swept, the place within the bucket tells the age, and one line answers
/// both questions. Another key's ghost is taken for one's own once in 2,000 times.
///
/// Memory comes as ghosts do. Where there is none, a ghost is not remembered.
///
/// **Thread safety**: none.
class GhostTable {
public:
    /// Which queue a ghost is of, and of the small queue's also whether it is one of the last: as
    /// many as the main queue's.
    enum class Kind : std::uint8_t { none, small_young, small_old, main };

    /// Remembers a key.
    ///
    /// @param kind    which queue it left: `main`, or either of the small queue's
    /// @param listed  how many entries there are. The table grows and shrinks after them: then most
    ///                ghosts are in wrong buckets, which is as good as forgotten
    void add(std::uint64_t hash, Kind kind, std::size_t listed) noexcept {
        const std::size_t wanted = listed / small_of_bucket + 1;
        if (wanted > buckets_ + buckets_ / 4 || wanted < buckets_ / 4) {
            resize(wanted);
        }
        if (Bucket* const bucket = bucket_of(hash, true)) {
            std::uint16_t* const middle = bucket->data() + small_of_bucket;
            std::uint16_t* const first = kind == Kind::main ? middle : bucket->data();
            std::uint16_t* const last =
                kind == Kind::main ? bucket->data() + bucket->size() : middle;
            std::copy_backward(first, last - 1, last);
            *first = mark_of(hash);
        }
    }

    /// Whether the key is remembered. What it was is forgotten with the answer.
    [[nodiscard]] Kind recall(std::uint64_t hash) noexcept {
        Bucket* const bucket = bucket_of(hash, false);
        if (bucket == nullptr) {
            return Kind::none;
        }
        std::uint16_t* const end = bucket->data() + bucket->size();
        std::uint16_t* const at = std::find(bucket->data(), end, mark_of(hash));
        if (at == end) {
            return Kind::none;
        }
        std::uint16_t* const middle = bucket->data() + small_of_bucket;
        std::uint16_t* const last = at < middle ? middle : end;
        std::copy(at + 1, last, at);
        *(last - 1) = 0;
        if (at >= middle) {
            return Kind::main;
        }
        return at < bucket->data() + main_of_bucket ? Kind::small_young : Kind::small_old;
    }

private:
    static constexpr std::size_t small_of_bucket = 28;
    static constexpr std::size_t main_of_bucket = 4;
    static constexpr std::size_t chunk_size = 16;  // buckets: 1 KiB is allocated at once

    using Bucket = std::array<std::uint16_t, small_of_bucket + main_of_bucket>;
    struct alignas(64) Line {
        Bucket ghosts{};
    };
    using Chunk = std::array<Line, chunk_size>;

    // A store may have used up some of the hash's bits to choose a shard, or have none but the low.
    static std::uint64_t mixed(std::uint64_t hash) noexcept {
        hash *= 0x9e3779b97f4a7c15U;
        return hash ^ hash >> 32;
    }
    static std::uint16_t mark_of(std::uint64_t hash) noexcept {
        const auto mark = static_cast<std::uint16_t>(mixed(hash) >> 48);
        return mark != 0 ? mark : std::uint16_t{1};
    }

    Bucket* bucket_of(std::uint64_t hash, bool make) noexcept {
        const auto at =
            static_cast<std::size_t>((mixed(hash) & 0xffffffffU) * std::uint64_t{buckets_} >> 32);
        if (at / chunk_size >= chunks_.size()) {
            return nullptr;  // there was no memory, or nothing was evicted yet
        }
        std::unique_ptr<Chunk>& chunk = chunks_[at / chunk_size];
        if (chunk == nullptr) {
            if (!make) {
                return nullptr;
            }
            chunk.reset(new (std::nothrow) Chunk{});
            if (chunk == nullptr) {
                return nullptr;
            }
        }
        return &(*chunk)[at % chunk_size].ghosts;
    }

    void resize(std::size_t buckets) noexcept {
        try {
            chunks_.resize((buckets + chunk_size - 1) / chunk_size);
            buckets_ = buckets;
        } catch (...) {}  // the table stays as it was
    }

    std::size_t buckets_ = 0;
    std::vector<std::unique_ptr<Chunk>> chunks_{};
};

LARDER_NS_END

#endif  // LARDER_STORE_EVICTION_GHOSTS_HPP
