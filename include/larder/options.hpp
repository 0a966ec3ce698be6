// SPDX-License-Identifier: MIT

/// @file
/// What can be tuned in every policy.

#ifndef LARDER_OPTIONS_HPP
#define LARDER_OPTIONS_HPP

#include <larder/entry.hpp>
#include <larder/executor.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

LARDER_NS_BEGIN

/// What a write does when the store cannot be told of it.
enum class OnStoreFailure : std::uint8_t {
    /// The database decides. The missed invalidation is queued and replayed when the store is back;
    /// until then this process reads that key from the database.
    proceed,

    /// The write is refused before the database is touched.
    fail,
};

/// The enumerator's name.
[[nodiscard]] constexpr std::string_view to_string(OnStoreFailure choice) noexcept {
    switch (choice) {
        case OnStoreFailure::proceed: return "proceed";
        case OnStoreFailure::fail: return "fail";
    }
    return "unknown";
}

/// Tuning of a policy, written with designated initialisers: `{.ttl = 30s, .grace = 5min}`.
struct Options {
    /// How long a loaded or written value is fresh. Positive.
    Ttl ttl{std::chrono::minutes{5}};

    /// The fraction of its life by which a copy may end early, so that many do not end at once.
    double jitter{0};

    /// How long "no such key" is remembered; 0: not at all.
    Ttl negative_ttl{0};

    /// How long past its life a copy may stand in for a load that fails or is late. A write, even
    /// one that fails, ends it. After a failed load no other is tried for `refresh_backoff`.
    Ttl grace{0};

    /// With a stale copy at hand, serve it after this long, and let the load finish for the next;
    /// 0: stale while revalidating; none: wait for the load.
    std::optional<Ttl> load_timeout{};

    /// How long a miss waits for another process' load before it loads by itself.
    Ttl wait{std::chrono::seconds{5}};

    /// How long a write whose outcome nobody knows hides its key. It must exceed the longest write,
    /// the database's own time-out included.
    Ttl ticket{std::chrono::seconds{30}};

    /// A read that finds less than this share of a copy's life left starts one background reload.
    /// Unset: 0.2 for RefreshAhead, none for the others.
    std::optional<double> refresh_below{};

    /// The most background reloads of one policy at once.
    std::size_t refresh_concurrency{16};

    /// After a reload that failed, how long no other is tried for that key.
    Ttl refresh_backoff{std::chrono::seconds{1}};

    OnStoreFailure on_store_failure{OnStoreFailure::proceed};

    /// How many invalidations that its store has missed a process remembers; when there are as
    /// many, writes are refused.
    std::size_t max_queued_invalidations{100'000};

    /// Where background work runs.
    Executor executor{};

    /// Told of what no caller is told of.
    Observer observer{};
};

namespace detail {

[[noreturn]] inline void refuse_option(const char* option, const char* rule,
                                       const std::string& value) {
    throw std::invalid_argument{std::string{"larder: "} + option + " must be " + rule +
                                ", but is " + value};
}

inline void require_positive(const char* option, Ttl value) {
    if (value <= Ttl::zero()) {
        refuse_option(option, "positive", std::to_string(value.count()) + " ms");
    }
}

inline void require_not_negative(const char* option, Ttl value) {
    if (value < Ttl::zero()) {
        refuse_option(option, "at least 0", std::to_string(value.count()) + " ms");
    }
}

inline void require_positive(const char* option, std::size_t value) {
    if (value == 0) {
        refuse_option(option, "positive", "0");
    }
}

inline void require_fraction(const char* option, double value) {
    if (!(value >= 0.0 && value <= 1.0)) {  // a NaN fails both
        refuse_option(option, "in [0, 1]", std::to_string(value));
    }
}

}  // namespace detail

/// @throws std::invalid_argument  naming the first field that makes no sense, and its value
inline void validate(const Options& options) {
    detail::require_positive("Options::ttl", options.ttl);
    detail::require_fraction("Options::jitter", options.jitter);
    detail::require_not_negative("Options::negative_ttl", options.negative_ttl);
    detail::require_not_negative("Options::grace", options.grace);
    detail::require_not_negative("Options::load_timeout", options.load_timeout.value_or(Ttl{0}));
    detail::require_not_negative("Options::wait", options.wait);
    detail::require_positive("Options::ticket", options.ticket);
    detail::require_fraction("Options::refresh_below", options.refresh_below.value_or(0.0));
    detail::require_positive("Options::refresh_concurrency", options.refresh_concurrency);
    detail::require_not_negative("Options::refresh_backoff", options.refresh_backoff);
}

LARDER_NS_END

#endif  // LARDER_OPTIONS_HPP
