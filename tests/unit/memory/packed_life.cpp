// SPDX-License-Identifier: MIT

#include "support/catch.hpp"

#include <larder/detail/memory/packed_life.hpp>
#include <larder/detail/support/saturating_time.hpp>

#include <chrono>
#include <cstdint>
#include <random>

using larder::Ttl;
using larder::detail::PackedLife;
using namespace std::chrono_literals;

namespace {
Ttl packed(Ttl life) {
    return PackedLife::unpack(PackedLife::pack(life));
}
}  // namespace

TEST_CASE("the lives that people write are kept exactly", "[memory][packed_life]") {
    for (const Ttl life : {Ttl{0}, Ttl{1}, Ttl{999}, Ttl{2'097'151}, Ttl{1min}, Ttl{1h}, Ttl{90min},
                           Ttl{24h}, Ttl{24h * 7}, Ttl{24h * 30 + 1min}, Ttl{24h * 20 + 1s},
                           Ttl{24h * 365}, larder::detail::longest_life}) {
        CAPTURE(life.count());
        CHECK(packed(life) == life);
    }
}

TEST_CASE("others are longer by little, and never shorter", "[memory][packed_life]") {
    std::mt19937_64 random{1};
    for (int i = 0; i < 100'000; ++i) {
        const auto most = static_cast<std::uint64_t>(larder::detail::longest_life.count());
        const Ttl life{static_cast<Ttl::rep>((random() >> (random() % 48)) % most)};
        const Ttl kept = packed(life);
        CAPTURE(life.count());
        REQUIRE(PackedLife::pack(life) < 1U << PackedLife::bits);
        REQUIRE(kept >= life);
        REQUIRE((kept - life).count() * 30'000 <= life.count());
    }
}
