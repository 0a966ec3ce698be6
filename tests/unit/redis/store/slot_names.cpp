// SPDX-License-Identifier: MIT

// The names of a namespace's keys, and how partitions are spread.

#include "support/catch.hpp"

#include <larder/redis/detail/client/hash_slot.hpp>
#include <larder/redis/detail/journal/scripts.hpp>
#include <larder/redis/detail/store/partitions.hpp>
#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/detail/store/slot_names.hpp>
#include <larder/redis/script.hpp>
#include <larder/redis/store_options.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iostream>
#include <regex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using larder::redis::detail::hash_slot;
using larder::redis::detail::Partitions;
using larder::redis::detail::SlotNames;

TEST_CASE("what a namespace's keys are called", "[redis]") {
    const SlotNames names{"shop:product", 0};
    const std::string slot = names.slot("42");
    CHECK(slot == "shop:product:42");
    CHECK(SlotNames::side(slot) == "~refresh:shop:product:42");
    CHECK(names.home(slot) == "shop:product");
    CHECK(names.home_of(0) == "shop:product");
    std::vector<std::string> keys{slot};
    SlotNames::append_tags(keys, names.home(slot), std::vector<std::string>{"red", "blue"});
    CHECK(keys == std::vector<std::string>{"shop:product:42", "~clock:shop:product",
                                           "~tag:shop:product:red", "~tag:shop:product:blue"});
    CHECK_THROWS_AS(SlotNames("~shop", 0), std::invalid_argument);
}

TEST_CASE("a schema is part of all names", "[redis]") {
    const SlotNames names{"product", 3};
    CHECK(names.slot("42") == "product@3:42");
    CHECK(names.home(names.slot("42")) == "product@3");
    const SlotNames divided{"product", 3, 64};
    CHECK(divided.slot("42") == "product@3:{10}:42");
}

TEST_CASE("a scan matches the slots of this namespace alone", "[redis]") {
    CHECK(SlotNames("product", 0).pattern() == "product:*");
    CHECK(SlotNames("product", 0, 4).pattern() == "product:{*}:*");
    CHECK(SlotNames("*?[x]^-\\", 0).pattern() == "\\*\\?\\[x\\]\\^\\-\\\\:*");
}

// Rule R10.
TEST_CASE("all that a script touches of a key is in one hash slot", "[redis]") {
    const SlotNames names{"product", 0, 64};
    for (const std::string key : {"42", "", "{7}", "a}b{c", "}"}) {
        const std::string slot = names.slot(key);
        std::vector<std::string> keys{SlotNames::side(slot)};
        SlotNames::append_tags(keys, names.home(slot), std::vector<std::string>{"red", "{x}", "}"});
        for (const std::string& other : keys) {
            CHECK(hash_slot(other) == hash_slot(slot));
        }
        CHECK(names.home(slot) == names.home_of(names.partitions().of(key)));
        CHECK(slot == std::string{names.home(slot)} + ':' + key);
    }
}

TEST_CASE("names of partitions are a format: builds that differ agree on them", "[redis]") {
    const auto tags = [](std::uint32_t count, std::initializer_list<std::size_t> some) {
        const Partitions all{count};
        std::string text;
        for (const std::size_t i : some) {
            text += std::string{all.tag(i)} + ' ';
        }
        return text;
    };
    CHECK(tags(1, {0}) == "0 ");
    CHECK(tags(4, {0, 1, 2, 3}) == "3 2 1 0 ");
    CHECK(tags(64, {0, 1, 2, 3, 31, 63}) == "10 18 113 342 42 40 ");
    CHECK(tags(1024, {0, 1, 512, 1023}) == "460 491 716 430 ");
    CHECK(tags(16384, {0, 1, 8192, 16383}) == "3560 22179 8209 39296 ");
    const Partitions some{64};
    CHECK(some.of("") == 0);
    CHECK(some.of("1") == 50);
    CHECK(some.of("42") == 0);
    CHECK(some.of("a text") == 48);
}

