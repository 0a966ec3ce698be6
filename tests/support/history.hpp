// SPDX-License-Identifier: MIT

/// @file
/// Records who read and wrote one key, and says whether the whole is explained by one order.

#ifndef LARDER_TESTS_SUPPORT_HISTORY_HPP
#define LARDER_TESTS_SUPPORT_HISTORY_HPP

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace larder_test {

/// The history of a register whose versions grow with each write; 0 is what it held at first.
///
/// It is linearizable if and only if the operations can be sorted by version, each write ahead of
/// the reads of it, without putting one that began after another had ended in front of that other.
///
/// Thread safety: operations are recorded by any number of threads, and judged when they are done.
class History {
public:
    using Moment = std::uint64_t;
    static constexpr Moment never = std::numeric_limits<Moment>::max();

    enum class Kind : std::uint8_t {
        read,
        write,
        attempt,  // a write that failed: it may take effect at any time, as any version, or never
    };
    struct Operation {
        Kind kind;
        int version;
        Moment began;
        Moment ended;
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
        std::set<int> written{0};
        Moment first_attempt = never;
        for (const Operation& o : operations) {
            if (o.kind == Kind::attempt) {
                first_attempt = (std::min)(first_attempt, o.began);
            } else if (o.kind == Kind::write && !written.insert(o.version).second) {
                wrong.push_back(text(o) + ": another write became that version too");
            }
        }
        std::erase_if(operations, [](const Operation& o) { return o.kind == Kind::attempt; });
        std::vector<Operation> by_end = operations;
        std::sort(operations.begin(), operations.end(),
                  [](const Operation& a, const Operation& b) { return a.began < b.began; });
        std::sort(by_end.begin(), by_end.end(),
                  [](const Operation& a, const Operation& b) { return a.ended < b.ended; });
        const Operation* newest = nullptr;  // of those that had ended
        auto ended = by_end.cbegin();
        for (const Operation& o : operations) {
            for (; ended != by_end.cend() && ended->ended < o.began; ++ended) {
                if (newest == nullptr || ended->version >= newest->version) {
                    newest = &*ended;
                }
            }
            // A write comes before the reads of it, too.
            if (newest != nullptr &&
                o.version < newest->version + (o.kind == Kind::write ? 1 : 0)) {
                wrong.push_back(text(o) + ": began after " + text(*newest));
            }
            if (o.kind == Kind::read && !written.contains(o.version) && o.ended < first_attempt) {
                wrong.push_back(text(o) + ": nobody wrote that");
            }
        }
        return wrong;
    }

private:
    Moment now() { return clock_.fetch_add(1); }
    void add(Operation operation) {
        const std::scoped_lock lock{mutex_};
        operations_.push_back(operation);
    }
    static std::string text(const Operation& o) {
        return (o.kind == Kind::read ? "read " : "write ") + std::to_string(o.version) + " [" +
               std::to_string(o.began) + ", " + std::to_string(o.ended) + "]";
    }

    std::atomic<Moment> clock_{0};
    mutable std::mutex mutex_{};
    std::vector<Operation> operations_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_HISTORY_HPP
