// SPDX-License-Identifier: MIT
// expect: or nlohmann::adl_serializer for what is not yours, such as std::chrono
#include <larder/json.hpp>

#include <chrono>
#include <string>
#include <vector>

#ifdef LARDER_FIXED
using Delay = std::chrono::seconds::rep;
#else
using Delay = std::chrono::seconds;
#endif

std::string encode(const std::vector<Delay>& delays) {
    return larder::JsonCodec<std::vector<Delay>>{}.encode(delays);
}
