// SPDX-License-Identifier: MIT

// Text of unknown origin as numbers.

#include "fuzz/codec_target.hpp"

#include <larder/codec/raw.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    larder_test::try_codec(larder::RawCodec<std::string>{}, data, size);
    larder_test::try_codec(larder::RawCodec<bool>{}, data, size);
    larder_test::try_codec(larder::RawCodec<int>{}, data, size);
    larder_test::try_codec(larder::RawCodec<std::uint64_t>{}, data, size);
    larder_test::try_codec(larder::RawCodec<double>{}, data, size);
    return 0;
}
