// SPDX-License-Identifier: MIT

/// @file
/// What a fuzz target asks of a codec.

#ifndef LARDER_TESTS_FUZZ_CODEC_TARGET_HPP
#define LARDER_TESTS_FUZZ_CODEC_TARGET_HPP

#include <larder/error.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace larder_test {

/// The bytes are refused by a CodecError, and by nothing else; or they are a value, which then encodes,
/// and comes back from that as the same bytes.
template <class C>
void try_codec(const C& codec, const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes{reinterpret_cast<const char*>(data), size};
    const auto value = [&]() -> decltype(std::optional{codec.decode(bytes)}) {
        try {
            return codec.decode(bytes);
        } catch (const larder::CodecError&) {
            return std::nullopt;
        }
    }();
    if (!value) {
        return;
    }
    const std::string again = codec.encode(*value);
    if (codec.encode(codec.decode(again)) != again) {
        std::abort();
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_FUZZ_CODEC_TARGET_HPP
