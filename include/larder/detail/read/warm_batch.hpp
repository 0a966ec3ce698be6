// SPDX-License-Identifier: MIT

/// @file
/// Keys that are warmed together, and what became of each.

#ifndef LARDER_DETAIL_READ_WARM_BATCH_HPP
#define LARDER_DETAIL_READ_WARM_BATCH_HPP

#include <larder/detail/user/arguments.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

template <class K>
struct WarmBatch {
    enum class Fate : std::uint8_t { failed, filled, absent, skipped };

    std::size_t number = 0;
    std::vector<K> keys{};
    std::size_t repeated = 0;      // keys that were there twice
    std::vector<Fate> fates{};     // of each key; what nobody got to has failed
    std::size_t failed_first = 0;  // among the keys that have a `failure`
    std::exception_ptr failure{};

    /// Leaves each key once. Whatever else there is has failed until something better is known.
    void begin() {
        repeated = erase_repeated(keys);
        fates.assign(keys.size(), Fate::failed);
    }

    void fail(std::size_t at, std::exception_ptr why) {
        fates[at] = Fate::failed;
        if (!failure || at < failed_first) {
            failed_first = at;
            failure = std::move(why);
        }
    }

    /// The reason of all that nobody got to.
    void fail_rest(std::exception_ptr why) {
        const auto at = std::find(fates.begin(), fates.end(), Fate::failed);
        if (at != fates.end()) {
            fail(static_cast<std::size_t>(at - fates.begin()), std::move(why));
        }
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_WARM_BATCH_HPP
