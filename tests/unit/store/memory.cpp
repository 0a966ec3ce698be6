// SPDX-License-Identifier: MIT

// MemoryStore beyond the contract that all stores share: bounds, weights, removals, eviction.

#include "support/catch.hpp"
#include "support/leading.hpp"

#include <larder/larder.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace std::chrono_literals;
using larder::ManualClock;
using larder::MemoryStore;
using larder::RemovalCause;
using larder::detail::Finish;
using larder::detail::InHand;
using larder::detail::Slot;
using larder::detail::Ticket;
using larder_test::Leading;

TEST_CASE("a store of capacity N holds any N keys, and never more", "[memory]") {
    MemoryStore<int, int> store{{.capacity = 5000, .shards = 16}};
    for (int key = 0; key < 5000; ++key) {
        store.put(key, key, {1h});
    }
    int found = 0;
    for (int key = 0; key < 5000; ++key) {
        store.put(key, key + 1, {1h});  // overwriting takes no room
        found += store.find(key)->value == key + 1 ? 1 : 0;
    }
    CHECK(found == 5000);
    CHECK(store.stats().evictions == 0);
    store.put(-1, 0, {1h});
    CHECK(store.size() == 5000);
    CHECK(store.stats().evictions == 1);
}

TEST_CASE("the bound is hard however many threads store", "[memory]") {
    MemoryStore<int, int> store{{.capacity = 64, .shards = 8}};
    std::atomic<bool> over{false};
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < 5000; ++i) {
                    store.put(t * 100'000 + i, i, {1h});
                    if (store.size() > 64) {
                        over = true;
                    }
                }
            });
        }
    }
    CHECK_FALSE(over);
    CHECK(store.size() == 64);
}

TEST_CASE("entries are weighed", "[memory]") {
    MemoryStore<int, std::string> store{
        {.max_weight = 100, .weigh = [](int, const std::string& value) { return value.size(); }}};
    store.put(1, std::string(60, 'a'), {1h});
    store.put(2, std::string(40, 'b'), {1h});
    CHECK(store.weight() == 100);
    store.put(3, std::string(10, 'c'), {1h});
    CHECK(store.weight() <= 100);
    CHECK(store.find(3));
    store.put(3, std::string(101, 'd'), {1h});  // too heavy: and what was there is gone
    CHECK_FALSE(store.find(3));
    CHECK(store.stats().oversized == 1);
    store.clear();
    CHECK(store.weight() == 0);
    CHECK(store.size() == 0);
}

TEST_CASE("options that make no sense are refused", "[memory]") {
    using Store = MemoryStore<int, int>;
    const auto weigh = [](int, int) { return std::size_t{1}; };
    CHECK_THROWS_AS(Store{{.capacity = 0}}, std::invalid_argument);
    CHECK_THROWS_AS(Store{{.max_weight = 5}}, std::invalid_argument);
    CHECK_THROWS_AS(Store({.weigh = weigh}), std::invalid_argument);
    CHECK_THROWS_AS(Store{{.shards = 5000}}, std::invalid_argument);
}

TEST_CASE("each removal is told with its cause", "[memory]") {
    ManualClock clock;
    std::vector<std::pair<int, RemovalCause>> told;
    MemoryStore<int, int, ManualClock>* self = nullptr;
    MemoryStore<int, int, ManualClock> store{
        {.capacity = 2,
         .on_removal =
             [&](int key, int, RemovalCause cause) {
                 told.emplace_back(key, cause);
                 (void)self->find(key);  // it may call the store
                 throw std::runtime_error{"ignored"};
             }},
        clock};
    self = &store;
    store.put(1, 10, {10s});
    store.put(1, 11, {10s});
    store.erase(1);
    store.put(2, 20, {10s});
    store.put(3, 30, {1h});
    store.put(4, 40, {1h});  // no room: one goes
    clock.advance(2h);
    store.put(5, 50, {1h});
    store.put(6, 60, {1h});
    store.clear();
    std::map<RemovalCause, int> causes;
    for (const auto& [key, cause] : told) {
        ++causes[cause];
    }
    CHECK(causes[RemovalCause::replaced] == 1);
    CHECK(causes[RemovalCause::erased] == 1);
    CHECK(causes[RemovalCause::evicted] == 1);
    CHECK(causes[RemovalCause::expired] == 2);
    CHECK(causes[RemovalCause::cleared] == 2);
}

