// SPDX-License-Identifier: MIT

// Recorded histories over near copies: several processes in front of one far store, over channels that
// delay, lose and break. What is asked of each read:
//
// - of one from the far store: that reads and writes of the key are linearizable;
// - of any: that it is no older than what its own process has written, read, or been told of by then, and no
//   older than what was acknowledged, wherever, `ttl` or `silence` of near copies before it began;
// - of a near copy: that the process did not know that it is told nothing, and that the far copy was alive.

#include "support/catch.hpp"
#include "support/dawdle.hpp"
#include "support/history.hpp"
#include "support/stress.hpp"
#include "support/table.hpp"
#include "support/watched_store.hpp"

#include <larder/larder.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Fetched;
using larder::From;
using larder::NearFlush;
using larder::Source;
using larder::Ttl;
using larder::detail::NearListener;
using larder_test::chance;
using larder_test::dawdle;
using larder_test::engine;
using larder_test::History;

namespace {

constexpr int processes = 2;
constexpr int rounds = 150;

// The first two rows change through the policies.
constexpr int written = 2;
// This one changes past them, and then is invalidated.
constexpr int bypassed = 2;
// And this one with each tick of the clock, and nobody says so.
constexpr int ticking = 3;
constexpr int keys = 4;

constexpr Ttl hour{1h};
constexpr Ttl ticking_ttl{10};

using PerKey = std::array<std::atomic<int>, keys>;

void raise(std::atomic<int>& newest, int version) {
    for (int now = newest; now < version && !newest.compare_exchange_weak(now, version);) {}
}

/// Ticks are milliseconds since the beginning.
class Ticks {
public:
    [[nodiscard]] int now() const {
        return static_cast<int>((clock.now() - began_) / std::chrono::milliseconds{1});
    }
    larder::ManualClock clock{};

private:
    const larder::detail::NearFeed::Instant began_ = clock.now();
};

/// A store that takes its time, and knows how late the ticking row came into it.
class Memory : public larder::MemoryStore<int, int, larder::ManualClock> {
    using Base = larder::MemoryStore<int, int, larder::ManualClock>;

public:
    Memory(std::size_t capacity, const Ticks& ticks)
        : Base{{.capacity = capacity}, ticks.clock}, ticks_{&ticks} {}

    larder::detail::Filled fill(const int& key, const larder::detail::Lease& lease,
                                std::optional<int> value, const larder::detail::CopyTerms& terms) {
        dawdle();
        const auto filled = Base::fill(key, lease, value, terms);
        if (key == ticking && value) {
            raise(*latest_, ticks_->now() - *value);
        }
        return filled;
    }
    template <class Q>
    bool erase(const Q& key) {
        dawdle();
        const bool had = Base::erase(key);
        dawdle();
        return had;
    }
    [[nodiscard]] int latest() const { return *latest_; }

private:
    const Ticks* ticks_;
    std::shared_ptr<std::atomic<int>> latest_ = std::make_shared<std::atomic<int>>(0);
};

using Near = larder::MemoryStore<int, int, larder::ManualClock>;
using Far = larder_test::WatchedStore<Memory>;
using Tiered = larder::TieredStore<Near, Far>;

/// Rows are versions. Every statement dawdles, before and after it takes effect.
class Rows {
public:
    explicit Rows(const Ticks& ticks) : ticks_{ticks} {}

    larder::Loaded<int> load(int key) {
        dawdle(chance(4) ? 256 : 16);
        larder::Loaded<int> row{now(key)};
        if (key == ticking) {
            row.ttl = ticking_ttl;
        }
        dawdle();
        return row;
    }
    /// What another program does: the version that the row became.
    int change(int key) { return ++at(key); }
    [[nodiscard]] int now(int key) { return key == ticking ? ticks_.now() : at(key).load(); }

protected:
    std::atomic<int>& at(int key) { return rows_[static_cast<std::size_t>(key)]; }

private:
    const Ticks& ticks_;
    PerKey rows_{};
};

/// A write becomes whatever version comes next.
class Table : public Rows {
public:
    using Rows::Rows;

    int save(int key, int) {
        dawdle();
        if (chance(16)) {
            throw larder_test::Refused{"refused"};
        }
        last() = change(key);
        dawdle();
        return last();
    }
    void remove(int) {}

    /// Writes, and says which version the row became.
    template <class Cache>
    int put(Cache& cache, int key) {
        cache.put(key, 0);
        return last();
    }

private:
    static int& last() {
        thread_local int version = 0;
        return version;
    }
};

/// A write says which version the row will be, one after the other.
class LateTable : public Rows {
public:
    using Rows::Rows;

