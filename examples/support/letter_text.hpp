// SPDX-License-Identifier: MIT

/// @file
/// A dead letter as a line of text, and as JSON.

#ifndef LARDER_EXAMPLES_LETTER_TEXT_HPP
#define LARDER_EXAMPLES_LETTER_TEXT_HPP

#include <larder/journal/journal.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <string_view>

namespace examples {

/// Of a journal whose keys are texts and whose values are bytes.
using Letter = larder::DeadLetter<std::string, std::string>;

/// 2026-11-26T09:31:07.250Z
inline std::string utc(std::chrono::system_clock::time_point time) {
    using namespace std::chrono;
    const auto whole = floor<seconds>(time);
    const std::time_t seconds_since = system_clock::to_time_t(whole);
    std::tm parts{};
    ::gmtime_r(&seconds_since, &parts);
    std::array<char, 64> text{};
    const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    const auto rest = static_cast<int>(duration_cast<milliseconds>(time - whole).count());
    std::snprintf(text.data() + size, text.size() - size, ".%03dZ", rest);
    return text.data();
}

/// RFC 4648.
inline std::string base64(std::string_view bytes) {
    constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const auto byte = [&](std::size_t i) {
            return at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0U;
        };
        const std::uint32_t group = byte(0) << 16U | byte(1) << 8U | byte(2);
        for (std::size_t i = 0; i < 4; ++i) {
            text += at + i <= bytes.size() ? alphabet[group >> (18 - 6 * i) & 63U] : '=';
        }
    }
    return text;
}

/// What would break a line or a terminal is escaped.
inline std::string printable(std::string_view bytes) {
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            std::array<char, 8> code{};
            std::snprintf(code.data(), code.size(), "\\x%02x", byte);
            text += code.data();
        } else {
            text += c;
        }
    }
    return text;
}

inline std::string as_line(const Letter& letter) {
    return printable(letter.change.key) + "  " + (letter.change.value ? "put" : "remove") + "  " +
           std::to_string(letter.attempts) + (letter.attempts == 1 ? " attempt" : " attempts") +
           ", the last at " + utc(letter.last) + "  " + printable(letter.why);
}

/// Bytes that are no UTF-8 are in a member of another name: `value_base64`.
inline std::string as_json(const Letter& letter) {
    nlohmann::ordered_json out;
    const auto add = [&](const char* name, const std::string& bytes) {
        try {
            static_cast<void>(nlohmann::ordered_json(bytes).dump());
            out[name] = bytes;
        } catch (const nlohmann::json::type_error&) {
            out[std::string{name} + "_base64"] = base64(bytes);
        }
    };
    add("key", letter.change.key);
    if (letter.change.value) {
        add("value", *letter.change.value);
    } else {
        out["removed"] = true;
    }
    out["version"] = letter.change.version;
    add("why", letter.why);
    out["attempts"] = letter.attempts;
    out["first"] = utc(letter.first);
    out["last"] = utc(letter.last);
    return out.dump();
}

}  // namespace examples

#endif  // LARDER_EXAMPLES_LETTER_TEXT_HPP
