// SPDX-License-Identifier: MIT

/// @file
/// RawCodec: strings as they are, and numbers as text.

#ifndef LARDER_CODEC_RAW_HPP
#define LARDER_CODEC_RAW_HPP

#include <larder/error.hpp>
#include <larder/version.hpp>

#include <array>
#include <charconv>
#include <concepts>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

LARDER_NS_BEGIN

namespace detail {

/// Owns its characters, and is made of a view of them.
template <class V>
concept RawText =
    std::convertible_to<const V&, std::string_view> &&
    std::constructible_from<V, std::string_view> && !std::same_as<V, std::string_view>;

template <class V>
concept RawNumber =
    std::is_arithmetic_v<V> && requires(char* at, V value) { std::from_chars(at, at, value); };

}  // namespace detail

/// Strings byte by byte, and numbers as decimal text, `true` and `false` for a bool: what
/// `redis-cli` shows, what INCR and other programs write. Needs no other package.
///
/// `decode` throws CodecError for text that is not a V; for strings there is none.
///
/// Thread safety: stateless.
///
/// @tparam V  std::string, a type like it (made of a std::string_view, and converts to one), or a
///            number
template <class V = std::string>
struct RawCodec {
    static_assert(detail::RawText<V> || detail::RawNumber<V> || std::same_as<V, bool>,
                  "larder: RawCodec takes strings and numbers");

    static constexpr bool textual = true;

    /// The bytes of a string, the digits of a number, `true` or `false`.
    [[nodiscard]] std::string encode(const V& value) const {
        if constexpr (std::same_as<V, bool>) {
            return value ? "true" : "false";
        } else if constexpr (detail::RawText<V>) {
            return std::string{static_cast<std::string_view>(value)};
        } else {
            std::array<char, 128> text{};
            const auto end = std::to_chars(text.data(), text.data() + text.size(), value);
            return {text.data(), end.ptr};
        }
    }

    /// @throws CodecError  the text is not a V
    [[nodiscard]] V decode(std::string_view text) const {
        if constexpr (std::same_as<V, bool>) {
            if (text != "true" && text != "false") {
                throw CodecError{"text does not decode as true or false"};
            }
            return text == "true";
        } else if constexpr (detail::RawText<V>) {
            return V(text);
        } else {
            V value{};
            const char* const end = text.data() + text.size();
            const auto read = std::from_chars(text.data(), end, value);
            if (read.ec == std::errc::result_out_of_range) {
                throw CodecError{"text does not decode as a number: it is out of range"};
            }
            if (read.ec != std::errc{} || read.ptr != end) {
                throw CodecError{"text does not decode as a number"};
            }
            return value;
        }
    }
};

LARDER_NS_END

#endif  // LARDER_CODEC_RAW_HPP