    bool save(int key, int version, std::uint64_t) {
        dawdle();
        raise(at(key), version);
        dawdle();
        return true;
    }
    bool remove(int, std::uint64_t) { return false; }

    template <class Cache>
    int put(Cache& cache, int key) {
        const std::scoped_lock lock{writing_[static_cast<std::size_t>(key)]};
        const int version = ++next_[static_cast<std::size_t>(key)];
        cache.put(key, version);
        return version;
    }

private:
    std::array<std::mutex, keys> writing_{};
    std::array<int, keys> next_{};
};

/// What is asked of reads, and what they have come to.
class Judge {
public:
    /// @param bound  near copies are no older
    Judge(const Ticks& ticks, Ttl bound)
        : ticks_{ticks}, bound_{static_cast<int>(bound.count())}, ticked_(most_ticks) {}

    // ---- of the processes ----

    /// Carries out a read; `how` gives a Fetched.
    template <class How>
    void read(int process, int key, bool far, const How& how) {
        const Moment began = now(process, key);
        const auto carry_out = [&] {
            const std::size_t asked = asks();
            const Fetched<int> got = how();
            joined += got.source == Source::hit && asked == asks() ? 1 : 0;
            const bool dark = began.epoch % 2 != 0 && began.epoch == of(process).epoch;
            check(!dark || got.source != Source::near_hit, "it knows that it is told nothing", key);
            return got.value.value_or(-1);
        };
        const int version = far && key < written ? history(key).read(carry_out) : carry_out();
        if (key == ticking) {
            raise(oldest_, began.tick - version);
            return;
        }
        check(version >= began.told, "it has written, read, or been told of a newer one", key);
        check(version >= began.bound, "older than near copies may be", key);
        check(!far || version >= began.acknowledged, "older than what was acknowledged", key);
        if (key < written) {
            raise(of(process).newest[static_cast<std::size_t>(key)], version);
        }
    }
    /// Carries out a write; `how` gives the version, or throws.
    template <class How>
    void write(int process, int key, const How& how) {
        try {
            acknowledge(process, key, history(key).write(how));
            ++writes;
        } catch (const std::runtime_error&) {}
    }
    /// A write has returned.
    void acknowledge(int process, int key, int version) {
        raise(of(process).newest[static_cast<std::size_t>(key)], version);
        raise(acknowledged_[static_cast<std::size_t>(key)], version);
    }

    /// How often this thread has asked the far store.
    static std::size_t& asks() {
        thread_local std::size_t count = 0;
        return count;
    }

    // ---- of what tells them ----

    /// Tells a process of all that was acknowledged when it began.
    template <class Tell>
    void told(int process, const Tell& tell) {
        std::array<int, keys> all{};
        std::copy(acknowledged_.begin(), acknowledged_.end(), all.begin());
        tell();
        for (std::size_t key = 0; key < all.size(); ++key) {
            raise(of(process).newest[key], all[key]);
        }
    }
    /// A process has learnt that it is told nothing, or is about to be told again.
    void turn(int process) { ++of(process).epoch; }

    /// Time passes, while there is room for what was.
    void tick(larder::ManualClock clock) {
        const auto at = static_cast<std::size_t>(ticks_.now());
        if (at + 1 < ticked_.size()) {
            std::copy(acknowledged_.begin(), acknowledged_.end(), ticked_[at].begin());
            clock.advance(1ms);
        }
    }

    // ---- when all is over ----

    /// @param late  how late the ticking row came into the far store at most
    [[nodiscard]] std::vector<std::string> wrong(int late) {
        std::vector<std::string> all = wrong_;
        for (const History& history : histories_) {
            for (std::string& text : history.unexplained()) {
                all.push_back(std::move(text));
            }
        }
        if (oldest_ >= ticking_ttl.count() + late) {
            all.push_back("a copy was read " + std::to_string(oldest_) + " ticks after its load");
        }
        return all;
    }
    std::atomic<long> writes{0};
    std::atomic<long> joined{0};

private:
    static constexpr std::size_t most_ticks = 1U << 14U;

    struct Process {
        PerKey newest{};  // that it has written, read, or been told of
        std::atomic<unsigned> epoch{0};
    };
    struct Moment {
        int tick;
        int told;
        int bound;
        int acknowledged;
        unsigned epoch;
    };

    [[nodiscard]] Process& of(int process) { return all_[static_cast<std::size_t>(process)]; }
    [[nodiscard]] History& history(int key) { return histories_[static_cast<std::size_t>(key)]; }

