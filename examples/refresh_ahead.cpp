// SPDX-License-Identifier: MIT

// Refresh-ahead: a copy that is read near its end is reloaded meanwhile; nobody waits.

#include <larder/larder.hpp>

#include <chrono>
#include <iostream>
#include <string>

using namespace std::chrono_literals;

int main() {
    // A clock moved by hand, and tasks that run at once: the same output each time.
    larder::ManualClock clock;
    larder::MemoryStore<std::string, int, larder::ManualClock> store{{.capacity = 100}, clock};
    int quote = 100;
    const auto load_rate = [&](const std::string&) { return quote++; };
    larder::RefreshAhead rates{
        store,
        load_rate,
        {.ttl = 10min, .executor = larder::Executor{[](const larder::Task& task) { task(); }}}};

    const auto show = [&](const char* when) {
        const auto rate = rates.fetch("EUR");
        std::cout << when << ": " << *rate.value << " (" << to_string(rate.source) << ", "
                  << std::chrono::duration_cast<std::chrono::seconds>(rate.remaining).count()
                  << " s left)\n";
    };
    show("at first       ");
    clock.advance(5min);
    show("after 5 minutes");
    clock.advance(4min);
    show("after 9 minutes");
    show("a moment later ");
    std::cout << rates.stats().refreshes << " refresh in the background, " << rates.stats().misses
              << " reader waited\n";
}
