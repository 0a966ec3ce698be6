// SPDX-License-Identifier: MIT

// What near copies are told of changes in Redis, and when they are not served: rule N4. Has threads:
// std::thread.

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/eventually.hpp"
#include "support/near_ear.hpp"
#include "support/redis_cluster.hpp"
#include "support/redis_front.hpp"
#include "support/redis_server.hpp"

#include <larder/detail/near/near_feed.hpp>
#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>
#include <larder/redis/detail/client/hash_slot.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace std::chrono_literals;
using larder::NearMode;
using larder::Ttl;
using larder::detail::NearFeed;
using larder_test::eventually;
using larder_test::NearEar;
using larder_test::RedisFront;
using larder_test::RedisServer;

namespace {

using Clock = std::chrono::steady_clock;
using Store = larder::RedisStore<int, std::string>;

bool reliable(const NearFeed& feed) {
    return feed.reliable(Clock::now());
}

larder::Stats stats_of(const NearFeed& feed) {
    larder::Stats stats;
    feed.add_to(stats);
    return stats;
}

std::string trackers(const RedisServer& server) {
    return server.run("CLIENT", "LIST", "TYPE", "pubsub");
}
void kill_trackers(const RedisServer& server) {
    server.run("CLIENT", "KILL", "TYPE", "pubsub");
}

/// A store in front of a server, and what tells of it.
struct Told {
    explicit Told(const std::string& url, Ttl silence = 2s, const std::string& name = "product")
        : store{larder::redis::Client{url}, name}, feed{store.watch(ear, silence)} {}

    /// What was told by the time that a word written now has been.
    std::vector<std::string> so_far(const RedisServer& server) {
        const std::string last = "last" + std::to_string(++words_);
        if (feed->mode() == NearMode::channel) {
            server.run("PUBLISH", "~changes:product", "product:" + last);
        } else {
            server.run("SET", "product:" + last, "");
        }
        REQUIRE(eventually([&] { return ear.heard("key " + last); }));
        auto words = ear.take();
        words.erase(
            std::remove_if(words.begin(), words.end(),
                           [](const std::string& word) { return word.starts_with("key last"); }),
            words.end());
        return words;
    }

    Store store;
    NearEar ear{};
    std::shared_ptr<NearFeed> feed;

private:
    int words_ = 0;
};

using Words = std::vector<std::string>;

/// A hash tag of a node.
int tag_of(const larder_test::RedisCluster& cluster, std::size_t node) {
    int tag = 0;
    while (cluster.owner_of(std::string_view{std::to_string(tag)}) != node) {
        ++tag;
    }
    return tag;
}

}  // namespace

