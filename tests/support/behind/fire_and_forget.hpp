// SPDX-License-Identifier: MIT

/// @file
/// Write-behind as the guides teach it: a queue in the process, popped, then written.

#ifndef LARDER_TESTS_SUPPORT_BEHIND_FIRE_AND_FORGET_HPP
#define LARDER_TESTS_SUPPORT_BEHIND_FIRE_AND_FORGET_HPP

#include "support/behind/row_table.hpp"
#include "support/behind/supervisor.hpp"

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace larder_test {

/// Wrong on purpose: what is in the queue is lost with the process.
class FireAndForget final : public BehindWriter {
public:
    explicit FireAndForget(RowRepository rows) : rows_{std::move(rows)} {}

    void write(int key, const std::optional<std::string>& value) override {
        const std::scoped_lock lock{mutex_};
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        queue_.push_back({key, value, static_cast<std::uint64_t>(now.count())});
    }
    void check(int, const std::optional<std::string>&) override {}

private:
    void flush() {
        std::vector<RowChange> popped;
        {
            const std::scoped_lock lock{mutex_};
            popped.swap(queue_);
        }
        for (const RowChange& change : popped) {
            rows_.save_many({&change, 1});
        }
    }

    RowRepository rows_;
    std::mutex mutex_{};
    std::vector<RowChange> queue_{};
    std::jthread thread_{[this](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
            flush();
        }
        flush();
    }};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_BEHIND_FIRE_AND_FORGET_HPP
