// SPDX-License-Identifier: MIT

// The registry of leases: which are renewed, which are given back, which end with a step.

#include "support/catch.hpp"

#include <larder/redis/detail/store/lease_renewer.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

using larder::redis::detail::LeaseRenewer;
using Flight = larder::detail::Flight<int>;
using Lead = larder::detail::Lead<larder::Fetched<int>>;

// What the timer did; the first of each kind can be waited for.
class Told {
public:
    void operator()(const LeaseRenewer::Due& due) {
        const std::scoped_lock lock{mutex_};
        for (const auto& lease : due.renew) {
            renewed_.push_back(lease.id);
        }
        for (const auto& lease : due.give_back) {
            given_back_.push_back(lease.id);
        }
        changed_.notify_all();
    }
    // Waits until the timer has taken a step of both kinds.
    bool both() {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, 1min,
                                 [&] { return !renewed_.empty() && !given_back_.empty(); });
    }
    bool only(std::uint64_t renewed, std::uint64_t given_back) {
        const std::scoped_lock lock{mutex_};
        const auto all = [](const std::vector<std::uint64_t>& ids, std::uint64_t id) {
            return std::all_of(ids.begin(), ids.end(), [&](auto other) { return other == id; });
        };
        return all(renewed_, renewed) && all(given_back_, given_back);
    }

private:
    std::mutex mutex_{};
    std::condition_variable changed_{};
    std::vector<std::uint64_t> renewed_{};
    std::vector<std::uint64_t> given_back_{};
};

Lead lead() {
    return Lead{std::make_shared<Flight>()};
}

}  // namespace

// Rule R7.
TEST_CASE("the timer renews what is under way, and gives back what is over", "[redis]") {
    Told told;
    LeaseRenewer leases{30ms, [&](const auto& due) { told(due); }};
    const Lead alive = lead();
    leases.add({1, false, "a"}, alive.flight());
    {
        const Lead gone = lead();
        leases.add({2, true, "b"}, gone.flight());
        CHECK(leases.count() == 2);
    }
    CHECK(leases.count() == 1);
    CHECK(leases.under_way("b").empty());
    CHECK(leases.flight("b", 2) == nullptr);
    CHECK(leases.ended("b", 2));
    CHECK_FALSE(leases.ended("a", 1));
    REQUIRE(told.both());
    CHECK(told.only(1, 2));
}

TEST_CASE("a lease is found by its slot and its id", "[redis]") {
    LeaseRenewer leases{1min, [](const auto&) {}};
    const Lead first = lead();
    const Lead second = lead();
    leases.add({1, false, "a"}, first.flight());
    leases.add({2, false, "a"}, second.flight());
    CHECK(leases.flight("a", 1) == first.flight());
    CHECK(leases.flight("a", 2) == second.flight());
    CHECK(leases.flight("b", 1) == nullptr);
    CHECK(leases.under_way("a").size() == 2);
    leases.confirm("a", 2, true);
    leases.remove("a", 1);
    REQUIRE(leases.under_way("a").size() == 1);
    CHECK(leases.under_way("a").front().lease.beside);
    CHECK(leases.ended("a", 1));
    leases.forget("a", 2);
    CHECK_FALSE(leases.ended("a", 2));
    CHECK(leases.count() == 0);
}

TEST_CASE("a step ends what was confirmed before it was sent, and nothing else", "[redis]") {
    LeaseRenewer leases{1min, [](const auto&) {}};
    const Lead before = lead();
    const Lead asked = lead();
    const Lead after = lead();
    leases.add({1, false, "a"}, before.flight());
    leases.confirm("a", 1, false);
    leases.add({2, false, "a"}, asked.flight());  // the server may give it before or after the step
    const auto moment = leases.now();
    leases.add({3, false, "a"}, after.flight());
    leases.confirm("a", 3, false);
    leases.lose("a", moment);
    CHECK(leases.flight("a", 1) == nullptr);
    CHECK(leases.ended("a", 1));
    CHECK(leases.flight("a", 2) == asked.flight());
    CHECK(leases.flight("a", 3) == after.flight());
    leases.lose("b", leases.now());
    CHECK(leases.count() == 2);
}
