// SPDX-License-Identifier: MIT

// How old a near copy may be that one process serves while another writes: rule N4. LARDER_STRESS_MS is how
// long each lasts.

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/redis_front.hpp"
#include "support/redis_server.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using larder::Source;
using larder::Ttl;
using larder_test::RedisFront;
using larder_test::RedisServer;

namespace {

using Clock = std::chrono::steady_clock;
using Tiered = larder::TieredStore<larder::MemoryStore<int, std::size_t>,
                                   larder::RedisStore<int, std::size_t>>;

/// What the processes share beside Redis: the row, and when its versions were replaced.
struct Shared {
    static constexpr std::size_t most = 1U << 20U;

    std::atomic<std::size_t> row{0};
    std::atomic<std::size_t> written{0};
    std::atomic<bool> done{false};
    std::atomic<std::size_t> hits{0};
    std::atomic<Clock::rep> oldest{0};
    std::atomic<Clock::rep> replaced[most]{};  // version n, by a put that had returned by then
};

/// In memory that a child shares with its parent.
class SharedMemory {
public:
    SharedMemory()
        : at_{::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                     -1, 0)} {
        REQUIRE(at_ != MAP_FAILED);
        ::new (at_) Shared;
    }
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    ~SharedMemory() { ::munmap(at_, sizeof(Shared)); }

    Shared* operator->() const noexcept { return static_cast<Shared*>(at_); }
    Shared& operator*() const noexcept { return *static_cast<Shared*>(at_); }

private:
    void* at_;
};

/// The row of every key.
struct Row {
    Shared* shared;

    [[nodiscard]] std::optional<std::size_t> load(int) const { return shared->row.load(); }
    void save(int, std::size_t value) const { shared->row = value; }
    void remove(int) const {}
};

auto cache_over(const larder::redis::ClientOptions& options, Shared& shared, Ttl silence) {
    larder::redis::Client client{options};
    Tiered store{larder::MemoryStore<int, std::size_t>{{.capacity = 100}},
                 larder::RedisStore<int, std::size_t>{client, "number"},
                 {.ttl = 30s, .silence = silence}};
    return larder::CacheAside{store, Row{&shared}, {.ttl = 1min}};
}

/// Another process, which writes and goes on for as long as it is wanted. To be made before there are threads:
/// one that begins at the fork may leave AddressSanitizer's allocator locked in the child.
class Writer {
public:
    Writer(const RedisServer& server, Shared& shared) {
        std::fflush(nullptr);
        child_ = ::fork();
        if (child_ == 0) {
            ::alarm(600);
            larder::redis::ClientOptions options;
            options.path = server.socket_path();
            auto cache = cache_over(options, shared, 2s);
            std::size_t version = 0;
            while (!shared.done && version + 1 < Shared::most) {
                cache.put(1, version + 1);
                shared.replaced[version++] = Clock::now().time_since_epoch().count();
                shared.written = version;
                std::this_thread::sleep_for(1ms);
            }
            ::_exit(0);
        }
        shared_ = &shared;
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    ~Writer() {
        shared_->done = true;
        ::waitpid(child_, nullptr, 0);
    }

private:
    pid_t child_;
    Shared* shared_ = nullptr;
};

/// For how long each version was served after it was replaced.
class Ages {
public:
    void read(std::size_t version, Clock::rep replaced, Clock::time_point began) {
        ++reads_;
        Clock::duration& age = ages_[version];
        if (replaced != 0) {
            age = (std::max)(age, began.time_since_epoch() - Clock::duration{replaced});
        }
    }

    [[nodiscard]] std::size_t reads() const noexcept { return reads_; }
    [[nodiscard]] double milliseconds(double part) const {
        std::vector<Clock::duration> all;
        for (const auto& [version, age] : ages_) {
            all.push_back(age);
        }
        if (all.empty()) {
            return 0;
        }
        std::sort(all.begin(), all.end());
        const auto at = static_cast<std::size_t>(part * static_cast<double>(all.size() - 1));
        return std::chrono::duration<double, std::milli>{all[at]}.count();
    }

private:
    std::size_t reads_ = 0;
    std::map<std::size_t, Clock::duration> ages_{};
};

std::chrono::milliseconds length() {
    const char* const text = std::getenv("LARDER_STRESS_MS");
    return text != nullptr ? std::chrono::milliseconds{std::atoll(text)} : 1500ms;
}

/// Reads over and over while another process writes: near hits, and their ages.
Ages read_while(Shared& shared, const larder::redis::ClientOptions& options, Ttl silence,
                larder::Stats& stats) {
    auto cache = cache_over(options, shared, silence);
    Ages ages;
    const auto end = Clock::now() + length();
    for (auto began = Clock::now(); began < end; began = Clock::now()) {
        const auto found = cache.fetch(1);
        if (!found.value) {
            FAIL("there is a row");
        }
        if (found.source == Source::near_hit) {
            ages.read(*found.value, shared.replaced[*found.value], began);
        }
    }
    stats = cache.stats();
    return ages;
}

void print(const char* what, const Ages& ages, const Shared& shared, const larder::Stats& stats) {
    std::printf(
        "%s: %zu writes, %zu near hits; served after they had been replaced for: p50 %.2f ms, "
        "p99 %.2f ms, at the most %.2f ms; %zu cuts, %zu silences\n",
        what, shared.written.load(), ages.reads(), ages.milliseconds(0.5), ages.milliseconds(0.99),
        ages.milliseconds(1), static_cast<std::size_t>(stats.near_cuts),
        static_cast<std::size_t>(stats.near_silences));
}

}  // namespace

