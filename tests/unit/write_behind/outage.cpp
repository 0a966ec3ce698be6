// SPDX-License-Identifier: MIT

#include "support/catch.hpp"

#include <larder/detail/write_behind/outage.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <deque>
#include <numeric>
#include <optional>

using namespace std::chrono_literals;
using larder::Ttl;
using larder::WriteBehindOptions;
using larder::detail::Outage;

namespace {

constexpr WriteBehindOptions options{};
constexpr Outage::Instant start{};

}  // namespace

TEST_CASE("a key that fails alone is to blame itself, however often", "[outage]") {
    Outage outage;
    for (int i = 0; i < 100; ++i) {
        CHECK(outage.failed(options, 7, start));
        CHECK_FALSE(outage.down());
        CHECK(outage.rest(start) == 0ms);
    }
}

TEST_CASE("two keys that fail, and nothing that is taken, are an outage, until something is",
          "[outage]") {
    Outage outage;
    CHECK(outage.failed(options, 1, start));
    CHECK(outage.failed(options, 2, start));
    CHECK(outage.down());
    const Ttl rest = outage.rest(start);
    CHECK(rest == outage.last_rest());
    CHECK((rest > 70ms && rest < 102ms));
    CHECK(outage.rest(start + rest - 1ms) == 1ms);
    CHECK(outage.rest(start + rest) == 0ms);
    CHECK(outage.down());  // one change at a time
    outage.taken();
    CHECK_FALSE(outage.down());
    CHECK(outage.rest(start) == 0ms);
    CHECK(outage.failed(options, 1, start));
    CHECK_FALSE(outage.down());
}

TEST_CASE("an outage of an hour costs few tries, and the end of it is seen within a second",
          "[outage]") {
    Outage outage;
    int tries = 0;
    int counted = 0;
    int counted_in_half_a_minute = 0;
    Outage::Instant now = start;
    while (now < start + 1h) {
        counted += outage.failed(options, static_cast<std::size_t>(tries), now) ? 1 : 0;
        ++tries;
        counted_in_half_a_minute = now < start + 30s ? counted : counted_in_half_a_minute;
        CHECK(outage.rest(now) <= 1s);
        now += outage.rest(now);
    }
    CHECK(tries > 3000);  // about one a second
    CHECK(tries < 6000);
    CHECK(counted_in_half_a_minute <= 10);
    CHECK(counted >= 100);  // and what fails for good is buried at last
    CHECK(counted <= 180);
}

TEST_CASE("the waits of an outage are the user's where these are shorter", "[outage]") {
    Outage outage;
    const WriteBehindOptions brief{.backoff = 1ms, .max_backoff = 2ms};
    Outage::Instant now = start;
    int counted = 0;
    for (int i = 0; i < 100; ++i) {
        counted += outage.failed(brief, i % 2 == 0 ? 1 : 2, now) ? 1 : 0;
        CHECK(outage.rest(now) <= 3ms);
        now += 3ms;
    }
    CHECK(counted == 100);
}

TEST_CASE("whatever comes after what", "[outage]") {
    // Every sequence of seven: one of three keys fails, something is taken, time passes.
    constexpr std::size_t length = 7;
    constexpr std::size_t kinds = 5;
    std::size_t all = 1;
    for (std::size_t i = 0; i < length; ++i) {
        all *= kinds;
    }
    for (std::size_t sequence = 0; sequence < all; ++sequence) {
        Outage outage;
        std::array<bool, 3> failed{};  // since something was taken
        Outage::Instant now = start;
        std::size_t rest = sequence;
        bool right = true;
        for (std::size_t i = 0; i < length; ++i, rest /= kinds) {
            const std::size_t kind = rest % kinds;
            if (kind < failed.size()) {
                const bool was_down = outage.down();
                const bool counts = outage.failed(options, kind, now);
                failed[kind] = true;
                right = right && (counts || was_down) && (!outage.down() || outage.rest(now) > 0ms);
            } else if (kind == 3) {
                outage.taken();
                failed = {};
            } else {
                now += 1min;
                right = right && outage.rest(now) == 0ms;
            }
            const int keys = failed[0] + failed[1] + failed[2];
            right = right && outage.down() == (keys > 1);
            right = right && (outage.down() || outage.rest(now) == 0ms);
        }
        INFO(sequence);
        REQUIRE(right);
    }
}

// What is looked at goes to the end of the line, but for the one that is tried, which does so later.
TEST_CASE("no change is passed by for ever, wherever it stands", "[outage]") {
    larder::WriteBehindOptions narrow = options;
    narrow.batch = 100;
    for (std::size_t length = 2; length <= 310; length += 7) {
        for (std::size_t place = 0; place < length; place += 5) {
            Outage outage;
            static_cast<void>(outage.failed(narrow, 1, start));
            static_cast<void>(outage.failed(narrow, 2, start));
            std::deque<std::size_t> line(length);
            std::iota(line.begin(), line.end(), std::size_t{0});
            std::size_t tries = 0;
            for (std::size_t tried = length; tried != place && tries < 100 * length + 100;
                 ++tries) {
                const std::size_t found = (std::min)(outage.reach(), length);
                outage.reached(narrow, found);
                tried = line[found - 1];
                line.erase(line.begin() + static_cast<std::ptrdiff_t>(found - 1));
                for (std::size_t i = 1; i < found; ++i) {
                    line.push_back(line.front());
                    line.pop_front();
                }
                line.push_back(tried);
            }
            INFO("length " << length << ", place " << place);
            CHECK(tries < 100 * length + 100);
        }
    }
}