TEST_CASE("all that leaves in one step is told, each once", "[memory]") {
    std::map<int, std::string> told;
    int times = 0;
    MemoryStore<int, std::string> store{
        {.max_weight = 100,
         .weigh = [](int, const std::string& value) { return value.size(); },
         .shards = 1,
         .on_removal =
             [&](int key, const std::string& value, RemovalCause) {
                 told.emplace(key, value);
                 ++times;
             }}};
    std::map<int, std::string> given;
    const auto fill = [&] {
        for (int key = 0; key < 10; ++key) {
            const auto at =
                given.insert_or_assign(key, std::string(10, static_cast<char>('a' + key)));
            store.put(key, at.first->second, {1h});
        }
    };
    SECTION("evicted for one that is heavy") {
        fill();
        store.put(10, std::string(100, 'z'), {1h});
        CHECK(store.find(10));
    }
    SECTION("cleared") {
        fill();
        store.clear();
    }
    CHECK(told == given);
    CHECK(times == 10);
}

TEST_CASE("a scan does not push out what is used again and again", "[memory]") {
    MemoryStore<int, int> store{{.capacity = 100, .shards = 1}};
    for (int round = 0; round < 5; ++round) {
        for (int key = 0; key < 50; ++key) {
            if (!store.find(key)) {
                store.put(key, key, {1h});
            }
        }
    }
    for (int key = 1000; key < 3000; ++key) {  // each once
        if (!store.find(key)) {
            store.put(key, key, {1h});
        }
    }
    int left = 0;
    for (int key = 0; key < 50; ++key) {
        left += store.find(key) ? 1 : 0;
    }
    CHECK(left >= 45);
}

TEST_CASE("clear fences what is under way", "[memory]") {
    MemoryStore<int, int> store;
    const auto load = store.open(1);
    const auto ticket = store.begin_write(2, 30s);
    store.clear();
    CHECK_FALSE(store.fill(1, load.lease, 10, {{1h}}).kept);
    CHECK(store.finish_write(2, ticket, larder::detail::Finish::value, 20, {{1h}}));
    CHECK_FALSE(store.find(1));
    CHECK_FALSE(store.find(2));
}

TEST_CASE("visit reads in place, by any string", "[memory]") {
    ManualClock clock;
    MemoryStore<std::string, std::string, ManualClock> store{{}, clock};
    store.put("key", "value", {10s, 10s});
    std::size_t size = 0;
    CHECK(store.visit(std::string_view{"key"}, [&](const std::string& v) { size = v.size(); }));
    CHECK(size == 5);
    clock.advance(11s);
    CHECK_FALSE(store.visit("key", [](const std::string&) {}));
    CHECK(store.find("key")->remaining == -1s);
    clock.advance(9s);
    CHECK_FALSE(store.find("key"));
}

TEST_CASE("a store that is large enough is a map", "[memory]") {
    std::mt19937 random{7};
    MemoryStore<int, int> store{{.capacity = 1000}};
    std::unordered_map<int, int> map;
    for (int i = 0; i < 20'000; ++i) {
        const int key = static_cast<int>(random() % 200);
        switch (random() % 3) {
            case 0:
                store.put(key, i, {1h});
                map[key] = i;
                break;
            case 1: REQUIRE(store.erase(key) == (map.erase(key) > 0)); break;
            default: {
                const auto found = store.find(key);
                REQUIRE(found.has_value() == map.contains(key));
                if (found) {
                    REQUIRE(found->value == map[key]);
                }
            }
        }
    }
    CHECK(store.size() == map.size());
}

namespace {

constexpr larder::Lifetime hour{1h};

// Counts its copies.
struct Counted {
    int number = 0;
    static inline int copies = 0;

    explicit Counted(int of) : number{of} {}
    Counted(const Counted& other) : number{other.number} { ++copies; }
    Counted(Counted&&) = default;
    Counted& operator=(const Counted&) = default;
    Counted& operator=(Counted&&) = default;
    ~Counted() = default;
};

// Stands where it is put.
struct FixedClock {
    std::shared_ptr<std::chrono::steady_clock::time_point> at =
        std::make_shared<std::chrono::steady_clock::time_point>();
    [[nodiscard]] std::chrono::steady_clock::time_point now() const { return *at; }
};

}  // namespace

