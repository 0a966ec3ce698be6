// SPDX-License-Identifier: MIT

/// @file
/// Changes that a flusher has claimed, on their way to the database.

#ifndef LARDER_DETAIL_WRITE_BEHIND_CLAIMED_BATCH_HPP
#define LARDER_DETAIL_WRITE_BEHIND_CLAIMED_BATCH_HPP

#include <larder/detail/write_behind/batch_turn.hpp>
#include <larder/entry.hpp>
#include <larder/journal/journal.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// The changes lie side by side, as a repository wants them, and each goes back into its claim when the
/// journal is told of it: where moves cannot fail, nothing is copied on the way.
///
/// Thread safety: one thread writes the batch; `renew` and `turn` may run beside it.
template <class K, class V>
class ClaimedBatch {
public:
    using Claims = std::vector<Claimed<K, V>>;
    using Instant = std::chrono::steady_clock::time_point;

    /// Takes what was claimed. If it throws, `claims` is as it was.
    void take(Claims& claims) {
        changes_.reserve(claims.size());
        for (auto& one : claims) {
            if constexpr (moves) {
                changes_.push_back(std::move(one.change));
            } else {
                changes_.push_back(one.change);
            }
        }
        claims_ = std::move(claims);
    }

    [[nodiscard]] std::size_t size() const noexcept { return claims_.size(); }
    /// How many the journal is still to be told of.
    [[nodiscard]] std::size_t left() const noexcept { return claims_.size() - at_; }

    /// The next of these.
    [[nodiscard]] std::span<const Change<K, V>> next(std::size_t count) const noexcept {
        return std::span{changes_}.subspan(at_, count);
    }
    /// Their claims, which are not renewed any more: the journal is told what has become of them.
    [[nodiscard]] std::span<const Claimed<K, V>> pop(std::size_t count) noexcept {
        const std::scoped_lock lock{mutex_};
        const std::size_t from = std::exchange(at_, at_ + count);
        if constexpr (moves) {
            for (std::size_t i = from; i < at_; ++i) {
                claims_[i].change = std::move(changes_[i]);
            }
        }
        return std::span{claims_}.subspan(from, count);
    }

    /// The claims of those that are left live on.
    template <class J>
    void renew(J& journal, Ttl life) {
        const std::scoped_lock lock{mutex_};  // what has been popped is not renewed afterwards
        Claims names;                         // of no value: that is what is being written
        names.reserve(left());
        for (std::size_t i = at_; i < claims_.size(); ++i) {
            const Change<K, V>& change = changes_[i];
            names.push_back({{change.key, std::nullopt, change.version},
                             claims_[i].claim,
                             claims_[i].attempts});
        }
        const Instant now = std::chrono::steady_clock::now();
        if (!names.empty()) {
            journal.renew(names, life);
        }
        renewed_ = now;
    }
    /// When they were claimed, or renewed the last time.
    [[nodiscard]] Instant renewed() const noexcept { return renewed_; }

    /// Who writes it.
    [[nodiscard]] const std::shared_ptr<BatchTurn>& turn() const noexcept { return turn_; }
    /// It will not be begun by whom it was handed to.
    [[nodiscard]] bool dropped() const noexcept { return turn_.use_count() == 1; }

    /// When it was claimed.
    [[nodiscard]] Instant since() const noexcept { return since_; }

private:
    static constexpr bool moves = std::is_nothrow_move_constructible_v<Change<K, V>> &&
                                  std::is_nothrow_move_assignable_v<Change<K, V>>;

    const std::shared_ptr<BatchTurn> turn_ = std::make_shared<BatchTurn>();
    const Instant since_ = std::chrono::steady_clock::now();
    std::atomic<Instant> renewed_{since_};
    std::mutex mutex_{};
    Claims claims_{};
    std::vector<Change<K, V>> changes_{};
    std::size_t at_ = 0;  // the first that the journal is still to be told of
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_CLAIMED_BATCH_HPP
