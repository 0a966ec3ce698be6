// SPDX-License-Identifier: MIT

/// @file
/// The leases that this process holds: their flights, and the timer that renews them.

#ifndef LARDER_REDIS_LEASES_HPP
#define LARDER_REDIS_LEASES_HPP

#include <larder/detail/flight.hpp>
#include <larder/detail/slot.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <unistd.h>

LARDER_NS_BEGIN

namespace redis::detail {

/// A lease as it is renewed.
struct HeldLease {
    std::uint64_t id = 0;
    bool beside = false;
    std::string slot{};  ///< the slot's key
};

/// Leases are short, so that a holder that dies costs others little; one that lives renews them here
/// while its load runs, every third of their length. The timer is a thread that is started with the
/// first lease, and sleeps while there are none.
///
/// Thread safety: all members may run concurrently.
template <class V>
class Leases {
public:
    using Flight = larder::detail::Flight<V>;
    using Renew = std::function<void(const std::vector<HeldLease>&)>;

    /// @param renew  is told, from the timer's thread, which leases to renew; what it throws is
    ///               ignored
    Leases(Ttl length, Renew renew) : length_{length}, renew_{std::move(renew)} {}
    Leases(const Leases&) = delete;
    Leases& operator=(const Leases&) = delete;
    ~Leases() {
        {
            const std::scoped_lock lock{mutex_};
            closed_ = true;
        }
        changed_.notify_all();
        if (timer_.joinable()) {
            // A process that was forked off has no timer.
            process_ == ::getpid() ? timer_.join() : timer_.detach();
        }
    }

    [[nodiscard]] Ttl length() const noexcept { return length_; }

    void add(HeldLease lease, std::shared_ptr<Flight> flight) {
        bool wake = false;
        {
            const std::scoped_lock lock{mutex_};
            start();
            const std::uint64_t id = lease.id;
            held_.insert_or_assign(id, Item{std::move(lease), std::move(flight), Clock::now()});
            wake = idle_;
            idle_ = false;
        }
        if (wake) {
            changed_.notify_one();
        }
    }
    /// From now on it is a lease beside a value.
    void set_beside(std::uint64_t id) {
        const std::scoped_lock lock{mutex_};
        if (const auto at = held_.find(id); at != held_.end()) {
            at->second.lease.beside = true;
        }
    }
    /// It has been filled or released: who still sees it in a slot has looked before that.
    void remove(std::uint64_t id) noexcept {
        std::shared_ptr<Flight> last;  // dies without the lock
        const std::scoped_lock lock{mutex_};
        last = take_out(id);
        note_ended(id);
    }
    /// No slot has shown it.
    void forget(std::uint64_t id) noexcept {
        std::shared_ptr<Flight> last;
        const std::scoped_lock lock{mutex_};
        last = take_out(id);
    }
    /// It was of this process, and ended not long ago.
    [[nodiscard]] bool ended(std::uint64_t id) const {
        const std::scoped_lock lock{mutex_};
        return std::find(ended_.begin(), ended_.end(), id) != ended_.end();
    }
    [[nodiscard]] std::shared_ptr<Flight> flight(std::uint64_t id) const {
        const std::scoped_lock lock{mutex_};
        const auto at = held_.find(id);
        return at == held_.end() ? nullptr : at->second.flight;
    }
    /// The leases of one slot; none, most of the time.
    [[nodiscard]] std::vector<HeldLease> of(const std::string& slot) const {
        std::vector<HeldLease> leases;
        const std::scoped_lock lock{mutex_};
        for (const auto& [id, item] : held_) {
            if (item.lease.slot == slot) {
                leases.push_back(item.lease);
            }
        }
        return leases;
    }
    /// The slot shows none of its leases any more, but for the one given.
    void lose(const std::string& slot, std::uint64_t but = 0) {
        std::vector<std::shared_ptr<Flight>> last;  // die without the lock
        const std::scoped_lock lock{mutex_};
        for (auto at = held_.begin(); at != held_.end();) {
            if (at->second.lease.slot == slot && at->first != but) {
                last.push_back(std::move(at->second.flight));
                note_ended(at->first);
                at = held_.erase(at);
            } else {
                ++at;
            }
        }
    }

private:
    using Clock = std::chrono::steady_clock;

    struct Item {
        HeldLease lease;
        std::shared_ptr<Flight> flight;
        Clock::time_point since;
    };

    std::shared_ptr<Flight> take_out(std::uint64_t id) noexcept {
        std::shared_ptr<Flight> flight;
        if (const auto at = held_.find(id); at != held_.end()) {
            flight = std::move(at->second.flight);
            held_.erase(at);
        }
        return flight;
    }
    void note_ended(std::uint64_t id) noexcept { ended_[next_ended_++ % ended_.size()] = id; }

    void start() {
        if (timer_.joinable()) {
            if (process_ == ::getpid()) {
                return;
            }
            timer_.detach();
            idle_ = false;
        }
        timer_ = std::thread{[this] { run(); }};
        process_ = ::getpid();
    }

    void run() {
        std::unique_lock lock{mutex_};
        const auto step = std::chrono::milliseconds{length_} / 3;
        while (!closed_) {
            if (held_.empty()) {
                idle_ = true;
                changed_.wait(lock, [this] { return closed_ || !idle_; });
            }
            const auto until = Clock::now() + step;
            changed_.wait_until(lock, until, [this] { return closed_; });
            if (closed_) {
                return;
            }
            std::vector<HeldLease> due;
            const auto old = Clock::now() - step / 2;
            for (const auto& [id, item] : held_) {
                if (item.since <= old) {
                    due.push_back(item.lease);
                }
            }
            if (due.empty()) {
                continue;
            }
            lock.unlock();
            try {
                renew_(due);
            } catch (...) {
                // The server is away: the leases end, and their fills will be dropped.
            }
            lock.lock();
        }
    }

    const Ttl length_;
    const Renew renew_;
    mutable std::mutex mutex_{};
    std::condition_variable changed_{};
    std::unordered_map<std::uint64_t, Item> held_{};
    std::array<std::uint64_t, 128> ended_{};
    std::size_t next_ended_ = 0;
    bool closed_ = false;
    bool idle_ = false;
    std::thread timer_{};
    pid_t process_ = 0;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_LEASES_HPP
