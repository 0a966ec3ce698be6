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
using larder::redis::detail::Failed;
using larder::redis::detail::Reader;

void see(std::string& seen, ReplyView reply, int depth) {
    if (depth > Reader::max_depth + 1) {
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
        Reader reader{max_bytes};
        while (!bytes.empty()) {
            const std::size_t size = (std::min)(piece, bytes.size());
            reader.feed(bytes.data(), size);
            bytes.remove_prefix(size);
            for (Reply reply; reader.next(reply);) {
                see(seen, reply, 1);
            }
        }
        seen += reader.empty() ? "all" : "some";
    } catch (const Failed& failed) {
        if (failed.kind != Failed::Kind::broken || failed.text.empty()) {
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
