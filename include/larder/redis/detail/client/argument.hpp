// SPDX-License-Identifier: MIT

/// @file
/// Texts and numbers as words of a command.

#ifndef LARDER_REDIS_DETAIL_CLIENT_ARGUMENT_HPP
#define LARDER_REDIS_DETAIL_CLIENT_ARGUMENT_HPP

#include <larder/version.hpp>

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <string_view>

LARDER_NS_BEGIN

namespace redis::detail {

/// What may be a word of a command: text, or a whole number.
template <class T>
concept CommandArgument = std::convertible_to<const T&, std::string_view> ||
                          (std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>);

/// One word of a command, as text.
class ArgumentText {
public:
    template <CommandArgument T>
    ArgumentText(const T& value) {
        if constexpr (std::convertible_to<const T&, std::string_view>) {
            text_ = value;
        } else {
            const auto [end, error] =
                std::to_chars(digits_.data(), digits_.data() + digits_.size(), value);
            text_ = {digits_.data(), static_cast<std::size_t>(end - digits_.data())};
        }
    }
    ArgumentText(const ArgumentText&) = delete;
    ArgumentText& operator=(const ArgumentText&) = delete;

    /// A view into this, or of the text that it was made of.
    [[nodiscard]] std::string_view text() const noexcept { return text_; }

private:
    std::array<char, 24> digits_;
    std::string_view text_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_ARGUMENT_HPP
