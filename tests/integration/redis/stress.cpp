// SPDX-License-Identifier: MIT

// All verbs of three policies whose loaders read each other, over a Redis server to which every
// connection is cut within milliseconds: no wait is longer than its bound, no read goes back, nothing
// is left in hand once the connections last. Has threads: std::jthread. LARDER_STRESS_MS is how long
// each combination runs.

#include "support/stress.hpp"
#include "support/redis_front.hpp"
#include "support/redis_server.hpp"

#include <larder/json.hpp>
#include <larder/redis.hpp>

#include <atomic>
#include <chrono>
#include <string>

using namespace std::chrono_literals;
using larder_test::RedisFront;
using larder_test::RedisServer;

namespace {

// Cuts a connection every few milliseconds, on its way there or back.
class Scissors {
public:
    RedisFront::Fate operator()() {
        const auto now = std::chrono::steady_clock::now();
        if (calm_ || now < next_) {
            return RedisFront::Fate::pass;
        }
        next_ = now + 4ms;
        return RedisFront::Fate::cut;
    }
    void calm(bool is) { calm_ = is; }

private:
    std::atomic<bool> calm_{true};
    std::chrono::steady_clock::time_point next_{};  // of the front's thread
};

}  // namespace

TEST_CASE("all verbs at once, with nested loads, over connections that are cut",
          "[stress][redis]") {
    const RedisServer server;
    Scissors scissors;
    const RedisFront front{server,
                           [&](std::size_t, RedisFront::Way, std::string&) { return scissors(); }};
    larder::redis::Client redis{{.path = front.path(),
                                 .connect_timeout = 500ms,
                                 .command_timeout = 500ms,
                                 .breaker = 2ms,
                                 .max_breaker = 20ms}};
    int stores = 0;
    using Store = larder::RedisStore<int, int>;
    larder_test::stress<Store>(
        [&] {
            return Store{redis, "stress" + std::to_string(++stores)};
        },
        300ms, [&](bool is) { scissors.calm(is); });
}
