// SPDX-License-Identifier: MIT

/// @file
/// A key as text, for errors and events.

#ifndef LARDER_DETAIL_SUPPORT_KEY_TEXT_HPP
#define LARDER_DETAIL_SUPPORT_KEY_TEXT_HPP

#include <larder/version.hpp>

#include <concepts>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

LARDER_NS_BEGIN

namespace detail {

/// Has a text of its own: what `std::string to_key(const K&)` in the key's own namespace gives.
template <class K>
concept NamesItself = requires(const K& key) {
    { to_key(key) } -> std::convertible_to<std::string>;
};

/// `42`, `name`, `1:name`; what `to_key(key)` of the key's own namespace says; else `?`.
template <class K>
[[nodiscard]] std::string key_text(const K& key) {
    if constexpr (NamesItself<K>) {
        return to_key(key);
    } else if constexpr (std::convertible_to<const K&, std::string_view>) {
        return std::string{std::string_view{key}};
    } else if constexpr (std::is_enum_v<K>) {
        return std::to_string(static_cast<std::underlying_type_t<K>>(key));
    } else if constexpr (std::is_arithmetic_v<K>) {
        return std::to_string(key);
    } else if constexpr (requires { std::tuple_size<K>::value; }) {
        return std::apply(
            [](const auto&... part) {
                std::string text;
                [[maybe_unused]] const char* between =
                    "";  // not by the text so far: a part may be empty
                ((text.append(between).append(key_text(part)), between = ":"), ...);
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
