// SPDX-License-Identifier: MIT

// Tags: one call drops whatever depends on something, however much that is.

#include <larder/larder.hpp>

#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <string_view>

using namespace std::chrono_literals;

struct Dish {
    std::string name{};
    std::string cook{};
    std::string course{};
};

int main() {
    const std::map<int, Dish> menu{{1, {"leek soup", "Ada", "starter"}},
                                   {2, {"roast leek", "Bob", "main"}},
                                   {3, {"plum pie", "Ada", "dessert"}}};
    std::string asked;
    const auto load = [&](int number) -> std::optional<Dish> {
        asked += ' ' + std::to_string(number);
        const auto dish = menu.find(number);
        return dish == menu.end() ? std::nullopt : std::optional{dish->second};
    };
    larder::MemoryStore<int, Dish> store;
    larder::Tagged dishes{larder::CacheAside{store, load, {.ttl = 1h, .negative_ttl = 1h}},
                          [](const Dish& dish) {
                              return larder::Tags{"cook:" + dish.cook, "course:" + dish.course};
                          },
                          [](int) { return larder::Tags{"menu"}; }};  // of a dish that is not there

    const auto read_all = [&](std::string_view when) {
        asked.clear();
        for (int number = 1; number <= 4; ++number) {
            (void)dishes.get(number);
        }
        std::cout << when << (asked.empty() ? " nothing" : asked) << '\n';
    };
    read_all("loaded at first:         ");
    read_all("loaded again:            ");
    dishes.invalidate_tag("cook:Ada");
    read_all("Ada has changed:         ");
    dishes.invalidate_tags({"course:main", "course:starter"});
    read_all("two courses have:        ");
    dishes.invalidate_tag("menu");
    read_all("the menu is longer:      ");

    // An invalidation wins over a load that is under way: what that has read is not kept.
    dishes.invalidate(3);
    (void)dishes.get(3, [&](int number) {
        auto old = load(number);
        dishes.invalidate_tag("cook:Ada");
        return old;
    });
    read_all("Ada again, during a load:");
    dishes.invalidate_all();
    read_all("everything has:          ");
}
