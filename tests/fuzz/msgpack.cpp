// SPDX-License-Identifier: MIT

// MessagePack of unknown origin.

#include "fuzz/documents.hpp"

#include <larder/json.hpp>

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    larder_test::try_documents<larder::MsgPackCodec>(data, size);
    return 0;
}
