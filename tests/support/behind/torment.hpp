// SPDX-License-Identifier: MIT

/// @file
/// Callers of a write-behind policy who do at random whatever callers do, on few keys, and whether every
/// read of theirs is explained.

#ifndef LARDER_TESTS_SUPPORT_BEHIND_TORMENT_HPP
#define LARDER_TESTS_SUPPORT_BEHIND_TORMENT_HPP

#include "support/catch.hpp"
#include "support/dawdle.hpp"
#include "support/history.hpp"
#include "support/versioned_table.hpp"

#include <larder/larder.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace larder_test {

inline constexpr int keys = 2;

/// Every statement dawdles, before and after it takes effect.
struct SlowRows : Rows {
    std::optional<int> load(int key) {
        dawdle();
        const auto row = Rows::load(key);
        dawdle();
        return row;
    }
    bool save(int key, int value, std::uint64_t version) { return slowly(key, value, version); }
    bool remove(int key, std::uint64_t version) { return slowly(key, std::nullopt, version); }

private:
    bool slowly(int key, std::optional<int> value, std::uint64_t version) {
        dawdle();
        const bool applied = apply(key, value, version);
        dawdle();
        return applied;
    }
};

/// A journal that tells each writer which version its change became, and counts what was superseded.
template <class J>
class Noting : public J {
public:
    using J::J;
    explicit Noting(J journal) : J{std::move(journal)} {}

    /// The version of this thread's last change.
    static std::uint64_t& recorded() {
        thread_local std::uint64_t version = 0;
        return version;
    }
    [[nodiscard]] long superseded() const { return *superseded_; }

    std::uint64_t record(const larder::Change<int, int>& change) {
        return recorded() = J::record(change);
    }
    std::optional<std::uint64_t> record(larder::Change<int, int>&& change, std::size_t most) {
        const auto version = J::record(std::move(change), most);
        recorded() = version.value_or(0);
        return version;
    }
    /// In one step with the slot's, and at times not: that write goes step by step.
    template <class Step>
        requires requires(J& journal, larder::detail::KeptValue<int>& value, const Step& step) {
            journal.record(1, value, std::size_t{1}, step);
        }
    std::optional<std::uint64_t> record(const int& key, larder::detail::KeptValue<int>& value,
                                        std::size_t most, const Step& step) {
        if (chance(2)) {
            return std::nullopt;
        }
        const auto dawdling = [&]() -> decltype(auto) {
            if constexpr (std::invocable<const Step&>) {
                return [&] {
                    dawdle();
                    const bool taken = step();
                    dawdle();
                    return taken;
                };
            } else {
                return (step);  // it is carried out elsewhere
            }
        };
        const auto version = J::record(key, value, most, dawdling());
        recorded() = version.value_or(0);
        return version;
    }
    std::vector<bool> settle(std::span<const larder::Claimed<int, int>> claims) {
        const std::vector<bool> mine = J::settle(claims);
        for (const bool settled : mine) {
            *superseded_ += settled ? 0 : 1;
        }
        return mine;
    }

private:
    std::shared_ptr<std::atomic<long>> superseded_ = std::make_shared<std::atomic<long>>(0);
};

/// The histories of all keys.
struct Report {
    std::array<ValueHistory, keys> histories{};
    std::atomic<int> values{0};
    std::atomic<long> pending{0};
    std::atomic<long> loaded{0};

    ValueHistory& of(int key) { return histories[static_cast<std::size_t>(key)]; }
    [[nodiscard]] std::vector<std::string> unexplained() const {
        std::vector<std::string> all;
        for (const auto& history : histories) {
            for (auto& text : history.unexplained()) {
                all.push_back(std::move(text));
            }
        }
        return all;
    }
};