TEST_CASE("near copies are told of every change of a slot, whoever makes it", "[redis]") {
    const RedisServer server;
    Told told{server.unix_url()};
    REQUIRE(reliable(*told.feed));
    CHECK(told.feed->mode() == NearMode::tracking);
    CHECK(told.so_far(server) == Words{"all start"});
    const auto tells = [&](const std::string& word, const std::function<void()>& change) {
        INFO(word);
        change();
        const Words words = told.so_far(server);
        CHECK(std::count(words.begin(), words.end(), word) ==
              static_cast<std::ptrdiff_t>(words.size()));
        CHECK_FALSE(words.empty());
    };
    larder::detail::CopyTerms terms;
    terms.life = {1min};
    Store& store = told.store;
    SECTION("another program") {
        tells("key 1", [&] { server.run("SET", "product:1", R"("x")"); });
        tells("key 1", [&] { server.run("PEXPIRE", "product:1", "60000"); });
        tells("key 1", [&] { server.run("DEL", "product:1"); });
        tells("key a:b", [&] { server.run("SET", "product:a:b", ""); });
    }
    SECTION("the plain store") {
        tells("key 1", [&] { store.put(1, "x", {1min}); });
        tells("key 1", [&] { store.erase(1); });
    }
    SECTION("a load, and its end") {
        tells("key 1", [&] {
            const auto opening = store.open(1);
            REQUIRE(opening.lease);
            REQUIRE(store.fill(1, opening.lease, "x", terms).kept);
        });
        tells("key 2", [&] { store.release(2, store.open(2).lease); });
        tells("key 3", [&] { store.withdraw(3, store.open(3).lease); });
    }
    SECTION("a write, and its end") {
        larder::detail::Ticket ticket;
        tells("key 1", [&] { ticket = store.begin_write(1, 1min); });
        tells("key 1", [&] {
            CHECK(store.finish_write(1, ticket, larder::detail::Finish::value, "x", terms));
        });
        tells("key 1", [&] { ticket = store.begin_write(1, 1min); });
        tells("key 1", [&] {
            store.finish_write(1, ticket, larder::detail::Finish::nothing, std::nullopt, terms);
        });
    }
    SECTION("a tag") {
        store.invalidate_tags(std::vector<std::string>{"red"});
        CHECK(told.so_far(server).empty());  // no entry carries it
        server.run("SET", "~tag:product:red", "0123456789abcdef1");
        CHECK(told.so_far(server) == Words{"tag red"});
        tells("tag red", [&] { store.invalidate_tags(std::vector<std::string>{"red"}); });
    }
    SECTION("time") {
        tells("key 1", [&] { store.put(1, "x", {1ms}); });
        CHECK(eventually([&] { return told.ear.heard("key 1"); }));
    }
    SECTION("a server that is full") {
        server.run("SET", "product:1", std::string(100'000, 'x'));
        static_cast<void>(told.so_far(server));
        server.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
        server.run("CONFIG", "SET", "maxmemory", "1");
        CHECK(eventually([&] { return told.ear.heard("key 1"); }));
    }
    SECTION("many at once") {
        tells("key 7", [&] {
            Words words{"EVAL", "for i = 1, #KEYS do redis.call('SET', KEYS[i], i) end", "100"};
            words.insert(words.end(), 100, "product:7");
            CHECK(server.run_words(words) == "(nil)");
        });
        for (int key = 1000; key < 3000; ++key) {
            store.put(key, "x", {1min});
        }
        static_cast<void>(told.so_far(server));
        store.clear();
        Words words = told.so_far(server);
        std::sort(words.begin(), words.end());
        for (int key = 1000; key < 3000; ++key) {
            REQUIRE(std::binary_search(words.begin(), words.end(), "key " + std::to_string(key)));
        }
    }
    CHECK(reliable(*told.feed));
    CHECK(stats_of(*told.feed).near_cuts == 0);
}

TEST_CASE("near copies stay while a value is reloaded beside itself", "[redis]") {
    const RedisServer server;
    larder::RedisStoreOptions options;
    options.lease = 30ms;
    Store store{larder::redis::Client{server.unix_url()}, "product", options};
    NearEar ear;
    const auto feed = store.watch(ear, 2s);
    store.put(1, "x", {1min});
    const auto opening = store.open_refresh(1, false);
    REQUIRE(opening.lease.beside);
    REQUIRE(eventually([&] { return ear.heard("key 1"); }));
    static_cast<void>(ear.take());
    const auto renewals = [&] {
        const std::string all = server.run("INFO", "commandstats");
        const auto at = all.find("cmdstat_pexpire:calls=");
        return at == std::string::npos ? 0 : std::stoi(all.substr(at + 22));
    };
    REQUIRE(eventually([&] { return renewals() >= 3; }));
    store.release(1, opening.lease);
    for (int i = 0; i < 100; ++i) {
        static_cast<void>(store.find(1));
    }
    server.run("SET", "product:2", "");
    REQUIRE(eventually([&] { return ear.heard("key 2"); }));
    CHECK(ear.take() == Words{"key 2"});
}

TEST_CASE("near copies of other stores and databases are left alone", "[redis]") {
    const RedisServer server;
    const larder::redis::Client client{server.unix_url()};
    Store product{client, "product"};
    Store page{client, "page"};
    NearEar products;
    NearEar pages;
    const auto product_feed = product.watch(products, 2s);
    const auto page_feed = page.watch(pages, 2s);
    product.put(1, "x", {1min});
    page.put(2, "x", {1min});
    server.run("SET", "products:3", "x");
    server.run("SET", "~refresh:product:3", "x");
    server.run("SET", "~clock:product", "x");
    server.run("EVAL", "redis.call('SELECT', 3) redis.call('SET', KEYS[1], 1)", "1", "product:4");
    product.put(5, "x", {1min});
    page.put(5, "x", {1min});
    REQUIRE(eventually([&] { return products.heard("key 5") && pages.heard("key 5"); }));
    // A server does not tell databases apart: a false alarm.
    CHECK(products.take() == Words{"all start", "key 1", "key 4", "key 5"});
    CHECK(pages.take() == Words{"all start", "key 2", "key 5"});
    server.run("EVAL", "redis.call('SELECT', 3) redis.call('FLUSHDB')", "0");
    CHECK(eventually([&] { return products.heard("all server_flush"); }));
    CHECK(eventually([&] { return pages.heard("all server_flush"); }));
    server.run("FLUSHALL", "ASYNC");
    CHECK(eventually([&] { return products.count("all server_flush") == 2; }));
    CHECK(reliable(*product_feed));
    CHECK(stats_of(*product_feed).near_server_flushes == 2);
    CHECK(stats_of(*product_feed).near_invalidations == 3);
}

TEST_CASE("a tracking connection that is cut is opened anew, then near is emptied, then served",
          "[redis]") {
    RedisServer server;
    Told told{server.tcp_url()};
    SECTION("somebody kills it") {
        kill_trackers(server);
    }
    SECTION("the server is restarted") {
        server.restart();
    }
    SECTION("it cannot tell as fast as things change") {
        server.run("CONFIG", "SET", "client-output-buffer-limit", "pubsub 64kb 0 0");
        server.run("EVAL",
                   "for i = 1, 5000 do redis.call('SET', 'product:of a long name ' .. i, 1) end",
                   "0");
    }
    REQUIRE(eventually([&] { return told.ear.heard("all cut"); }));
    REQUIRE(eventually([&] { return reliable(*told.feed); }));
    CHECK(stats_of(*told.feed).near_cuts >= 1);
    static_cast<void>(told.ear.take());
    server.run("SET", "product:1", "x");
    CHECK(eventually([&] { return told.ear.heard("key 1"); }));
}

TEST_CASE("near is not served for longer than the silence, nor while nobody listens", "[redis]") {
    RedisServer server;
    Told told{server.unix_url(), 200ms};
    CHECK(reliable(*told.feed));
    CHECK_FALSE(told.feed->reliable(Clock::now() + 200ms));
    SECTION("the server is frozen, and goes on") {
        server.freeze();
        const auto frozen = Clock::now();
        CHECK(eventually([&] { return !reliable(*told.feed); }));
        CHECK_FALSE(told.feed->reliable(frozen + 200ms));
        REQUIRE(eventually([&] { return Clock::now() > frozen + 300ms; }));
        CHECK_FALSE(reliable(*told.feed));
        server.thaw();
        CHECK(eventually([&] { return reliable(*told.feed); }));
    }
    SECTION("it is dead, and comes back") {
        const std::size_t flushes = told.ear.count("all cut");
        server.kill();
        CHECK(eventually([&] { return !reliable(*told.feed); }));
        CHECK(told.ear.count("all cut") == flushes);  // it is emptied when it is served again
        server.start();
        CHECK(eventually([&] { return reliable(*told.feed); }));
        CHECK(told.ear.heard("all cut"));
    }
    SECTION("time goes by") {
        const auto end = Clock::now() + 500ms;
        while (Clock::now() < end) {
            std::this_thread::sleep_for(1ms);
        }
        CHECK(eventually([&] { return reliable(*told.feed); }));
        CHECK(told.ear.take() == Words{"all start"});
    }
}

TEST_CASE("another server that answers to the same name is listened to", "[redis]") {
    RedisServer other;
    RedisServer server;
    larder::redis::ClientOptions options;
    options.path = server.socket_path();
    options.breaker = options.max_breaker = 10ms;
    Store store{larder::redis::Client{options}, "product"};
    NearEar ear;
    const auto feed = store.watch(ear, 200ms);
    REQUIRE(reliable(*feed));
    // The connection stays, and the server goes on to answer: it only takes no writes.
    server.run("REPLICAOF", "127.0.0.1", std::to_string(other.port()));
    CHECK(eventually([&] {
        try {
            store.put(1, "x", {1min});
        } catch (const larder::StoreError&) {}
        return !reliable(*feed);
    }));
    server.run("REPLICAOF", "NO", "ONE");
    CHECK(eventually([&] { return reliable(*feed); }));
    CHECK(ear.heard("all topology"));
}

namespace {

/// The near copy of one key, and what it may be.
class OneNear final : public larder::detail::NearListener {
public:
    void changed(std::string_view) noexcept override { drop(); }
    void tag_changed(std::string_view) noexcept override {}
    void all_changed(larder::NearFlush) noexcept override { drop(); }

    /// What is served by this moment.
    [[nodiscard]] std::optional<std::size_t> look(const NearFeed& feed, Clock::time_point now) {
        const std::scoped_lock lock{mutex_};
        return feed.reliable(now) ? held_ : std::nullopt;
    }
    [[nodiscard]] std::uint64_t lease() {
        const std::scoped_lock lock{mutex_};
        return lease_ = ++last_;
    }
    void fill(std::uint64_t lease, std::size_t value) {
        const std::scoped_lock lock{mutex_};
        if (lease == lease_) {
            held_ = value;
        }
    }

private:
    void drop() noexcept {
        const std::scoped_lock lock{mutex_};
        held_.reset();
        lease_ = 0;
    }

    std::mutex mutex_{};
    std::optional<std::size_t> held_{};
    std::uint64_t lease_ = 0;
    std::uint64_t last_ = 0;
};

}  // namespace

TEST_CASE(
    "nothing is served that was replaced longer ago than the silence, however the connection fares",
    "[redis]") {
    constexpr Ttl silence = 60ms;
    const RedisServer server;
    server.run("SET", "product:1", "0");
    std::uint32_t luck = 17;
    std::set<std::size_t> silent;
    const RedisFront front{server, [&](std::size_t connection, RedisFront::Way, std::string&) {
                               luck = luck * 1664525U + 1013904223U;
                               if ((luck >> 16U) % 64 == 0) {
                                   silent.insert(connection);
                               }
                               return silent.contains(connection) ? RedisFront::Fate::swallow
                                      : (luck >> 16U) % 64 == 1   ? RedisFront::Fate::cut
                                                                  : RedisFront::Fate::pass;
                           }};
    larder::redis::ClientOptions options;
    options.path = front.path();
    options.connect_timeout = options.command_timeout = 50ms;
    options.breaker = options.max_breaker = 5ms;
    OneNear near;
    const auto feed = Store{larder::redis::Client{options}, "product"}.watch(near, silence);
    constexpr std::size_t most = 1'000'000;
    std::vector<std::atomic<Clock::rep>> replaced(most);  // value n, at the latest
    std::atomic<bool> done{false};
    std::size_t written = 0;
    std::thread writing{[&] {
        while (!done && written + 1 < most) {
            server.run("SET", "product:1", std::to_string(written + 1));
            replaced[written++] = Clock::now().time_since_epoch().count();
        }
    }};
    std::size_t hits = 0;
    std::size_t stale = 0;
    Clock::duration oldest{0};
    const auto end = Clock::now() + 1500ms;
    for (auto now = Clock::now(); now < end; now = Clock::now()) {
        if (const auto value = near.look(*feed, now)) {
            ++hits;
            if (const Clock::rep since = replaced[*value]; since != 0) {
                const auto age = now.time_since_epoch() - Clock::duration{since};
                ++stale;
                oldest = (std::max)(oldest, age);
            }
        } else {
            const auto lease = near.lease();
            near.fill(lease, std::stoul(server.run("GET", "product:1")));
        }
    }
    done = true;
    writing.join();
    const auto stats = stats_of(*feed);
    std::printf(
        "%zu writes, %zu near hits, %zu of them of what was replaced before, by %.1f ms at the "
        "most; %zu cuts, %zu silences\n",
        written, hits, stale, std::chrono::duration<double, std::milli>{oldest}.count(),
        static_cast<std::size_t>(stats.near_cuts), static_cast<std::size_t>(stats.near_silences));
    CHECK(hits > 0);
    CHECK(stats.near_cuts > 0);
    CHECK(stats.near_silences > 0);
    CHECK(oldest < silence);
}

TEST_CASE("a feed ends at once, whatever it is about", "[redis]") {
    larder::redis::ClientOptions options;
    options.connect_timeout = options.command_timeout = 60s;
    options.breaker = options.max_breaker = 60s;
    RedisServer server;
    std::atomic<bool> mute{false};
    std::atomic<std::size_t> swallowed{0};
    const RedisFront front{server, [&](std::size_t, RedisFront::Way way, std::string&) {
                               if (!mute || way == RedisFront::Way::request) {
                                   return RedisFront::Fate::pass;
                               }
                               ++swallowed;
                               return RedisFront::Fate::swallow;
                           }};
    int listener = -1;
    std::vector<int> waiting;
    NearEar ear;
    std::shared_ptr<NearFeed> feed;
    const auto watch = [&](const std::string& path) {
        options.path = path;
        feed = Store{larder::redis::Client{options}, "product"}.watch(ear, 10min);
        REQUIRE(reliable(*feed));
    };
    SECTION("it listens") {
        watch(server.socket_path());
    }
    SECTION("it shakes hands") {
        watch(front.path());
        mute = true;
        kill_trackers(server);
        REQUIRE(eventually([&] { return swallowed > 0; }));
    }
    SECTION("it connects") {
        watch(server.socket_path());
        server.kill();
        listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        server.socket_path().copy(address.sun_path, sizeof address.sun_path - 1);
        ::unlink(address.sun_path);
        const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
        REQUIRE(::bind(listener, generic, sizeof address) == 0);
        REQUIRE(::listen(listener, 0) == 0);
        for (bool room = true; room;) {
            waiting.push_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
            room = ::connect(waiting.back(), generic, sizeof address) == 0;
        }
        REQUIRE(eventually([&] { return !reliable(*feed); }));
    }
    SECTION("it pauses") {
        watch(server.socket_path());
        server.kill();
        REQUIRE(eventually([&] { return !reliable(*feed); }));
    }
    const auto begin = Clock::now();
    feed.reset();
    CHECK(Clock::now() - begin < 5s);
    ::close(listener);
    for (const int descriptor : waiting) {
        ::close(descriptor);
    }
}

namespace {

/// A server whose user `shop` may do what these rules say; the user's URL.
std::string user(const RedisServer& server, const std::string& rules) {
    Words words{"ACL", "SETUSER", "shop", "reset", "on", ">secret"};
    std::istringstream in{rules};
    for (std::string rule; in >> rule;) {
        words.push_back(rule);
    }
    REQUIRE(server.run_words(words) == "OK");
    return "redis://shop:secret@127.0.0.1:" + std::to_string(server.port());
}

/// As a server without tracking.
constexpr auto untracked = "+@all ~* &* -client|tracking";

/// Two stores on one server that tracks nothing, each with near copies.
struct Pair {
    Pair()
        : url{user(server, untracked)},
          store{larder::redis::Client{url}, "product"},
          feed{store.watch(ear, 1min)},
          there{url, 1min} {
        REQUIRE(feed->mode() == NearMode::channel);
        REQUIRE(there.feed->mode() == NearMode::channel);
        REQUIRE(said() == Words{"all start"});
    }

    /// What is told there of all that was done here.
    Words said() { return there.so_far(server); }
    Words said_of(const std::function<void()>& change) {
        change();
        return said();
    }

    RedisServer server{};
    std::string url;
    Store store;
    NearEar ear{};
    std::shared_ptr<NearFeed> feed;
    Told there;
};

/// A row for write-behind.
struct Nowhere {
    static std::optional<std::string> load(int) { return std::nullopt; }
    static bool save(int, const std::string&, std::uint64_t) { return true; }
    static bool remove(int, std::uint64_t) { return true; }
};

}  // namespace

TEST_CASE("where a server does not track, stores tell each other of all that they change",
          "[redis]") {
    Pair pair;
    Store& store = pair.store;
    larder::detail::CopyTerms terms;
    terms.life = {1min};
    larder::detail::CopyTerms tagged = terms;
    tagged.tags = {"red"};
    const std::vector<int> keys{1, 2};
    const Words one{"key 1"};
    const Words both{"key 1", "key 2"};
    const std::optional<std::string> value{"x"};
    SECTION("the plain store") {
        CHECK(pair.said_of([&] { store.put(1, "x", {1min}); }) == one);
        CHECK(pair.said_of([&] { store.put(1, "x", {0min}); }) == one);
        CHECK(pair.said_of([&] { store.erase(1); }) ==
              one);  // there may be near copies all the same
        const std::vector<std::pair<int, std::optional<std::string>>> pairs{{1, "x"}, {2, "y"}};
        CHECK(pair.said_of([&] { store.put_many(pairs, {1min}); }) == both);
        Words cleared = pair.said_of([&] { store.clear(); });
        std::sort(cleared.begin(), cleared.end());
        CHECK(cleared == both);
        CHECK(pair.said_of([&] { store.erase_many(keys); }) == both);
        pair.server.run("SET", "product:1", R"("x")");
        CHECK(pair.said().empty());  // by another program
        const auto look = [&] {
            Store::Query query{.remaining = true, .usual = 1min};
            CHECK(store.peek(
                1, [](auto&&...) {}, query));
        };
        CHECK(pair.said_of(look) == one);  // it has an end now
        CHECK(pair.said_of(look).empty());
    }
    SECTION("a load, and its end") {
        auto first = store.open(1);
        CHECK(pair.said_of([&] { store.release(1, first.lease); }).empty());
        first = store.open(1);
        CHECK(pair.said_of([&] { store.withdraw(1, first.lease); }) == one);
        first = store.open(1);
        const auto second = store.open(2);
        CHECK(pair.said().empty());
        CHECK(pair.said_of([&] { CHECK(store.fill(1, first.lease, value, tagged).kept); }) == one);
        const std::vector<larder::detail::FillRequest<int, std::string>> rows{
            {&keys[1], second.lease, &value, &terms}};
        CHECK(pair.said_of([&] { CHECK(store.fill_many(rows).front().kept); }) == Words{"key 2"});
    }
    SECTION("a reload beside a copy, and its renewals") {
        store.put(1, "x", {1min});
        static_cast<void>(pair.said());
        for (const bool force : {false, true}) {
            for (const auto& kept : {terms, tagged}) {
                const auto opening = store.open_refresh(1, force);
                REQUIRE(opening.lease.beside);
                CHECK(pair.said().empty());
                CHECK(pair.said_of(
                          [&] { CHECK(store.fill(1, opening.lease, value, kept).kept); }) == one);
            }
        }
        const auto opening = store.open_refresh(1, false);
        REQUIRE(eventually([&] {
            return pair.server.run("INFO", "commandstats").find("cmdstat_pexpire:") !=
                   std::string::npos;
        }));
        CHECK(pair.said().empty());
        CHECK(pair.said_of([&] { store.withdraw(1, opening.lease); }) == one);
    }
    SECTION("a write, and its end") {
        using larder::detail::Finish;
        for (const auto& end : {std::pair{Finish::value, terms}, std::pair{Finish::value, tagged},
                                std::pair{Finish::nothing, terms}}) {
            larder::detail::Ticket ticket;
            CHECK(pair.said_of([&] { ticket = store.begin_write(1, 1min); }) == one);
            CHECK(pair.said_of([&] {
                CHECK(store.finish_write(1, ticket, end.first, value, end.second));
            }) == one);
        }
        std::vector<larder::detail::Ticket> tickets;
        CHECK(pair.said_of([&] { tickets = store.begin_write_many(keys, 1min); }) == both);
        const std::vector<larder::detail::FinishRequest<int, std::string>> ends{
            {&keys[0], tickets[0], Finish::value, value, terms},
            {&keys[1], tickets[1], Finish::nothing, {}, terms}};
        CHECK(pair.said_of([&] { static_cast<void>(store.finish_write_many(ends)); }) == both);
    }
    SECTION("a write that the server missed") {
        CHECK(store.queue_invalidation(1, 10, {}));
        CHECK(eventually([&] { return pair.there.ear.heard("key 1"); }));
    }
    SECTION("a tag, whether or not an entry is known to carry it") {
        const std::vector<std::string> tags{"blue", "red"};
        CHECK(pair.said_of([&] { store.invalidate_tags(tags); }) == Words{"tag blue", "tag red"});
    }
    SECTION("a tag, while its hash slot moves") {
        const std::string several{"\r\n2\r\n$14\r\n~clock:product"};
        const std::string torn =
            "*3\r\n$4\r\nEVAL\r\n$44\r\nreturn redis.error_reply('TRYAGAIN for now')\r\n$1\r\n0\r\n";
        const RedisFront front{pair.server, [&](std::size_t, RedisFront::Way, std::string& bytes) {
                                   if (bytes.find(several) != std::string::npos) {
                                       bytes = torn;
                                   }
                                   return RedisFront::Fate::pass;
                               }};
        larder::redis::ClientOptions moving;
        moving.path = front.path();
        moving.user = "shop";
        moving.password = "secret";
        Store behind{larder::redis::Client{moving}, "product"};
        NearEar near;
        const auto heard = behind.watch(near, 2s);
        REQUIRE(heard->mode() == NearMode::channel);
        CHECK(pair.said_of([&] { behind.invalidate_tags(std::vector<std::string>{"red"}); }) ==
              Words{"tag red"});
    }
    SECTION("a change in a journal, with its copy") {
        larder::WriteBehindOptions lazy;
        lazy.delay = 1h;
        lazy.drain = 0ms;
        larder::WriteBehind cache{store, Nowhere{}, {.ttl = 1h}, lazy};
        CHECK(pair.said_of([&] { cache.put(1, "x"); }) == one);
        CHECK(pair.said_of([&] { cache.remove(1); }) == one);
        const std::vector<std::pair<int, std::string>> pairs{{1, "x"}, {2, "y"}};
        CHECK(pair.said_of([&] { cache.put_many(pairs); }) == both);
        CHECK(pair.said_of([&] { CHECK(cache.flush(30s) == 0); }).empty());
        larder::Tagged carrying{std::move(cache),
                                [](const std::string&) { return larder::Tags{"red"}; }};
        CHECK(pair.said_of([&] { carrying.put(1, "x"); }) == one);
    }
    CHECK(reliable(*pair.there.feed));
    CHECK(pair.server.run("ACL", "LOG").find("publish") == std::string::npos);
}

TEST_CASE("a store publishes only while near copies of it hear by the channel", "[redis]") {
    Pair pair;
    const auto published = [&] {
        const std::string all = pair.server.run("INFO", "commandstats");
        const auto at = all.find("cmdstat_publish:calls=");
        return at == std::string::npos ? 0 : std::stoi(all.substr(at + 22));
    };
    const auto quiet = [&](Store& store) {
        const int before = published();
        store.put(1, "x", {1min});
        store.invalidate_tags(std::vector<std::string>{"red"});
        return published() == before;
    };
    CHECK_FALSE(quiet(pair.store));
    Store without{larder::redis::Client{pair.url}, "product"};
    CHECK(quiet(without));
    NearEar another;
    pair.feed = pair.store.watch(another, 2s);
    CHECK_FALSE(quiet(pair.store));
    pair.feed.reset();
    CHECK(quiet(pair.store));
    Told tracked{pair.server.unix_url()};
    CHECK(tracked.feed->mode() == NearMode::tracking);
    CHECK(quiet(tracked.store));
    pair.there.feed.reset();  // it would try what it may not do any more
    user(pair.server, "+@all ~* -client|tracking resetchannels");
    Told alone{pair.url};
    CHECK(alone.feed->mode() == NearMode::ttl);
    pair.server.run("ACL", "LOG", "RESET");
    CHECK(quiet(alone.store));
    CHECK(pair.server.run("ACL", "LOG").empty());  // it does not even try
    // As long as nobody knows.
    user(pair.server, "+@all ~* &*");
    std::atomic<bool> cuts{false};
    const RedisFront front{pair.server, [&](std::size_t, RedisFront::Way, std::string& bytes) {
                               return cuts && bytes.find("CLIENT") != std::string::npos
                                          ? RedisFront::Fate::cut
                                          : RedisFront::Fate::pass;
                           }};
    Told lost{"unix://" + front.path()};
    CHECK(lost.feed->mode() == NearMode::tracking);
    CHECK(quiet(lost.store));
    cuts = true;
    kill_trackers(pair.server);
    REQUIRE(eventually([&] { return !reliable(*lost.feed); }));
    CHECK_FALSE(quiet(lost.store));
    lost.feed.reset();
    Told unsure{"unix://" + front.path()};
    CHECK(unsure.feed->mode() == NearMode::none);
    CHECK_FALSE(quiet(unsure.store));
}

TEST_CASE("a channel that is cut is opened anew, then near is emptied, then served", "[redis]") {
    Pair pair;
    SECTION("somebody kills it") {
        kill_trackers(pair.server);
    }
    SECTION("what comes makes no sense") {
        pair.server.run("EVAL", "redis.call('PUBLISH', '~changes:product', '')", "0");
        CHECK(pair.said().empty());  // it is no key of theirs
        pair.server.run("CLIENT", "KILL", "TYPE", "pubsub", "USER", "shop");
    }
    REQUIRE(eventually([&] { return pair.there.ear.heard("all cut"); }));
    REQUIRE(eventually([&] { return reliable(*pair.there.feed) && reliable(*pair.feed); }));
    CHECK(pair.there.feed->mode() == NearMode::channel);
    static_cast<void>(pair.said());
    CHECK(pair.said_of([&] { pair.store.put(1, "x", {1min}); }) == Words{"key 1"});
    // Who may do more by the time that he comes again is told by the server.
    user(pair.server, "+@all ~* &*");
    kill_trackers(pair.server);
    CHECK(eventually([&] { return pair.there.feed->mode() == NearMode::tracking; }));
    // And who may do less is told nothing.
    user(pair.server, "+@all ~* resetchannels");
    kill_trackers(pair.server);
    CHECK(eventually([&] { return pair.there.feed->mode() == NearMode::ttl; }));
    CHECK(eventually([&] { return reliable(*pair.there.feed); }));
}

TEST_CASE("where a server does not tell of changes, near copies live by their ttl", "[redis]") {
    RedisServer server;
    const std::string allow = "~product:* ~~clock:product ~~tag:product:* ~~refresh:product:*";
    const auto user = [&](const std::string& rules) { return ::user(server, rules); };
    const std::string channel = " &__redis__:invalidate";
    const std::string all = "+@all -@admin -@dangerous ";
    const auto mode = [&](const std::string& url) {
        Told told{url};
        CHECK(reliable(*told.feed));
        if (told.feed->mode() != NearMode::ttl) {
            CHECK(told.so_far(server) == Words{"all start"});
        } else {
            CHECK(told.feed->reliable(Clock::now() + 24h));
            CHECK(told.ear.take() == Words{"all start"});
        }
        return told.feed->mode();
    };
    CHECK(mode(user(all + "~* " + channel)) == NearMode::tracking);
    CHECK(mode(user(all + "resetchannels ~*")) == NearMode::ttl);
    CHECK(mode(user(all + "~* -client|tracking" + channel)) == NearMode::ttl);
    CHECK(mode(user(all + "~* -client" + channel)) == NearMode::ttl);
    CHECK(mode(user(all + "~* -subscribe" + channel)) == NearMode::ttl);
    CHECK(mode(user(all + "~* -ping" + channel)) == NearMode::ttl);
    // What it cannot try out it believes.
    CHECK(mode(user(all + allow + channel)) == NearMode::tracking);
    CHECK(mode(user(all + "~* -multi" + channel)) == NearMode::tracking);
    CHECK(mode(user(all + allow + " -client|trackinginfo" + channel)) == NearMode::ttl);
    CHECK(
        mode(user(
            "~~near:product:* -@all +client|id +client|tracking +multi +exec +set +del +subscribe +ping" +
            channel)) == NearMode::tracking);
    // What stores tell each other.
    const std::string own = " &~changes:product";
    CHECK(mode(user("-@all +subscribe +publish +ping" + own)) == NearMode::channel);
    CHECK(mode(user(all + "~* -client|tracking" + own)) == NearMode::channel);
    CHECK(mode(user(all + "~*" + own)) == NearMode::channel);
    CHECK(mode(user(all + "~* -client|tracking -publish" + own)) == NearMode::ttl);
    CHECK(mode(user(all + "~* -client|tracking &~changes:other")) == NearMode::ttl);
    server.run("CONFIG", "SET", "maxmemory", "1");
    server.run("CONFIG", "SET", "maxmemory-policy", "noeviction");
    Told told{server.unix_url()};
    CHECK(told.feed->mode() == NearMode::tracking);
}

TEST_CASE("a proxy that says OK and tells nothing is found out", "[redis]") {
    const RedisServer server;
    const RedisFront front{server, [](std::size_t, RedisFront::Way way, std::string& bytes) {
                               const auto at = bytes.find("*3\r\n$7\r\nmessage");
                               if (way == RedisFront::Way::reply && at != std::string::npos) {
                                   bytes.erase(at, bytes.find("*2\r\n", at) - at);
                               }
                               return bytes.empty() ? RedisFront::Fate::swallow
                                                    : RedisFront::Fate::pass;
                           }};
    Told told{"unix://" + front.path()};
    CHECK(told.feed->mode() == NearMode::ttl);
    told.store.put(1, "x", {1min});
    CHECK(server.run("INFO", "commandstats").find("cmdstat_publish:calls=1,") != std::string::npos);
}

namespace {

// Keys of all primaries are put, and each is told of.
void puts_are_told(Store& store, NearEar& ear) {
    static_cast<void>(ear.take());
    for (int key = 0; key < 100; ++key) {
        store.put(key, "x", {1min});
    }
    for (int key = 0; key < 100; ++key) {
        REQUIRE(eventually([&] { return ear.heard("key " + std::to_string(key)); }));
    }
}

}  // namespace

TEST_CASE("each primary of a cluster tells near copies of its own keys", "[redis][cluster]") {
    larder_test::RedisCluster cluster{3, 1};
    Store store{larder::redis::Client{cluster.url()}, "product"};
    NearEar ear;
    const auto feed = store.watch(ear, 1s);
    REQUIRE(reliable(*feed));
    CHECK(feed->mode() == NearMode::tracking);
    const auto told_of_all = [&] { puts_are_told(store, ear); };
    told_of_all();
    // A slot goes from one to another: its old place tells, and then its new one does.
    cluster.move_slot(
        cluster.owner_of("{1}") == 0 ? larder::redis::detail::hash_slot("1") : std::size_t{0}, 1);
    told_of_all();
    CHECK(ear.count("all topology") == 0);
    CHECK(reliable(*feed));
    // Another primary, and the old one lives on.
    cluster.fail_over(3);
    REQUIRE(eventually([&] {
        for (int key = 0; key < 20; ++key) {
            store.put(key, "x", {1min});
        }
        return ear.heard("all topology") && reliable(*feed);
    }));
    told_of_all();
    CHECK(trackers(cluster.node(0)).empty());
    for (std::size_t i = 1; i < 4; ++i) {
        const std::string all = trackers(cluster.node(i));
        CHECK(std::count(all.begin(), all.end(), '\n') == 1);
    }
    CHECK(reliable(*feed));
    // One dies, and its replica takes its place.
    cluster.node(1).kill();
    REQUIRE(eventually([&] { return !reliable(*feed); }));
    REQUIRE(eventually([&] {
        try {
            for (int key = 0; key < 20; ++key) {
                store.put(key, "x", {1min});
            }
        } catch (const larder::StoreError&) {}
        return reliable(*feed);
    }));
    CHECK(ear.heard("all cut"));
    told_of_all();
}

TEST_CASE("the stores of a cluster tell each other, through whichever primary they write to",
          "[redis][cluster]") {
    larder_test::RedisCluster cluster{3};
    for (std::size_t i = 0; i < 3; ++i) {
        user(cluster.node(i), untracked);
    }
    const std::string url = "redis+cluster://shop:secret@" + cluster.url().substr(16);
    Store store{larder::redis::Client{url}, "product"};
    Store there{larder::redis::Client{url}, "product"};
    NearEar here;
    NearEar ear;
    const auto feed = store.watch(here, 1s);
    const auto heard = there.watch(ear, 1s);
    REQUIRE(feed->mode() == NearMode::channel);
    REQUIRE(heard->mode() == NearMode::channel);
    const auto told_of_all = [&] {
        puts_are_told(store, ear);
        store.invalidate_tags(std::vector<std::string>{"red"});
        REQUIRE(eventually([&] { return ear.heard("tag red"); }));
    };
    told_of_all();
    cluster.move_slot(
        cluster.owner_of("{1}") == 0 ? larder::redis::detail::hash_slot("1") : std::size_t{0}, 1);
    told_of_all();
    CHECK(ear.count("all topology") == 0);
    // One of three connections is lost: the way stays the same.
    kill_trackers(cluster.node(1));
    REQUIRE(eventually([&] { return ear.heard("all cut") && reliable(*heard); }));
    CHECK(heard->mode() == NearMode::channel);
    told_of_all();
}

namespace {

/// Networks between this process and a network namespace, one for each node of a cluster; each can be cut
/// without a word to either side.
class Networks {
public:
    explicit Networks(std::size_t count) : count_{count} {
        made_ = run("ip netns add " + name_);
        for (std::size_t i = 0; made_ && i < count_; ++i) {
            const std::string here = name_ + std::to_string(i);
            made_ = run("ip link add " + here + " type veth peer name n" + std::to_string(i) +
                        " netns " + name_) &&
                    run("ip addr add " + address(i) + "/24 dev " + here) &&
                    run("ip link set " + here + " up") &&
                    run("ip -n " + name_ + " addr add " + network(i) + "2/24 dev n" +
                        std::to_string(i)) &&
                    run("ip -n " + name_ + " link set n" + std::to_string(i) + " up");
        }
    }
    Networks(const Networks&) = delete;
    Networks& operator=(const Networks&) = delete;
    ~Networks() {
        for (std::size_t i = 0; i < count_; ++i) {
            run("ip link del " + name_ + std::to_string(i));
        }
        run("ip netns del " + name_);
    }

    [[nodiscard]] bool made() const noexcept { return made_; }
    /// Of a node. The addresses are those for tests of networks (RFC 2544).
    [[nodiscard]] static std::string address(std::size_t i) { return network(i) + '1'; }

    /// What is sent over it from now on is lost.
    void cut(std::size_t i) const {
        REQUIRE(run("ip -n " + name_ + " link set n" + std::to_string(i) + " down"));
    }
    void mend(std::size_t i) const {
        REQUIRE(run("ip -n " + name_ + " link set n" + std::to_string(i) + " up"));
    }

    /// This thread, and those that it starts, are there.
    void enter() const {
        const int there = ::open(("/var/run/netns/" + name_).c_str(), O_RDONLY | O_CLOEXEC);
        REQUIRE(::setns(there, CLONE_NEWNET) == 0);
        ::close(there);
    }

private:
    static std::string network(std::size_t i) {
        return "198.18." + std::to_string(static_cast<std::size_t>(::getpid()) % 120 * 2 + i) + '.';
    }
    static bool run(const std::string& command) {
        return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
    }

    std::size_t count_;
    std::string name_ = "lt" + std::to_string(::getpid() % 100'000);
    bool made_ = false;
};

}  // namespace

TEST_CASE("a client that is cut off from one primary serves no near copies", "[redis][cluster]") {
    const Networks networks{2};
    if (!networks.made()) {
        WARN("skipped: ip netns is not available");
        return;
    }
    larder_test::RedisCluster cluster{2, 0, {"--bind", "0.0.0.0", "--protected-mode", "no"}};
    std::string url = "redis+cluster://";
    for (std::size_t i = 0; i < 2; ++i) {
        cluster.node(i).run("CONFIG", "SET", "cluster-announce-ip", Networks::address(i));
        url += (i > 0 ? "," : "") + Networks::address(i) + ':' +
               std::to_string(cluster.node(i).port());
    }
    REQUIRE(eventually([&] {
        const std::string all = cluster.node(0).run("CLUSTER", "SLOTS");
        return all.find(Networks::address(0)) != std::string::npos &&
               all.find(Networks::address(1)) != std::string::npos;
    }));
    std::thread there{[&] {
        networks.enter();
        Store store{larder::redis::Client{url + "?connect_timeout=100ms"}, "product"};
        NearEar ear;
        const auto feed = store.watch(ear, 300ms);
        REQUIRE(reliable(*feed));
        networks.cut(1);
        const auto cut = Clock::now();
        REQUIRE(eventually([&] { return !reliable(*feed); }));
        CHECK(Clock::now() - cut < 10s);
        CHECK_FALSE(feed->reliable(cut + 300ms));
        // The other primary can be reached all the while.
        CHECK(cluster.node(0).run("CLIENT", "LIST", "TYPE", "pubsub") != "");
        REQUIRE(eventually([&] { return Clock::now() > cut + 700ms; }));
        CHECK_FALSE(reliable(*feed));
        networks.mend(1);
        CHECK(eventually([&] { return reliable(*feed); }));
        CHECK(ear.take() == Words{"all start", "all silence"});
        for (std::size_t i = 0; i < 2; ++i) {
            const std::string key = "product:{" + std::to_string(tag_of(cluster, i)) + "}:1";
            cluster.node(i).run("SET", key, "x");
            CHECK(eventually([&] { return ear.heard("key 1"); }));
            static_cast<void>(ear.take());
        }
    }};
    there.join();
}

TEST_CASE("a forked child is told by itself", "[redis]") {
    if (!larder_test::can_fork) {
        return;
    }
    RedisServer server;
    Told told{server.unix_url()};
    REQUIRE(reliable(*told.feed));
    const auto trackers_of = [&] {
        const std::string all = trackers(server);
        return std::count(all.begin(), all.end(), '\n');
    };
    CHECK(trackers_of() == 1);
    const int ended = larder_test::in_child([&]() -> const char* {
        if (reliable(*told.feed)) {
            return "what the parent is told counts in the child";
        }
        told.feed->resume();
        if (!eventually([&] { return reliable(*told.feed); }) || !told.ear.heard("all start")) {
            return "it does not begin anew";
        }
        server.run("SET", "product:1", "");
        if (!eventually([&] { return told.ear.heard("key 1"); })) {
            return "it is not told";
        }
        told.feed.reset();
        return nullptr;
    });
    CHECK(ended == 0);
    CHECK(eventually([&] { return told.ear.heard("key 1"); }));
    CHECK(stats_of(*told.feed).near_cuts == 0);
    CHECK(trackers_of() == 1);
    // A child that lives on without near copies does not keep its parent's connection.
    CHECK(larder_test::in_child([&]() -> const char* {
              const auto sockets = [] {
                  std::size_t count = 0;
                  for (const auto& one : std::filesystem::directory_iterator{"/proc/self/fd"}) {
                      std::error_code gone;
                      const auto what = std::filesystem::read_symlink(one, gone);
                      count += what.string().starts_with("socket:") ? 1U : 0U;
                  }
                  return count;
              };
              const std::size_t before = sockets();
              told.feed.reset();
              return sockets() + 1 == before ? nullptr : "it keeps the connection";
          }) == 0);
    CHECK(reliable(*told.feed));
}
