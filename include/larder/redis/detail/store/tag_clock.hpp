// SPDX-License-Identifier: MIT

/// @file
/// The tag clock, as it is read ahead of a lease or a ticket.

#ifndef LARDER_REDIS_DETAIL_STORE_TAG_CLOCK_HPP
#define LARDER_REDIS_DETAIL_STORE_TAG_CLOCK_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/error.hpp>
#include <larder/redis/detail/store/ids.hpp>
#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/slot_names.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The clock of a home as it was read ahead of a lease or a ticket; made where there is none.
[[nodiscard]] inline Epoch epoch_of(const StoreState& state, std::string_view home,
                                    ReplyView reply) {
    if (const auto epoch = to_epoch(reply.text())) {
        return *epoch;
    }
    if (reply.is_error() && reply.text().starts_with("NOPERM")) {
        return {};  // a user that may not, and uses no tags
    }
    try {
        const Reply made = state.step(SlotScripts::instance().ensure_clock,
                                      {SlotNames::clock(home)}, {to_text({new_id(), 0})});
        return to_epoch(made.text()).value_or(Epoch{});
    } catch (const StoreError&) {
        state.failed();
        return {};  // what has tags will not be kept
    }
}

/// The clocks, read on the way to leases or tickets that are to know them: one a home, and ahead of
/// them, since an older clock is only stricter. Rule R3.
class ClockReading {
public:
    /// Adds its commands, if there are to be some.
    ///
    /// @param slots  outlive it
    ClockReading(const StoreState& state, larder::detail::Dated dated, Pipeline& pipeline,
                 std::span<const std::string> slots)
        : ClockReading{state, dated, pipeline, slots.size(),
                       [slots](std::size_t i) -> const std::string& { return slots[i]; }} {}

    /// The same of so many slots: `slot_at(i)`, which outlives it.
    template <class SlotAt>
    ClockReading(const StoreState& state, larder::detail::Dated dated, Pipeline& pipeline,
                 std::size_t slots, const SlotAt& slot_at)
        : state_{state} {
        if (dated == larder::detail::Dated::no) {
            return;
        }
        for (std::size_t i = 0; i < slots; ++i) {
            homes_.push_back({state.names.home(slot_at(i))});
            if (state.names.partitions().count() == 1) {
                break;
            }
        }
        std::sort(homes_.begin(), homes_.end(), by_name);
        homes_.erase(std::unique(homes_.begin(), homes_.end(),
                                 [](const Home& a, const Home& b) { return a.name == b.name; }),
                     homes_.end());
        at_ = pipeline.size();
        for (const Home& home : homes_) {
            pipeline.command("GET", SlotNames::clock(home.name));
        }
    }

    /// How many of the replies are its own. They may be errors: clocks may be forbidden.
    [[nodiscard]] std::size_t replies() const noexcept { return homes_.size(); }

    /// The moment of a slot's lease or ticket, once there is one; no moment where none was asked for.
    [[nodiscard]] Epoch epoch(const std::string& slot, std::span<const Reply> all) {
        if (homes_.empty()) {
            return {};
        }
        const auto home =
            std::lower_bound(homes_.begin(), homes_.end(), Home{state_.names.home(slot)}, by_name);
        if (!home->epoch) {
            home->epoch = epoch_of(state_, home->name,
                                   all[at_ + static_cast<std::size_t>(home - homes_.begin())]);
        }
        return *home->epoch;
    }

private:
    struct Home {
        std::string_view name{};
        std::optional<Epoch> epoch{};
    };

    static bool by_name(const Home& a, const Home& b) noexcept { return a.name < b.name; }

    const StoreState& state_;
    std::size_t at_ = 0;
    std::vector<Home> homes_{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_TAG_CLOCK_HPP
