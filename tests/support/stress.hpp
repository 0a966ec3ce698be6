// SPDX-License-Identifier: MIT

/// @file
/// All verbs of three policies whose loaders read each other, from many threads at once.

#ifndef LARDER_TESTS_SUPPORT_STRESS_HPP
#define LARDER_TESTS_SUPPORT_STRESS_HPP

#include "support/catch.hpp"
#include "support/watchdog.hpp"

#include <larder/larder.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace larder_test {

/// How long a stress lasts.
///
/// @param usual  unless LARDER_STRESS_MS says another
[[nodiscard]] inline std::chrono::milliseconds stress_time(std::chrono::milliseconds usual) {
    const char* const text = std::getenv("LARDER_STRESS_MS");
    return text != nullptr ? std::chrono::milliseconds{std::atoll(text)} : usual;
}

/// Rows whose versions grow with each write.
class Versions {
public:
    static constexpr int keys = 16;

    struct NotNow : std::runtime_error, larder::NotWritten {
        using std::runtime_error::runtime_error;
    };

    std::function<void(int)> within = [](int) {};

    std::optional<int> load(int key) {
        within(key);
        const int row = at(key);
        return row == 0 ? std::nullopt : std::optional{row};
    }
    /// @return the row as stored
    int save(int key, int) {
        if (++saves_ % 16 == 0) {
            throw NotNow{"not now"};
        }
        return last() = ++at(key);
    }
    void remove(int) { throw NotNow{"rows stay"}; }

    /// What this thread's last write has made of its row.
    static int& last() {
        thread_local int version = 0;
        return version;
    }

private:
    std::atomic<int>& at(int key) { return rows_[static_cast<std::size_t>(key)]; }

    std::array<std::atomic<int>, keys> rows_{};
    std::atomic<unsigned> saves_{0};
};

/// The first reads the other two, the second the third, and the third now and then the first: then a
/// load that would wait for itself is refused.
///
/// @tparam S  the store of all three, each with one of its own
template <class S>
class Stress {
    using Rows = std::reference_wrapper<Versions>;
    using Ahead = larder::RefreshAhead<S, Rows>;
    static constexpr bool tagged = S::keeps_tags;

public:
    using First = std::conditional_t<tagged, larder::Tagged<Ahead>, Ahead>;
    using Second = larder::WriteThrough<S, Rows>;
    using Third = larder::CacheAside<S, Rows>;

    /// @param make  gives a store
    template <class Make>
    Stress(const Make& make, const larder::Executor& executor, larder::Ttl ttl, bool store_may_fail)
        : store_may_fail_{store_may_fail},
          first_{tag(Ahead{make(), std::ref(rows_[0]), options(executor, ttl)})},
          second_{make(), std::ref(rows_[1]), options(executor, ttl)},
          third_{make(), std::ref(rows_[2]), hurried(options(executor, ttl))} {
        rows_[0].within = [this](int key) { load_first(key); };
        rows_[1].within = [this](int key) { load_second(key); };
        rows_[2].within = [this](int key) { load_third(key); };
    }

    void run(std::chrono::milliseconds how_long, unsigned threads) {
        const auto end = std::chrono::steady_clock::now() + how_long;
        std::vector<std::jthread> callers;
        for (unsigned number = 0; number < threads; ++number) {
            callers.emplace_back([this, number, end] {
                std::mt19937 random{number};
                while (std::chrono::steady_clock::now() < end && !wrong_) {
                    guarded([&] { call(random); });
                }
            });
        }
    }

    /// Nothing that nobody could explain has happened, and nothing is in hand.
    void check() {
        CHECK(why() == "");
        CHECK(calls_ > 0);
        const auto until = std::chrono::steady_clock::now() + bound;
        while (!nothing_in_hand() && std::chrono::steady_clock::now() < until) {
            std::this_thread::yield();
        }
        CHECK(nothing_in_hand());
    }

    [[nodiscard]] std::size_t calls() const { return calls_; }
    [[nodiscard]] std::size_t refused() const { return refused_; }

    static constexpr std::chrono::seconds bound{20};

private:
    using Milliseconds = std::chrono::milliseconds;