TEST_CASE("nobody goes for a copy that is thrown away", "[memory]") {
    MemoryStore<int, int> store{{.capacity = 2, .shards = 1}};
    store.put(1, 1, hour);
    store.put(2, 2, hour);
    const auto full = [&] {
        return store.find(1) && store.find(2) && store.stats().evictions == 0;
    };
    SECTION("of a write that was overlapped") {
        const Ticket one = store.begin_write(3, 30s);
        const Ticket two = store.begin_write(3, 30s);
        CHECK(store.finish_write(3, two, Finish::value, 3, {hour}));
        CHECK(store.finish_write(3, one, Finish::value, 3, {hour}));
        CHECK(full());
    }
    SECTION("of a put while the key is written") {
        const Ticket ticket = store.begin_write(3, 30s);
        store.put(3, 3, hour);
        CHECK(full());
        CHECK(store.finish_write(3, ticket, Finish::nothing, {}, {}));
    }
    SECTION("of a write whose ticket is gone") {
        CHECK_FALSE(store.finish_write(3, Ticket{99}, Finish::value, 3, {hour}));
        CHECK(full());
    }
    SECTION("of a load that was fenced") {
        const Leading<int> lease{store.open(3)};
        store.erase(3);
        CHECK_FALSE(store.fill(3, lease, 3, {hour}).kept);
        CHECK(full());
    }
    SECTION("of a load whose tag was invalidated") {
        const Leading<int> lease{store.open(3)};
        const std::vector<std::string> tags{"tag"};
        store.invalidate_tags(tags);
        CHECK_FALSE(store.fill(3, lease, 3, {hour, tags}).kept);
        CHECK(full());
    }
    CHECK(store.in_hand() == InHand{});
}

TEST_CASE("a key that does not equal itself costs nothing", "[memory]") {
    MemoryStore<double, int> store{{.capacity = 4, .shards = 1}};
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (int round = 0; round < 20; ++round) {
        store.put(nan, round, hour);
        CHECK_FALSE(store.find(nan));
        CHECK_FALSE(store.erase(nan));
        auto opening = store.open(nan);
        CHECK(opening.slot == Slot::lead);
        CHECK_FALSE(store.fill(nan, opening.lease, round, {hour}).kept);
        const auto forced = store.open_refresh(nan, true);
        store.withdraw(nan, forced.lease);
        store.release(nan, forced.lease);
        const Ticket ticket = store.begin_write(nan, 30s);
        CHECK(store.finish_write(nan, ticket, Finish::value, round, {hour}));
        CHECK(store.in_hand() == InHand{});
        CHECK(store.size() == 0);
    }
    for (int key = 0; key < 10; ++key) {
        store.put(key, key, hour);
    }
    CHECK(store.size() == 4);
}

namespace {
struct alignas(256) Wide {
    int is = 0;
};
struct Huge {
    std::array<char, 5000> bytes{};
};
}  // namespace

TEST_CASE("values may have any size and alignment", "[memory]") {
    MemoryStore<int, Wide> wide{{.capacity = 100}};
    MemoryStore<int, Huge> huge{{.capacity = 100}};
    for (int key = 0; key < 200; ++key) {
        wide.put(key, Wide{key}, hour);
        huge.put(key, Huge{{static_cast<char>(key % 100)}}, hour);
    }
    CHECK(wide.size() == 100);
    int seen = 0;
    for (int key = 0; key < 200; ++key) {
        wide.visit(key, [&](const Wide& value) {
            CHECK(reinterpret_cast<std::uintptr_t>(&value) % alignof(Wide) == 0);
            CHECK(value.is == key);
            ++seen;
        });
        huge.visit(key, [&](const Huge& value) { CHECK(value.bytes[0] == key % 100); });
    }
    CHECK(seen == 100);
}