TEST_CASE("what another process has put is read at once", "[redis]") {
    if (!larder_test::can_fork) {
        return;
    }
    const RedisServer server;
    const SharedMemory shared;
    const Writer writer{server, *shared};
    larder::redis::ClientOptions options;
    options.port = server.port();
    larder::Stats stats;
    const Ages ages = read_while(*shared, options, 2s, stats);
    print("loopback", ages, *shared, stats);
    CHECK(stats.near_mode == larder::NearMode::tracking);
    CHECK(ages.reads() > 0);
    CHECK(shared->written > 0);
    CHECK(ages.milliseconds(0.99) < 250);  // some 1 ms where nobody else wants the processor
    CHECK(ages.milliseconds(1) < 2000);
}

TEST_CASE(
    "however the connections fare, no near copy is served that was replaced before the silence",
    "[redis]") {
    if (!larder_test::can_fork) {
        return;
    }
    constexpr Ttl silence = 100ms;
    const RedisServer server;
    const SharedMemory shared;
    const Writer writer{server, *shared};
    std::uint32_t luck = 11;
    std::set<std::size_t> silent;
    const RedisFront front{server, [&](std::size_t connection, RedisFront::Way, std::string&) {
                               luck = luck * 1664525U + 1013904223U;
                               const auto die = (luck >> 16U) % 400;
                               if (die == 0) {
                                   silent.insert(connection);
                               }
                               return silent.contains(connection) ? RedisFront::Fate::swallow
                                      : die == 1                  ? RedisFront::Fate::cut
                                                                  : RedisFront::Fate::pass;
                           }};
    larder::redis::ClientOptions options;
    options.path = front.path();
    options.connect_timeout = options.command_timeout = 50ms;
    options.breaker = options.max_breaker = 5ms;
    larder::Stats stats;
    const Ages ages = read_while(*shared, options, silence, stats);
    print("cut at random", ages, *shared, stats);
    CHECK(ages.reads() > 0);
    CHECK(stats.near_cuts + stats.near_silences > 0);
    CHECK(ages.milliseconds(1) < 100);
}

TEST_CASE("a process that was stopped serves nothing that was replaced before the silence",
          "[redis]") {
    if (!larder_test::can_fork) {
        return;
    }
    constexpr Ttl silence = 100ms;
    const RedisServer server;
    const SharedMemory shared;
    larder::redis::ClientOptions options;
    options.path = server.socket_path();
    std::fflush(nullptr);
    const pid_t reader = ::fork();
    if (reader == 0) {
        ::alarm(600);
        auto cache = cache_over(options, *shared, silence);
        while (!shared->done) {
            const auto began = Clock::now();
            const auto found = cache.fetch(1);
            if (found.source == Source::near_hit && found.value) {
                ++shared->hits;
                if (const Clock::rep since = shared->replaced[*found.value]; since != 0) {
                    shared->oldest =
                        (std::max)(shared->oldest.load(), began.time_since_epoch().count() - since);
                }
            }
        }
        ::_exit(0);
    }
    auto cache = cache_over(options, *shared, silence);
    const auto end = Clock::now() + length();
    while (Clock::now() < end) {
        // It stands still over a write, and longer than the silence.
        std::this_thread::sleep_for(20ms);
        ::kill(reader, SIGSTOP);
        ::waitpid(reader, nullptr, WUNTRACED);
        const std::size_t version = shared->row;
        cache.put(1, version + 1);
        shared->replaced[version] = Clock::now().time_since_epoch().count();
        std::this_thread::sleep_for(150ms);
        ::kill(reader, SIGCONT);
    }
    shared->done = true;
    ::waitpid(reader, nullptr, 0);
    const auto oldest = std::chrono::duration<double, std::milli>{Clock::duration{shared->oldest}};
    std::printf("stopped: %zu near hits, of what was replaced %.2f ms before, at the most\n",
                shared->hits.load(), oldest.count());
    CHECK(shared->hits > 0);
    CHECK(oldest < silence);
}