    static larder::Options options(const larder::Executor& executor, larder::Ttl ttl) {
        return {.ttl = ttl,
                .jitter = 0.3,
                .negative_ttl = ttl,
                .grace = ttl / 2 + Milliseconds{1},
                .ticket = std::chrono::minutes{1},
                .refresh_concurrency = 3,
                .refresh_backoff = Milliseconds{2},
                .executor = executor};
    }
    static larder::Options hurried(larder::Options options) {
        options.load_timeout = Milliseconds{1};
        return options;
    }
    static First tag(Ahead ahead) {
        if constexpr (tagged) {
            return First{std::move(ahead), [](int key, int) {
                             return larder::Tags{"part:" + std::to_string(key % 3)};
                         }};
        } else {
            return ahead;
        }
    }

    [[nodiscard]] Watchdog::Step step(const char* what, int key) {
        return {dog_, std::string{what} + ' ' + std::to_string(key)};
    }

    static int other(int key, int by) { return (key * 5 + by) % Versions::keys; }

    // ---- loaders ----

    void load_first(int key) {
        const auto mine = step("load first", key);
        nap(key);
        if (key % 2 == 0) {
            (void)second_.get(other(key, 1), larder::Read{.timeout = Milliseconds{50}});
        } else {
            (void)third_.get_many({other(key, 1), other(key, 2), other(key, 1)});
        }
        if (++loads_ % 8 == 0) {
            second_.refresh(other(key, 3));
        }
        if (key % 5 == 0) {
            (void)first_.get_many({other(key, 1), other(key, 2)});  // batches that cross
        }
    }
    void load_second(int key) {
        const auto mine = step("load second", key);
        nap(key);
        const std::stop_source stop;
        (void)third_.get(other(key, 1), larder::Read{.stop = stop.get_token()});
        if (key % 4 == 0) {
            (void)third_.warm({key, other(key, 1)}, {.batch = 1, .parallel = 3});
        }
    }
    void load_third(int key) {
        const auto mine = step("load third", key);
        nap(key);
        if (++loads_ % 16 == 0) {
            (void)first_.get(other(key, 1));
        }
    }
    // A database takes its time.
    static void nap(int key) {
        if (key % 3 == 0) {
            std::this_thread::sleep_for(std::chrono::microseconds{300});
        }
    }

    // ---- callers ----

    void call(std::mt19937& random) {
        const int key = static_cast<int>(random() % Versions::keys);
        switch (random() % 3) {
            case 0: any_verb(first_, rows_[0], "first", key, random); break;
            case 1: second_verb(key, random); break;
            default: any_verb(third_, rows_[2], "third", key, random); break;
        }
        ++calls_;
    }

    // The second's writes are the only ones of its rows: no read may go back.
    void second_verb(int key, std::mt19937& random) {
        std::atomic<int>& newest = newest_[static_cast<std::size_t>(key)];
        if (random() % 4 == 0) {
            const auto mine = step("second put", key);
            second_.put(key, 0);
            raise(newest, Versions::last());
        } else if (random() % 4 == 0) {
            const auto mine = step("second get", key);
            const int least = newest;
            const int read = second_.get(key).value_or(0);
            if (read < least) {
                complain("key " + std::to_string(key) + " goes back from " + std::to_string(least) +
                         " to " + std::to_string(read));
            }
        } else {
            any_verb(second_, rows_[1], "second", key, random);
        }
    }

