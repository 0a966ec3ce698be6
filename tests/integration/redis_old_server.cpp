// SPDX-License-Identifier: MIT

// Servers from before 7.0: SET does not take NX and GET together, and there is no PEXPIRETIME.

#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"
#include "support/stop.hpp"
#include "support/table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::RefreshAhead;
using larder::Source;
using larder::WriteThrough;
using larder::redis::ClientOptions;
using larder_test::ManualExecutor;
using larder_test::RedisPair;
using larder_test::RedisServer;
using larder_test::Stop;
using Values = std::vector<std::optional<int>>;

namespace {

// Stands in front of a server and spoils each SET … NX GET, so that the server says what one of
// before 7.0 does: a syntax error.
class OldFront {
public:
    explicit OldFront(const RedisServer& server)
        : server_{server.socket_path()}, path_{server.folder() / "old.sock"} {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_un address = address_of(path_);
        if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
            ::listen(listener_, 64) != 0) {
            throw std::runtime_error{"no socket for the front"};
        }
        thread_ = std::thread{[this] { serve(); }};
    }
    OldFront(const OldFront&) = delete;
    OldFront& operator=(const OldFront&) = delete;
    ~OldFront() {
        ending_ = true;
        thread_.join();
        ::close(listener_);
    }

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] int spoilt() const noexcept { return spoilt_; }

private:
    struct Way {
        int client;
        int server;
    };

    static sockaddr_un address_of(const std::string& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        return address;
    }

    void serve() {
        std::vector<Way> ways;
        while (!ending_) {
            std::vector<pollfd> all{{listener_, POLLIN, 0}};
            for (const Way& way : ways) {
                all.push_back({way.client, POLLIN, 0});
                all.push_back({way.server, POLLIN, 0});
            }
            (void)::poll(all.data(), all.size(), 20);
            for (std::size_t i = ways.size(); i-- > 0;) {
                const bool lives =
                    (all[1 + 2 * i].revents == 0 || pass(ways[i].client, ways[i].server, true)) &&
                    (all[2 + 2 * i].revents == 0 || pass(ways[i].server, ways[i].client, false));
                if (!lives) {
                    close(ways[i]);
                    ways.erase(ways.begin() + static_cast<std::ptrdiff_t>(i));
                }
            }
            if (all[0].revents != 0) {
                const Way way{::accept(listener_, nullptr, nullptr),
                              ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
                const sockaddr_un address = address_of(server_);
                (void)::connect(way.server, reinterpret_cast<const sockaddr*>(&address),
                                sizeof address);
                ways.push_back(way);
            }
        }
        for (const Way& way : ways) {
            close(way);
        }
    }
    static void close(const Way& way) {
        ::close(way.client);
        ::close(way.server);
    }
    bool pass(int from, int to, bool spoils) {
        std::array<char, 65536> bytes{};
        const ssize_t got = ::recv(from, bytes.data(), bytes.size(), 0);
        if (got <= 0) {
            return false;
        }
        std::string text{bytes.data(), static_cast<std::size_t>(got)};
        constexpr std::string_view both = "\r\nNX\r\n$3\r\nGET\r\n";
        for (std::size_t at = 0; spoils && (at = text.find(both, at)) != std::string::npos; ++at) {
            text[at + 3] = '?';
            ++spoilt_;
        }
        return ::send(to, text.data(), text.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(text.size());
    }

    std::string server_;
    std::string path_;
    int listener_ = -1;
    std::atomic<bool> ending_{false};
    std::atomic<int> spoilt_{0};
    std::thread thread_{};
};

ClientOptions through(const OldFront& front) {
    ClientOptions options;
    options.path = front.path();
    return options;
}

}  // namespace

TEST_CASE("a lease is taken by a script where SET does not do it", "[redis][old]") {
    const RedisServer server;
    const OldFront front{server};
    RedisPair w{through(front)};
    WriteThrough here{w.here, w.rows, {.ttl = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 1h, .wait = 1h}};

    CHECK(here.get(1) == 10);
    CHECK(front.spoilt() == 1);
    CHECK(here.fetch(1).source == Source::hit);
    CHECK(here.get(2) == 20);
    CHECK(here.fetch(2).source == Source::hit);
    CHECK(front.spoilt() == 1);  // it is not tried again
    CHECK(there.get_many({1, 2, 3, 4, 4}) == Values{10, 20, 30, 40, 40});
    CHECK(front.spoilt() == 3);  // in one batch
    CHECK(there.get_many({3, 4, 5}) == Values{30, 40, 50});
    CHECK(front.spoilt() == 3);
    CHECK(w.table.loads == 5);
    here.put(1, 11);
    CHECK(there.get(1) == 11);
    server.run("SET", "n:6", "junk");
    CHECK(here.get(6) == 60);
    server.run("RPUSH", "n:7", "x");
    CHECK(here.get(7) == 70);
    CHECK(here.get_many({7, 8}) == Values{70, 80});
    CHECK(server.run("LLEN", "n:7") == "1");

    // Others wait.
    Stop loaded;
    w.table.hooks.after_load = [&](int) { loaded.pause(); };
    w.table.loads = 0;
    auto mine = std::async(std::launch::async, [&] { return here.get(9); });
    loaded.wait_until_reached();
    auto theirs = std::async(std::launch::async, [&] { return there.get(9); });
    larder_test::until([&] { return there.stats().joined == 1; });
    loaded.go();
    CHECK(mine.get() == 90);
    CHECK(theirs.get() == 90);
    CHECK(w.table.loads == 1);
}

TEST_CASE("a lease beside a value knows it where PEXPIRETIME is unknown", "[redis][old]") {
    const RedisServer server{{"--rename-command", "PEXPIRETIME", ""}};
    REQUIRE(server.run("PEXPIRETIME", "n:1").starts_with("ERR unknown"));
    RedisPair w{server};
    ManualExecutor background;
    // Near its end all the time.
    RefreshAhead here{
        w.here,
        w.rows,
        {.ttl = 100s, .grace = 100s, .refresh_below = 1.0, .executor = background.handle()}};
    WriteThrough there{w.there, w.rows, {.ttl = 50s, .grace = 100s}};
    REQUIRE(here.get(1) == 10);
    const auto due = [&] {
        larder_test::until([&] { return here.fetch(1).remaining < 100s; });
        background.run_inline(false);
        larder_test::until([&] {
            (void)here.get(1);
            return background.pending() == 1;
        });
    };
    w.table.set(1, 11);
    due();
    w.table.hooks.before_load = [&](int) {
        const auto left = [&] { return std::stoll(server.run("PTTL", "n:1")); };
        const auto first = left();
        larder_test::until([&] { return left() <= first - 20; });
    };
    background.run_all();
    w.table.hooks.before_load = nullptr;
    CHECK(here.get(1) == 11);
    CHECK(here.stats().fenced_fills == 0);

    // A value that was written meanwhile stays, though its bytes are those that were refreshed.
    due();
    Stop loaded;
    w.table.hooks.after_load = [&](int) { loaded.pause(); };
    w.table.set(1, 12);
    auto refresh = std::async(std::launch::async, [&] { background.run_all(); });
    loaded.wait_until_reached();
    const auto fenced = here.stats().fenced_fills;
    there.put(1, 13);
    there.put(1, 11);
    loaded.go();
    refresh.get();
    CHECK(here.stats().fenced_fills == fenced + 1);
    CHECK(there.get(1) == 11);

    CHECK(there.refresh(1) == 11);
    CHECK(there.fetch(1).source == Source::hit);
    CHECK(server.run("EXISTS", "~refresh:n:1") == "0");
}
