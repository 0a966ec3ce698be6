// SPDX-License-Identifier: MIT

/// @file
/// The batches of a flusher that are being written, or wait for that.

#ifndef LARDER_DETAIL_WRITE_BEHIND_BATCHES_UNDER_WAY_HPP
#define LARDER_DETAIL_WRITE_BEHIND_BATCHES_UNDER_WAY_HPP

#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Thread safety: all members may run concurrently.
///
/// @tparam B  a ClaimedBatch
template <class B>
class BatchesUnderWay {
public:
    using Shared = std::shared_ptr<B>;

    [[nodiscard]] std::size_t size() {
        const std::scoped_lock lock{mutex_};
        return all_.size();
    }

    /// Makes room: the next `add` needs no memory.
    void reserve_one() {
        const std::scoped_lock lock{mutex_};
        all_.reserve(all_.size() + 1);
    }
    /// @return true if nobody renews claims: a keeper is to be called
    [[nodiscard]] bool add(Shared batch) noexcept {
        const std::scoped_lock lock{mutex_};
        all_.push_back(std::move(batch));
        return !kept_;
    }
    /// It has ended.
    void remove(const B& batch) noexcept {
        Shared gone;  // destroyed without a lock
        const std::scoped_lock lock{mutex_};
        const auto at = std::find_if(all_.begin(), all_.end(),
                                     [&](const Shared& one) { return one.get() == &batch; });
        gone = std::move(*at);
        all_.erase(at);
    }

    /// One that `wanted(batch)` is true of, or null.
    template <class Wanted>
    [[nodiscard]] Shared find(Wanted&& wanted) {
        const std::scoped_lock lock{mutex_};
        const auto at =
            std::find_if(all_.begin(), all_.end(), [&](const Shared& one) { return wanted(*one); });
        return at == all_.end() ? nullptr : *at;
    }

    /// All of them, for their keeper. If there are none, it is not needed until it is called again.
    [[nodiscard]] std::vector<Shared> kept() {
        const std::scoped_lock lock{mutex_};
        kept_ = !all_.empty();
        return all_;
    }

private:
    std::mutex mutex_{};
    std::vector<Shared> all_{};
    bool kept_ = false;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_BATCHES_UNDER_WAY_HPP
