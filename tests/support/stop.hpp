// SPDX-License-Identifier: MIT

/// @file
/// A place where the first to come is held until the test lets it go.

#ifndef LARDER_TESTS_SUPPORT_STOP_HPP
#define LARDER_TESTS_SUPPORT_STOP_HPP

#include <atomic>
#include <latch>

namespace larder_test {

/// Stops the first caller of `pause` until `go`, and lets everybody else pass.
class Stop {
public:
    void pause() {
        if (!taken_.exchange(true)) {
            arrived_.count_down();
            leave_.wait();
        }
    }
    void wait_until_reached() const { arrived_.wait(); }
    void go() { leave_.count_down(); }

private:
    std::atomic<bool> taken_{false};
    std::latch arrived_{1};
    std::latch leave_{1};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_STOP_HPP
