// SPDX-License-Identifier: MIT

/// @file
/// A write-behind policy of which journal and database fail where the test says.

#ifndef LARDER_TESTS_SUPPORT_BEHIND_WORLD_HPP
#define LARDER_TESTS_SUPPORT_BEHIND_WORLD_HPP

#include "support/versioned_table.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <functional>
#include <string_view>

namespace larder_test {

using Store = larder::MemoryStore<int, int>;

/// Claims that nobody settles end soon.
inline constexpr larder::WriteBehindOptions quick{.delay = larder::Ttl{0},
                                                  .attempts = 3,
                                                  .backoff = larder::Ttl{1},
                                                  .max_backoff = larder::Ttl{2},
                                                  .claim = larder::Ttl{30},
                                                  .drain = larder::Ttl{50}};
/// Nothing is written until `flush`.
inline constexpr larder::WriteBehindOptions lazy{
    .delay = std::chrono::hours{1}, .claim = larder::Ttl{30}, .drain = larder::Ttl{50}};

struct World {
    Store store{};
    BatchRows rows{};
    HookedJournal<> journal{};
    Broken broken{};
    Events events{};

    World() {
        journal.before() = [this](std::string_view function) { broken(function); };
        rows.rows[1] = {5, 0};
    }
    auto cache(larder::WriteBehindOptions behind) {
        return larder::WriteBehind{
            store, std::ref(rows), journal, {.observer = events.observer()}, behind};
    }
};

/// Of what `f` throws.
inline larder::Errc code_of(const std::function<void()>& f) {
    try {
        f();
    } catch (const larder::Error& error) {
        return static_cast<larder::Errc>(error.code().value());
    }
    return {};
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_BEHIND_WORLD_HPP
