// SPDX-License-Identifier: MIT

/// @file
/// How the tour tells what happened: counts, times, columns.

#ifndef LARDER_EXAMPLES_TOUR_TELLING_HPP
#define LARDER_EXAMPLES_TOUR_TELLING_HPP

#include "support/iso_codes.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace examples {

inline std::string text(const Country& country) {
    return country.name;
}
inline std::string text(const Language& language) {
    return language.name;
}
inline std::string text(const Subdivision& place) {
    return place.name + ", in " + (place.parent.empty() ? "the country itself" : place.parent);
}
template <class Row>
std::string text(const std::optional<Row>& row) {
    return row ? text(*row) : "no such row";
}

/// 1,234,567
inline std::string with_commas(std::uint64_t count) {
    std::string digits = std::to_string(count);
    for (std::size_t at = digits.size(); at > 3; at -= 3) {
        digits.insert(at - 3, 1, ',');
    }
    return digits;
}

/// 1 load, 2 loads
inline std::string times(std::uint64_t count, std::string_view one, std::string_view more) {
    return with_commas(count) + ' ' + std::string{count == 1 ? one : more};
}

/// How many characters, which UTF-8 writes in one or more bytes.
inline std::size_t width_of(std::string_view words) {
    return static_cast<std::size_t>(std::count_if(words.begin(), words.end(), [](char byte) {
        return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
    }));
}

/// Blanks after it, to a width in characters.
inline std::string padded(const std::string& words, std::size_t width) {
    const std::size_t characters = width_of(words);
    return words + std::string(characters < width ? width - characters : 1, ' ');
}

/// Blanks before it.
inline std::string right_aligned(const std::string& words, std::size_t width) {
    const std::size_t characters = width_of(words);
    return std::string(characters < width ? width - characters : 0, ' ') + words;
}

/// 0.42 µs, 17 µs, 1.3 ms
inline std::string spell(double microseconds) {
    std::ostringstream out;
    out << std::fixed << std::setprecision(microseconds < 10 ? 2 : 0);
    if (microseconds < 1000) {
        out << microseconds << " µs";
    } else {
        out << std::setprecision(1) << microseconds / 1000 << " ms";
    }
    return out.str();
}

class Stopwatch {
public:
    [[nodiscard]] double microseconds() const {
        return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start_)
            .count();
    }
    [[nodiscard]] std::string elapsed() const { return spell(microseconds()); }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace examples

#endif  // LARDER_EXAMPLES_TOUR_TELLING_HPP
