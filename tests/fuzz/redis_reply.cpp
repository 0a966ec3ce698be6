// SPDX-License-Identifier: MIT

// Any bytes as what a server says: whole or in pieces they are the same replies, within the bounds, or
// one kind of failure.

#include <larder/redis/detail/client/reply_parser.hpp>
#include <larder/redis/reply.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using larder::redis::Reply;
using larder::redis::ReplyView;
using larder::redis::detail::ConnectionFailure;
using larder::redis::detail::ReplyParser;

void see(std::string& seen, ReplyView reply, int depth) {
    if (depth > ReplyParser::max_depth + 1) {
        std::abort();
    }
    seen += static_cast<char>('0' + static_cast<int>(reply.kind()));
    seen += reply.text();
    try {
        seen += std::to_string(reply.integer());
    } catch (const larder::redis::ReplyError&) {
        seen += '-';
    }
    for (std::size_t i = 0; i < reply.size(); ++i) {
        see(seen, reply[i], depth + 1);
    }
}

// Everything that there is, up to a failure.
std::string read_all(std::string_view bytes, std::size_t piece, std::size_t max_bytes) {
    std::string seen;
    try {
        ReplyParser parser{max_bytes};
        while (!bytes.empty()) {
            const std::size_t size = (std::min)(piece, bytes.size());
            parser.feed(bytes.data(), size);
            bytes.remove_prefix(size);
            for (Reply reply; parser.next(reply);) {
                see(seen, reply, 1);
            }
        }
        seen += parser.empty() ? "all" : "some";
    } catch (const ConnectionFailure& failed) {
        if (failed.kind != ConnectionFailure::Kind::broken || failed.text.empty()) {
            std::abort();
        }
        seen += "failed";
    }
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
    const std::size_t piece = 1 + data[0] % 64;
    if (read_all(bytes, bytes.size(), SIZE_MAX) != read_all(bytes, piece, SIZE_MAX)) {
        std::abort();
    }
    (void)read_all(bytes, piece, 16);
    return 0;
}
