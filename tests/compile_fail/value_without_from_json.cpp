// SPDX-License-Identifier: MIT
// expect: larder: JsonCodec, CborCodec and MsgPackCodec need nlohmann_json's from_json for the value
#include <larder/json.hpp>

#include <string>

struct Page {
    int id{};
};
inline void to_json(nlohmann::json& document, const Page& page) {
    document = page.id;
}
#ifdef LARDER_FIXED
inline void from_json(const nlohmann::json& document, Page& page) {
    document.get_to(page.id);
}
#endif

Page decode(const std::string& bytes) {
    return larder::CborCodec<Page>{}.decode(bytes);
}
