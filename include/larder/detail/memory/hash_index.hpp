// SPDX-License-Identifier: MIT

/// @file
/// Where the entries of a shard are, by the hash of their keys.

#ifndef LARDER_DETAIL_MEMORY_HASH_INDEX_HPP
#define LARDER_DETAIL_MEMORY_HASH_INDEX_HPP

#include <larder/detail/memory/chunks.hpp>
#include <larder/detail/memory/entry_head.hpp>
#include <larder/version.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
#define LARDER_HAS_SSE2 1
#include <emmintrin.h>
#else
#define LARDER_HAS_SSE2 0
#endif
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef LARDER_HAS_SSE2
#define LARDER_HAS_SSE2 0
#endif
#endif

LARDER_NS_BEGIN

namespace detail {

/// Numbers of entries in buckets of one cache line, each beside twelve bits of its hash. It grows by one
/// bucket at a time, so no growth takes long, and every bucket is as full as any (linear hashing:
/// Litwin, "Linear hashing: a new tool for file and table addressing", VLDB 1980; Larson, "Dynamic hash
/// tables", CACM 1988). What does not fit into a bucket goes into a chain of others.
///
/// Thread safety: under the shard's lock, but for `alike_unlocked`, which may run without: what it says then is
/// worth something only if the lock was not taken meanwhile.
///
/// The low half of a hash chooses the bucket, twelve bits from 36 are its tag; the highest are the
/// shard's.
class HashIndex {
    static constexpr std::size_t slots = 15;
    static constexpr std::uint32_t id_mask = (std::uint32_t{1} << entry_id_bits) - 1;

    struct alignas(Chunks::alignment) Bucket {
        std::array<std::atomic<std::uint32_t>, slots> entries{};
        std::atomic<std::uint32_t> next{0};  // the bucket that this one overflows into
    };

    // Small: a store for each data type of a program may have many shards of few entries.
    static constexpr unsigned chunk_bits = 5;
    static constexpr unsigned spare_bits = 3;

public:
    /// The entries with a hash, one after the other. Inlined, so that it is in registers alone.
    class Alike {
    public:
        /// The next, or 0. Without the lock it may leave some out.
        [[nodiscard, gnu::always_inline]] EntryId next() noexcept {
            do {
                while (alike_ != 0) {
                    const auto at = static_cast<std::size_t>(std::countr_zero(alike_));
                    alike_ &= alike_ - 1;
                    const std::uint32_t entry =
                        bucket_->entries[at].load(std::memory_order_acquire);
                    if ((entry ^ tag_) <= id_mask) [[likely]] {
                        return entry & id_mask;
                    }
                }
            } while (go_on());
            return 0;
        }
        /// False if there were more buckets than it was to look into.
        [[nodiscard]] bool complete() const noexcept { return hops_ != 0; }

    private:
        friend HashIndex;

        Alike(const HashIndex& index, std::uint64_t hash, unsigned hops) noexcept
            : index_{index}, tag_{tag(hash)}, hops_{hops} {
            enter(index.home(hash));
        }
        void enter(const Bucket* bucket) noexcept {
            bucket_ = bucket;
            alike_ = bucket != nullptr ? like(*bucket, tag_) : 0;
        }
        // To the next bucket of the chain; false at its end.
        [[gnu::always_inline]] bool go_on() noexcept {
            if (bucket_ == nullptr || --hops_ == 0) {
                return false;
            }
            enter(index_.next_of(*bucket_));
            return true;
        }

        const HashIndex& index_;
        const Bucket* bucket_ = nullptr;
        std::uint32_t tag_;
        unsigned alike_ = 0;  // slots of the bucket, a bit each
        unsigned hops_;
    };

    /// Those that there are, or, without the lock, of the first few buckets.
    [[nodiscard]] Alike alike(std::uint64_t hash) const noexcept {
        return {*this, hash, static_cast<unsigned>(-1)};
    }
    [[nodiscard]] Alike alike_unlocked(std::uint64_t hash) const noexcept {
        return {*this, hash, 8};
    }

    /// Room for one entry more, so that `insert` cannot fail.
    ///
    /// @throws std::bad_alloc  in which case nothing has changed
    void reserve_one() {
        if (buckets_ == 0) {
            add_bucket();
        }
        // An insertion takes one at most, and a split two before it gives some back.
        while (spare_count_ < 3) {
            add_spares();
        }
    }

    /// Lists an entry, in room that is reserved; then it may grow, asking `hash_of(id)`.
    template <class HashOf>
    void insert(std::uint64_t hash, EntryId id, HashOf&& hash_of) noexcept {
        put(*home(hash), tag(hash) | id);
        ++size_;
        if (size_ > buckets_ * target_load) {
            grow(hash_of);
        }
    }

