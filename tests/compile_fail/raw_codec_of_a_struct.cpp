// SPDX-License-Identifier: MIT
// expect: larder: RawCodec takes strings and numbers
#include <larder/larder.hpp>

#include <string>

#ifdef LARDER_FIXED
using Name = std::string;
#else
struct Name {
    std::string first, last;
};
#endif

std::string encode(const Name& name) {
    return larder::RawCodec<Name>{}.encode(name);
}
