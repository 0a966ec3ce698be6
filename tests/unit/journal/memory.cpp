// SPDX-License-Identifier: MIT

// The journal in memory: each of its functions carries out all that it says, or throws and leaves the
// journal as it was.

#include "support/catch.hpp"
#include "support/failing_steps.hpp"

#include <larder/larder.hpp>

#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <limits>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {
// Not inlined: a compiler that sees free() behind operator delete warns of a mismatch.
[[gnu::noinline]] void give_back(void* memory) noexcept {
    std::free(memory);
}
}  // namespace

// Memory that is out is a step that fails, too.
void* operator new(std::size_t size) {
    larder_test::Steps::step();
    if (void* const memory = std::malloc(size)) {
        return memory;
    }
    throw std::bad_alloc{};
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return std::malloc(size);
}
void operator delete(void* memory) noexcept {
    give_back(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    give_back(memory);
}

using namespace std::chrono_literals;
using larder::Change;
using larder::Claimed;
using larder::Ttl;
using larder_test::Movable;
using larder_test::Stepping;
using larder_test::SteppingClock;
using larder_test::Steps;

namespace {

static_assert(larder::BoundedJournal<larder::MemoryJournal<int, Stepping>>);
static_assert(larder::BoundedJournal<larder::Unshared<larder::MemoryJournal<int, int>>>);

constexpr Ttl endless = (Ttl::max)();
constexpr std::size_t all = 100;

// A journal in which there is one of everything: a dead letter (1), a change that is claimed (2), one
// that was superseded since (3), one that waits for its next try (4), and fresh ones (5, 6).
template <class V>
struct World {
    using Key = Stepping;
    using Journal = larder::MemoryJournal<Key, V, SteppingClock>;

    SteppingClock clock{};
    Journal journal{clock};
    std::vector<Claimed<Key, V>> held{};
    std::vector<std::uint64_t> versions{};  // of each key, as it begins

    World() {
        record(1, 10);
        journal.bury(claim_one(), "unwanted");
        record(2, 20);
        record(3, 30);
        held = journal.claim(2, 1min, 0ms);
        record(3, 31);
        record(4, std::nullopt);
        journal.defer(claim_one(), 30s);
        clock.advance(5ms);
        record(5, 50);
        clock.advance(5ms);
        record(6, 60);
        for (int key = 0; key < 10; ++key) {
            versions.push_back(version(key));
        }
    }

    static Change<Key, V> change(int key, std::optional<int> value) {
        return {Key{key}, value ? std::optional<V>{V{*value}} : std::nullopt, 0};
    }
    void record(int key, std::optional<int> value) { journal.record(change(key, value)); }
    Claimed<Key, V> claim_one() { return journal.claim(1, 1min, 0ms).at(0); }
    std::uint64_t version(int key) {
        if (const auto pending = journal.pending(Key{key})) {
            return pending->version;
        }
        for (const auto& letter : journal.dead_letters()) {
            if (letter.change.key.n == key) {
                return letter.change.version;
            }
        }
        return 0;
    }

    // All that can be seen of it. Nothing can be asked of it after that.
    std::string seen(bool settle_held) {
        std::string text = "size " + std::to_string(journal.size()) + ", oldest " +
                           std::to_string(journal.oldest().value_or(-1ms).count()) + "; ";
        for (int key = 0; key < 10; ++key) {
            if (const auto pending = journal.pending(Key{key})) {
                text += show(*pending);
            }
        }
        text += "dead " + std::to_string(journal.buried()) + ": ";
        for (const auto& letter : journal.dead_letters()) {
            text += show(letter.change) + letter.why + 'x' + std::to_string(letter.attempts) + ' ';
            CHECK(letter.first <= letter.last);
        }
        text += "newer ";
        for (int key = 0; key < 10; ++key) {
            const std::uint64_t before = versions[static_cast<std::size_t>(key)];
            const std::uint64_t now = version(key);
            CHECK((now == 0 || now >= before));
            text += now > before ? std::to_string(key) + ' ' : "";
        }
        if (settle_held) {
            text += "settled ";
            for (const bool settled : journal.settle(held)) {
                text += settled ? 'y' : 'n';
            }
        }
        for (const Ttl pause : {0ms, 30'000ms, 30'000ms, 3'600'000ms}) {
            clock.advance(pause);
            text += "; due ";
            for (const auto& claimed : journal.claim(all, 1min, 1ms)) {
                text += show(claimed.change) + 'x' + std::to_string(claimed.attempts) + ' ';
            }
        }
        clock.advance(1h);
        const auto rest = journal.claim(all, 1min, 0ms);
        CHECK(rest.size() == journal.size());
        CHECK(journal.settle(rest) == std::vector<bool>(rest.size(), true));
        CHECK(journal.size() == 0);
        CHECK_FALSE(journal.oldest());
        return text;
    }
    static std::string show(const Change<Key, V>& change) {
        return std::to_string(change.key.n) + '=' +
               (change.value ? std::to_string(change.value->n) : "none") + ' ';
    }
};

template <class V>
struct Verb {
    std::string name;
    std::function<void(World<V>&)> act;
};

template <class V>
std::vector<Verb<V>> verbs() {
    using W = World<V>;
    const auto record = [](int key, std::optional<int> value, std::size_t most) {
        return [key, value, most](W& w) {
            static_cast<void>(w.journal.record(W::change(key, value), most));
        };
    };
    return {
        {"record a new key", record(7, 70, all)},
        {"record a new removal", record(7, std::nullopt, all)},
        {"record a key that is pending", record(5, 51, all)},
        {"record a key that is claimed", record(2, std::nullopt, all)},
        {"record a key with a dead letter", record(1, 11, all)},
        {"record without room", record(7, 70, 5)},
        {"record without room and without need", record(5, 51, 5)},
        {"record without a bound", [](W& w) { w.journal.record(W::change(7, 70)); }},
        {"pending", [](W& w) { (void)w.journal.pending(Stepping{5}); }},
        {"claim all", [](W& w) { (void)w.journal.claim(all, 1min, 0ms); }},
        {"claim one", [](W& w) { (void)w.journal.claim(1, 1min, 0ms); }},
        {"claim what is old", [](W& w) { (void)w.journal.claim(all, 1h, 5ms); }},
        {"claim what has waited for its next try",
         [](W& w) {
             w.clock.advance(40s);
             (void)w.journal.claim(all, 1min, 0ms);
         }},
        {"renew", [](W& w) { w.journal.renew(w.held, 1h); }},
        {"settle", [](W& w) { (void)w.journal.settle(w.held); }},
        {"defer", [](W& w) { w.journal.defer(w.held.at(0), 10s); }},
        {"defer what was superseded", [](W& w) { w.journal.defer(w.held.at(1), 10s); }},
        {"bury", [](W& w) { w.journal.bury(w.held.at(0), std::string(100, 'x')); }},
        {"bury what was superseded", [](W& w) { w.journal.bury(w.held.at(1), "why"); }},
        {"dead_letters", [](W& w) { (void)w.journal.dead_letters(); }},
        {"revive", [](W& w) { w.journal.revive(Stepping{1}); }},
        {"revive nothing", [](W& w) { w.journal.revive(Stepping{5}); }},
        {"discard", [](W& w) { w.journal.discard(Stepping{1}); }},
        {"size and oldest",
         [](W& w) { (void)(w.journal.size() + w.journal.oldest().has_value()); }},
    };
}

template <class V>
void every_step_fails_once(bool lasting, bool settle_held) {
    for (const Verb<V>& verb : verbs<V>()) {
        // The clock of that verb moves before it fails.
        const bool moves = verb.name == "claim what has waited for its next try";
        const std::string done = [&] {
            World<V> w;
            verb.act(w);
            return w.seen(settle_held);
        }();
        const std::string untouched = [&] {
            World<V> w;
            w.clock.advance(moves ? 40s : 0s);
            return w.seen(settle_held);
        }();
        for (std::size_t n = 1;; ++n) {
            INFO(verb.name << ", failure " << n);
            World<V> w;
            if (!Steps::fail(n, lasting, [&] { verb.act(w); })) {
                REQUIRE(w.seen(settle_held) == done);
                break;
            }
            REQUIRE(n < 1000);
            World<V> again;
            REQUIRE(Steps::fail(n, lasting, [&] { verb.act(again); }));
            REQUIRE(w.seen(settle_held) == untouched);
            if (!moves) {
                verb.act(again);
                REQUIRE(again.seen(settle_held) == done);
            }
        }
    }
}

}  // namespace

TEST_CASE("whichever step of the journal fails, it is as it was", "[journal]") {
    const bool lasting = GENERATE(false, true);
    const bool settle_held = GENERATE(false, true);
    SECTION("values whose moves may fail") {
        every_step_fails_once<Stepping>(lasting, settle_held);
    }
    SECTION("values whose moves cannot") {
        every_step_fails_once<Movable>(lasting, settle_held);
    }
}

TEST_CASE("a change is refused for want of room as it was given", "[journal]") {
    larder::MemoryJournal<std::string, std::string> journal;
    Change<std::string, std::string> change{"a key too long to be kept in place", "a value", 0};
    CHECK(journal.record(std::move(change), 1));
    change = {"another key too long to be kept in place", "another value", 0};
    CHECK_FALSE(journal.record(std::move(change), 1));
    CHECK(change.key == "another key too long to be kept in place");
    CHECK(change.value == "another value");
    CHECK(journal.size() == 1);
    CHECK_FALSE(journal.record({"k", "v", 0}, 0));
}

TEST_CASE("as many writers as come at once do not exceed the bound", "[journal]") {
    constexpr int writers = 4;
    constexpr std::size_t most = 10;
    for (int round = 0; round < 200; ++round) {
        larder::MemoryJournal<int, int> journal;
        std::atomic<int> taken{0};
        std::barrier start{writers};
        {
            std::vector<std::jthread> crowd;
            for (int writer = 0; writer < writers; ++writer) {
                crowd.emplace_back([&, writer] {
                    start.arrive_and_wait();
                    for (int i = 0; i < 5; ++i) {
                        taken += journal.record({writer * 5 + i, i, 0}, most) ? 1 : 0;
                    }
                });
            }
        }
        REQUIRE(journal.size() == most);
        REQUIRE(taken == static_cast<int>(most));
    }
}

TEST_CASE("a change that is being recorded has its place under the bound", "[journal]") {
    // The clock is looked at when a key begins to wait: there another one comes, whose part is another.
    struct Clock {
        std::function<void()>* act;
        [[nodiscard]] std::chrono::steady_clock::time_point now() const {
            if (*act) {
                std::exchange(*act, nullptr)();
            }
            return {};
        }
    };
    constexpr auto part = [](int key) { return (larder::Hash<int>{}(key) >> 32U) % 8; };
    int other = 2;
    while (part(other) == part(1)) {
        ++other;
    }
    int third = other + 1;
    while (part(third) == part(other)) {
        ++third;
    }
    std::function<void()> act;
    larder::MemoryJournal<int, int, Clock> journal{Clock{&act}};
    bool recorded = true;
    act = [&] { recorded = journal.record({other, 20, 0}, 1).has_value(); };
    CHECK(journal.record({1, 10, 0}, 1));
    CHECK_FALSE(recorded);
    CHECK(journal.size() == 1);
    // What comes to nothing gives it back.
    act = [&] {
        recorded = journal.record({other, 20, 0}, 2).has_value();
        throw std::runtime_error{"the clock stands still"};
    };
    CHECK_THROWS_AS(journal.record({third, 30, 0}, 2), std::runtime_error);
    CHECK_FALSE(recorded);
    CHECK(journal.size() == 1);
    CHECK(journal.record({other, 20, 0}, 2));
}

TEST_CASE("changes of one instant are claimed as they were recorded", "[journal]") {
    larder::ManualClock clock;
    larder::MemoryJournal<int, int, larder::ManualClock> journal{clock};
    constexpr int keys = 50;
    for (int key = 0; key < keys; ++key) {
        journal.record({key, key, 0});
    }
    const auto first = journal.claim(1, 1min, 0ms);
    REQUIRE(first.size() == 1);
    journal.record({0, 100, 0});  // its claim goes on
    const auto others = journal.claim(all, 1min, 0ms);
    REQUIRE(others.size() == keys - 1);
    for (int key = 1; key < keys; ++key) {
        CHECK(others[static_cast<std::size_t>(key) - 1].change.key == key);
    }
    CHECK(journal.settle(first) == std::vector{false});
    CHECK(journal.claim(all, 1min, 0ms).at(0).change.value == 100);
    for (const auto& claimed : others) {
        CHECK(journal.bury(claimed, "why"));
    }
    const auto letters = journal.dead_letters();
    REQUIRE(letters.size() == others.size());
    for (std::size_t i = 0; i < letters.size(); ++i) {
        CHECK(letters[i].change.key == others[i].change.key);
    }
}

TEST_CASE("a change over one that backs off waits as a new one does, and is claimed once",
          "[journal]") {
    larder::ManualClock clock;
    larder::MemoryJournal<int, int, larder::ManualClock> journal{clock};
    const bool brief =
        GENERATE(false, true);  // the next try is due before the change is old enough
    journal.record({1, 10, 0});
    journal.record({2, 20, 0});
    auto claims = journal.claim(all, 10s, 0ms);
    REQUIRE(claims.size() == 2);
    for (const auto& claim : claims) {
        journal.defer(claim, brief ? Ttl{50ms} : Ttl{1h});
    }
    clock.advance(10ms);
    journal.record({1, 11, 0});
    journal.record({1, 12, 0});  // does not begin to wait anew
    clock.advance(60ms);
    claims = journal.claim(all, 10s, 100ms);
    REQUIRE(claims.size() == (brief ? 1U : 0U));
    if (brief) {
        CHECK(claims[0].change.key == 2);
        CHECK(claims[0].attempts == 1);
        journal.record({2, 21, 0});  // it is claimed, and does not back off any more
    }
    clock.advance(40ms);
    claims = journal.claim(all, 10s, 100ms);
    REQUIRE(claims.size() == 1);
    CHECK(claims[0].change.value == 12);
    CHECK(claims[0].attempts == 0);
    // What is recorded over a change that is claimed waits for the claim.
    journal.record({1, 13, 0});
    clock.advance(1s);
    CHECK(journal.claim(all, 10s, 100ms).empty());
    CHECK(journal.settle(claims) == std::vector{false});
    claims = journal.claim(all, 10s, 0ms);
    REQUIRE(claims.size() == 1);
    CHECK(claims[0].change.value == 13);
    CHECK(journal.settle(claims) == std::vector{true});
    CHECK(journal.size() == 1);
}

TEST_CASE("what has been due for longest is claimed first, tried before or not", "[journal]") {
    larder::ManualClock clock;
    larder::MemoryJournal<int, int, larder::ManualClock> journal{clock};
    for (int key = 1; key <= 4; ++key) {
        journal.record({key, key, 0});
    }
    const auto claims = journal.claim(4, 10s, 0ms);
    REQUIRE(claims.size() == 4);
    journal.defer(claims[0], 30ms);  // due at 30 ms
    clock.advance(10ms);
    journal.renew(std::span{claims}.subspan(1, 1), 0ms);  // given back: due at 10 ms
    journal.record({5, 5, 0});                            // due at 20 ms
    journal.renew(std::span{claims}.subspan(2), 15ms);    // two, due at 25 ms
    clock.advance(20ms);
    journal.record({6, 6, 0});  // due at 40 ms
    clock.advance(10ms);
    std::vector<int> order;
    for (const auto& claimed : journal.claim(all, 10s, 10ms)) {
        order.push_back(claimed.change.key);
        CHECK(claimed.attempts == (claimed.change.key == 1 ? 1U : 0U));
    }
    CHECK(order == std::vector{2, 5, 3, 4, 1, 6});
}

TEST_CASE("a change that is deferred is nobody's, and one that is revived begins anew",
          "[journal]") {
    larder::MemoryJournal<int, int> journal;
    journal.record({1, 10, 0});
    auto claims = journal.claim(all, 1h, 0ms);
    REQUIRE(claims.size() == 1);
    journal.defer(claims[0], 0ms);
    CHECK(journal.settle(claims) == std::vector{false});
    claims = journal.claim(all, 1h, 0ms);
    REQUIRE(claims.size() == 1);
    CHECK(claims[0].attempts == 1);
    REQUIRE(journal.bury(claims[0], "unwanted"));
    REQUIRE(journal.revive(1));
    claims = journal.claim(all, 1h, 0ms);
    REQUIRE(claims.size() == 1);
    CHECK(claims[0].attempts == 0);
}

TEST_CASE("a dead letter knows how often it was tried, since when, and when it was given up",
          "[journal]") {
    using Time = std::chrono::system_clock;
    // Between two looks at the clock it has moved: the times of two failures differ.
    const auto tick = [] {
        const auto before = Time::now();
        while (Time::now() == before) {}
        return Time::now();
    };
    larder::MemoryJournal<int, int> journal;
    const auto claim_one = [&] { return journal.claim(1, 1h, 0ms).at(0); };
    const auto only_letter = [&] {
        auto letters = journal.dead_letters();
        REQUIRE(letters.size() == 1);
        return letters[0];
    };

    // Buried at its first try: that is the first that failed, and the last.
    journal.record({1, 10, 0});
    auto before = tick();
    REQUIRE(journal.bury(claim_one(), "at once"));
    auto letter = only_letter();
    CHECK(letter.attempts == 1);
    CHECK(letter.first == letter.last);
    CHECK((letter.first >= before && letter.last <= tick()));

    // A newer change has not failed yet, nor has one that is tried again.
    const bool again = GENERATE(false, true);
    if (again) {
        REQUIRE(journal.revive(1));
    } else {
        journal.record({1, 11, 0});
    }
    before = tick();
    journal.defer(claim_one(), 0ms);
    const auto first = tick();
    journal.defer(claim_one(), 0ms);
    const auto second = tick();
    REQUIRE(journal.bury(claim_one(), "at last"));
    letter = only_letter();
    CHECK(letter.why == "at last");
    CHECK(journal.buried() == 1);
    CHECK(letter.change.value == (again ? 10 : 11));
    CHECK(letter.attempts == 3);
    CHECK((letter.first >= before && letter.first <= first));
    CHECK((letter.last >= second && letter.last <= tick()));
}

TEST_CASE("a key that is not equal to itself leaves nothing in the journal", "[journal]") {
    larder::MemoryJournal<double, int> journal;
    CHECK_THROWS_AS(journal.record({std::nan(""), 1, 0}), std::invalid_argument);
    CHECK(journal.size() == 0);
    CHECK_FALSE(journal.pending(std::nan("")));
    CHECK_FALSE(journal.revive(std::nan("")));
    CHECK(journal.record({0.5, 1, 0}) > 0);
}

TEST_CASE("times at their ends", "[journal]") {
    larder::ManualClock clock;
    larder::MemoryJournal<int, int, larder::ManualClock> journal{clock};
    journal.record({1, 10, 0});
    clock.advance(1h);
    CHECK(journal.claim(all, 1s, endless).empty());
    auto claims = journal.claim(all, endless, 0ms);
    REQUIRE(claims.size() == 1);
    clock.advance(24h * 365);
    CHECK(journal.claim(all, 1s, 0ms).empty());
    journal.renew(claims, endless);
    journal.renew(claims, 0ms);
    claims = journal.claim((std::numeric_limits<std::size_t>::max)(), 1s, 0ms);
    REQUIRE(claims.size() == 1);
    journal.defer(claims[0], endless);
    CHECK(journal.claim(all, 1s, 0ms).empty());
    journal.record({1, 11, 0});
    CHECK(journal.claim(0, 1s, 0ms).empty());
    CHECK(journal.size() == 1);
}

TEST_CASE("a claim that was never given holds nothing", "[journal]") {
    larder::MemoryJournal<int, int> journal;
    const auto version = journal.record({1, 10, 0});
    const std::array made_up{Claimed<int, int>{{1, 10, version}, 0, 0}};
    CHECK(journal.settle(made_up) == std::vector{false});
    CHECK_FALSE(journal.bury(made_up[0], "why"));
    journal.defer(made_up[0], 1h);
    journal.renew(made_up, 1h);
    CHECK(journal.claim(all, 1s, 0ms).size() == 1);
}
