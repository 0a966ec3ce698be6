// SPDX-License-Identifier: MIT

/// @file
/// A place among the background refreshes.

#ifndef LARDER_DETAIL_FLIGHT_REFRESH_PLACE_HPP
#define LARDER_DETAIL_FLIGHT_REFRESH_PLACE_HPP

#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>

LARDER_NS_BEGIN

namespace detail {

/// A place among the background refreshes, until it is destroyed. A key whose refresh never began backs
/// off, as after a failure.
///
/// @tparam All  where the key backs off: `SingleFlight`
template <class All, class K>
class RefreshPlace {
public:
    using Instant = std::chrono::steady_clock::time_point;

    /// @param taken  how many places are; it is one of them
    RefreshPlace(All& all, std::atomic<std::size_t>& taken, const K& key, Instant until,
                 Instant now)
        : all_{all},
          taken_{taken},
          key_{key},
          until_{until},
          now_{now},
          others_{taken.fetch_add(1)} {}
    RefreshPlace(const RefreshPlace&) = delete;
    RefreshPlace& operator=(const RefreshPlace&) = delete;
    ~RefreshPlace() {
        taken_.fetch_sub(1);
        if (!begun_) {
            all_.back_off(key_, until_, now_);
        }
    }

    /// How many places were taken when this one was.
    [[nodiscard]] std::size_t others() const noexcept { return others_; }

    /// The key need not back off.
    void begin() noexcept { begun_ = true; }

private:
    All& all_;
    std::atomic<std::size_t>& taken_;
    const K key_;
    const Instant until_;
    const Instant now_;
    const std::size_t others_;
    bool begun_ = false;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_REFRESH_PLACE_HPP
