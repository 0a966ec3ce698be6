// SPDX-License-Identifier: MIT

#include "support/catch.hpp"
#include "support/failing_steps.hpp"

#include <larder/detail/write_behind/batches_under_way.hpp>
#include <larder/detail/write_behind/claimed_batch.hpp>
#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Claimed;
using larder::Ttl;
using larder::detail::ClaimedBatch;
using larder_test::Stepping;
using larder_test::Steps;

namespace {

template <class K, class V>
std::vector<Claimed<K, V>> claims_of(std::vector<std::pair<K, V>> pairs) {
    std::vector<Claimed<K, V>> claims;
    for (auto& [key, value] : pairs) {
        const auto n = claims.size();
        claims.push_back({{key, std::optional<V>{value}, 100 + n}, 10 + n, n});
    }
    return claims;
}

// A journal that keeps what it is told to renew.
template <class K, class V>
struct Renewed {
    std::vector<Claimed<K, V>> claims{};
    int calls = 0;

    void renew(std::span<const Claimed<K, V>> given, Ttl) {
        ++calls;
        claims.assign(given.begin(), given.end());
    }
};

}  // namespace

TEST_CASE("changes go through a batch and back into their claims without a copy", "[batches]") {
    const std::string text(100, 'x');
    auto claims = claims_of<int, std::string>({{1, text}, {2, text}, {3, text}});
    std::vector<const char*> places;
    for (const auto& one : claims) {
        places.push_back(one.change.value->data());
    }
    ClaimedBatch<int, std::string> batch;
    batch.take(claims);
    CHECK(batch.size() == 3);
    CHECK(batch.left() == 3);
    const auto two = batch.next(2);
    CHECK(two[0].key == 1);
    CHECK(two[1].version == 101);
    CHECK(two[1].value->data() == places[1]);
    const auto popped = batch.pop(2);
    CHECK(batch.left() == 1);
    CHECK(batch.size() == 3);
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(popped[i].change.value->data() == places[i]);
        CHECK(popped[i].change.key == static_cast<int>(i) + 1);
        CHECK(popped[i].claim == 10 + i);
        CHECK(popped[i].attempts == i);
    }
    CHECK(batch.next(1)[0].key == 3);
    CHECK(batch.pop(1)[0].change.value->data() == places[2]);
    CHECK(batch.left() == 0);
}

TEST_CASE("only what the journal was not told of yet is renewed", "[batches]") {
    auto claims = claims_of<std::string, int>({{"a", 1}, {"b", 2}, {"c", 3}});
    ClaimedBatch<std::string, int> batch;
    Renewed<std::string, int> journal;
    batch.renew(journal, 1s);
    CHECK(journal.calls == 0);
    batch.take(claims);
    batch.renew(journal, 1s);
    REQUIRE(journal.claims.size() == 3);
    CHECK(journal.claims[0].change.key == "a");
    CHECK(journal.claims[0].claim == 10);
    static_cast<void>(batch.pop(1));
    batch.renew(journal, 1s);
    REQUIRE(journal.claims.size() == 2);
    CHECK(journal.claims[0].change.key == "b");
    CHECK(journal.claims[0].change.version == 101);
    CHECK(journal.claims[1].claim == 12);
    CHECK(batch.next(2)[0].key == "b");  // it is where it was
    static_cast<void>(batch.pop(2));
    batch.renew(journal, 1s);
    CHECK(journal.calls == 2);
}

TEST_CASE("a batch that cannot be made leaves the claims as they were", "[batches]") {
    for (std::size_t n = 1;; ++n) {
        INFO(n);
        auto claims = claims_of<Stepping, Stepping>(
            {{Stepping{1}, Stepping{10}}, {Stepping{2}, Stepping{20}}});
        ClaimedBatch<Stepping, Stepping> batch;
        const bool failed = Steps::fail(n, false, [&] { batch.take(claims); });
        if (!failed) {
            CHECK(n > 2);
            CHECK(batch.next(2)[1].value->n == 20);
            CHECK(batch.pop(2)[1].change.value->n == 20);
            break;
        }
        REQUIRE(claims.size() == 2);
        CHECK(claims[0].change.value->n == 10);
        CHECK(claims[1].change.key.n == 2);
        CHECK(batch.size() == 0);
    }
}

TEST_CASE("a batch knows whether somebody will begin it", "[batches]") {
    const ClaimedBatch<int, int> batch;
    CHECK(batch.dropped());
    auto turn = batch.turn();
    CHECK_FALSE(batch.dropped());
    CHECK_FALSE(turn->begun());
    CHECK(batch.turn()->begin());
    CHECK_FALSE(turn->begin());
    CHECK(turn->begun());
    turn.reset();
    CHECK(batch.dropped());
}

TEST_CASE("batches and claims are as many as may be, and who waits, waits for the claims of before",
          "[batches_under_way]") {
    using Batch = larder::detail::ClaimedBatch<int, int>;
    using Batches = larder::detail::BatchesUnderWay<Batch>;
    constexpr auto never = (std::chrono::steady_clock::time_point::max)();
    Batches all;
    auto first = std::make_unique<Batches::Claiming>(all, 2, 1h);
    auto second = std::make_unique<Batches::Claiming>(all, 2, 1h);
    CHECK(first->begun());
    CHECK(second->begun());
    CHECK(all.size() == 2);
    CHECK_FALSE(Batches::Claiming{all, 2, 1h}.begun());

    SECTION("a claim that found nothing makes room") {
        second.reset();
        CHECK(all.size() == 1);
        CHECK(Batches::Claiming{all, 2, 1h}.begun());
    }
    SECTION("a claim becomes a batch, which takes its room until it is removed") {
        const auto batch = std::make_shared<Batch>();
        CHECK(second->add(batch));
        second.reset();
        CHECK(all.size() == 2);
        CHECK_FALSE(Batches::Claiming{all, 2, 1h}.begun());
        all.remove(*batch);
        CHECK(all.size() == 1);
    }
    SECTION("those that begin later are not waited for") {
        second.reset();
        std::atomic<bool> over{false};
        std::jthread never_without{[&] {
            while (!over) {
                auto next = std::make_unique<Batches::Claiming>(all, 3, 1h);
                first = std::move(next);
            }
        }};
        all.wait_for_claims(never);
        over = true;
    }
    SECTION("none begins beside one that has been under way for long, which nobody can renew") {
        CHECK_FALSE(Batches::Claiming{all, 3, 0ms}.begun());
        CHECK(Batches::Claiming{all, 3, 1h}.begun());
        CHECK(first->add(std::make_shared<Batch>()));
        CHECK_FALSE(Batches::Claiming{all, 3, 0ms}.begun());
        second.reset();
        CHECK(Batches::Claiming{all, 3, 0ms}.begun());
    }
    SECTION(
        "there is rest when nothing is claimed or written, and no task runs between its batches") {
        CHECK_FALSE(all.idle());
        first.reset();
        const auto batch = std::make_shared<Batch>();
        CHECK(second->add(batch));
        CHECK_FALSE(all.idle());
        {
            const Batches::Task task{all};
            all.remove(*batch);
            CHECK_FALSE(all.idle());
            CHECK(all.size() == 0);
        }
        CHECK(all.idle());
    }
    SECTION("nobody waits beyond a time") {
        all.wait_for_claims(std::chrono::steady_clock::now());
        CHECK(all.size() == 2);
    }
}
