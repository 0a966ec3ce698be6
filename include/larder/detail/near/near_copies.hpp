// SPDX-License-Identifier: MIT

/// @file
/// The near copies of one store: served while they are known to be good, and dropped when something has
/// happened.

#ifndef LARDER_DETAIL_NEAR_NEAR_COPIES_HPP
#define LARDER_DETAIL_NEAR_NEAR_COPIES_HPP

#include <larder/detail/memory/store_time.hpp>
#include <larder/detail/near/near_feed.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/key_from_text.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/stats.hpp>
#include <larder/store/tiered_options.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Near copies, and the feed that tells of changes.
///
/// Thread safety: all members may run concurrently; those of NearListener are the feed's.
template <class Near>
class NearCopies final : public NearListener {
public:
    using Key = typename Near::key_type;
    using Value = typename Near::value_type;
    using Instant = NearFeed::Instant;

    NearCopies(Near near, const TieredStoreOptions& options)
        : near_{std::move(near)}, options_{options} {}
    ~NearCopies() override { feed_.reset(); }

    /// Subscribes; once, before all else.
    template <class Far>
    void listen(Far& far) {
        feed_ = far.watch(static_cast<NearListener&>(*this), options_.silence);
    }

    [[nodiscard]] Near& near() noexcept { return near_; }
    [[nodiscard]] const TieredStoreOptions& options() const noexcept { return options_; }
    [[nodiscard]] Instant now() const { return near_.clock().now(); }

    /// Whether copies may be served now.
    using NearListener::reliable;
    [[nodiscard]] bool reliable() const { return reliable(recent(near_.clock())); }

    /// Serves a near copy: a hit of the store in memory, by the moment that it reads anyway, and one atomic
    /// load. Nothing that was told before the read began is served. Rule N4.
    ///
    /// @param see  as of `peek`
    template <class Q, class See>
    bool look(const Q& key, const See& see, const NearAsk& ask) const {
        const Instant now = recent(near_.clock());
        if (!reliable(now)) [[unlikely]] {
            feed_->resume();
            return false;
        }
        return ask.exact || ask.tagged ? examine(key, see, ask, now) : near_.peek(key, see, now);
    }

    /// Drops a copy, and takes the lease of whoever would leave one. Where even that fails, all go.
    void drop(const Key& key) noexcept {
        try {
            near_.erase(key);
        } catch (...) {
            drop_all();
        }
    }
    /// The same for all that carry one of these.
    void drop_tags(std::span<const std::string> tags) noexcept {
        try {
            near_.invalidate_tags(tags);
        } catch (...) {
            drop_all();
        }
    }
    void drop_all() noexcept { near_.clear(); }

    /// Adds what near copies and their feed have counted.
    void add_to(Stats& stats) const {
        const Stats near = near_.stats();
        stats.evictions += near.evictions;
        stats.expirations += near.expirations;
        stats.entries = near.entries;
        stats.weight = near.weight;
        stats.capacity = near.capacity;
        feed_->add_to(stats);
        stats.near_overflows += lost_.load(std::memory_order_relaxed);
    }

private:
    // The same, with what the far copy has left beyond the near one.
    template <class Q, class See>
    [[gnu::noinline]] bool examine(const Q& key, const See& see, const NearAsk& ask,
                                   Instant now) const {
        bool served = false;
        near_.examine(
            key,
            [&](const Value* value, Remaining remaining, Ttl life, Ttl beyond, bool tagged) {
                if (tagged || !ask.tagged) {
                    see(value, remaining + beyond, life + beyond, false);
                    served = true;
                }
            },
            now);
        return served;
    }

    void changed(std::string_view key_text) noexcept override {
        try {
            Key key{};
            if (key_from_text(key_text, key)) {  // else it is no key of ours
                near_.erase(key);
            }
        } catch (...) {
            lost();
        }
    }
    void tag_changed(std::string_view tag) noexcept override {
        try {
            const std::string name{tag};
            near_.invalidate_tags(std::span{&name, 1});
        } catch (...) {
            lost();
        }
    }
    void all_changed(NearFlush) noexcept override { drop_all(); }

    void lost() noexcept {
        lost_.fetch_add(1, std::memory_order_relaxed);
        drop_all();
    }

    Near near_;
    const TieredStoreOptions options_;
    std::atomic<std::uint64_t> lost_{0};
    std::shared_ptr<NearFeed> feed_{};
};

/// Drops the near copies of keys when it goes: whatever a write, an invalidation or a read that passed near
/// by has come to. Rule N2.
///
/// @tparam KeyOf  takes a row, and gives its key
template <class Near, class Row = typename Near::key_type, class KeyOf = std::identity>
class NearDrop {
public:
    /// The rows must outlive it.
    NearDrop(NearCopies<Near>& copies, std::span<const Row> rows, KeyOf key_of = {}) noexcept
        : copies_{copies}, rows_{rows}, key_of_{std::move(key_of)} {}
    NearDrop(NearCopies<Near>& copies, const Row& row) noexcept
        : NearDrop{copies, std::span{&row, 1}} {}
    NearDrop(const NearDrop&) = delete;
    NearDrop& operator=(const NearDrop&) = delete;
    ~NearDrop() {
        for (const Row& row : rows_) {
            copies_.drop(key_of_(row));
        }
    }

    /// There is nothing to drop.
    void dismiss() noexcept { rows_ = {}; }

private:
    NearCopies<Near>& copies_;
    std::span<const Row> rows_;
    const KeyOf key_of_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_NEAR_NEAR_COPIES_HPP
