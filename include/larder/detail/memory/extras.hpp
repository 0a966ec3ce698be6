// SPDX-License-Identifier: MIT

/// @file
/// What only some entries of a MemoryStore have.

#ifndef LARDER_DETAIL_MEMORY_EXTRAS_HPP
#define LARDER_DETAIL_MEMORY_EXTRAS_HPP

#include <larder/detail/memory/entry_head.hpp>
#include <larder/detail/memory/tag_marks.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// What an entry has if it has tags, a grace, or a weight, or is a copy of one that lives longer.
struct Extra {
    std::unique_ptr<TagMarks> marks{};
    Ttl grace{0};
    Ttl beyond{0};
    std::size_t weight = 0;
};

/// The extras of a shard, by the numbers of its entries. A store without any pays nothing for them.
///
/// Thread safety: under the shard's lock.
class Extras {
    static constexpr unsigned chunk_bits = 6;
    using Chunk = std::array<Extra, std::size_t{1} << chunk_bits>;

public:
    /// That of an entry; null if it has none.
    [[nodiscard]] Extra* find(EntryId id) const noexcept {
        const std::size_t chunk = id >> chunk_bits;
        return chunk < chunks_.size() && chunks_[chunk] ? &at(id) : nullptr;
    }
    /// Room for that of an entry.
    ///
    /// @throws std::bad_alloc  in which case nothing has changed
    void reserve(EntryId id) {
        const std::size_t chunk = id >> chunk_bits;
        if (chunk >= chunks_.size()) {
            chunks_.resize(chunk + 1);
        }
        if (!chunks_[chunk]) {
            chunks_[chunk] = std::make_unique<Chunk>();
        }
    }
    /// That of an entry which has room for it.
    [[nodiscard]] Extra& at(EntryId id) const noexcept {
        return (*chunks_[id >> chunk_bits])[id & ((std::size_t{1} << chunk_bits) - 1)];
    }

private:
    std::vector<std::unique_ptr<Chunk>> chunks_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_EXTRAS_HPP