/// Eight threads do at random what callers do, `rounds` times each.
///
/// @param recorded  the version of the calling thread's last change
template <class Cache>
void torment(Cache& cache, Report& report, int rounds, std::uint64_t& (*recorded)()) {
    const auto many = [&](auto&& work) {
        return [&, work] {
            for (int i = 0; i < rounds; ++i) {
                work(i % keys);
                dawdle();
            }
        };
    };
    const auto writer = many([&](int key) {
        if (chance(4)) {
            report.of(key).write(std::nullopt, [&] {
                cache.remove(key);
                return recorded();
            });
        } else {
            const int value = ++report.values;
            report.of(key).write(value, [&] {
                cache.put(key, value);
                return recorded();
            });
        }
    });
    const auto reader = many([&](int key) {
        report.of(key).read([&] {
            if constexpr (requires { cache.fetch(key).source; }) {
                const auto fetched = cache.fetch(key);
                report.pending += fetched.source == larder::Source::pending ? 1 : 0;
                report.loaded += fetched.source == larder::Source::loaded ? 1 : 0;
                return fetched.value;
            } else {
                return cache.get(key);
            }
        });
    });
    const auto batch = many([&](int) {
        report.of(0).read([&] {
            std::optional<int> first;
            report.of(1).read([&] {
                const auto got = cache.get_many({0, 1});
                first = got[0];
                return got[1];
            });
            return first;
        });
    });
    const auto refresher =
        many([&](int key) { report.of(key).read([&] { return cache.refresh(key); }); });
    const auto invalidator = many([&](int key) {
        if constexpr (requires { cache.invalidate_all(); }) {
            switch (engine()() % 4) {
                case 0: cache.invalidate_all(); return;
                case 1: cache.invalidate_tag("even"); return;
                case 2: cache.invalidate_tags({"odd", "none"}); return;
                default: break;
            }
        }
        cache.invalidate(key);
    });
    const auto flusher = many([&](int) { cache.flush(larder::Ttl{0}); });

    std::vector<std::jthread> crowd;
    crowd.emplace_back(writer);
    crowd.emplace_back(writer);
    crowd.emplace_back(reader);
    crowd.emplace_back(reader);
    crowd.emplace_back(batch);
    crowd.emplace_back(refresher);
    crowd.emplace_back(invalidator);
    crowd.emplace_back(flusher);
}

/// As often as it takes to have been where it matters, and four times at least.
///
/// @param setting  gives a store and a Noting journal, both new, as a pair
/// @param tiny     the store has no room for all keys
/// @param make     gives a cache over a store, the rows and a journal
template <class Setting, class Make>
void every_read_is_explained(const Setting& setting, bool tiny, const Make& make) {
    larder::Stats all;
    long pending = 0;
    long loaded = 0;
    long superseded = 0;
    const auto everywhere = [&] {
        return all.hits > 0 && all.fenced_fills > 0 && all.joined > 0 && all.bypassed > 0 &&
               pending > 0 && loaded > 0 && superseded > 0 && (!tiny || all.evictions > 0);
    };
    const auto enough = std::chrono::steady_clock::now() + std::chrono::seconds{100};
    for (int run = 0; run < 4 || (!everywhere() && std::chrono::steady_clock::now() < enough);
         ++run) {
        SlowRows rows;
        Report report;
        const auto [store, journal] = setting();
        auto cache = make(store, rows, journal);
        torment(cache, report, 300, &std::remove_cvref_t<decltype(journal)>::recorded);
        CHECK(report.unexplained() == std::vector<std::string>{});
        CHECK(cache.flush(std::chrono::minutes{1}) == 0);
        CHECK(cache.dead_letters().empty());
        for (int key = 0; key < keys; ++key) {
            // What was written last is in the database, and is read.
            report.of(key).read([&] { return rows.load(key); });
            report.of(key).read([&] { return cache.get(key); });
        }
        CHECK(report.unexplained() == std::vector<std::string>{});
        const auto stats = cache.stats();
        CHECK(stats.lost_tickets == 0);
        all.hits += stats.hits;
        all.fenced_fills += stats.fenced_fills;
        all.joined += stats.joined;
        all.bypassed += stats.bypassed;
        all.evictions += stats.evictions;
        pending += report.pending;
        loaded += report.loaded;
        superseded += journal.superseded();
    }
    CHECK(everywhere());
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_BEHIND_TORMENT_HPP
