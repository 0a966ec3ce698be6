// SPDX-License-Identifier: MIT

/// @file
/// A journal in Redis whose flusher asks for nothing, for tests that count what a call costs.

#ifndef LARDER_TESTS_SUPPORT_UNFLUSHED_JOURNAL_HPP
#define LARDER_TESTS_SUPPORT_UNFLUSHED_JOURNAL_HPP

#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <cstddef>
#include <vector>

namespace larder_test {

/// What its flusher does is on no wire.
struct UnflushedJournal : larder::RedisJournal<int, int> {
    using RedisJournal::RedisJournal;

    static std::vector<larder::Claimed<int, int>> claim(std::size_t, larder::Ttl, larder::Ttl) {
        return {};
    }
    static std::size_t size() { return 1; }
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_UNFLUSHED_JOURNAL_HPP
