// SPDX-License-Identifier: MIT

/// @file
/// How deep a document nests, seen before a recursive parser is let at it: a megabyte of opening
/// brackets must not be the end of the stack.

#ifndef LARDER_CODEC_DETAIL_NESTING_HPP
#define LARDER_CODEC_DETAIL_NESTING_HPP

#include <larder/version.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

LARDER_NS_BEGIN

namespace detail {

/// How many arrays and objects may stand in each other.
inline constexpr std::size_t max_nesting = 128;

inline constexpr std::string_view nests_too_deep = "it nests deeper than 128";
inline constexpr std::string_view broken_off = "it is malformed or cut short";

/// What keeps a JSON text from a parser; empty: nothing. Malformed text is the parser's to refuse:
/// up to where it stops, the brackets that are open here are those that it has seen.
[[nodiscard]] inline std::string_view json_flaw(std::string_view text) noexcept {
    std::size_t depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quoted) {
            if (c == '\\') {
                ++i;
            } else if (c == '"') {
                quoted = false;
            }
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            if (++depth > max_nesting) {
                return nests_too_deep;
            }
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        }
    }
    return {};
}

/// The head of an item of a binary document, and what follows it.
struct BinaryItem {
    enum class Kind {
        leaf,        ///< `size` bytes
        container,   ///< `size` items
        open_ended,  ///< items up to a `closing`
        closing,
        malformed,
    };
    Kind kind = Kind::malformed;
    std::uint64_t size = 0;
};

/// A binary document, from its front.
class BinaryReader {
public:
    explicit BinaryReader(std::string_view bytes) noexcept : rest_{bytes} {}

    [[nodiscard]] std::size_t rest() const noexcept { return rest_.size(); }

    /// False if there are not that many.
    [[nodiscard]] bool skip(std::uint64_t bytes) noexcept {
        if (bytes > rest_.size()) {
            return false;
        }
        rest_.remove_prefix(static_cast<std::size_t>(bytes));
        return true;
    }

    /// A number of so many bytes, the greatest first.
    [[nodiscard]] std::optional<std::uint64_t> number(std::size_t bytes) noexcept {
        if (bytes > rest_.size()) {
            return std::nullopt;
        }
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < bytes; ++i) {
            value = value << 8U | static_cast<unsigned char>(rest_[i]);
        }
        rest_.remove_prefix(bytes);
        return value;
    }

private:
    std::string_view rest_;
};

/// RFC 8949, tags apart: the parser takes none. Strings in chunks are containers of strings.
[[nodiscard]] inline BinaryItem cbor_item(BinaryReader& in) noexcept {
    using Kind = BinaryItem::Kind;
    const auto head = in.number(1);
    if (!head) {
        return {};
    }
    const std::uint64_t major = *head >> 5U;
    const std::uint64_t low = *head & 0x1FU;
    if (low == 31) {
        if (major == 7) {
            return {Kind::closing};
        }
        return {major >= 2 && major <= 5 ? Kind::open_ended : Kind::malformed};
    }
    if (low >= 28 || major == 6) {
        return {};
    }
    const auto argument = low < 24 ? std::optional{low}
                                   : in.number(std::size_t{1} << static_cast<unsigned>(low - 24));
    if (!argument) {
        return {};
    }
    switch (major) {
        case 2:
        case 3: return {Kind::leaf, *argument};
        case 4: return {Kind::container, *argument};
        case 5:
            return *argument > in.rest() ? BinaryItem{}
                                         : BinaryItem{Kind::container, 2 * *argument};
        default: return {Kind::leaf, 0};
    }
}

/// The MessagePack specification.
[[nodiscard]] inline BinaryItem msgpack_item(BinaryReader& in) noexcept {
    using Kind = BinaryItem::Kind;
    const auto head = in.number(1);
    if (!head || *head == 0xC1) {
        return {};
    }
    const auto counted = [&in](Kind kind, std::uint64_t code, std::uint64_t first,
                               std::uint64_t each, std::uint64_t more) -> BinaryItem {
        const auto count = in.number(std::size_t{1} << static_cast<unsigned>(code - first));
        return count ? BinaryItem{kind, *count * each + more} : BinaryItem{};
    };
    const std::uint64_t code = *head;
    if (code < 0x80 || code >= 0xE0) {  // small numbers
        return {Kind::leaf, 0};
    }
    if (code < 0x90) {
        return {Kind::container, 2 * (code - 0x80)};
    }
    if (code < 0xA0) {
        return {Kind::container, code - 0x90};
    }
    if (code < 0xC0) {
        return {Kind::leaf, code - 0xA0};
    }
    if (code < 0xC4) {  // nil, false, true
        return {Kind::leaf, 0};
    }
    if (code < 0xC7) {
        return counted(Kind::leaf, code, 0xC4, 1, 0);  // bytes
    }
    if (code < 0xCA) {
        return counted(Kind::leaf, code, 0xC7, 1, 1);  // an extension and its type
    }
    if (code < 0xCC) {
        return {Kind::leaf, code == 0xCA ? 4U : 8U};
    }
    if (code < 0xD4) {
        return {Kind::leaf, std::uint64_t{1} << ((code - 0xCC) % 4)};
    }
    if (code < 0xD9) {
        return {Kind::leaf, (std::uint64_t{1} << (code - 0xD4)) + 1};
    }
    if (code < 0xDC) {
        return counted(Kind::leaf, code, 0xD9, 1, 0);
    }
    return code < 0xDE ? counted(Kind::container, code, 0xDB, 1, 0)
                       : counted(Kind::container, code, 0xDD, 2, 0);
}

/// What keeps a binary document from a parser; empty: nothing, and then each of its items ends
/// within `bytes`.
template <class ReadItem>
[[nodiscard]] std::string_view binary_flaw(std::string_view bytes, ReadItem read_item) noexcept {
    using Kind = BinaryItem::Kind;
    constexpr auto open_ended = (std::numeric_limits<std::uint64_t>::max)();
    std::array<std::uint64_t, max_nesting + 1> lacking{1};  // items, at each depth
    std::size_t depth = 0;
    BinaryReader in{bytes};
    for (;;) {
        while (lacking[depth] == 0) {
            if (depth == 0) {
                return {};
            }
            --depth;
        }
        const BinaryItem item = read_item(in);
        if (item.kind == Kind::closing) {
            if (lacking[depth] != open_ended) {
                return broken_off;
            }
            lacking[depth] = 0;
            continue;
        }
        if (lacking[depth] != open_ended) {
            --lacking[depth];
        }
        if (item.kind == Kind::leaf) {
            if (!in.skip(item.size)) {
                return broken_off;
            }
            continue;
        }
        // An item is a byte at least. This bounds the count, too: none is taken for open_ended.
        if (item.kind == Kind::malformed || item.size > in.rest()) {
            return broken_off;
        }
        if (depth == max_nesting) {
            return nests_too_deep;
        }
        lacking[++depth] = item.kind == Kind::open_ended ? open_ended : item.size;
    }
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_CODEC_DETAIL_NESTING_HPP
