// SPDX-License-Identifier: MIT

// The bytes of a slot.

#include "support/catch.hpp"

#include <larder/redis/detail/store/slot_format.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

using namespace larder::redis::detail;
using namespace std::chrono_literals;
using Kind = SlotBytes::Kind;

TEST_CASE("ids are sixteen digits, and nothing else is one", "[redis]") {
    CHECK(hex(0) == "0000000000000000");
    CHECK(hex(0x0123456789abcdefU) == "0123456789abcdef");
    CHECK(unhex("0123456789abcdef") == 0x0123456789abcdefU);
    CHECK_FALSE(unhex("0123456789abcde"));
    CHECK_FALSE(unhex("0123456789abcdef0"));
    CHECK_FALSE(unhex("0123456789ABCDEF"));
}

TEST_CASE("a moment survives its text, and text that is none is refused", "[redis]") {
    const Epoch epoch{7, std::uint64_t{1} << 53U};
    CHECK(to_epoch(to_text(epoch)) == epoch);
    CHECK_FALSE(to_epoch("0000000000000007"));
    CHECK_FALSE(to_epoch("00000000000000079007199254740993"));  // beyond what a script counts
    CHECK_FALSE(to_epoch("0000000000000007-1"));
    CHECK_FALSE(to_epoch(""));
}

// Rule R1.
TEST_CASE("text is a plain value unless it begins with the byte of a header", "[redis]") {
    CHECK(read_slot("{\"id\":1}").kind == Kind::plain);
    CHECK(read_slot("").kind == Kind::plain);
    CHECK(read_slot("\x02").kind == Kind::plain);
    CHECK(read_slot("\x01").kind == Kind::broken);
    CHECK(read_slot("\x01\x02 of a newer build").kind == Kind::unknown);
    CHECK(read_slot("\x01\x01?").kind == Kind::broken);
}

TEST_CASE("a value keeps life, grace, moment and tags beside its bytes", "[redis]") {
    const larder::Tags tags{"shoes", "", std::string("\0\x01", 2)};
    const std::string bytes = write_slot(std::string{"body"}, 5s, 7s, {3, 4}, tags);
    const SlotBytes slot = read_slot(bytes);
    REQUIRE(slot.kind == Kind::value);
    CHECK(slot.body == "body");
    CHECK(slot.life == 5s);
    CHECK(slot.grace == 7s);
    CHECK(slot.epoch == Epoch{3, 4});
    REQUIRE(slot.tags.size() == 3);
    CHECK(slot.tags[2] == tags[2]);

    const std::string none = write_slot(std::nullopt, 0s, 0s, {}, {});
    const SlotBytes absence = read_slot(none);
    CHECK(absence.kind == Kind::absence);
    CHECK(read_slot(none + "x").kind == Kind::broken);
    for (std::size_t size = 2; size < bytes.size() - 4; ++size) {
        CHECK(read_slot(std::string_view{bytes}.substr(0, size)).kind == Kind::broken);
    }
    CHECK_THROWS_AS(write_slot(std::nullopt, 0s, 0s, {}, {std::string(70'000, 't')}),
                    std::length_error);
}