    [[nodiscard]] Moment now(int process, int key) {
        const auto at = static_cast<std::size_t>(key);
        const int tick = ticks_.now();
        return {tick, of(process).newest[at],
                tick >= bound_ ? ticked_[static_cast<std::size_t>(tick - bound_)][at] : 0,
                acknowledged_[at], of(process).epoch};
    }
    void check(bool holds, std::string_view what, int key) {
        if (!holds) {
            const std::scoped_lock lock{mutex_};
            if (wrong_.size() < 5) {
                wrong_.push_back(std::to_string(key) + ": " + std::string{what});
            }
        }
    }

    const Ticks& ticks_;
    const int bound_;
    std::vector<std::array<int, keys>> ticked_;  // what was acknowledged at each tick
    std::array<Process, processes> all_{};
    PerKey acknowledged_{};
    std::array<History, written> histories_{};
    std::atomic<int> oldest_{0};
    std::mutex mutex_{};
    std::vector<std::string> wrong_{};
};

/// What the channel to one process goes through.
class Line {
public:
    /// @param beats_in  it is told that all has arrived at every n-th step; 0: never
    Line(Far far, Judge& judge, int process, unsigned beats_in)
        : channel_{far.channel(static_cast<std::size_t>(process))},
          judge_{judge},
          process_{process},
          beats_in_{beats_in} {
        channel_.delay();
    }

    void step() {
        switch (state_) {
            case State::up: go_on(); break;
            case State::cut:
                if (chance(64)) {
                    channel_.notice();
                    judge_.turn(process_);
                    state_ = State::dark;
                }
                break;
            case State::dark:
                if (chance(16)) {
                    judge_.told(process_, [] {});  // near copies of before are not served any more
                    judge_.turn(process_);
                    channel_.subscribe(NearFlush::cut);
                    state_ = State::up;
                }
        }
    }

private:
    enum class State : std::uint8_t { up, cut, dark };

    void go_on() {
        if (chance(50)) {
            channel_.cut();
            state_ = State::cut;
        } else if (beats_in_ != 0 && chance(beats_in_)) {
            judge_.told(process_, [&] { channel_.beat(); });
        } else if (chance(4)) {
            channel_.deliver(1);
        } else if (chance(beats_in_ != 0 ? 4 : 64)) {
            judge_.told(process_, [&] { channel_.deliver(); });
        }
    }

    larder_test::Channel& channel_;
    Judge& judge_;
    const int process_;
    const unsigned beats_in_;
    State state_ = State::up;
};

/// What processes with near copies do: the threads of one.
template <class Cache, class Table>
void crowd(std::vector<std::jthread>& all, Cache& cache, Table& table, Judge& judge, int process) {
    const auto many = [&](auto&& work) {
        all.emplace_back([work] {
            for (int i = 0; i < rounds; ++i) {
                work();
                dawdle();
            }
        });
    };
    const auto any = [](int most) {
        return static_cast<int>(engine()() % static_cast<unsigned>(most));
    };
    const auto reader = [&cache, &judge, process, any] {
        const int key = any(keys);
        do {
            judge.read(process, key, false, [&] { return cache.fetch(key); });
        } while (chance(2));
    };
    many(reader);
    many(reader);
    many([&cache, &judge, process, any] {
        const int key = any(keys);
        judge.read(process, key, true, [&] { return cache.fetch(key, {.from = From::far}); });
    });
    many([&cache, &judge, process] {
        judge.read(process, 1, false, [&] {
            Fetched<int> first;
            judge.read(process, 0, false, [&] {
                const auto got = cache.get_many({1, 0, bypassed, ticking});
                first = {got[0], Source::bypassed, {}, {}};
                return Fetched<int>{got[1], Source::bypassed, {}, {}};
            });
            return first;
        });
    });
    const auto writer = [&cache, &table, &judge, process, any] {
        const int key = any(written);
        judge.write(process, key, [&] { return table.put(cache, key); });
    };
    many(writer);
    many(writer);
    many([&cache, &table, &judge, process, any] {
        const int key = any(bypassed + 1);
        const int version = key == bypassed ? table.change(key) : 0;
        switch (any(4)) {
            case 0:
                if (key != bypassed) {
                    judge.read(process, key, false, [&] {
                        return Fetched<int>{cache.refresh(key), Source::loaded, {}, {}};
                    });
                    return;
                }
                [[fallthrough]];
            case 1:
                if constexpr (requires { cache.invalidate_tag("row"); }) {
                    cache.invalidate_tag("row:" + std::to_string(key));
                    break;
                }
                [[fallthrough]];
            default: cache.invalidate(key);
        }
        judge.acknowledge(process, key, version);
    });
}

struct Setting {
    std::size_t near_capacity = 64;
    std::size_t far_capacity = 64;
    Ttl near_ttl = hour;
    Ttl silence = hour;

