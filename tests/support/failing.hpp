// SPDX-License-Identifier: MIT

/// @file
/// Steps that fail on command: the n-th of a kind on this thread, or all from the n-th on.

#ifndef LARDER_TESTS_SUPPORT_FAILING_HPP
#define LARDER_TESTS_SUPPORT_FAILING_HPP

#include <larder/clock.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>

namespace larder_test {

/// What a step can fail at.
enum class Fault : std::uint8_t {
    allocation,  ///< where the test replaces operator new by failing_new.hpp
    copy,
    move,
    hash,
    comparison,
    weigh,
    clock,
    listener,
    store,
    loader,
    repository,
    tags,
    executor,
    observer,
};

inline constexpr std::array every_fault{
    Fault::allocation, Fault::copy,  Fault::move,     Fault::hash,    Fault::comparison,
    Fault::weigh,      Fault::clock, Fault::listener, Fault::store,   Fault::loader,
    Fault::repository, Fault::tags,  Fault::executor, Fault::observer};

[[nodiscard]] constexpr std::string_view to_string(Fault fault) noexcept {
    constexpr std::array<std::string_view, every_fault.size()> names{
        "allocation", "copy",  "move",   "hash",       "comparison", "weigh",    "clock",
        "listener",   "store", "loader", "repository", "tags",       "executor", "observer"};
    return names[static_cast<std::size_t>(fault)];
}

/// What steps of a kind throw, allocations apart.
struct StepFailed : std::exception {
    [[nodiscard]] const char* what() const noexcept override { return "a step failed"; }
};

/// While it lives, steps of this thread fail.
class Failing {
public:
    enum class Times : std::uint8_t { once, from_then_on };

    Failing(Fault fault, int nth, Times times) noexcept : fault_{fault}, nth_{nth}, times_{times} {
        current() = this;
    }
    Failing(const Failing&) = delete;
    Failing& operator=(const Failing&) = delete;
    ~Failing() { current() = nullptr; }

    /// Whether the n-th step came.
    [[nodiscard]] bool hit() const noexcept { return steps_ >= nth_; }

    /// True if this step is to fail.
    [[nodiscard]] static bool fails(Fault fault) noexcept {
        Failing* const now = current();
        if (now == nullptr || now->fault_ != fault) {
            return false;
        }
        ++now->steps_;
        return now->steps_ == now->nth_ ||
               (now->times_ == Times::from_then_on && now->steps_ > now->nth_);
    }
    static void step(Fault fault) {
        if (fails(fault)) {
            throw StepFailed{};
        }
    }

private:
    static Failing*& current() noexcept {
        static thread_local Failing* failing = nullptr;
        return failing;
    }

    Fault fault_;
    int nth_;
    Times times_;
    int steps_ = 0;
};

/// A number whose copies, and whose moves if it has any, may fail.
template <bool moves_may_fail>
class Brittle {
public:
    Brittle() = default;
    explicit Brittle(int number) noexcept : number_{number} {}
    Brittle(const Brittle& other) : number_{other.number_} { Failing::step(Fault::copy); }
    Brittle(Brittle&& other) noexcept(!moves_may_fail) { take(other); }
    Brittle& operator=(const Brittle& other) {
        Failing::step(Fault::copy);
        number_ = other.number_;
        return *this;
    }
    Brittle& operator=(Brittle&& other) noexcept(!moves_may_fail) {
        take(other);
        return *this;
    }
    ~Brittle() = default;

    [[nodiscard]] int number() const noexcept { return number_; }

    friend bool operator==(const Brittle& a, const Brittle& b) {
        Failing::step(Fault::comparison);
        return a.number_ == b.number_;
    }

private:
    [[gnu::noinline]] void take(Brittle& other) {
        if constexpr (moves_may_fail) {
            number_ = -1;  // torn, if it fails
            Failing::step(Fault::move);
        }
        number_ = other.number_;
        other.number_ = -2;
    }

    int number_ = 0;
};

template <bool moves_may_fail>
[[nodiscard]] std::string to_key(const Brittle<moves_may_fail>& key) {
    return std::to_string(key.number());
}
template <bool moves_may_fail>
[[nodiscard]] bool from_key(std::string_view text, Brittle<moves_may_fail>& key) {
    Failing::step(Fault::copy);
    key = Brittle<moves_may_fail>{std::stoi(std::string{text})};
    return true;
}

struct BrittleHash {
    template <bool moves_may_fail>
    std::size_t operator()(const Brittle<moves_may_fail>& key) const {
        Failing::step(Fault::hash);
        return static_cast<std::size_t>(key.number()) * 0x9e3779b97f4a7c15U;
    }
};

/// A manual clock that may fail to tell the time.
struct BrittleClock {
    larder::ManualClock manual{};

    [[nodiscard]] std::chrono::steady_clock::time_point now() const {
        Failing::step(Fault::clock);
        return manual.now();
    }
};

}  // namespace larder_test

/// So that Coordinated, which hashes by larder::Hash, takes it for a key.
template <bool moves_may_fail>
struct std::hash<larder_test::Brittle<moves_may_fail>> : larder_test::BrittleHash {};

#endif  // LARDER_TESTS_SUPPORT_FAILING_HPP
