// SPDX-License-Identifier: MIT

/// @file
/// A key from its text: the inverse of key_text.hpp, where keys come back from bytes.

#ifndef LARDER_DETAIL_SUPPORT_KEY_FROM_TEXT_HPP
#define LARDER_DETAIL_SUPPORT_KEY_FROM_TEXT_HPP

#include <larder/detail/support/key_text.hpp>
#include <larder/version.hpp>

#include <charconv>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// What `bool from_key(std::string_view, K&)` in the key's own namespace, beside `to_key`, reads.
template <class K>
concept ReadsItself = NamesItself<K> && requires(std::string_view text, K& key) {
    { from_key(text, key) } -> std::same_as<bool>;
};

/// A string that owns its bytes.
template <class K>
concept OwnsBytes =
    std::convertible_to<const K&, std::string_view> &&
    requires(K& key, std::string_view text) { key.assign(text.data(), text.size()); };

/// `long double` is not among them: libstdc++ does not read its smallest numbers.
template <class K>
concept NumberFromText = std::integral<K> || std::same_as<K, float> || std::same_as<K, double>;

template <class K>
[[nodiscard]] constexpr bool comes_from_text() {
    if constexpr (NamesItself<K>) {
        return ReadsItself<K>;  // no other way back fits a text of the key's own
    } else if constexpr (OwnsBytes<K> || std::is_enum_v<K> || NumberFromText<K>) {
        return !std::is_const_v<K>;
    } else if constexpr (HasParts<K>) {
        return []<std::size_t... I>(std::index_sequence<I...>) {
            return (comes_from_text<std::tuple_element_t<I, K>>() && ...);
        }(std::make_index_sequence<std::tuple_size_v<K>>{});
    } else {
        return false;
    }
}

/// Comes back from its text: `key_from_text(key_text(key), other)` makes `other` that key.
template <class K>
concept InvertibleKey = comes_from_text<K>();

/// Undoes append_escaped().
///
/// @return whether `part` is what it gives
[[nodiscard]] inline bool unescape(std::string_view part, std::string& text) {
    while (!part.empty()) {
        if (part.front() != '%') {
            text += part.front();
            part.remove_prefix(1);
            continue;
        }
        if (part.starts_with("%3A")) {
            text += ':';
        } else if (part.starts_with("%25")) {
            text += '%';
        } else {
            return false;
        }
        part.remove_prefix(3);
    }
    return true;
}

/// Reads all of `text` as a number. What is out of K's range comes out as another number.
template <NumberFromText K>
[[nodiscard]] bool number_from(std::string_view text, K& key) {
    using Integer = std::conditional_t<std::is_signed_v<K>, long long, unsigned long long>;
    using Wide = std::conditional_t<std::is_floating_point_v<K>, K, Integer>;  // reads any integer
    Wide number{};
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, number);
    key = static_cast<K>(number);
    const bool equals_itself = number == number;  // else it is found by nobody
    return read.ec == std::errc{} && read.ptr == end && equals_itself;
}

template <InvertibleKey K>
[[nodiscard]] bool key_from_text(std::string_view text, K& key);

/// Reads the parts of a key, each up to the next colon.
template <class... Part>
[[nodiscard]] bool parts_from(std::string_view text, Part&... part) {
    bool more = true;
    [[maybe_unused]] const auto read = [&](auto& into) {
        const std::size_t end = text.find(':');
        std::string bytes;
        if (!more || !unescape(text.substr(0, end), bytes) || !key_from_text(bytes, into)) {
            return false;
        }
        more = end != std::string_view::npos;
        text.remove_prefix(more ? end + 1 : text.size());
        return true;
    };
    if constexpr (sizeof...(Part) == 0) {
        return text.empty();
    } else {
        return (read(part) && ...) && !more;
    }
}

/// Reads what key_text() gave, and nothing else: no sign or zero in front, no space, nothing behind.
///
/// @return whether `text` is the text of a key, which `key` is now; else `key` is left with any value
/// @throws what a `from_key` of the key's own namespace throws
template <InvertibleKey K>
[[nodiscard]] bool key_from_text(std::string_view text, K& key) {
    if constexpr (NamesItself<K>) {
        return from_key(text, key) && key_text(key) == text;
    } else if constexpr (OwnsBytes<K>) {
        key.assign(text.data(), text.size());
        return true;
    } else if constexpr (std::is_enum_v<K>) {
        std::underlying_type_t<K> number{};
        const bool read = key_from_text(text, number);
        key = static_cast<K>(number);
        return read;
    } else if constexpr (NumberFromText<K>) {
        return number_from(text, key) && key_text(key) == text;
    } else {
        return std::apply([&](auto&... part) { return parts_from(text, part...); }, key);
    }
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SUPPORT_KEY_FROM_TEXT_HPP
