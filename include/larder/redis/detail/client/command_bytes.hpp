// SPDX-License-Identifier: MIT

/// @file
/// Commands as a server is sent them.

#ifndef LARDER_REDIS_DETAIL_CLIENT_COMMAND_BYTES_HPP
#define LARDER_REDIS_DETAIL_CLIENT_COMMAND_BYTES_HPP

#include <larder/redis/detail/client/command_table.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

LARDER_NS_BEGIN

namespace redis::detail {

/// What a server is sent begins with a mark and a number.
inline void append_number(std::string& bytes, char mark, std::size_t number) {
    std::array<char, 24> digits;
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
    bytes += mark;
    bytes.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
    bytes += "\r\n";
}

/// Appends one word of a command.
inline void append_word(std::string& bytes, std::string_view word) {
    append_number(bytes, '$', word.size());
    bytes += word;
    bytes += "\r\n";
}

/// Appends what the server is sent for a command whose words stand in several places.
///
/// @throws std::bad_alloc  in which case the bytes are as they were
template <class... Words>
void append_command(std::string& bytes, const Words&... parts) {
    constexpr std::size_t frame = 26;  // of a word: its mark, its size, two ends of lines
    std::size_t more = frame;
    (std::for_each(parts.begin(), parts.end(),
                   [&](std::string_view word) { more += word.size() + frame; }),
     ...);
    if (bytes.capacity() - bytes.size() < more) {
        bytes.reserve((std::max)(bytes.size() + more, 2 * bytes.capacity()));
    }
    append_number(bytes, '*', (std::size_t{0} + ... + parts.size()));
    (std::for_each(parts.begin(), parts.end(),
                   [&](std::string_view word) { append_word(bytes, word); }),
     ...);
}

/// Reads the words of a command among such bytes, one after the other.
class CommandReader {
public:
    /// @param begin  where the command does
    CommandReader(std::string_view bytes, std::size_t begin) noexcept
        : bytes_{bytes}, at_{begin}, left_{number()} {}

    /// How many words are still to come.
    [[nodiscard]] std::size_t left() const noexcept { return left_; }

    /// The next word, while there is one.
    [[nodiscard]] std::string_view next() noexcept {
        --left_;
        const std::size_t size = number();
        const std::string_view word = bytes_.substr(at_, size);
        at_ += size + 2;
        return word;
    }

    /// Where the next word begins, or the next command.
    [[nodiscard]] std::size_t at() const noexcept { return at_; }

private:
    // After its mark, up to the line's end.
    std::size_t number() noexcept {
        const std::size_t end = bytes_.find('\r', at_);
        std::size_t value = 0;
        std::from_chars(bytes_.data() + at_ + 1, bytes_.data() + end, value);
        at_ = end + 2;
        return value;
    }

    std::string_view bytes_;
    std::size_t at_;
    std::size_t left_;
};

/// A command among such bytes: its first words, and where it ends.
struct ParsedCommand {
    std::array<std::string_view, 4> words{};
    std::size_t end{0};
};
/// Reads the command that begins there.
[[nodiscard]] inline ParsedCommand parse_command(std::string_view bytes,
                                                 std::size_t begin) noexcept {
    ParsedCommand command;
    CommandReader reader{bytes, begin};
    for (std::size_t i = 0; reader.left() > 0; ++i) {
        const std::string_view word = reader.next();
        if (i < command.words.size()) {
            command.words[i] = word;
        }
    }
    command.end = reader.at();
    return command;
}

/// "GET product:42": the name and the first key of a command, as an error may show them.
[[nodiscard]] inline std::string describe(const ParsedCommand& command) {
    std::string text;
    const auto add = [&](std::string_view word) {
        for (const char c : word.substr(0, 80)) {
            text += c >= ' ' && c <= '~' ? c : '?';
        }
        text += word.size() > 80 ? "..." : "";
    };
    add(command.words[0]);
    const CommandSpec known = lookup_command(command.words[0]);
    const std::size_t key = known.key;
    if (key > 0 && !command.words[key].empty() &&
        (known.keys != KeyWords::counted || command.words[key - 1] != "0")) {
        text += ' ';
        add(command.words[key]);
    }
    return text;
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_COMMAND_BYTES_HPP
