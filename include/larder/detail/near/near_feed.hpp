// SPDX-License-Identifier: MIT

/// @file
/// What tells the near copies of this process what has changed in the store that they are copies of.

#ifndef LARDER_DETAIL_NEAR_NEAR_FEED_HPP
#define LARDER_DETAIL_NEAR_NEAR_FEED_HPP

#include <larder/detail/support/process.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

LARDER_NS_BEGIN

namespace detail {

/// Who has near copies, and is told.
///
/// Thread safety: of one thread at a time, whichever. It locks what a hit locks, and no more.
class NearListener {
public:
    using Instant = std::chrono::steady_clock::time_point;

    NearListener(const NearListener&) = delete;
    NearListener& operator=(const NearListener&) = delete;

    /// Something has happened to a slot, whatever it was.
    ///
    /// @param key_text  what `key_text` gives of its key
    virtual void changed(std::string_view key_text) noexcept = 0;

    /// A tag was invalidated.
    virtual void tag_changed(std::string_view tag) noexcept = 0;

    /// Anything may have happened.
    virtual void all_changed(NearFlush why) noexcept = 0;

    /// Whether near copies may be served: a load and a comparison, twice. In a forked child not before
    /// the feed was resumed: its parent is told, and it is not.
    ///
    /// @param now  a moment since the read began, by the clock that the feed is confirmed by
    [[nodiscard]] bool reliable(Instant now) const noexcept {
        return now.time_since_epoch().count() < until_.load(std::memory_order_acquire) &&
               process_.load(std::memory_order_relaxed) ==
                   fork_count().load(std::memory_order_relaxed);
    }

protected:
    NearListener() = default;
    virtual ~NearListener() = default;

private:
    friend class NearFeed;  // says for how long

    static constexpr Instant::rep never = (Instant::min)().time_since_epoch().count();

    std::atomic<Instant::rep> until_{never};
    std::atomic<std::uint64_t> process_{forks()};
};

/// Tells a listener of every change since it was subscribed, in order, and says for how long that holds.
/// A far store gives one: `far.watch(listener, silence) -> std::shared_ptr<NearFeed>`, which returns when
/// it has been subscribed, or has failed to be once. When it has been destroyed the listener is told no
/// more.
///
/// Whoever derives from it tells it what the connection brings. Near is served for `silence` after the
/// last word that everything up to a moment has arrived, counted from that moment, and not from when the
/// word came: a process that was stopped, or whose feed has no time, does not serve what it has not heard
/// of. Rule N4.
///
/// Thread safety: `reliable` and what counts may run concurrently; the protected members are of one
/// thread at a time.
class NearFeed {
public:
    using Instant = NearListener::Instant;

    NearFeed(const NearFeed&) = delete;
    NearFeed& operator=(const NearFeed&) = delete;
    virtual ~NearFeed() = default;

    /// Whether near copies may be served.
    [[nodiscard]] bool reliable(Instant now) const noexcept { return listener_.reliable(now); }

    /// To be called by whoever finds that near is not served: sees that somebody works on that. Returns
    /// at once.
    virtual void resume() noexcept {}

    /// How it is told of changes.
    [[nodiscard]] NearMode mode() const noexcept { return mode_.load(std::memory_order_relaxed); }

    /// Adds what it has counted, and its mode.
    void add_to(Stats& stats) const noexcept {
        const auto of = [this](NearFlush why) {
            return flushes_[static_cast<std::size_t>(why)].load(std::memory_order_relaxed);
        };
        stats.near_invalidations += received_.load(std::memory_order_relaxed);
        stats.near_cuts += of(NearFlush::cut);
        stats.near_silences += of(NearFlush::silence);
        stats.near_server_flushes += of(NearFlush::server_flush);
        stats.near_topology_changes += of(NearFlush::topology);
        stats.near_overflows += of(NearFlush::overflow);
        stats.near_mode = mode();
    }

protected:
    /// @param silence  how long near is served without a word
    NearFeed(NearListener& listener, Ttl silence) noexcept
        : listener_{listener}, silence_{cut(silence)} {}

    [[nodiscard]] Ttl silence() const noexcept { return silence_; }

    void set_mode(NearMode mode) noexcept { mode_.store(mode, std::memory_order_relaxed); }

    /// The listener is subscribed anew: near is emptied, and then, and not before, served again.
    ///
    /// @param why    it had to be
    /// @param asked  a moment when the subscription was active; `Instant::max()` where nobody will tell,
    ///               and near copies live by their time alone
    void subscribed(NearFlush why, Instant asked) noexcept {
        flush(why);
        confirm(asked);
    }

    /// In a forked child, before anything else is told there: what the parent was told holds no more.
    void forked() noexcept {
        doubt();
        listener_.process_.store(forks(), std::memory_order_relaxed);
    }

    /// What happened before `asked` has been told: the answer has come to what was asked then, on the
    /// connection that brings the changes. Not while the subscription is in doubt.
    void confirm(Instant asked) noexcept {
        listener_.until_.store(later(asked, silence_).time_since_epoch().count(),
                               std::memory_order_release);
    }

    /// The connection is gone, or nobody knows: near is not served until `subscribed`.
    void doubt() noexcept {
        listener_.until_.store(NearListener::never, std::memory_order_release);
    }

    void changed(std::string_view key_text) noexcept {
        received_.fetch_add(1, std::memory_order_relaxed);
        listener_.changed(key_text);
    }
    void tag_changed(std::string_view tag) noexcept {
        received_.fetch_add(1, std::memory_order_relaxed);
        listener_.tag_changed(tag);
    }
    /// Anything may have happened, but the subscription stands.
    void flush(NearFlush why) noexcept {
        flushes_[static_cast<std::size_t>(why)].fetch_add(1, std::memory_order_relaxed);
        listener_.all_changed(why);
    }

private:
    using Count = std::atomic<std::uint64_t>;

    NearListener& listener_;
    const Ttl silence_;
    std::atomic<NearMode> mode_{NearMode::none};
    Count received_{0};
    std::array<Count, static_cast<std::size_t>(NearFlush::overflow) + 1> flushes_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_NEAR_NEAR_FEED_HPP
