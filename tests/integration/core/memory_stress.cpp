// SPDX-License-Identifier: MIT

// A MemoryStore between threads: what a reader sees is whole and not older than what was put before it
// looked, whatever goes on beside it; the bounds hold at every look; one order explains it all.

#include "support/catch.hpp"
#include "support/history.hpp"
#include "support/stress.hpp"

#include <larder/larder.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::ManualClock;
using larder::MemoryStore;
using larder::RemovalCause;

namespace {

using U64 = std::uint64_t;

// Values that say of which key and version they are, and whether they are whole.
struct Seen {
    U64 key;
    U64 version;
};

template <std::size_t words>
struct Words {
    std::array<U64, words> all{};
};
template <class V>
V made(U64 key, U64 version) {
    const U64 word = key << 40U | version;
    if constexpr (std::is_same_v<V, std::string>) {
        return std::string(1 + key % 3 * 40, static_cast<char>('a' + version % 26)) + '|' +
               std::to_string(word);
    } else if constexpr (std::is_same_v<V, U64>) {
        return word;
    } else {
        V value;
        value.all.fill(word);
        return value;
    }
}
std::optional<Seen> seen(U64 word) {
    return Seen{word >> 40U, word & ((U64{1} << 40U) - 1)};
}
template <std::size_t words>
std::optional<Seen> seen(const Words<words>& value) {
    const U64 word = value.all.front();
    return std::count(value.all.begin(), value.all.end(), word) == words ? seen(word)
                                                                         : std::nullopt;
}
std::optional<Seen> seen(const std::string& value) {
    const auto bar = value.find('|');
    if (bar == std::string::npos) {
        return {};
    }
    const auto whole = seen(std::stoull(value.substr(bar + 1)));
    return made<std::string>(whole->key, whole->version) == value ? whole : std::nullopt;
}

// What goes on beside readers and writers.
enum class Beside : std::uint8_t { eviction, growth, clearing, time, loads };

template <class V>
class Bustle {
public:
    explicit Bustle(Beside beside)
        : beside_{beside},
          store_{{.capacity = beside == Beside::eviction ? std::size_t{24} : std::size_t{1} << 22U,
                  .shards = 4,
                  .on_removal = [this](const U64& key, const V& value,
                                       RemovalCause) { gone(key, value); }},
                 clock_} {}

    void run(std::chrono::milliseconds how_long) {
        const auto end = std::chrono::steady_clock::now() + how_long;
        const auto until_then = [&](auto&& act) {
            return [this, act, end, seed = ++seeds_] {
                std::mt19937 random{seed};
                while (std::chrono::steady_clock::now() < end && faults_ == 0) {
                    act(random);
                }
            };
        };
        std::vector<std::jthread> threads;
        for (U64 writer = 0; writer < writers; ++writer) {
            threads.emplace_back(
                until_then([this, writer](auto& random) { write(writer, random); }));
        }
        for (int reader = 0; reader < 3; ++reader) {
            threads.emplace_back(
                until_then([this](auto& random) { read(random() % keys, random); }));
        }
        threads.emplace_back(until_then([this](auto& random) { disturb(random); }));
    }

    // Nobody is at work any more.
    void check() {
        CHECK(faults_ == 0);
        CHECK(reads_ > 0);
        std::size_t found = 0;
        for (U64 key = 0; key < fresh_; ++key) {
            const auto entry = store_.find(key);
            found += entry ? 1U : 0U;
            if (entry && key < keys) {
                const auto what = seen(*entry->value);
                CHECK((what && what->key == key && what->version == put_[key]));
            }
        }
        if (beside_ != Beside::time) {  // what has expired may still take its place
            CHECK(store_.size() == found);
        }
        CHECK(stored_ == gone_ + store_.size());
        store_.clear();
        CHECK(store_.size() == 0);
        CHECK(stored_ == gone_);
        CHECK(store_.in_hand() == larder::detail::InHand{});
    }

private:
    static constexpr U64 keys = 64;
    static constexpr U64 writers = 2;