TEST_CASE("only what follows no pointer is read without the lock", "[memory]") {
    using larder::detail::StoredEntry;
    using Same = std::equal_to<>;
    enum class Number : std::uint8_t {};
    STATIC_REQUIRE(StoredEntry<int, double, larder::Hash<int>, Same>::by_words);
    STATIC_REQUIRE(StoredEntry<Number, std::array<int, 4>, larder::Hash<Number>, Same>::by_words);
    using Name = std::array<char, 16>;
    STATIC_REQUIRE(StoredEntry<Name, int, larder::Hash<Name>, std::equal_to<Name>>::by_words);
    // A key that is compared by what it points to, a comparison of one's own, a value that points.
    using View = std::string_view;
    STATIC_REQUIRE_FALSE(StoredEntry<View, int, larder::Hash<View>, Same>::by_words);
    STATIC_REQUIRE_FALSE(StoredEntry<const int*, int, std::hash<const int*>, Same>::by_words);
    STATIC_REQUIRE_FALSE(StoredEntry<int, int, larder::Hash<int>, std::less<>>::by_words);
    STATIC_REQUIRE_FALSE(StoredEntry<int, int*, larder::Hash<int>, Same>::by_words);
}

namespace {
struct Narrow {
    unsigned operator()(int key) const noexcept { return static_cast<unsigned>(key) * 2654435761U; }
};
}  // namespace

TEST_CASE("a hash of few bits fills all shards", "[memory]") {
    MemoryStore<int, int, larder::SteadyClock, Narrow> store{{.capacity = 2'100'000, .shards = 64}};
    for (int key = 0; key < 1'100'000; ++key) {
        store.put(key, key, hour);
    }
    CHECK(store.size() == 1'100'000);  // more than one shard could hold
    CHECK(store.stats().evictions == 0);
}

TEST_CASE("time may stand anywhere", "[memory]") {
    using Instant = std::chrono::steady_clock::time_point;
    const FixedClock clock;
    MemoryStore<int, int, FixedClock> store{{.capacity = 10}, clock};
    for (const Instant now :
         {(Instant::min)(), Instant{} - 1h, Instant{} - 1ms, Instant{}, Instant{} + 1h}) {
        *clock.at = now;
        for (const larder::Ttl life : {larder::Ttl{1}, larder::Ttl{1h}, (larder::Ttl::max)()}) {
            store.put(1, 1, {life, (larder::Ttl::max)()});
            const auto entry = store.find(1);
            REQUIRE(entry);
            CHECK(entry->remaining == larder::detail::cut(life));
            const auto opening = store.open(1);
            REQUIRE(opening.slot == Slot::hit);
            CHECK(opening.copy->fresh == larder::detail::cut(life));
            // A place that a write has taken is empty.
            const Ticket ticket = store.begin_write(1, life);
            CHECK_FALSE(store.find(1));
            CHECK(store.open(1).slot == Slot::bypass);
            CHECK(store.finish_write(1, ticket, Finish::value, 2, {{life}}));
            CHECK(store.find(1)->value == 2);
        }
        // Of tickets that nobody gives back, those beyond the most that are kept by name too.
        for (int i = 0; i < 40; ++i) {
            (void)store.begin_write(1, 1s);
        }
        CHECK(store.open(1).slot == Slot::bypass);
        *clock.at = now + 1s;
        CHECK(store.in_hand() == InHand{});
        CHECK(store.open(1).slot == Slot::lead);
    }
    // At the end of time, where nothing ends any more, nothing overflows.
    *clock.at = (Instant::max)();
    store.put(1, 1, {(larder::Ttl::max)(), (larder::Ttl::max)()});
    CHECK(store.find(1)->remaining == larder::detail::longest_life);
    (void)store.begin_write(1, (larder::Ttl::max)());
    (void)store.begin_write(1, (larder::Ttl::min)());
    CHECK(store.in_hand() == InHand{});
}

