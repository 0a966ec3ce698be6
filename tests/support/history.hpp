// SPDX-License-Identifier: MIT

/// @file
/// Records who read and wrote one key, and says whether the whole is explained by one order.

#ifndef LARDER_TESTS_SUPPORT_HISTORY_HPP
#define LARDER_TESTS_SUPPORT_HISTORY_HPP

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace larder_test {

/// The history of a register whose versions grow with each write; 0 is what it held at first, and
/// that may be nothing.
///
/// It is linearizable if and only if the operations can be sorted by version, each write ahead of
/// the reads of it, without putting one that began after another had ended in front of that other.
///
/// A write may be loose while it is in flight: seen, and then not seen, until it has ended. What has
/// ended is not hidden from reads that begin afterwards, loose or not.
///
/// Thread safety: operations are recorded by any number of threads, and judged when they are done.
class History {
public:
    using Moment = std::uint64_t;
    static constexpr Moment never = (std::numeric_limits<Moment>::max)();

    enum class Kind : std::uint8_t {
        read,
        write,
        attempt,  // a write that failed: it may take effect at any time, as any version, or never
    };
    enum class Holds : std::uint8_t {
        value,
        nothing,  // a removal; a read that found nothing does not tell which: its version is not used
    };
    enum class Flight : std::uint8_t { strict, loose };
    struct Operation {
        Kind kind;
        int version;
        Moment began;
        Moment ended;
        Holds holds = Holds::value;
        Flight flight = Flight::strict;
    };

    /// Carries out a read; `f` gives the version that it saw.
    template <class F>
    int read(F&& f) {
        const Moment began = now();
        const int version = f();
        add({Kind::read, version, began, now()});
        return version;
    }

    /// Carries out a write; `f` gives the version that it became. What it throws passes through.
    template <class F>
    int write(F&& f) {
        const Moment began = now();
        try {
            const int version = f();
            add({Kind::write, version, began, now()});
            return version;
        } catch (...) {
            add({Kind::attempt, 0, began, never});
            throw;
        }
    }

    [[nodiscard]] std::vector<std::string> unexplained() const {
        const std::scoped_lock lock{mutex_};
        return unexplained(operations_);
    }
    [[nodiscard]] std::size_t size() const {
        const std::scoped_lock lock{mutex_};
        return operations_.size();
    }

    /// What no order explains; empty for a history that is linearizable.
    [[nodiscard]] static std::vector<std::string> unexplained(std::vector<Operation> operations) {
        std::vector<std::string> wrong;
        std::map<int, Operation> writes{{0, {Kind::write, 0, 0, 0, Holds::nothing}}};
        Moment first_attempt = never;
        for (const Operation& o : operations) {
            if (o.kind == Kind::attempt) {
                first_attempt = (std::min)(first_attempt, o.began);
            } else if (o.kind == Kind::write && !writes.emplace(o.version, o).second) {
                wrong.push_back(text(o) + ": another write became that version too");
            }
        }
        std::erase_if(operations, [](const Operation& o) { return o.kind == Kind::attempt; });
        std::sort(operations.begin(), operations.end(),
                  [](const Operation& a, const Operation& b) { return a.began < b.began; });
        std::vector<Operation*> by_end;
        for (Operation& o : operations) {
            by_end.push_back(&o);
        }
        std::sort(by_end.begin(), by_end.end(),
                  [](const Operation* a, const Operation* b) { return a->ended < b->ended; });
        // No later operation may be older than `floor`, the newest that those which had ended prove.
        int floor = 0;
        const Operation* newest = nullptr;
        auto ended = by_end.cbegin();
        for (Operation& o : operations) {
            for (; ended != by_end.cend() && (*ended)->ended < o.began; ++ended) {
                const int proven = proves(**ended, writes);
                if (newest == nullptr || proven >= floor) {
                    floor = proven;
                    newest = *ended;
                }
            }
            if (o.kind == Kind::read && o.holds == Holds::nothing) {
                // Nothing is nothing: the oldest that it may have been asks least of the others.
                const auto at =
                    std::find_if(writes.lower_bound(floor), writes.end(),
                                 [](const auto& w) { return w.second.holds == Holds::nothing; });
                if (at == writes.end() && first_attempt > o.ended) {
                    wrong.push_back(text(o) + ": began after " + text(*newest));
                }
                o.version = at == writes.end() ? floor : at->first;
            }
            // A write comes before the reads of it, too.
            if (newest != nullptr && o.version < floor + (o.kind == Kind::write ? 1 : 0)) {
                wrong.push_back(text(o) + ": began after " + text(*newest));
            }
            if (o.kind == Kind::read) {
                const auto at = writes.find(o.version);
                if (at == writes.end() ? o.ended < first_attempt : at->second.began > o.ended) {
                    wrong.push_back(text(o) + ": nobody had written that");
                } else if (at != writes.end() && o.version != 0 && o.holds == Holds::value &&
                           at->second.holds == Holds::nothing) {
                    wrong.push_back(text(o) + ": that was " + text(at->second));
                }
            }
        }
        return wrong;
    }

private:
    // The version that nothing which begins after its end may be older than. A read of a loose write
    // proves only the strict ones ahead of it.
    static int proves(const Operation& o, const std::map<int, Operation>& writes) {
        if (o.kind == Kind::write) {
            return o.version;
        }
        auto at = writes.upper_bound(o.version);
        if (at == writes.begin() || std::prev(at)->first != o.version) {
            return o.version;  // an attempt's
        }
        do {
            --at;
        } while (at != writes.begin() && at->second.flight == Flight::loose);
        return at->first;
    }

    Moment now() { return clock_.fetch_add(1); }
    void add(Operation operation) {
        const std::scoped_lock lock{mutex_};
        operations_.push_back(operation);
    }
    static std::string text(const Operation& o) {
        const bool nothing = o.holds == Holds::nothing;
        const std::string version = std::to_string(o.version);
        const std::string what = o.kind == Kind::read
                                     ? (nothing ? "read nothing" : "read " + version)
                                 : nothing ? "remove " + version
                                           : "write " + version;
        const std::string end = o.ended == never ? "never" : std::to_string(o.ended);
        return what + (o.flight == Flight::loose ? " (loose)" : "") + " [" +
               std::to_string(o.began) + ", " + end + "]";
    }

    std::atomic<Moment> clock_{0};
    mutable std::mutex mutex_{};
    std::vector<Operation> operations_{};
};

/// The history of a register that shows its value and not its version. Each value is written once;
/// removals look alike, and so does what there was at first: nothing.
///
/// Thread safety: as History.
class ValueHistory {
public:
    using Value = std::optional<int>;

    /// Carries out a read; `f` gives what it saw.
    template <class F>
    Value read(F&& f) {
        const History::Moment began = clock_.fetch_add(1);
        const Value value = f();
        add({false, value, 0, began, clock_.fetch_add(1)});
        return value;
    }

    /// Carries out a write of `value`; `f` gives the version that it became, above those before.
    template <class F>
    void write(Value value, F&& f) {
        const History::Moment began = clock_.fetch_add(1);
        const std::uint64_t version = f();
        add({true, value, version, began, clock_.fetch_add(1)});
    }

    /// What no order explains. A read of nothing is taken for the earliest that it can be.
    [[nodiscard]] std::vector<std::string> unexplained() const {
        const std::scoped_lock lock{mutex_};
        std::vector<Seen> all = seen_;
        std::sort(all.begin(), all.end(),
                  [](const Seen& a, const Seen& b) { return a.began < b.began; });
        std::map<std::uint64_t, int> ranks{{0, 0}};
        for (const Seen& seen : all) {
            ranks.try_emplace(seen.version, 0);
        }
        int next = 0;
        for (auto& [version, rank] : ranks) {
            rank = next++;
        }
        std::map<int, int> written;
        std::set<int> removed{0};
        for (const Seen& seen : all) {
            if (seen.is_write && seen.value) {
                written[*seen.value] = ranks[seen.version];
            } else if (seen.is_write) {
                removed.insert(ranks[seen.version]);
            }
        }
        std::vector<std::string> wrong;
        std::vector<History::Operation> operations;
        std::multimap<History::Moment, int> ended;  // those that may end before the next begins
        int newest = 0;
        for (const Seen& seen : all) {
            for (; !ended.empty() && ended.begin()->first < seen.began;
                 ended.erase(ended.begin())) {
                newest = (std::max)(newest, ended.begin()->second);
            }
            int version = 0;
            if (seen.is_write) {
                version = ranks[seen.version];
            } else if (seen.value) {
                const auto at = written.find(*seen.value);
                version = at != written.end() ? at->second : next;  // nobody wrote it
            } else if (const auto at = removed.lower_bound(newest); at != removed.end()) {
                version = *at;
            } else {
                wrong.push_back("a read of nothing [" + std::to_string(seen.began) + ", " +
                                std::to_string(seen.ended) + "] where nothing was removed");
                continue;
            }
            ended.emplace(seen.ended, version);
            operations.push_back({seen.is_write ? History::Kind::write : History::Kind::read,
                                  version, seen.began, seen.ended});
        }
        for (std::string& text : History::unexplained(std::move(operations))) {
            wrong.push_back(std::move(text));
        }
        return wrong;
    }

private:
    struct Seen {
        bool is_write;
        Value value;
        std::uint64_t version;
        History::Moment began;
        History::Moment ended;
    };

    void add(Seen seen) {
        const std::scoped_lock lock{mutex_};
        seen_.push_back(seen);
    }

    std::atomic<History::Moment> clock_{0};
    mutable std::mutex mutex_{};
    std::vector<Seen> seen_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_HISTORY_HPP