    [[nodiscard]] larder::Lifetime life() const {
        return beside_ == Beside::time ? larder::Lifetime{5ms, 2ms} : larder::Lifetime{1h};
    }

    // Each key has one writer: its versions grow.
    void write(U64 writer, std::mt19937& random) {
        const U64 key = random() % (keys / writers) * writers + writer;
        if (random() % 16 == 0) {
            store_.erase(key);
            return;
        }
        const U64 version = ++begun_[key];
        ++stored_;
        store_.put(key, made<V>(key, version), life());
        put_[key] = version;
    }

    void read(U64 key, std::mt19937& random) {
        const U64 least = put_[key];
        std::optional<Seen> what;
        bool there = false;
        const auto look = [&](const V& value) {
            what = seen(value);
            there = true;
        };
        switch (random() % 3) {
            case 0: store_.visit(key, look); break;
            case 1:
                store_.peek(key, [&](const V* value, auto, larder::Ttl, bool) { look(*value); });
                break;
            default:
                if (auto entry = store_.find(key)) {
                    look(*entry->value);
                }
        }
        ++reads_;
        if (there &&
            !(what && what->key == key && what->version >= least && what->version <= begun_[key])) {
            ++faults_;
        }
    }

    void disturb(std::mt19937& random) {
        switch (beside_) {
            case Beside::eviction:
            case Beside::growth: {
                const U64 key = fresh_++;
                ++stored_;
                store_.put(key, made<V>(key, 0), life());
                if (random() % 8 == 0) {
                    store_.erase(keys + random() % (key - keys + 1));
                }
                break;
            }
            case Beside::clearing:
                store_.clear();
                std::this_thread::yield();
                break;
            case Beside::time:
                clock_.advance(1ms);
                std::this_thread::yield();
                break;
            case Beside::loads: {  // leases that come to nothing, beside copies and without
                const U64 key = random() % keys;
                auto opening =
                    random() % 2 == 0 ? store_.open(key) : store_.open_refresh(key, true);
                if (opening.slot == larder::detail::Slot::lead && random() % 2 == 0) {
                    store_.withdraw(key, opening.lease);
                }
                break;
            }
        }
    }

    void gone(U64 key, const V& value) {
        const auto what = seen(value);
        faults_ += what && what->key == key ? 0U : 1U;
        ++gone_;
    }

    Beside beside_;
    std::array<std::atomic<U64>, keys> begun_{};
    std::array<std::atomic<U64>, keys> put_{};
    std::atomic<U64> fresh_{keys};
    std::atomic<U64> stored_{0};
    std::atomic<U64> gone_{0};
    std::atomic<U64> reads_{0};
    std::atomic<unsigned> faults_{0};
    unsigned seeds_ = 0;
    ManualClock clock_{};
    MemoryStore<U64, V, ManualClock> store_;
};

template <class V>
void bustle() {
    const auto beside =
        GENERATE(Beside::eviction, Beside::growth, Beside::clearing, Beside::time, Beside::loads);
    INFO("beside: " << static_cast<int>(beside));
    Bustle<V> bustle{beside};
    bustle.run(larder_test::stress_time(150ms));
    bustle.check();
}

// Rows are versions that grow with each write.
class Rows {
public:
    static constexpr int keys = 3;

    std::optional<int> load(int key) {
        dawdle();
        const int version = key < keys ? rows_[static_cast<std::size_t>(key)].load() : 0;
        dawdle();
        return version;
    }
    int save(int key, int) {
        dawdle();
        last() = ++rows_[static_cast<std::size_t>(key)];
        dawdle();
        return last();
    }
    void remove(int) {}