    template <class P>
    void any_verb(const P& policy, Versions& rows, const char* name, int key,
                  std::mt19937& random) {
        const auto mine = step(name, key);
        const std::stop_source stop;
        const auto load = [&rows](int k) { return rows.load(k); };
        const int next = (key + 1) % Versions::keys;
        switch (random() % 17) {
            case 0: (void)policy.get(key); break;
            case 1:
                (void)policy.get(key, larder::Read{.timeout = Milliseconds{random() % 8}});
                break;
            case 2: (void)policy.get(key, larder::Read{.stop = stop.get_token()}); break;
            case 3: (void)policy.peek(key); break;
            case 4: (void)policy.fetch(key); break;
            case 5: (void)policy.get_many({key, next, key, other(key, 1)}); break;
            case 6: (void)policy.refresh(key); break;
            case 7:
                (void)policy.fetch(key, larder::Read{.timeout = Milliseconds{random() % 8},
                                                     .from = larder::From::source});
                break;
            case 8: policy.invalidate(key); break;
            case 9: policy.invalidate_many({key, next}); break;
            case 10: (void)policy.warm({key, next, other(key, 1)}, {.batch = 1}); break;
            case 11: policy.writing(key, next).rollback(); break;
            case 12: policy.writing(next, key).commit(); break;
            case 13:
                if constexpr (tagged && std::is_same_v<P, First>) {
                    key % 4 == 0 ? policy.invalidate_all()
                                 : policy.invalidate_tag("part:" + std::to_string(key % 3));
                }
                break;
            case 14: (void)policy.get(key, load, larder::Read{.timeout = Milliseconds{2}}); break;
            case 15:
                (void)policy.get(key, larder::detached(load),
                                 larder::Read{.timeout = Milliseconds{2}});
                break;
            default: (void)policy.get(key, larder::Read{.timeout = Milliseconds{200}}); break;
        }
    }

    // What may come: too late, or a load that would wait for itself, or a write that was refused.
    template <class F>
    [[gnu::noinline]] void guarded(F&& f) {
        try {
            f();
        } catch (const larder::NotWritten&) {
            ++refused_;
        } catch (const larder::StoreError& error) {
            ++refused_;
            if (!store_may_fail_) {
                complain(error.what());
            }
        } catch (const larder::Error& error) {
            ++refused_;
            if (error.code() != larder::Errc::timed_out &&
                error.code() != larder::Errc::recursive_load) {
                complain(error.what());
            }
        } catch (const std::exception& error) {
            complain(error.what());
        }
    }

    static void raise(std::atomic<int>& newest, int version) {
        int known = newest;
        while (known < version && !newest.compare_exchange_weak(known, version)) {}
    }

    void complain(const std::string& what) {
        const std::scoped_lock lock{mutex_};
        wrong_ = true;
        why_ += what + '\n';
    }
    [[nodiscard]] std::string why() {
        const std::scoped_lock lock{mutex_};
        return why_;
    }

    [[nodiscard]] bool nothing_in_hand() {
        const auto nothing = larder::detail::PolicyInHand{};
        const auto graph = larder::detail::WaitGraph::count();
        using larder::detail::Inspect;
        return Inspect::in_hand(first_) == nothing && Inspect::in_hand(second_) == nothing &&
               Inspect::in_hand(third_) == nothing && graph.carried == 0 && graph.waits == 0;
    }

    const bool store_may_fail_;
    Watchdog dog_{bound};
    std::mutex mutex_{};
    std::string why_{};
    std::atomic<bool> wrong_{false};
    std::atomic<std::size_t> calls_{0};
    std::atomic<std::size_t> refused_{0};
    std::atomic<unsigned> loads_{0};
    std::array<std::atomic<int>, Versions::keys> newest_{};
    std::array<Versions, 3> rows_{};
    First first_;
    Second second_;
    Third third_;
};

/// Every number of threads in the executor, and short lives.
///
/// @param calm  where the store fails now and then: told whether that is to end
template <class S, class Make>
void stress(const Make& make, std::chrono::milliseconds usual,
            const std::function<void(bool)>& calm = {}) {
    const auto how_long = stress_time(usual);
    for (const std::size_t threads :
         {std::size_t{1}, std::size_t{2}, std::size_t{16}, std::size_t{0}}) {
        for (const larder::Ttl ttl : {larder::Ttl{1}, larder::Ttl{20}}) {
            INFO(threads << " threads, " << ttl.count() << " ms");
            Stress<S> all{make,
                          threads != 0 ? larder::Executor::threads(threads) : larder::Executor{},
                          ttl, static_cast<bool>(calm)};
            if (calm) {
                calm(false);
            }
            all.run(how_long, 6);
            if (calm) {
                calm(true);
            }
            all.check();
        }
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_STRESS_HPP