// Rule S18.
TEST_CASE("lives are cut to a hundred years", "[memory]") {
    using larder::detail::cut;
    using larder::detail::later;
    using larder::detail::left;
    using Instant = std::chrono::steady_clock::time_point;
    constexpr larder::Ttl most = larder::detail::longest_life;
    STATIC_REQUIRE(cut((larder::Ttl::max)()) == most);
    STATIC_REQUIRE(cut((larder::Ttl::min)()) == -most);
    STATIC_REQUIRE(cut(most + 1ms) == most);
    STATIC_REQUIRE(cut(most - 1ms) == most - 1ms);
    STATIC_REQUIRE(cut(larder::Ttl{-5}) == larder::Ttl{-5});
    STATIC_REQUIRE(later((Instant::max)(), 1ms) == (Instant::max)());
    STATIC_REQUIRE(later((Instant::max)() - 1ms, 1ms) == (Instant::max)());
    STATIC_REQUIRE(later((Instant::min)(), larder::Ttl{-1}) == (Instant::min)());
    STATIC_REQUIRE(later((Instant::min)(), 1ms) == (Instant::min)() + 1ms);
    STATIC_REQUIRE(later(Instant{}, (larder::Ttl::max)()) == Instant{} + most);
    STATIC_REQUIRE(left((Instant::max)(), (Instant::min)()) == (Instant::duration::max)());
    STATIC_REQUIRE(left((Instant::min)(), (Instant::max)()) == (Instant::duration::min)());
    STATIC_REQUIRE(left((Instant::max)(), Instant{}) == (Instant::duration::max)());
    STATIC_REQUIRE(left((Instant::min)(), Instant{}) == (Instant::duration::min)());
    STATIC_REQUIRE(left(Instant{} + 5ms, Instant{} - 5ms) == 10ms);
    STATIC_REQUIRE(left(Instant{} - 5ms, Instant{} + 5ms) == -10ms);
}

TEST_CASE("a value is copied where it is needed", "[memory]") {
    ManualClock clock;
    MemoryStore<int, Counted, ManualClock> store{{.capacity = 4}, clock};
    store.put(1, Counted{1}, {1min, 1min});
    Counted::copies = 0;
    const auto copies = [] { return std::exchange(Counted::copies, 0); };
    CHECK(store.open(1).slot == Slot::hit);
    CHECK(copies() == 1);
    CHECK(store.open_refresh(1, false).copy);
    CHECK(store.open_refresh(1, true).copy);
    CHECK(copies() == 0);
    CHECK(store.visit(1, [](const Counted& value) { CHECK(value.number == 1); }));
    CHECK(copies() == 0);
}

TEST_CASE("a store tells how much it holds", "[memory]") {
    MemoryStore<int, std::string> store{
        {.capacity = 7, .max_weight = 100, .weigh = [](int, const std::string& value) {
             return value.size();
         }}};
    store.put(1, std::string(60, 'a'), {1h});
    store.put(2, std::string(30, 'b'), {1h});
    const larder::Stats stats = store.stats();
    CHECK(stats.entries == 2);
    CHECK(stats.weight == 90);
    CHECK(stats.capacity == 100);  // the bound that counts where entries are weighed
}

TEST_CASE("a store is cleared while others use it", "[memory]") {
    std::atomic<int> removed{0};
    MemoryStore<int, int> store{
        {.capacity = 64, .shards = 4, .on_removal = [&](int, int, RemovalCause) { ++removed; }}};
    std::atomic<int> put{0};
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 3; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < 2000; ++i) {
                    const Ticket ticket = store.begin_write(t * 10'000 + i, 30s);
                    store.finish_write(t * 10'000 + i, ticket, Finish::value, i, {hour});
                    ++put;
                }
            });
        }
        for (int i = 0; i < 200; ++i) {
            store.clear();
        }
    }
    store.clear();
    CHECK(store.size() == 0);
    CHECK(store.in_hand() == InHand{});
    CHECK(removed <= put);
}

TEST_CASE("threads whose places are all taken by others make room in each other's parts",
          "[memory]") {
    MemoryStore<int, int> store{{.capacity = 3, .shards = 16}};
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < 3000; ++i) {
                    const int key = i % 20;
                    auto opening = store.open(key);
                    if (opening.slot == Slot::lead) {
                        store.fill(key, opening.lease, t, {hour});
                    }
                    const Ticket ticket = store.begin_write(key, 30s);
                    store.finish_write(key, ticket, Finish::value, t, {hour});
                }
            });
        }
    }
    CHECK(store.size() <= 3);
    CHECK(store.in_hand() == InHand{});
}