    [[nodiscard]] Ttl bound() const { return (std::min)(near_ttl, silence); }
};
// Near copies that nobody tells of anything live by their ttl.
constexpr Setting short_lives{.near_ttl = Ttl{40}};
constexpr Setting heard_of{.silence = Ttl{40}};
constexpr Setting evicting{.near_capacity = 1, .far_capacity = 1, .silence = Ttl{40}};

/// One run, of new processes over a new store: what was wrong.
///
/// @param make  gives a cache over a far store
template <class Table, class Make>
std::vector<std::string> run(const Setting& setting, const Make& make, larder::Stats& all,
                             std::atomic<long>& joined) {
    const Ticks ticks;
    Table table{ticks};
    Judge judge{ticks, setting.bound()};
    const Memory memory{setting.far_capacity, ticks};
    Far far{memory};
    auto caches = make(far, table, ticks.clock, setting);
    far.on_ask([](bool answered) {
        Judge::asks() += answered ? 0 : 1;
        dawdle(chance(16) ? 256 : 16);
    });
    std::vector<Line> lines;
    for (int process = 0; process < processes; ++process) {
        lines.emplace_back(far, judge, process, setting.silence == hour ? 0 : 16);
    }
    std::jthread line{[&](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            dawdle(4);
            if (chance(2)) {
                judge.tick(ticks.clock);
            }
            for (Line& each : lines) {
                each.step();
            }
        }
    }};
    std::vector<std::jthread> threads;
    for (int process = 0; process < processes; ++process) {
        crowd(threads, *caches[static_cast<std::size_t>(process)], table, judge, process);
    }
    threads.clear();
    line = {};
    CHECK(judge.writes > 0);
    joined += judge.joined;
    for (const auto& cache : caches) {
        const larder::Stats stats = cache->stats();
        all.near_hits += stats.near_hits;
        all.near_cuts += stats.near_cuts;
        all.hits += stats.hits;
        all.fenced_fills += stats.fenced_fills;
        all.bypassed += stats.bypassed;
    }
    return judge.wrong(memory.latest());
}

/// As often as it takes to have been where it matters, and three times at least. LARDER_STRESS_MS is how long.
///
/// @param joins  who waits for what far tells another thread may be served that: it needs no tags
template <class Table, class Make>
void every_read_is_explained(const Setting& setting, const Make& make, bool joins = true) {
    larder::Stats all;
    std::atomic<long> joined{0};
    const auto everywhere = [&] {
        return all.near_hits > 0 && all.near_cuts > 0 && all.hits > all.near_hits &&
               all.fenced_fills > 0 && (joined > 0 || !joins);
    };
    using Clock = std::chrono::steady_clock;
    const auto enough = Clock::now() + 100s;
    const auto least = Clock::now() + larder_test::stress_time(0ms);
    for (int i = 0; i < 3 || Clock::now() < least || (!everywhere() && Clock::now() < enough);
         ++i) {
        REQUIRE(run<Table>(setting, make, all, joined) == std::vector<std::string>{});
    }
    CHECK(everywhere());
}

/// The near side of each process, and a policy over it.
template <class Wrap>
auto fleet(const Wrap& wrap) {
    return [wrap](const Far& far, auto& table, const larder::ManualClock& clock,
                  const Setting& setting) {
        const auto process = [&] {
            return wrap(Tiered{Near{{.capacity = setting.near_capacity}, clock},
                               far,
                               {.ttl = setting.near_ttl, .silence = setting.silence}},
                        table);
        };
        using Cache = decltype(process());
        std::array<std::unique_ptr<Cache>, processes> all;
        for (auto& each : all) {
            each = std::unique_ptr<Cache>{new Cache{process()}};
        }
        return all;
    };
}

const larder::Options options{.ttl = hour, .ticket = hour};

/// What people write by hand: a map in front of the policy, which the feed and one's own writes erase from.
class ByHand {
    using Policy = larder::CacheAside<Far, std::reference_wrapper<Table>>;

public:
    ByHand(const Far& far, Table& table, const larder::ManualClock& clock, const Setting& setting)
        : policy_{far, std::ref(table), options},
          near_{{}, clock},
          ttl_{setting.near_ttl},
          listener_{near_},
          feed_{Far{far}.watch(listener_, setting.silence)} {}

