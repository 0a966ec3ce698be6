// SPDX-License-Identifier: MIT

// Any bytes in any slot: no crash, no hang, a miss that is counted or what the codec makes of them.
//
// Full size: LARDER_GARBAGE=1000000 test_integration_redis_garbage

#include "support/catch.hpp"
#include "support/redis_server.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using larder::Source;
using larder::redis::detail::read_slot;
using larder::redis::detail::SlotBytes;

namespace {

class Bytes {
public:
    std::string next() {
        if (below(4) == 0) {
            return noise(below(80));
        }
        std::string bytes = good_[below(static_cast<unsigned>(good_.size()))];
        for (unsigned changes = below(4); changes > 0; --changes) {
            mutate(bytes);
        }
        return bytes;
    }
    unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }

private:
    std::string noise(unsigned size) {
        std::string bytes;
        for (unsigned i = 0; i < size; ++i) {
            bytes += static_cast<char>(below(256));
        }
        if (!bytes.empty() && below(2) == 0) {
            bytes[0] = '\x01';
        }
        return bytes;
    }
    void mutate(std::string& bytes) {
        const unsigned at = below(static_cast<unsigned>(bytes.size()) + 1);
        switch (below(6)) {
            case 0: bytes.resize(at); break;
            case 1: bytes.insert(at, noise(1 + below(8))); break;
            case 2: bytes.insert(at, bytes.substr(0, 40)); break;
            case 3: bytes.erase(at, 1 + below(4)); break;
            default:
                if (at < bytes.size()) {
                    bytes[at] = below(2) == 0 ? static_cast<char>(below(256))
                                              : static_cast<char>(bytes[at] ^ (1 << below(8)));
                }
        }
    }
    static std::string header(std::optional<std::string> body, larder::Tags tags) {
        return larder::redis::detail::write_slot(body, 60s, 1s, {7, 1}, tags);
    }

    std::mt19937_64 random_{20};
    std::vector<std::string> good_{
        "42",
        "-17",
        "{\"a\":[1,2,{\"b\":null}]}",
        header("42", {}),
        header("42", {"tag", ""}),
        header(std::nullopt, {}),
        larder::redis::detail::loading_bytes(0x1234567890abcdefU),
        "\x01\x01W0" + std::string(16, '0') + "1234567890abcdef" + "9999999999999999",
        "\x01\x01W1" + std::string(16, '9'),
        "\x01\x02something newer",
    };
};

constexpr int truth = 123'456'789;

unsigned how_many() {
    const char* const text = std::getenv("LARDER_GARBAGE");
    return text == nullptr ? 4000 : static_cast<unsigned>(std::atoi(text));
}

}  // namespace

TEST_CASE("any bytes in a slot are a miss or what the codec makes of them", "[redis]") {
    const larder_test::RedisServer server;
    larder::redis::ClientOptions options;
    options.path = server.socket_path();
    options.command_timeout = 10s;
    const larder::redis::Client client{options};
    const larder::JsonCodec<int> codec;
    larder::RedisStore<int, int> store{client, "garbage"};
    larder::CacheAside cache{
        store, [](int) { return std::optional{truth}; }, {.ttl = 1h, .wait = 1ms}};
    Bytes bytes;
    unsigned decoded = 0;
    unsigned undecodable = 0;
    unsigned claims = 0;
    for (unsigned i = 0; i < how_many(); ++i) {
        const int key = static_cast<int>(i % 16);
        const std::string slot = "garbage:" + std::to_string(key);
        const std::string what = bytes.next();
        // For ever, for the length of a lease, or longer than any.
        const bool for_ever = bytes.below(3) == 0;
        const bool for_long = !for_ever && bytes.below(2) == 0;
        if (for_ever) {
            client.command("SET", slot, what);
        } else {
            client.command("SET", slot, what, "PX", for_long ? 7'200'000 : 50'000);
        }
        if (bytes.below(4) == 0) {
            client.command("SET", "~refresh:" + slot, bytes.next(), "PX", 50'000);
            client.command("SET", "~clock:garbage", bytes.next());
        }
        CAPTURE(i, for_ever, for_long, Catch::StringMaker<std::string>::convert(what));
        const auto before = store.stats().undecodable;
        const auto got = cache.fetch(key);
        const SlotBytes read = read_slot(what);
        const bool copy =
            read.kind == SlotBytes::Kind::plain || read.kind == SlotBytes::Kind::value;
        std::optional<int> meant;
        if (copy) {
            try {
                meant = codec.decode(read.body);
            } catch (const std::exception&) {}
        }
        if (got.source == Source::hit || got.source == Source::stale) {
            // Nothing but what is there.
            if (read.kind == SlotBytes::Kind::absence) {
                REQUIRE(!got.value);
            } else {
                REQUIRE(meant);
                REQUIRE(got.value == meant);
            }
            ++decoded;
            continue;
        }
        REQUIRE(got.value == truth);
        const bool claim = read.kind == SlotBytes::Kind::loading ||
                           read.kind == SlotBytes::Kind::writing ||
                           read.kind == SlotBytes::Kind::unknown;
        if (copy && !meant) {
            REQUIRE(store.stats().undecodable == before + 1);
        }
        if (read.kind == SlotBytes::Kind::broken) {
            REQUIRE(store.stats().undecodable == before + 1);
        }
        if (claim && !for_ever) {
            // Somebody may have it in hand. Its end is as good as its expiry.
            ++claims;
            client.command("DEL", slot);
            REQUIRE(cache.fetch(key).source == Source::loaded);
        } else {
            ++undecodable;
        }
        const auto again = cache.fetch(key);
        REQUIRE(again.source == Source::hit);
        REQUIRE(again.value == truth);
    }
    CHECK(decoded > 0);
    CHECK(undecodable > 0);
    CHECK(claims > 0);
}