namespace {

// How many partitions, or slots, each primary has, of as many as there are, in shares of the slots.
template <class Slots>
std::pair<int, int> fewest_and_most(const Slots& slots, std::size_t primaries) {
    std::vector<int> each(primaries);
    for (const std::size_t slot : slots) {
        ++each[slot * primaries / larder::redis::detail::hash_slots];
    }
    const auto [least, most] = std::minmax_element(each.begin(), each.end());
    return {*least, *most};
}

}  // namespace

TEST_CASE("partitions are spread evenly over primaries, and keys over partitions", "[redis]") {
    for (const std::uint32_t count : {64U, 256U, 1024U}) {
        const Partitions partitions{count};
        std::vector<std::size_t> slots;
        for (std::size_t i = 0; i < count; ++i) {
            slots.push_back(hash_slot(std::string{partitions.tag(i)}));
        }
        CHECK(std::is_sorted(slots.begin(), slots.end()));
        std::cout << count << " partitions:";
        for (const std::size_t primaries : {3U, 10U, 100U}) {
            const auto [least, most] = fewest_and_most(slots, primaries);
            std::cout << "  " << primaries << " primaries have " << least << " to " << most;
            const double even = static_cast<double>(count) / static_cast<double>(primaries);
            CHECK(least > even - 2);
            CHECK(most < even + 2);
        }
        std::vector<int> keys(count);
        for (int key = 0; key < 100 * static_cast<int>(count); ++key) {
            ++keys[partitions.of(std::to_string(key))];
        }
        const auto [least, most] = std::minmax_element(keys.begin(), keys.end());
        std::cout << "; of " << 100 * count << " keys each has " << *least << " to " << *most
                  << '\n';
        CHECK(*least > 50);
        CHECK(*most < 150);
    }
    CHECK_THROWS_AS(larder::validate(larder::RedisStoreOptions{.partitions = 16385}),
                    std::invalid_argument);
}

// Rule R10. On a cluster of one node nothing else would show it.
TEST_CASE("scripts touch no key but those that they name", "[redis]") {
    std::size_t calls = 0;
    const auto check = [&](const larder::redis::Script& script) {
        const std::string body{script.body()};
        static const std::regex call{R"(call\('([A-Z]+)'(, *([^,)]+))?)"};
        for (std::sregex_iterator at{body.begin(), body.end(), call}, end; at != end; ++at) {
            const std::string key = (*at)[3];
            // `k` and what follows are parameters, which are given what is named, or names of it.
            static const std::regex named{
                R"(KEYS\[(\d|i|clock_at)\]|k|changes|waiting|letters|later|held|claims|hands|hash|list|where)"};
            INFO((*at)[0]);
            CHECK(((*at)[1] == "TIME" || (*at)[1] == "PUBLISH" || std::regex_match(key, named)));
            ++calls;
        }
        CHECK(body.find("'~") == std::string::npos);
    };
    const auto& s = larder::redis::detail::SlotScripts::instance();
    for (const auto* script :
         {&s.open, &s.replace, &s.open_beside, &s.force, &s.release, &s.release_beside, &s.renew,
          &s.renew_beside, &s.lease_left, &s.ensure_clock}) {
        check(*script);
    }
    const auto& j = larder::redis::detail::JournalScripts::instance();
    for (const auto* change :
         {&s.fill, &s.fill_tagged, &s.fill_beside, &s.fill_beside_tagged, &s.finish_write,
          &s.finish_write_tagged, &s.begin_write, &s.erase, &s.put, &s.adopt, &s.invalidate_tags,
          &s.forget_tag, &j.record_and_put, &j.record_and_put_tagged}) {
        check(change->on(""));
        check(change->on("channel"));
    }
    for (const auto* script :
         {&j.record, &j.claim, &j.renew, &j.settle, &j.defer, &j.bury, &j.revive, &j.discard}) {
        check(*script);
    }
    CHECK(calls > 200);
}
