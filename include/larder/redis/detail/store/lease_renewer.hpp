// SPDX-License-Identifier: MIT

/// @file
/// The leases that this process holds: their flights, and the timer that renews them.

#ifndef LARDER_REDIS_DETAIL_STORE_LEASE_RENEWER_HPP
#define LARDER_REDIS_DETAIL_STORE_LEASE_RENEWER_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/detail/support/ticker.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// A lease, and where it is shown.
struct LeasePlace {
    std::uint64_t id = 0;
    bool beside = false;
    std::string slot{};  ///< the slot's key
};

/// Leases are short, so that a holder that dies costs others little; one that lives renews them here
/// while its load runs, every third of their length.
///
/// A lease lives as long as its flight. One whose flight is over may still be shown: the reply to
/// the step that took it was lost, or to the one that was to end it. Whoever sees it gives it back,
/// and so does the timer. A forked child holds none of its parent's.
///
/// Thread safety: all members may run concurrently.
///
/// A template so that whoever includes it and has no store does not compile it.
template <class = void>
class BasicLeaseRenewer {
public:
    using Flight = larder::detail::AnyFlight;

    /// What is to be done about leases from time to time.
    struct Due {
        std::vector<LeasePlace> renew{};
        std::vector<LeasePlace> give_back{};
    };

    /// A lease that is held, and its load.
    struct HeldLease {
        LeasePlace lease{};
        std::shared_ptr<Flight> flight{};
    };

    /// A point in the order in which leases were confirmed.
    using Moment = std::uint64_t;

    /// @param tell  carries out what is due, in the timer's thread; what it throws is ignored
    BasicLeaseRenewer(Ttl length, std::function<void(const Due&)> tell)
        : length_{length}, tell_{std::move(tell)}, ticker_{[this] { return tick(); }} {}
    BasicLeaseRenewer(const BasicLeaseRenewer&) = delete;
    BasicLeaseRenewer& operator=(const BasicLeaseRenewer&) = delete;
    ~BasicLeaseRenewer() { ticker_.stop(); }

    /// It is about to be asked for: once it is shown, others may join.
    ///
    /// @throws std::bad_alloc  in which case it is not held
    void add(LeasePlace lease, std::shared_ptr<Flight> flight) {
        ProcessLeases& own = own_.get();
        bool wake = false;
        {
            const std::scoped_lock lock{own.mutex};
            std::string slot = lease.slot;
            own.held.emplace(std::move(slot), TimedLease{{std::move(lease), std::move(flight)}});
            wake = !std::exchange(own.ticking, true);
        }
        if (wake && !ticker_.kick()) {
            const std::scoped_lock lock{own.mutex};
            own.ticking = false;  // no thread to be had: the next lease tries again
        }
    }
    /// The server has given it.
    void confirm(const std::string& slot, std::uint64_t id, bool beside) noexcept {
        if (ProcessLeases* const own = own_.find()) {
            const std::scoped_lock lock{own->mutex};
            if (const auto at = locate(*own, slot, id); at != own->held.end()) {
                at->second.held.lease.beside = beside;
                at->second.confirmed = ++own->last;
            }
        }
    }
    /// The server was told that it has ended: who still sees it in a slot has read that before.
    void remove(const std::string& slot, std::uint64_t id) noexcept {
        remove_one(slot, Ended::yes,
                   [&](const TimedLease& item) { return item.held.lease.id == id; });
    }
    /// No slot has shown it.
    void forget(const std::string& slot, std::uint64_t id) noexcept {
        remove_one(slot, Ended::no,
                   [&](const TimedLease& item) { return item.held.lease.id == id; });
    }

    /// To be read before the server is asked for what ends leases: see `lose`.
    [[nodiscard]] Moment now() const {
        ProcessLeases& own = own_.get();
        const std::scoped_lock lock{own.mutex};
        return own.last;
    }
    /// The slot shows none of its leases any more that were confirmed by `moment`.
    void lose(const std::string& slot, Moment moment) noexcept {
        const auto lost = [&](const TimedLease& item) {
            return item.confirmed != 0 && item.confirmed <= moment;
        };
        while (remove_one(slot, Ended::yes, lost)) {}
    }

