// SPDX-License-Identifier: MIT

// The defaults that the documentation states, and the values that are refused.

#include "support/catch.hpp"

#include <larder/options.hpp>

#include <chrono>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using larder::Options;

namespace {

// The text of the refusal, or nothing.
std::string refusal(const std::function<void(Options&)>& change) {
    Options options;
    change(options);
    try {
        validate(options);
        return {};
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
}

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double endless = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("the defaults", "[options]") {
    const Options options;
    CHECK(options.ttl == 5min);
    CHECK(options.jitter == 0.0);
    CHECK(options.negative_ttl == 0ms);
    CHECK(options.grace == 0ms);
    CHECK_FALSE(options.load_timeout);
    CHECK(options.wait == 5s);
    CHECK(options.ticket == 30s);
    CHECK_FALSE(options.refresh_below);
    CHECK(options.refresh_concurrency == 16);
    CHECK(options.refresh_backoff == 1s);
    CHECK(options.on_store_failure == larder::OnStoreFailure::proceed);
    CHECK(options.max_queued_invalidations == 100'000);
    CHECK_FALSE(options.observer);
    CHECK_NOTHROW(validate(options));
}

TEST_CASE("their order is API", "[options]") {
    // Designated initialisers compile in the order of declaration only.
    const Options options{.ttl = 1s,
                          .jitter = 0.1,
                          .negative_ttl = 2s,
                          .grace = 3s,
                          .load_timeout = 4s,
                          .wait = 5s,
                          .ticket = 6s,
                          .refresh_below = 0.3,
                          .refresh_concurrency = 7,
                          .refresh_backoff = 8s,
                          .on_store_failure = larder::OnStoreFailure::fail,
                          .max_queued_invalidations = 9,
                          .executor = larder::Executor{[](const larder::Task&) {}},
                          .observer = [](const larder::Event&) {}};
    CHECK_NOTHROW(validate(options));
}

TEST_CASE("a refusal names the field, the rule and the value", "[options]") {
    CHECK(refusal([](Options& o) { o.ttl = 0ms; }) ==
          "larder: Options::ttl must be positive, but is 0 ms");
    CHECK(refusal([](Options& o) { o.grace = -1500ms; }) ==
          "larder: Options::grace must be at least 0, but is -1500 ms");
    CHECK(refusal([](Options& o) { o.refresh_concurrency = 0; }) ==
          "larder: Options::refresh_concurrency must be positive, but is 0");
    CHECK(refusal([](Options& o) { o.jitter = 1.5; }) ==
          "larder: Options::jitter must be in [0, 1], but is 1.500000");
}

TEST_CASE("each field has its bounds", "[options]") {
    struct Case {
        const char* field;
        std::function<void(Options&)> bad;
        std::function<void(Options&)> good;  // the last value that is accepted
    };
    const std::vector<Case> cases{
        {"ttl", [](Options& o) { o.ttl = -1ms; }, [](Options& o) { o.ttl = 1ms; }},
        {"jitter", [](Options& o) { o.jitter = -0.01; }, [](Options& o) { o.jitter = 0.0; }},
        {"jitter", [](Options& o) { o.jitter = 1.01; }, [](Options& o) { o.jitter = 1.0; }},
        {"jitter", [](Options& o) { o.jitter = not_a_number; }, [](Options& o) { o.jitter = 0.5; }},
        {"jitter", [](Options& o) { o.jitter = endless; }, [](Options&) {}},
        {"negative_ttl", [](Options& o) { o.negative_ttl = -1ms; },
         [](Options& o) { o.negative_ttl = 0ms; }},
        {"grace", [](Options& o) { o.grace = -1ms; }, [](Options& o) { o.grace = 0ms; }},
        {"load_timeout", [](Options& o) { o.load_timeout = -1ms; },
         [](Options& o) { o.load_timeout = 0ms; }},
        {"wait", [](Options& o) { o.wait = -1ms; }, [](Options& o) { o.wait = 0ms; }},
        {"ticket", [](Options& o) { o.ticket = 0ms; }, [](Options& o) { o.ticket = 1ms; }},
        {"refresh_below", [](Options& o) { o.refresh_below = -0.01; },
         [](Options& o) { o.refresh_below = 0.0; }},
        {"refresh_below", [](Options& o) { o.refresh_below = 1.01; },
         [](Options& o) { o.refresh_below = 1.0; }},
        {"refresh_below", [](Options& o) { o.refresh_below = not_a_number; }, [](Options&) {}},
        {"refresh_concurrency", [](Options& o) { o.refresh_concurrency = 0; },
         [](Options& o) { o.refresh_concurrency = 1; }},
        {"refresh_backoff", [](Options& o) { o.refresh_backoff = -1ms; },
         [](Options& o) { o.refresh_backoff = 0ms; }},
    };
    for (const Case& c : cases) {
        const std::string text = refusal(c.bad);
        CAPTURE(c.field, text);
        CHECK(text.find(std::string{"larder: Options::"} + c.field + " must be ") == 0);
        CHECK(refusal(c.good).empty());
    }
}

TEST_CASE("lifetimes without an end, and a queue of none, are accepted", "[options]") {
    const auto forever = (larder::Ttl::max)();
    CHECK(refusal([&](Options& o) {
              o.ttl = o.negative_ttl = o.grace = o.wait = o.ticket = o.refresh_backoff = forever;
              o.load_timeout = forever;
              o.max_queued_invalidations = 0;
          }).empty());
}
