// SPDX-License-Identifier: MIT

/// @file
/// The bytes of a journal in Redis, read.

#ifndef LARDER_REDIS_DETAIL_JOURNAL_JOURNAL_BYTES_HPP
#define LARDER_REDIS_DETAIL_JOURNAL_JOURNAL_BYTES_HPP

#include <larder/entry.hpp>
#include <larder/journal/journal.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

LARDER_NS_BEGIN

namespace redis::detail {

/// What a journal holds, as bytes: the text of a key, the codec's bytes of a value.
using RawChange = Change<std::string, std::string>;
using RawClaim = Claimed<std::string, std::string>;
using RawLetter = DeadLetter<std::string, std::string>;

/// Reads the bytes of a change (`1`, version, sign, value) and of a letter (`1`, version, sign, id of
/// the burial, first, last, tries, ` `, size of the reason, ` `, reason, value). Any bytes give an answer.
struct JournalBytes {
    /// A whole number in decimal digits; nothing if it is none.
    [[nodiscard]] static std::optional<std::uint64_t> number(std::string_view digits) noexcept {
        std::uint64_t value = 0;
        const char* const end = digits.data() + digits.size();
        const auto read = std::from_chars(digits.data(), end, value);
        return read.ec == std::errc{} && read.ptr == end && !digits.empty() ? std::optional{value}
                                                                            : std::nullopt;
    }

    /// Nothing if these bytes are no change.
    [[nodiscard]] static std::optional<RawChange> change(std::string_view key,
                                                         std::string_view bytes) {
        const auto version = number(bytes.substr(0, 17).substr(bytes.empty() ? 0 : 1));
        if (bytes.size() < 18 || bytes[0] != '1' || !version ||
            (bytes[17] != '+' && bytes[17] != '-')) {
            return std::nullopt;
        }
        RawChange change{std::string{key}, std::nullopt, *version};
        if (bytes[17] == '+') {
            change.value.emplace(bytes.substr(18));
        }
        return change;
    }

    /// What is no letter of ours is one that holds all of it. The version 0 says that it is no change.
    [[nodiscard]] static RawLetter letter(std::string_view key, std::string_view bytes) {
        RawLetter letter{{std::string{key}, std::string{bytes}, 0},
                         "larder: bytes that are no letter"};
        constexpr std::size_t head = 66;
        const std::size_t tries_end = bytes.find(' ', (std::min)(head, bytes.size()));
        if (bytes.size() < head || bytes[0] != '1' || tries_end == std::string_view::npos) {
            return letter;
        }
        const auto version = number(bytes.substr(1, 16));
        const auto first = number(bytes.substr(34, 16));
        const auto last = number(bytes.substr(50, 16));
        const auto tries = number(bytes.substr(head, tries_end - head));
        const std::size_t size_end = bytes.find(' ', tries_end + 1);
        const auto size = number(bytes.substr(tries_end + 1, size_end - tries_end - 1));
        if (!version || !first || !last || !tries || !size || size_end == std::string_view::npos ||
            *size > bytes.size() - size_end - 1) {
            return letter;
        }
        letter.why.assign(bytes.substr(size_end + 1, static_cast<std::size_t>(*size)));
        letter.change.version = *version;
        letter.attempts = static_cast<std::size_t>(*tries);
        letter.first = moment(*first);
        letter.last = moment(*last);
        if (bytes[17] == '-') {
            letter.change.value.reset();
        } else {
            letter.change.value.emplace(
                bytes.substr(size_end + 1 + static_cast<std::size_t>(*size)));
        }
        return letter;
    }

    /// What a journal keeps of a value, or of a removal.
    [[nodiscard]] static std::string sign(const std::optional<std::string>& value) {
        return value ? '+' + *value : std::string{'-'};
    }

private:
    static std::chrono::system_clock::time_point moment(std::uint64_t ms) noexcept {
        return std::chrono::system_clock::time_point{
            std::chrono::duration_cast<std::chrono::system_clock::duration>(
                std::chrono::milliseconds{static_cast<std::int64_t>(ms)})};
    }
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_JOURNAL_JOURNAL_BYTES_HPP
