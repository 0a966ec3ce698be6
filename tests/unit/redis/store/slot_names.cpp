// SPDX-License-Identifier: MIT

// The names of a namespace's keys.

#include "support/catch.hpp"

#include <larder/redis/detail/store/slot_names.hpp>

#include <stdexcept>
#include <string>
#include <vector>

using larder::redis::detail::SlotNames;

TEST_CASE("slots are a namespace's, and what is not a slot begins otherwise", "[redis]") {
    const SlotNames names{"shop:product", 0};
    CHECK(names.slot("42") == "shop:product:42");
    CHECK(SlotNames::side(names.slot("42")) == "~refresh:shop:product:42");
    CHECK(names.clock() == "~clock:shop:product");
    CHECK(names.tag("red") == "~tag:shop:product:red");
    std::vector<std::string> keys{names.slot("42")};
    names.append_tags(keys, std::vector<std::string>{"red", "blue"});
    CHECK(keys == std::vector<std::string>{"shop:product:42", "~clock:shop:product",
                                           "~tag:shop:product:red", "~tag:shop:product:blue"});
    CHECK_THROWS_AS(SlotNames("~shop", 0), std::invalid_argument);
}

TEST_CASE("a schema is part of all names", "[redis]") {
    const SlotNames names{"product", 3};
    CHECK(names.slot("42") == "product@3:42");
    CHECK(names.clock() == "~clock:product@3");
}

TEST_CASE("a scan matches the slots of this namespace alone", "[redis]") {
    CHECK(SlotNames("product", 0).pattern() == "product:*");
    CHECK(SlotNames("*?[x]^-\\", 0).pattern() == "\\*\\?\\[x\\]\\^\\-\\\\:*");
}
