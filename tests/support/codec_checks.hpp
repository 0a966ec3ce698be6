// SPDX-License-Identifier: MIT

/// @file
/// What the tests of all codecs ask.

#ifndef LARDER_TESTS_SUPPORT_CODEC_CHECKS_HPP
#define LARDER_TESTS_SUPPORT_CODEC_CHECKS_HPP

#include "support/catch.hpp"

#include <larder/error.hpp>

#include <cstddef>
#include <random>
#include <string>
#include <string_view>

namespace larder_test {

/// What the CodecError of something says; empty if there is none. Any other exception passes.
template <class F>
std::string codec_error(F&& f) {
    try {
        f();
    } catch (const larder::CodecError& error) {
        CHECK(error.code() == larder::Errc::codec_failed);
        return error.what();
    }
    return {};
}

template <class C, class V>
void round_trip(const C& codec, const V& value) {
    const std::string bytes = codec.encode(value);
    const V again = codec.decode(bytes);
    CHECK((again == value));  // not written out: some are huge
    CHECK((codec.encode(again) == bytes));
}

/// `bytes` decode or are a CodecError, cut at each place (of the first and last few) and with each
/// such byte changed. Returns how many were refused.
template <class C>
std::size_t refused_damage(const C& codec, const std::string& bytes) {
    std::size_t refused = 0;
    const auto try_it = [&](std::string_view damaged) {
        try {
            (void)codec.decode(damaged);
        } catch (const larder::CodecError&) {
            ++refused;
        }
    };
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        if (at == 100 && bytes.size() > 200) {
            at = bytes.size() - 100;
        }
        // Of exactly that size, for AddressSanitizer to see a read past it.
        const std::string cut{bytes, 0, at};
        try_it(cut);
        for (const int flip : {0x01, 0x10, 0x80, 0xFF}) {
            std::string changed = bytes;
            changed[at] = static_cast<char>(changed[at] ^ flip);
            try_it(changed);
        }
    }
    return refused;
}

inline std::string random_bytes(std::size_t size, unsigned seed) {
    std::mt19937 random{seed};
    std::string bytes(size, '\0');
    for (char& byte : bytes) {
        byte = static_cast<char>(random() & 0xFFU);
    }
    return bytes;
}

/// Says so, in text.
inline bool mentions(std::string_view text, std::string_view what) {
    return text.find(what) != std::string_view::npos;
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_CODEC_CHECKS_HPP
