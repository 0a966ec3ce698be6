// SPDX-License-Identifier: MIT

/// @file
/// What the processes of a fleet did, and when: also what they had begun when they were killed.

#ifndef LARDER_TESTS_SUPPORT_FLEET_OPERATION_LOG_HPP
#define LARDER_TESTS_SUPPORT_FLEET_OPERATION_LOG_HPP

#include "support/fleet/moment.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace larder_test {

/// One operation of one process.
struct Logged {
    enum class Kind : std::uint8_t {
        read,
        write,  // through a policy
        past,   // past the policy, and then the key or its tag is invalidated
        load,   // a loader's call: what it has read may be filled for some time after it
    };
    enum class State : std::uint8_t {
        unused,
        begun,
        failed,  // it threw
        done,
    };
    static constexpr int nothing = -1;

    Kind kind{};
    State state{};
    unsigned life = 0;
    int key = 0;
    int version = 0;  // what a read saw: a version, or nothing
    Moment began = 0;
    Moment ended = 0;
};

/// What the database says of an operation: the version that it became.
struct Commit {
    int key = 0;
    int version = 0;
    bool is_there = false;
    std::size_t operation = 0;
};

/// For `Shared`: an append-only log of a fixed size.
///
/// Thread safety: every thread of every process appends; it is read when they have ended.
class OperationLog {
public:
    /// Where an operation stands in the log names it.
    using Number = std::size_t;

    /// @return  none: the log is full
    std::optional<Number> begin(Logged::Kind kind, unsigned life, int key) {
        const Number number = size_.fetch_add(1);
        if (number >= slots_.size()) {
            return std::nullopt;
        }
        Slot& slot = slots_[number];
        slot.logged = {kind, Logged::State::begun, life, key, 0, moment(), 0};
        slot.state.store(Logged::State::begun, std::memory_order_release);
        return number;
    }
    void end(Number number, Logged::State state, int version = 0) {
        Slot& slot = slots_[number];
        slot.logged.version = version;
        slot.logged.ended = moment();
        slot.state.store(state, std::memory_order_release);
    }

    [[nodiscard]] std::size_t size() const { return (std::min)(size_.load(), slots_.size()); }

    /// By number. One that was killed while it began is unused.
    [[nodiscard]] std::vector<Logged> operations() const {
        std::vector<Logged> all(size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            all[i] = slots_[i].logged;
            all[i].state = slots_[i].state.load(std::memory_order_acquire);
        }
        return all;
    }

private:
    struct Slot {
        std::atomic<Logged::State> state{Logged::State::unused};
        Logged logged{};
    };
    std::atomic<Number> size_{0};
    std::array<Slot, 1U << 17U> slots_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FLEET_OPERATION_LOG_HPP
