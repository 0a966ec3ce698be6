// SPDX-License-Identifier: MIT

#include "support/catch.hpp"

#include <larder/detail/write_behind/flush_requests.hpp>
#include <larder/detail/write_behind/flush_signal.hpp>

#include <atomic>
#include <chrono>
#include <latch>
#include <thread>

using larder::detail::FlushRequests;
using larder::detail::FlushSignal;

TEST_CASE("a signal kicks once until it is cleared", "[flush_signal]") {
    FlushSignal signal;
    int kicks = 0;
    bool heard = true;
    signal.connect([&] {
        ++kicks;
        return heard;
    });
    signal.raise();
    signal.raise();
    CHECK(kicks == 1);
    CHECK(signal.raised());
    CHECK_FALSE(signal.urgent());
    signal.clear();
    CHECK_FALSE(signal.raised());
    signal.raise();
    CHECK(kicks == 2);

    signal.clear();
    heard = false;
    signal.raise();
    CHECK_FALSE(signal.raised());  // in vain: the next one tries again
    signal.raise();
    CHECK(kicks == 4);
}

TEST_CASE("an urgent signal kicks each time", "[flush_signal]") {
    FlushSignal signal;
    int kicks = 0;
    signal.connect([&] {
        ++kicks;
        return true;
    });
    signal.raise_urgent();
    signal.raise_urgent();
    CHECK(kicks == 2);
    CHECK(signal.urgent());
    signal.clear();
    CHECK_FALSE(signal.urgent());
}

TEST_CASE("whoever waits asks again when notified, and in the end not", "[flush_signal]") {
    FlushSignal signal;
    std::atomic<bool> done{false};
    std::latch asked{1};
    std::jthread other{[&] {
        asked.wait();
        done = true;
        signal.rest().notify();
    }};
    bool first = true;
    CHECK(signal.rest().wait(std::chrono::steady_clock::time_point::max(), [&] {
        if (first) {
            first = false;
            asked.count_down();
            return false;
        }
        return done.load();
    }));
    CHECK_FALSE(signal.rest().wait(std::chrono::steady_clock::now(), [] { return false; }));
}

TEST_CASE("a flusher hurries while somebody waits, or was not served", "[flush_requests]") {
    FlushRequests requests;
    CHECK_FALSE(requests.hurry());
    {
        FlushRequests::Waiting waiting{requests};
        CHECK(requests.hurry());
        waiting.served();
        CHECK(requests.hurry());
    }
    CHECK_FALSE(requests.hurry());
    { const FlushRequests::Waiting gives_up{requests}; }
    CHECK(requests.hurry());
    const auto asked = requests.asked();
    { const FlushRequests::Waiting later{requests}; }
    requests.serve(asked);
    CHECK(requests.hurry());
    requests.serve(requests.asked());
    requests.serve(asked);  // takes nothing back
    CHECK_FALSE(requests.hurry());
}
