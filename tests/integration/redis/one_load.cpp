// SPDX-License-Identifier: MIT

// One load a key across processes: 200 threads of four processes ask for one expired key at once.

#include "support/catch.hpp"
#include "support/fleet/moment.hpp"
#include "support/fleet/processes.hpp"
#include "support/fleet/shared.hpp"
#include "support/redis_server.hpp"

#include <larder/codec/raw.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace larder_test;

namespace {

constexpr std::size_t members = 4;
constexpr unsigned threads = 50;

struct Meeting {
    static constexpr int nobody = -1;

    std::atomic<unsigned> asking{0};
    std::atomic<unsigned> right{0};
    std::atomic<unsigned> wrong{0};
    std::atomic<unsigned> loads{0};
    std::atomic<int> first_loader{nobody};  // its life
    std::atomic<bool> first_returns{true};
    std::atomic<Moment> second_load{0};
};

void wait_until(const auto& condition) {
    while (!condition()) {
        std::this_thread::sleep_for(1ms);
    }
}

class Crowd {
public:
    explicit Crowd(bool first_returns = true)
        : processes_{prepared(first_returns),
                     [this](Processes::Life life, std::size_t) { ask(life); }} {}

    Meeting& meeting() const { return *meeting_; }
    Processes& processes() { return processes_; }
    bool all_ask() const { return meeting().asking == members * threads; }

private:
    // Before there are processes: they begin at once.
    std::size_t prepared(bool first_returns) const {
        meeting().first_returns = first_returns;
        server_.run("SET", "storm:1", "old", "PX", "5");
        wait_until([this] { return server_.run("EXISTS", "storm:1") == "0"; });
        return members;
    }

    void ask(Processes::Life life) const {
        Meeting& m = meeting();
        const auto load = [&](int) -> std::optional<std::string> {
            if (m.loads.fetch_add(1) == 0) {
                m.first_loader = static_cast<int>(life);
                wait_until([&] { return all_ask() && m.first_returns; });
            } else {
                m.second_load = moment();
            }
            return "new";
        };
        larder::redis::ClientOptions options;
        options.path = server_.socket_path();
        options.connect_timeout = options.command_timeout = 10s;
        larder::CacheAside cache{
            larder::RedisStore<int, std::string, larder::RawCodec<std::string>>{
                larder::redis::Client{options}, "storm"},
            load,
            {.ttl = 1min, .wait = 1min}};
        std::vector<std::jthread> crowd;
        for (unsigned i = 0; i < threads; ++i) {
            crowd.emplace_back([&] {
                ++m.asking;
                wait_until([&] { return all_ask(); });
                ++(cache.get(1) == "new" ? m.right : m.wrong);
            });
        }
    }

    RedisServer server_{};
    Shared<Meeting> meeting_{};
    Processes processes_;
};

}  // namespace

TEST_CASE("200 threads of 4 processes on one expired key load it once", "[fleet]") {
    Crowd crowd;
    crowd.processes().join(60s);
    CHECK(crowd.processes().failures() == std::vector<std::string>{});
    CHECK(crowd.meeting().loads == 1);
    CHECK(crowd.meeting().right == members * threads);
    CHECK(crowd.meeting().wrong == 0);
}

TEST_CASE("a loader that is killed is taken over within 4 s, once", "[fleet]") {
    Crowd crowd{false};
    const Meeting& m = crowd.meeting();
    wait_until([&] { return m.first_loader != Meeting::nobody && crowd.all_ask(); });
    // Renewed at least once: a lease that nobody renews would end while the load runs.
    std::this_thread::sleep_for(3500ms);
    CHECK(m.loads == 1);
    const Moment killed = moment();
    crowd.processes().kill(static_cast<std::size_t>(m.first_loader.load()));
    crowd.processes().join(60s);
    CHECK(crowd.processes().failures() == std::vector<std::string>{});
    CHECK(m.loads == 2);
    CHECK(m.second_load > killed);
    CHECK(m.second_load - killed < moments(4s));
    CHECK(m.right == (members - 1) * threads);
    CHECK(m.wrong == 0);
}
