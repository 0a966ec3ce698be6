// SPDX-License-Identifier: MIT

// Any text as a URL: options that are valid, or one kind of exception that shows no password.

#include <larder/redis/options.hpp>
#include <larder/redis/url.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

constexpr std::string_view password = "hush";

void try_url(const std::string& url, bool secret) {
    try {
        larder::redis::validate(larder::redis::parse_url(url));
    } catch (const std::invalid_argument& error) {
        const std::string_view what = error.what();
        if (what.size() > 500 || (secret && what.find(password) != std::string_view::npos)) {
            std::abort();
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text{reinterpret_cast<const char*>(data), size};
    try_url(text, false);
    if (text.find(password) == std::string::npos) {
        for (const char* const before : {"redis://", "redis://u:", "unix://:", "rediss://:", ""}) {
            try_url(std::string{before} + std::string{password} + text, true);
        }
    }
    return 0;
}