    /// The load that a lease stands for; null if it is not of this process, or over.
    [[nodiscard]] std::shared_ptr<Flight> flight(const std::string& slot, std::uint64_t id) const {
        ProcessLeases& own = own_.get();
        const std::scoped_lock lock{own.mutex};
        const auto at = locate(own, slot, id);
        return at != own.held.end() && !at->second.over() ? at->second.held.flight : nullptr;
    }
    /// It was of this process, and its load is over: nobody will end it but who sees it.
    [[nodiscard]] bool ended(const std::string& slot, std::uint64_t id) const {
        ProcessLeases& own = own_.get();
        const std::scoped_lock lock{own.mutex};
        const auto at = locate(own, slot, id);
        return at != own.held.end()
                   ? at->second.over()
                   : std::find(own.ended.begin(), own.ended.end(), id) != own.ended.end();
    }
    /// The leases of one slot whose loads are under way; none, most of the time.
    [[nodiscard]] std::vector<HeldLease> under_way(const std::string& slot) const {
        std::vector<HeldLease> leases;
        ProcessLeases& own = own_.get();
        const std::scoped_lock lock{own.mutex};
        const auto [begin, end] = own.held.equal_range(slot);
        for (auto at = begin; at != end; ++at) {
            if (!at->second.over()) {
                leases.push_back(at->second.held);
            }
        }
        return leases;
    }
    /// How many have loads under way.
    [[nodiscard]] std::size_t count() const {
        ProcessLeases& own = own_.get();
        const std::scoped_lock lock{own.mutex};
        return static_cast<std::size_t>(
            std::count_if(own.held.begin(), own.held.end(),
                          [](const auto& held) { return !held.second.over(); }));
    }

private:
    using Clock = std::chrono::steady_clock;

    enum class Ended : bool { no, yes };

    struct TimedLease {
        HeldLease held{};
        Clock::time_point since{Clock::now()};
        Clock::time_point over_since{};  // as the timer has seen it
        Moment confirmed = 0;            // 0: not yet

        [[nodiscard]] bool over() const noexcept { return held.flight->over(); }
    };
    using Table = std::unordered_multimap<std::string, TimedLease>;

    struct ProcessLeases {
        std::mutex mutex{};
        Table held{};  // by slot
        std::array<std::uint64_t, 128> ended{};
        std::size_t next_ended = 0;
        Moment last = 0;
        bool ticking = false;
    };

    static typename Table::iterator locate(ProcessLeases& own, const std::string& slot,
                                           std::uint64_t id) {
        const auto [begin, end] = own.held.equal_range(slot);
        const auto at = std::find_if(
            begin, end, [&](const auto& held) { return held.second.held.lease.id == id; });
        return at == end ? own.held.end() : at;
    }

    // True if there was one. It dies without the lock.
    template <class Which>
    bool remove_one(const std::string& slot, Ended ended, Which&& which) noexcept {
        ProcessLeases* const own = own_.find();
        if (own == nullptr) {
            return false;
        }
        typename Table::node_type out;
        const std::scoped_lock lock{own->mutex};
        const auto [begin, end] = own->held.equal_range(slot);
        const auto at =
            std::find_if(begin, end, [&](const auto& held) { return which(held.second); });
        if (at == end) {
            return false;
        }
        if (ended == Ended::yes) {
            own->ended[own->next_ended++ % own->ended.size()] = at->second.held.lease.id;
        }
        out = own->held.extract(at);
        return true;
    }

    larder::detail::Ticker::Next tick() noexcept {
        const auto step = std::chrono::milliseconds{length_} / 3;
        try {
            Due due;
            if (!gather(due, step)) {
                return std::nullopt;
            }
            if (!due.renew.empty() || !due.give_back.empty()) {
                tell_(due);
            }
        } catch (...) {
            // The server is away: leases end, and their fills will be dropped.
        }
        return step;
    }

    // False if none is held. Rule R7.
    bool gather(Due& due, Clock::duration step) {
        std::vector<typename Table::node_type> gone;  // die without the lock
        ProcessLeases& own = own_.get();
        const std::scoped_lock lock{own.mutex};
        const auto now = Clock::now();
        for (auto at = own.held.begin(); at != own.held.end();) {
            TimedLease& item = at->second;
            if (!item.over()) {
                if (item.since <= now - step / 2) {
                    due.renew.push_back(item.held.lease);
                }
            } else if (item.over_since == Clock::time_point{} || now < item.over_since + length_) {
                due.give_back.push_back(item.held.lease);
                item.over_since = item.over_since == Clock::time_point{} ? now : item.over_since;
            } else {
                gone.emplace_back();
                gone.back() = own.held.extract(at++);
                continue;
            }
            ++at;
        }
        own.ticking = !own.held.empty();
        return own.ticking;
    }

    const Ttl length_;
    const std::function<void(const Due&)> tell_;
    mutable larder::detail::ForkLocal<ProcessLeases> own_{};
    larder::detail::Ticker ticker_;
};

using LeaseRenewer = BasicLeaseRenewer<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_LEASE_RENEWER_HPP
