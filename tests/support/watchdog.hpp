// SPDX-License-Identifier: MIT

/// @file
/// Ends a program of which a thread has waited too long, and says who does what.

#ifndef LARDER_TESTS_SUPPORT_WATCHDOG_HPP
#define LARDER_TESTS_SUPPORT_WATCHDOG_HPP

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace larder_test {

/// While it lives, no step that a thread has announced may last longer than `most`: else the program
/// ends, with a line for each thread that is within a step: which, and for how long.
///
/// Thread safety: all members may run concurrently.
class Watchdog {
    using Clock = std::chrono::steady_clock;

public:
    explicit Watchdog(std::chrono::milliseconds most) : most_{most}, thread_{[this] { run(); }} {}
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;
    ~Watchdog() {
        {
            const std::scoped_lock lock{mutex_};
            over_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }

    /// A step of this thread, for its lifetime; steps may be nested.
    class Step {
    public:
        Step(Watchdog& dog, std::string what) : dog_{dog} {
            const std::scoped_lock lock{dog_.mutex_};
            number_ = ++dog_.numbers_;
            dog_.steps_.emplace(number_,
                                Entry{std::this_thread::get_id(), std::move(what), Clock::now()});
        }
        Step(const Step&) = delete;
        Step& operator=(const Step&) = delete;
        ~Step() {
            const std::scoped_lock lock{dog_.mutex_};
            dog_.steps_.erase(number_);
        }

    private:
        Watchdog& dog_;
        unsigned long long number_;
    };

private:
    struct Entry {
        std::thread::id thread;
        std::string what;
        Clock::time_point since;
    };

    void run() {
        std::unique_lock lock{mutex_};
        while (!changed_.wait_for(lock, most_ / 8, [this] { return over_; })) {
            for (const auto& [number, step] : steps_) {
                if (Clock::now() - step.since > most_) {
                    bark();
                }
            }
        }
    }

    [[noreturn]] void bark() const {
        std::fputs("a wait is longer than its bound:\n", stderr);
        for (const auto& [number, step] : steps_) {
            const auto lasts =
                std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - step.since);
            std::fprintf(stderr, "  thread %zx, for %lld ms: %s\n",
                         std::hash<std::thread::id>{}(step.thread),
                         static_cast<long long>(lasts.count()), step.what.c_str());
        }
        std::fflush(stderr);
        std::_Exit(1);
    }

    const std::chrono::milliseconds most_;
    std::mutex mutex_{};
    std::condition_variable changed_{};
    std::map<unsigned long long, Entry> steps_{};  // in the order in which they began
    unsigned long long numbers_ = 0;
    bool over_ = false;
    std::thread thread_;
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_WATCHDOG_HPP