    /// Unlists an entry; false if it is not where its hash says.
    bool erase(std::uint64_t hash, EntryId id) noexcept {
        return erase_from(home(hash), tag(hash) | id);
    }
    /// The same of an entry whose hash is not known any more. Complexity: linear in the buckets.
    bool erase_anywhere(EntryId id) noexcept {
        for (std::size_t n = 0; n < buckets_; ++n) {
            for (Bucket* bucket = at(n); bucket != nullptr; bucket = next_of(*bucket)) {
                for (const auto& entry : bucket->entries) {
                    const std::uint32_t found = entry.load(std::memory_order_relaxed);
                    if (found != 0 && (found & id_mask) == id) {
                        return erase_from(at(n), found);
                    }
                }
            }
        }
        return false;
    }

private:
    // Of fifteen: chains stay rare, and no slot is wasted.
    static constexpr std::size_t target_load = 13;

    static std::uint32_t tag(std::uint64_t hash) noexcept {
        // Never 0: an empty slot is like none.
        const auto bits = static_cast<std::uint32_t>(hash >> 36U) & 0xfffU;
        return (bits != 0 ? bits : 1U) << entry_id_bits;
    }
    // The slots of a bucket whose tag is this, a bit each; somebody may change them meanwhile.
    static unsigned like(const Bucket& bucket, std::uint32_t want) noexcept {
#if LARDER_HAS_SSE2
        // The same as below, four slots a step. What is read so is looked at again, as an atomic.
        const auto* const line = reinterpret_cast<const __m128i*>(bucket.entries.data());
        const __m128i tags = _mm_set1_epi32(static_cast<int>(~id_mask));
        const __m128i tag = _mm_set1_epi32(static_cast<int>(want));
        const auto four = [&](int n) {
            return _mm_cmpeq_epi32(_mm_and_si128(_mm_load_si128(line + n), tags), tag);
        };
        const __m128i all =
            _mm_packs_epi16(_mm_packs_epi32(four(0), four(1)), _mm_packs_epi32(four(2), four(3)));
        const auto alike = static_cast<unsigned>(_mm_movemask_epi8(all));
        std::atomic_signal_fence(std::memory_order_acquire);
        return alike & ((1U << slots) - 1);
#else
        unsigned alike = 0;
        for (std::size_t at = 0; at < slots; ++at) {
            const std::uint32_t entry = bucket.entries[at].load(std::memory_order_acquire);
            alike |= static_cast<unsigned>((entry ^ want) <= id_mask) << at;
        }
        return alike;
#endif
    }

    // Buckets that are not split yet take what belongs to those which do not exist.
    [[nodiscard]] Bucket* home(std::uint64_t hash) const noexcept {
        const std::uint64_t shape = shape_.load(std::memory_order_acquire);
        const auto buckets = static_cast<std::uint32_t>(shape);
        const auto mask = static_cast<std::uint32_t>(shape >> 32U);
        if (buckets == 0) {
            return nullptr;
        }
        const auto low = static_cast<std::uint32_t>(hash) & mask;
        return at(low < buckets ? low : low & (mask >> 1U));
    }
    template <unsigned Bits>
    static Bucket* in(const Chunks& chunks, std::size_t n) noexcept {
        constexpr std::size_t mask = (std::size_t{1} << Bits) - 1;
        return reinterpret_cast<Bucket*>(chunks.at(n >> Bits)) + (n & mask);
    }
    [[nodiscard]] Bucket* at(std::size_t n) const noexcept { return in<chunk_bits>(chunks_, n); }
    [[nodiscard]] Bucket* spare(std::uint32_t n) const noexcept {
        return in<spare_bits>(spares_, n - 1);
    }
    [[nodiscard]] Bucket* next_of(const Bucket& bucket) const noexcept {
        const std::uint32_t next = bucket.next.load(std::memory_order_acquire);
        return next == 0 ? nullptr : spare(next);
    }
    static void add_chunk(Chunks& chunks, unsigned bits) {
        std::byte* const chunk = chunks.add();
        for (std::size_t n = 0; n < (std::size_t{1} << bits); ++n) {
            ::new (static_cast<void*>(chunk + n * sizeof(Bucket))) Bucket;
        }
    }

    void put(Bucket& first, std::uint32_t what) noexcept {
        Bucket* bucket = &first;
        for (;;) {
            for (auto& entry : bucket->entries) {
                if (entry.load(std::memory_order_relaxed) == 0) {
                    entry.store(what, std::memory_order_release);
                    return;
                }
            }
            Bucket* const next = next_of(*bucket);
            bucket = next != nullptr ? next : &chain(*bucket);
        }
    }