    Fetched<int> fetch(int key, const larder::Read& read = {}) {
        if (read.from == From::any && feed_->reliable(near_.clock().now())) {
            if (const auto copy = near_.find(key)) {
                return {copy->value, Source::near_hit, {}, {}};
            }
        }
        Fetched<int> got = policy_.fetch(key, read);
        if (key != ticking) {
            near_.put(key, got.value, {ttl_});
        }
        return got;
    }
    std::vector<std::optional<int>> get_many(std::initializer_list<int> wanted) {
        std::vector<std::optional<int>> values;
        for (const int key : wanted) {
            values.push_back(fetch(key).value);
        }
        return values;
    }
    std::optional<int> refresh(int key) {
        near_.erase(key);
        return policy_.refresh(key);
    }
    void put(int key, int value) {
        policy_.put(key, value);
        near_.erase(key);
    }
    void invalidate(int key) {
        policy_.invalidate(key);
        near_.erase(key);
    }
    [[nodiscard]] larder::Stats stats() const { return policy_.stats(); }

private:
    struct Listener final : NearListener {
        explicit Listener(Near store) : near{std::move(store)} {}
        void changed(std::string_view text) noexcept override {
            near.erase(std::stoi(std::string{text}));
        }
        void tag_changed(std::string_view) noexcept override {}
        void all_changed(NearFlush) noexcept override { near.clear(); }
        Near near;
    };

    Policy policy_;
    Near near_;
    const Ttl ttl_;
    Listener listener_;
    std::shared_ptr<larder::detail::NearFeed> feed_;
};

}  // namespace

// Rules N1, N2, N3, N4, N5 and N6.
TEST_CASE("every read is explained: near copies", "[history][tiered]") {
    const auto aside = fleet([](const Tiered& store, Table& table) {
        return larder::CacheAside{store, std::ref(table), options};
    });
    SECTION("that live for their ttl") {
        every_read_is_explained<Table>(short_lives, aside);
    }
    SECTION("while they are told of") {
        every_read_is_explained<Table>(heard_of, aside);
    }
    SECTION("evicted all the time") {
        every_read_is_explained<Table>(evicting, aside);
    }
}

TEST_CASE("every read is explained: near copies, tags and refreshes", "[history][tiered][tags]") {
    const auto tagged = fleet([](const Tiered& store, Table& table) {
        return larder::Tagged{
            larder::WriteThrough{store, std::ref(table), options},
            [](int key, int) { return larder::Tags{"row:" + std::to_string(key)}; }};
    });
    const auto ahead = fleet([](const Tiered& store, Table& table) {
        return larder::RefreshAhead{
            store, std::ref(table), {.ttl = Ttl{20}, .ticket = hour, .refresh_below = 1.0}};
    });
    SECTION("tags") {
        every_read_is_explained<Table>(heard_of, tagged, false);
    }
    SECTION("refreshes") {
        every_read_is_explained<Table>(heard_of, ahead);
    }
}

TEST_CASE("every read is explained: near copies and write-behind", "[history][tiered]") {
    const auto make = [](const Far& far, LateTable& table, const larder::ManualClock& clock,
                         const Setting& setting) {
        const larder::MemoryJournal<int, int> journal;  // of all processes
        return fleet([&](const Tiered& store, LateTable& rows) {
            return larder::WriteBehind{store, std::ref(rows), journal, options, {.delay = 0ms}};
        })(far, table, clock, setting);
    };
    SECTION("that live for their ttl") {
        every_read_is_explained<LateTable>(short_lives, make);
    }
    SECTION("while they are told of") {
        every_read_is_explained<LateTable>(heard_of, make);
    }
}

TEST_CASE("the checker sees what near copies by hand get wrong", "[history][tiered]") {
    const auto make = [](const Far& far, Table& table, const larder::ManualClock& clock,
                         const Setting& setting) {
        std::array<std::unique_ptr<ByHand>, processes> all;
        for (auto& each : all) {
            each = std::make_unique<ByHand>(far, table, clock, setting);
        }
        return all;
    };
    larder::Stats all;
    std::atomic<long> joined{0};
    std::size_t wrong = 0;
    for (int i = 0; i < 50 && wrong == 0; ++i) {
        wrong = run<Table>(heard_of, make, all, joined).size();
    }
    CHECK(wrong > 0);
}
