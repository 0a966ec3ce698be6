// SPDX-License-Identifier: MIT
// expect: larder: JsonCodec, CborCodec and MsgPackCodec need nlohmann_json's to_json for the value
#include <larder/json.hpp>

#include <string>

struct Page {
    int id{};
    std::string text{};
};
#ifdef LARDER_FIXED
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Page, id, text)
#endif

std::string encode(const Page& page) {
    return larder::JsonCodec<Page>{}.encode(page);
}
