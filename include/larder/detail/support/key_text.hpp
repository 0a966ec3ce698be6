// SPDX-License-Identifier: MIT

/// @file
/// A key as text, for errors, events, names in Redis and journals. The way back: key_from_text.hpp.

#ifndef LARDER_DETAIL_SUPPORT_KEY_TEXT_HPP
#define LARDER_DETAIL_SUPPORT_KEY_TEXT_HPP

#include <larder/version.hpp>

#include <charconv>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Has a text of its own: what `std::string to_key(const K&)` in the key's own namespace gives.
template <class K>
concept NamesItself = requires(const K& key) {
    { to_key(key) } -> std::convertible_to<std::string>;
};

/// Pairs, tuples and arrays.
template <class K>
concept HasParts = requires { std::tuple_size<K>::value; };

template <class K>
[[nodiscard]] constexpr bool has_key_text() {
    if constexpr (NamesItself<K> || std::convertible_to<const K&, std::string_view> ||
                  std::is_enum_v<K> || std::is_arithmetic_v<K>) {
        return true;
    } else if constexpr (HasParts<K>) {
        return []<std::size_t... I>(std::index_sequence<I...>) {
            return (has_key_text<std::remove_cv_t<std::tuple_element_t<I, K>>>() && ...);
        }(std::make_index_sequence<std::tuple_size_v<K>>{});
    } else {
        return false;
    }
}

/// Two keys that differ have texts that differ.
template <class K>
concept TextualKey = has_key_text<K>();

/// A part of a key: a colon of its own must not pass for one between parts.
inline void append_escaped(std::string& text, std::string_view part) {
    for (const char c : part) {
        switch (c) {
            case ':': text += "%3A"; break;
            case '%': text += "%25"; break;
            default: text += c;
        }
    }
}

/// The shortest text that no other number of the type has. Equal keys have one text: no `-0`.
template <std::floating_point K>
[[nodiscard]] std::string float_text(K key) {
    char digits[64];
    const auto end = std::to_chars(digits, digits + sizeof digits, key == 0 ? K{0} : key);
    return {digits, end.ptr};
}

/// `42`, `name`, `1:name`; what `to_key(key)` of the key's own namespace says; else `?`.
///
/// Bytes of a string are kept as they are. In a part of a key `:` and `%` are escaped: `a%3Ab:c`.
template <class K>
[[nodiscard]] std::string key_text(const K& key) {
    if constexpr (NamesItself<K>) {
        return to_key(key);
    } else if constexpr (std::convertible_to<const K&, std::string_view>) {
        return std::string{std::string_view{key}};
    } else if constexpr (std::is_enum_v<K>) {
        return std::to_string(static_cast<std::underlying_type_t<K>>(key));
    } else if constexpr (std::is_floating_point_v<K>) {
        return float_text(key);
    } else if constexpr (std::is_arithmetic_v<K>) {
        return std::to_string(key);
    } else if constexpr (HasParts<K>) {
        return std::apply(
            [](const auto&... part) {
                std::string text;
                [[maybe_unused]] const char* between =
                    "";  // not by the text so far: a part may be empty
                ((append_escaped(text.append(between), key_text(part)), between = ":"), ...);
                return text;
            },
            key);
    } else {
        return "?";
    }
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SUPPORT_KEY_TEXT_HPP
