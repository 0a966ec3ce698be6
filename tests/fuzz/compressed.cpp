// SPDX-License-Identifier: MIT

// Frames of unknown origin.

#include "fuzz/codec_target.hpp"

#include <larder/codec/raw.hpp>
#include <larder/zstd.hpp>

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const larder::Compressed<larder::RawCodec<>> codec{{.above = 64, .max_bytes = 1 << 20}};
    larder_test::try_codec(codec, data, size);
    return 0;
}
