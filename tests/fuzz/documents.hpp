// SPDX-License-Identifier: MIT

/// @file
/// The values that the fuzz targets of the document codecs decode.

#ifndef LARDER_TESTS_FUZZ_DOCUMENTS_HPP
#define LARDER_TESTS_FUZZ_DOCUMENTS_HPP

#include "fuzz/codec_target.hpp"

#include <larder/json.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace larder_test {

struct Part {
    int id{};
    std::string name{};
    double price{};
    bool sold{};
    std::vector<Part> parts{};
    std::map<std::string, std::uint64_t> counts{};
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Part, id, name, price, sold, parts, counts)

/// Any document, and one type with a bit of everything.
template <template <class> class Codec>
void try_documents(const std::uint8_t* data, std::size_t size) {
    try_codec(Codec<nlohmann::json>{}, data, size);
    try_codec(Codec<Part>{}, data, size);
}

}  // namespace larder_test

#endif  // LARDER_TESTS_FUZZ_DOCUMENTS_HPP
