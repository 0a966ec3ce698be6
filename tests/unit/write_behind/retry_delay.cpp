// SPDX-License-Identifier: MIT

#include "support/catch.hpp"

#include <larder/detail/write_behind/retry_delay.hpp>

#include <cstddef>
#include <set>

using larder::Ttl;
using larder::WriteBehindOptions;
using larder::detail::retry_delay;

TEST_CASE("a wait is doubled after each failure, and spread over its upper quarter", "[retry]") {
    const WriteBehindOptions options{.backoff = Ttl{100}, .max_backoff = Ttl{100'000}};
    for (const std::size_t failed_before : {0U, 1U, 2U, 5U}) {
        const long most = 100L << failed_before;
        std::set<Ttl> seen;
        for (int i = 0; i < 100; ++i) {
            const Ttl wait = retry_delay(options, failed_before);
            CHECK(wait.count() >= most / 4 * 3);
            CHECK(wait.count() <= most + 1);
            seen.insert(wait);
        }
        CHECK(seen.size() > 10);
    }
}

TEST_CASE("ten tries outlast half a minute", "[retry]") {
    const WriteBehindOptions options;
    Ttl all{0};
    for (std::size_t failed_before = 0; failed_before + 1 < options.attempts; ++failed_before) {
        all += retry_delay(options, failed_before);
    }
    CHECK(all > Ttl{38'000});
    CHECK(all < Ttl{52'000});
}

TEST_CASE("a wait is bounded, however often it has failed", "[retry]") {
    const WriteBehindOptions options{.backoff = Ttl{100}, .max_backoff = Ttl{1'000}};
    for (const std::size_t failed_before : {4U, 31U, 32U, 64U, 1'000'000U}) {
        const Ttl wait = retry_delay(options, failed_before);
        CHECK(wait >= Ttl{750});
        CHECK(wait <= Ttl{1'001});
    }
    const WriteBehindOptions endless{.backoff = Ttl::max(), .max_backoff = Ttl::max()};
    CHECK(retry_delay(endless, 64) > Ttl{0});
}