    // What this thread has saved.
    static int& last() {
        static thread_local int version = 0;
        return version;
    }

private:
    static void dawdle() {
        static thread_local std::mt19937 random{
            std::hash<std::thread::id>{}(std::this_thread::get_id())};
        for (auto i = random() % 8; i > 0; --i) {
            std::this_thread::yield();
        }
    }
    std::array<std::atomic<int>, keys> rows_{};
};

template <template <class, class> class Policy>
void one_order(std::size_t capacity, std::size_t shards) {
    INFO("capacity " << capacity << ", shards " << shards);
    Rows rows;
    Policy<MemoryStore<int, int>, std::reference_wrapper<Rows>> cache{
        MemoryStore<int, int>{{.capacity = capacity, .shards = shards}},
        std::ref(rows),
        {.ttl = 60s, .ticket = 60s}};
    std::array<larder_test::History, Rows::keys> histories;
    {
        std::vector<std::jthread> threads;
        for (unsigned who = 0; who < 8; ++who) {
            threads.emplace_back([&, who] {
                std::mt19937 random{who};
                for (int n = 0; n < 300; ++n) {
                    const int key = static_cast<int>(random() % Rows::keys);
                    auto& history = histories[static_cast<std::size_t>(key)];
                    switch (random() % 8) {
                        case 0:
                        case 1:
                            history.write([&] {
                                cache.put(key, 0);
                                return Rows::last();
                            });
                            break;
                        case 2:
                            history.read([&] { return cache.refresh(key).value_or(-1); });
                            break;
                        case 3: cache.invalidate(key); break;
                        case 4: (void)cache.get(100 + n % 5); break;  // takes the others' places
                        default: history.read([&] { return cache.get(key).value_or(-1); }); break;
                    }
                }
            });
        }
    }
    for (const auto& history : histories) {
        CHECK(history.unexplained() == std::vector<std::string>{});
        CHECK(history.size() > 0);
    }
}

}  // namespace

TEST_CASE("what readers of a word see is whole and not old", "[memory][stress]") {
    bustle<U64>();
}
TEST_CASE("what readers of some words see is whole and not old", "[memory][stress]") {
    bustle<Words<3>>();
}
TEST_CASE("what readers of many words see is whole and not old", "[memory][stress]") {
    bustle<Words<17>>();
}
TEST_CASE("what readers of strings see is whole and not old", "[memory][stress]") {
    bustle<std::string>();
}

TEST_CASE("no look finds a store over its capacity or its weight", "[memory][stress]") {
    constexpr std::size_t capacity = 50;
    constexpr std::size_t most = 120;
    std::atomic<std::size_t> stored{0};
    std::atomic<std::size_t> gone{0};
    MemoryStore<int, int> store{
        {.capacity = capacity,
         .max_weight = most,
         .weigh = [](int, int value) { return static_cast<std::size_t>(value); },
         .shards = 8,
         .on_removal = [&](int, int, RemovalCause) { ++gone; }}};
    std::atomic<bool> over{false};
    std::atomic<int> at_work{4};
    {
        std::vector<std::jthread> threads;
        for (int who = 0; who < 4; ++who) {
            threads.emplace_back([&, who] {
                std::mt19937 random{static_cast<unsigned>(who)};
                for (int i = 0; i < 4000; ++i) {
                    const int key = static_cast<int>(random() % 400);
                    if (random() % 8 == 0) {
                        store.erase(key);
                    } else {
                        ++stored;
                        store.put(key, static_cast<int>(1 + random() % 7), {1h});
                    }
                }
                --at_work;
            });
        }
        for (int who = 0; who < 2; ++who) {
            threads.emplace_back([&] {
                while (at_work > 0) {
                    const larder::Stats stats = store.stats();
                    over = over || store.size() > capacity || store.weight() > most ||
                           stats.entries > capacity || stats.weight > most;
                }
            });
        }
    }
    CHECK_FALSE(over);
    std::size_t found = 0;
    std::size_t weight = 0;
    for (int key = 0; key < 400; ++key) {
        if (const auto entry = store.find(key)) {
            ++found;
            weight += static_cast<std::size_t>(*entry->value);
        }
    }
    CHECK(store.size() == found);
    CHECK(store.weight() == weight);
    CHECK(stored == gone + found);
}

TEST_CASE("one order explains eight threads over a store with hardly any room",
          "[memory][history]") {
    for (const std::size_t capacity : {std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
        one_order<larder::CacheAside>(capacity, 1);
        one_order<larder::WriteThrough>(capacity, 4);
    }
}