    bool erase_from(Bucket* bucket, std::uint32_t what) noexcept {
        for (; bucket != nullptr; bucket = next_of(*bucket)) {
            for (auto& entry : bucket->entries) {
                if (entry.load(std::memory_order_relaxed) == what) {
                    entry.store(take_last(*bucket), std::memory_order_release);
                    --size_;
                    return true;
                }
            }
        }
        return false;
    }
    // An entry from the end of the chain of this bucket, so that chains get shorter; 0 if it has none.
    std::uint32_t take_last(Bucket& bucket) noexcept {
        Bucket* before = &bucket;
        Bucket* last = next_of(bucket);
        if (last == nullptr) {
            return 0;
        }
        for (Bucket* next = next_of(*last); next != nullptr; next = next_of(*next)) {
            before = last;
            last = next;
        }
        std::uint32_t taken = 0;
        bool more = false;
        for (auto& entry : last->entries) {
            const std::uint32_t found = entry.load(std::memory_order_relaxed);
            if (found != 0 && taken == 0) {
                taken = found;
                entry.store(0, std::memory_order_release);
            } else {
                more = more || found != 0;
            }
        }
        if (!more) {
            unchain(*before);
        }
        return taken;
    }

    // ---- growth ----

    void add_bucket() {
        if (buckets_ == chunks_.size() << chunk_bits) {
            add_chunk(chunks_, chunk_bits);
        }
        ++buckets_;
        const std::uint64_t mask = std::bit_ceil(buckets_) - 1;
        shape_.store(mask << 32U | buckets_, std::memory_order_release);
    }

    // Splits the next bucket in two. Where there is no memory for another, chains get longer.
    template <class HashOf>
    void grow(HashOf&& hash_of) noexcept {
        const std::size_t split = buckets_ - std::bit_floor(buckets_);
        try {
            while (spare_count_ < 2) {
                add_spares();
            }
            add_bucket();
        } catch (...) {
            return;
        }
        Bucket& from = *at(split);
        Bucket& added = *at(buckets_ - 1);
        std::uint32_t rest = from.next.load(std::memory_order_relaxed);
        from.next.store(0, std::memory_order_release);
        redistribute(from, from, added, hash_of);
        while (rest != 0) {
            Bucket& more = *spare(rest);
            const std::uint32_t next = more.next.load(std::memory_order_relaxed);
            redistribute(more, from, added, hash_of);
            free_spare(rest);
            rest = next;
        }
    }
    // Each entry goes to where it belongs now: one of the two, though its hash may have changed its mind.
    template <class HashOf>
    void redistribute(Bucket& of, Bucket& from, Bucket& added, HashOf&& hash_of) noexcept {
        for (auto& entry : of.entries) {
            const std::uint32_t found = entry.load(std::memory_order_relaxed);
            if (found == 0) {
                continue;
            }
            Bucket& to = home(hash_of(found & id_mask)) == &added ? added : from;
            if (&to != &of) {
                entry.store(0, std::memory_order_release);
                put(to, found);
            }
        }
    }

    // ---- the buckets of chains ----

    void add_spares() {
        add_chunk(spares_, spare_bits);
        const std::size_t end = spares_.size() << spare_bits;
        for (std::size_t n = end; n > end - (std::size_t{1} << spare_bits); --n) {
            free_spare(static_cast<std::uint32_t>(n));
        }
    }
    void free_spare(std::uint32_t n) noexcept {
        Bucket& bucket = *spare(n);
        for (auto& entry : bucket.entries) {
            entry.store(0, std::memory_order_release);
        }
        bucket.next.store(first_spare_, std::memory_order_release);
        first_spare_ = n;
        ++spare_count_;
    }
    // A bucket more at the end of a chain, in room that is reserved.
    Bucket& chain(Bucket& last) noexcept {
        const std::uint32_t n = first_spare_;
        Bucket& bucket = *spare(n);
        first_spare_ = bucket.next.load(std::memory_order_relaxed);
        --spare_count_;
        bucket.next.store(0, std::memory_order_release);
        last.next.store(n, std::memory_order_release);
        return bucket;
    }
    void unchain(Bucket& before) noexcept {
        const std::uint32_t n = before.next.load(std::memory_order_relaxed);
        before.next.store(spare(n)->next.load(std::memory_order_relaxed),
                          std::memory_order_release);
        free_spare(n);
    }

    std::atomic<std::uint64_t> shape_{0};  // how many buckets, and what hides the rest of a hash
    Chunks chunks_{sizeof(Bucket) << chunk_bits};
    Chunks spares_{sizeof(Bucket) << spare_bits};
    std::size_t buckets_ = 0;
    std::size_t size_ = 0;
    std::size_t spare_count_ = 0;
    std::uint32_t first_spare_ = 0;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_HASH_INDEX_HPP
