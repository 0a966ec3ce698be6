// SPDX-License-Identifier: MIT

/// @file
/// Steps that fail when told to: what a program's types, its clock and its memory do to a library.

#ifndef LARDER_TESTS_SUPPORT_FAILING_STEPS_HPP
#define LARDER_TESTS_SUPPORT_FAILING_STEPS_HPP

#include <larder/larder.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <new>
#include <utility>

namespace larder_test {

/// Counts the steps of this thread; the one that is due throws, and, if so told, all after it.
class Steps {
public:
    static void step() {
        if (left_ == 0 || (--left_ > 0)) {
            return;
        }
        left_ = lasting_ ? 1 : 0;
        hit_ = true;
        throw std::bad_alloc{};
    }

    /// The n-th step of `act` fails.
    ///
    /// @return true if there were so many
    template <class Act>
    static bool fail(std::size_t n, bool lasting, Act&& act) {
        struct Disarm {
            ~Disarm() { left_ = 0; }
        } const disarm;
        hit_ = false;
        lasting_ = lasting;
        left_ = n;
        try {
            act();
        } catch (const std::bad_alloc&) {}
        return hit_;
    }

private:
    static inline thread_local std::size_t left_ = 0;
    static inline thread_local bool lasting_ = false;
    static inline thread_local bool hit_ = false;
};

/// A number whose every copy, hash and comparison is a step; it has no move of its own.
struct Stepping {
    int n = 0;

    Stepping() = default;
    explicit Stepping(int number) : n{number} {}
    Stepping(const Stepping& other) : n{other.n} { Steps::step(); }
    Stepping& operator=(const Stepping& other) {
        Steps::step();
        n = other.n;
        return *this;
    }
    ~Stepping() = default;

    friend bool operator==(const Stepping& a, const Stepping& b) {
        Steps::step();
        return a.n == b.n;
    }
};

/// The same with moves that cannot fail.
struct Movable : Stepping {
    using Stepping::Stepping;
    Movable() = default;
    Movable(const Movable&) = default;
    Movable(Movable&& other) noexcept : Stepping{other.n} {}
    Movable& operator=(const Movable&) = default;
    Movable& operator=(Movable&& other) noexcept {
        n = other.n;
        return *this;
    }
    ~Movable() = default;
};

/// A manual clock that each look at is a step of.
class SteppingClock {
public:
    [[nodiscard]] std::chrono::steady_clock::time_point now() const {
        Steps::step();
        return clock_.now();
    }
    void advance(larder::Ttl by) { clock_.advance(by); }

private:
    larder::ManualClock clock_{};
};

}  // namespace larder_test

template <>
struct std::hash<larder_test::Stepping> {
    std::size_t operator()(const larder_test::Stepping& key) const {
        larder_test::Steps::step();
        return static_cast<std::size_t>(key.n);
    }
};

#endif  // LARDER_TESTS_SUPPORT_FAILING_STEPS_HPP
