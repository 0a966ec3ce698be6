// SPDX-License-Identifier: MIT

/// @file
/// The contract of tags.

#ifndef LARDER_TESTS_CONTRACT_TAGS_HPP
#define LARDER_TESTS_CONTRACT_TAGS_HPP

#include "bench.hpp"
#include "support/catch.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace larder_test {

/// Tags, where they are kept; and where not, that nobody relies on them.
template <class S>
void tag_contract(Rig<S>& rig) {
    using namespace contract;
    Bench<S> b{rig};
    using B = Bench<S>;
    auto& store = b.store;
    const larder::Tags tags{"shoes", "sale"};

    if constexpr (!B::Store::keeps_tags) {
        static_assert(!larder::TaggingStore<typename B::Store>);
        SECTION("a fill with tags is refused, and its lease let go") {
            const auto lease = b.lead();
            try {
                store.fill(b.k, lease, b.value(1), {minute, tags});
                FAIL("nothing was thrown");
            } catch (const larder::Error& error) {
                CHECK(error.code() == larder::Errc::tags_unsupported);
            }
            CHECK(b.is_free());
        }
        SECTION("a write with tags leaves nothing") {
            const Ticket ticket = b.begin();
            CHECK(store.finish_write(b.k, ticket, Finish::value, b.value(1), {minute, tags}));
            CHECK(b.is_free());
        }
    } else {
        static_assert(larder::TaggingStore<typename B::Store>);
        const auto invalidate = [&](std::string tag) {
            const std::vector<std::string> some{std::move(tag)};
            store.invalidate_tags(some);
        };
        const auto fill = [&](const Lease& lease, int i) {
            return store.fill(b.k, lease, b.value(i), {minute, tags});
        };

        SECTION("a tag's invalidation makes each entry that carries it a miss") {
            CHECK(fill(b.lead(), 1).kept);
            CHECK(b.has(1));
            invalidate("hats");
            CHECK(b.has(1));
            invalidate("sale");
            CHECK(b.absent());
            CHECK_FALSE(b.peek().there);
            if constexpr (!B::Store::shared) {
                CHECK_FALSE(store.erase(b.k));  // one that is shared does not read it for that
            }
            CHECK(b.is_free());
        }
        SECTION("what is loaded after it is good again") {
            CHECK(fill(b.lead(), 1).kept);
            invalidate("shoes");
            const auto opening = store.open(b.k);
            REQUIRE(opening.slot == Slot::lead);
            CHECK_FALSE(opening.copy);
            CHECK(fill(opening.lease, 2).kept);
            CHECK(b.has(2));
        }
        // Rule T1.
        SECTION("a load that met it is refused, and told so") {
            const auto lease = b.lead();
            invalidate("shoes");
            const auto filled = fill(lease, 1);
            CHECK_FALSE(filled.kept);
            CHECK_FALSE(filled.tags_stand);
            CHECK(b.is_free());
        }
        SECTION("a load is told whether its tags stand even if its lease was lost") {
            const auto lease = b.lead();
            store.erase(b.k);
            CHECK(fill(lease, 1).tags_stand);
            invalidate("shoes");
            const auto filled = fill(lease, 1);
            CHECK_FALSE(filled.kept);
            CHECK_FALSE(filled.tags_stand);
        }
        SECTION("a write that met it leaves nothing") {
            const Ticket ticket = b.begin();
            invalidate("shoes");
            CHECK(store.finish_write(b.k, ticket, Finish::value, b.value(1), {minute, tags}));
            CHECK(b.is_free());
        }
        SECTION("a write that did not meet it leaves its value") {
            invalidate("shoes");
            const Ticket ticket = b.begin();
            CHECK(store.finish_write(b.k, ticket, Finish::value, b.value(1), {minute, tags}));
            CHECK(b.has(1));
            invalidate("shoes");
            CHECK(b.absent());
        }
        SECTION("a known absence carries tags too") {
            CHECK(store.fill(b.k, b.lead(), std::nullopt, {minute, tags}).kept);
            REQUIRE(store.find(b.k));
            invalidate("sale");
            CHECK(b.absent());
        }
        SECTION("a refresh replaces tags") {
            CHECK(fill(b.lead(), 1).kept);
            CHECK(store.fill(b.k, b.lead_refresh(), b.value(2), {minute, {"hats"}}).kept);
            invalidate("sale");
            CHECK(b.has(2));
            invalidate("hats");
            CHECK(b.absent());
        }
        SECTION("a stale copy whose tag was invalidated is not kept for a failure") {
            const auto lease = b.lead();
            CHECK(store.fill(b.k, lease, b.value(1), {minute_with_grace, tags}).kept);
            rig.advance(61s);
            invalidate("sale");
            const auto opening = store.open(b.k);
            CHECK(opening.slot == Slot::lead);
            CHECK_FALSE(opening.copy);
        }
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_CONTRACT_TAGS_HPP
