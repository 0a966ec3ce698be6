// SPDX-License-Identifier: MIT

/// @file
/// What listens to a feed of near copies.

#ifndef LARDER_TESTS_SUPPORT_NEAR_EAR_HPP
#define LARDER_TESTS_SUPPORT_NEAR_EAR_HPP

#include <larder/detail/near/near_feed.hpp>
#include <larder/stats.hpp>

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace larder_test {

/// Writes down what it is told: "key 42", "tag red", "all cut".
///
/// Thread safety: all members may run concurrently.
class NearEar final : public larder::detail::NearListener {
public:
    void changed(std::string_view key) noexcept override { note("key " + std::string{key}); }
    void tag_changed(std::string_view tag) noexcept override { note("tag " + std::string{tag}); }
    void all_changed(larder::NearFlush why) noexcept override {
        note("all " + std::string{larder::to_string(why)});
    }

    /// How often it was told this.
    [[nodiscard]] std::size_t count(std::string_view word) const {
        const std::scoped_lock lock{mutex_};
        return static_cast<std::size_t>(std::count(words_.begin(), words_.end(), word));
    }
    [[nodiscard]] bool heard(std::string_view word) const { return count(word) > 0; }

    /// All since the last time, in order.
    [[nodiscard]] std::vector<std::string> take() {
        const std::scoped_lock lock{mutex_};
        return std::exchange(words_, {});
    }

private:
    void note(std::string word) {
        const std::scoped_lock lock{mutex_};
        words_.push_back(std::move(word));
    }

    mutable std::mutex mutex_{};
    std::vector<std::string> words_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_NEAR_EAR_HPP
