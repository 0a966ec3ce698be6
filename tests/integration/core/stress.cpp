// SPDX-License-Identifier: MIT

// All verbs of three policies whose loaders read each other, over short lives and small executors:
// no wait is longer than its bound, no read goes back, nothing is left in hand. Has threads:
// std::jthread. LARDER_STRESS_MS is how long each combination runs.

#include "support/stress.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <optional>

using namespace std::chrono_literals;

namespace {

// A user's three-function store, in real time.
class Plain {
public:
    using key_type = int;
    using value_type = int;

    std::optional<larder::Entry<int>> find(int key) const {
        const std::scoped_lock lock{state_->mutex};
        const auto at = state_->entries.find(key);
        const auto now = std::chrono::steady_clock::now();
        if (at == state_->entries.end() || now >= at->second.stale_at + at->second.grace) {
            return {};
        }
        return larder::Entry<int>{at->second.value,
                                  std::chrono::ceil<larder::Ttl>(at->second.stale_at - now)};
    }
    void put(int key, std::optional<int> value, larder::Lifetime life) const {
        const std::scoped_lock lock{state_->mutex};
        state_->entries[key] = {value, std::chrono::steady_clock::now() + life.fresh, life.grace};
    }
    bool erase(int key) const {
        const std::scoped_lock lock{state_->mutex};
        return state_->entries.erase(key) > 0;
    }

private:
    struct Held {
        std::optional<int> value;
        std::chrono::steady_clock::time_point stale_at;
        larder::Ttl grace;
    };
    struct State {
        std::mutex mutex{};
        std::map<int, Held> entries{};
    };
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace

TEST_CASE("all verbs at once, with nested loads, over a MemoryStore", "[stress]") {
    using Store = larder::MemoryStore<int, int>;
    larder_test::stress<Store>([] { return Store{{.capacity = 12}}; }, 300ms);
}

TEST_CASE("all verbs at once, with nested loads, over a plain store", "[stress]") {
    using Store = larder::Coordinated<Plain>;
    larder_test::stress<Store>([] { return Store{Plain{}}; }, 300ms);
}