TEST_CASE("a listener may read the key whose load it interrupts", "[memory]") {
    ManualClock clock;
    std::function<void(int)> expired;
    MemoryStore<int, int, ManualClock> store{{.on_removal =
                                                  [&](int key, int, RemovalCause cause) {
                                                      if (cause == RemovalCause::expired) {
                                                          expired(key);
                                                      }
                                                  }},
                                             clock};
    larder::CacheAside cache{store, [](int key) { return key + 1; }, {.ttl = 1s}};
    int called = 0;
    expired = [&](int key) {
        ++called;
        try {
            const auto value = cache.get(key);
            CHECK(value == key + 1);
        } catch (const larder::Error& error) {
            CHECK(error.code() == larder::Errc::recursive_load);
        }
    };
    CHECK(cache.get(1) == 2);
    clock.advance(2s);
    CHECK(cache.get(1) == 2);
    CHECK(called == 1);
    clock.advance(2s);
    const std::vector keys{2, 1};
    CHECK(cache.get_many(keys)[1] == 2);
    CHECK(called == 2);
    clock.advance(2s);
    CHECK(cache.refresh(1) == 2);
    CHECK(called >= 2);
    CHECK(store.in_hand() == InHand{});
}

TEST_CASE("what lives for ever is not reloaded, and has no age", "[memory]") {
    ManualClock clock;
    MemoryStore<int, int, ManualClock> store{{}, clock};
    int loads = 0;
    larder::RefreshAhead cache{store,
                               [&](int key) {
                                   ++loads;
                                   return larder::Loaded<int>{.value = key,
                                                              .ttl = (larder::Ttl::max)()};
                               },
                               {.executor = larder::Executor{[](larder::Task task) { task(); }}}};
    for (int i = 0; i < 10; ++i) {
        CHECK(cache.get(1) == 1);
    }
    CHECK(loads == 1);
    CHECK(cache.fetch(1).age == 0ms);
    clock.advance(std::chrono::hours{24 * 365});
    CHECK(cache.fetch(1).age == std::chrono::hours{24 * 365});
    CHECK(loads == 1);
}

TEST_CASE("a refresh that went without a word is not under way any more", "[memory]") {
    ManualClock clock;
    MemoryStore<int, int, ManualClock> store{{}, clock};
    store.put(1, 10, {100s});
    const auto under_way = [&] {
        bool shown = false;
        CHECK(store.peek(1, [&](const int*, auto, auto, bool refreshing) { shown = refreshing; }));
        return shown;
    };
    for (const bool force : {false, true}) {
        {
            const Leading<int> refresh{store.open_refresh(1, force)};
            CHECK(under_way());
            CHECK(store.open_refresh(1, false).copy->refreshing);
        }
        CHECK(!under_way());
        CHECK(!under_way());  // nor found again
    }
    {
        const Leading<int> first{store.open_refresh(1, true)};
        const Leading<int> second{store.open_refresh(1, true)};
        store.release(1, first);
        CHECK(under_way());
        store.release(1, second);
        CHECK(!under_way());
    }
    CHECK(!Leading<int> { store.open_refresh(1, false) } -> copy->refreshing);
}

#if defined(__unix__)
TEST_CASE("what a parent has in hand is over in its child", "[memory][fork]") {
    MemoryStore<int, int> store{{.capacity = 10}};
    store.put(1, 10, hour);
    const Leading<int> loading{store.open(2)};
    const Leading<int> refreshing{store.open_refresh(1, false)};
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const bool sound = [&] {
            bool under_way = true;
            store.peek(1, [&](const int*, auto, auto, bool shown) { under_way = shown; });
            if (under_way || store.find(1)->value != 10 || store.underway(1) || store.underway(2) ||
                store.in_hand() != InHand{}) {
                return false;
            }
            auto opening = store.open(2);
            if (opening.slot != Slot::lead || store.fill(2, loading, 1, {hour}).kept ||
                !store.fill(2, opening.lease, 20, {hour}).kept) {
                return false;
            }
            const Ticket ticket = store.begin_write(1, 30s);
            return store.finish_write(1, ticket, Finish::value, 11, {hour}) &&
                   store.find(1)->value == 11 && store.erase(2);
        }();
        std::_Exit(sound ? 0 : 1);
    }
    int status = -1;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(store.fill(2, loading, 20, {hour}).kept);
    CHECK(store.fill(1, refreshing, 11, {hour}).kept);
}
#endif
