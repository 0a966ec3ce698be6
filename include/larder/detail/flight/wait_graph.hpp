// SPDX-License-Identifier: MIT

/// @file
/// Who waits for whom: a wait that could never end is refused before it begins.

#ifndef LARDER_DETAIL_FLIGHT_WAIT_GRAPH_HPP
#define LARDER_DETAIL_FLIGHT_WAIT_GRAPH_HPP

#include <larder/detail/flight/awaitable.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// A thread, as the wait graph sees it. Never freed, only used again: who looks at a load that has
/// just ended may look at its former carrier.
struct WaitingThread {
    const Awaitable* waits_for = nullptr;  // guarded by the graph
    std::atomic<std::size_t> carries{0};   // loads in its hands; changed by itself alone
    WaitingThread* next_free = nullptr;    // guarded by the registry
    WaitingThread* next = nullptr;         // all that were ever made
    std::mutex mutex{};                    // where it blocks, for one thing at a time
    std::condition_variable_any changed{};
};

/// This thread's place in the graph.
[[nodiscard]] WaitingThread& this_waiting_thread();

/// This thread does what others wait for in a way that the graph does not see, for its lifetime.
class Busy {
public:
    Busy() noexcept {
        try {
            mine_ = &this_waiting_thread();
            mine_->carries.fetch_add(1, std::memory_order_relaxed);
        } catch (...) {}  // no memory for a place: then it counts as idle
    }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
    ~Busy() {
        if (mine_ != nullptr) {
            mine_->carries.fetch_sub(1, std::memory_order_relaxed);
        }
    }

private:
    WaitingThread* mine_ = nullptr;
};

inline void Awaitable::carry() {
    WaitingThread& mine = this_waiting_thread();
    mine.carries.fetch_add(1, std::memory_order_relaxed);
    carrier_.store(&mine, std::memory_order_release);
}

inline void Awaitable::let_go() noexcept {
    carrier_.load(std::memory_order_relaxed)->carries.fetch_sub(1, std::memory_order_relaxed);
}

/// What is to be done instead of waiting.
enum class MayWait : std::uint8_t {
    yes,
    recursive,  ///< it waits, through whatever chain, for what this thread carries
    deadlock,   ///< the same, but only since loaders of many have mixed keys: load past it
};

/// Thread safety: all members may run concurrently.
class WaitGraph {
public:
    /// A wait, for its lifetime. Who carries nothing keeps nobody waiting and is not in the graph.
    class Wait {
    public:
        explicit Wait(const Awaitable& target) : mine_{this_waiting_thread()} {
            if (mine_.carries.load(std::memory_order_relaxed) == 0) {
                return;
            }
            const std::scoped_lock lock{graph().mutex};
            may_ = ask(target);
            if (may_ == MayWait::yes) {
                mine_.waits_for = &target;
                entered_ = true;
            }
        }
        ~Wait() {
            if (entered_) {
                const std::scoped_lock lock{graph().mutex};
                mine_.waits_for = nullptr;
            }
        }
        Wait(const Wait&) = delete;
        Wait& operator=(const Wait&) = delete;

        [[nodiscard]] MayWait may() const noexcept { return may_; }

    private:
        // Along the chain: a load, its carrier, what that waits for. A load that is not over is still
        // in its carrier's hands, so that all that lies between is true. Rule S12.
        [[nodiscard]] MayWait ask(const Awaitable& target) const noexcept {
            bool alone = true;
            for (const Awaitable* at = &target; at != nullptr && !at->over();) {
                const WaitingThread* const carrier = at->carrier_.load(std::memory_order_acquire);
                if (carrier == nullptr) {
                    break;
                }
                alone = alone && !at->among_others_.load(std::memory_order_relaxed);
                if (carrier == &mine_) {
                    return alone ? MayWait::recursive : MayWait::deadlock;
                }
                at = carrier->waits_for;
            }
            return MayWait::yes;
        }

        WaitingThread& mine_;
        MayWait may_ = MayWait::yes;
        bool entered_ = false;
    };

    struct Count {
        std::size_t carried = 0;
        std::size_t waits = 0;
    };

    /// What is in hand, in all threads of this process together: for tests, when nothing runs.
    [[nodiscard]] static Count count() {
        Count all;
        const std::scoped_lock registry{Registry::instance().mutex};
        const std::scoped_lock lock{graph().mutex};
        for (auto* at = Registry::instance().all; at != nullptr; at = at->next) {
            all.carried += at->carries.load(std::memory_order_relaxed);
            all.waits += at->waits_for != nullptr ? 1U : 0U;
        }
        return all;
    }

private:
    friend WaitingThread& this_waiting_thread();

    struct Graph {
        std::mutex mutex{};
    };
    static Graph& graph() {
        static auto* const own =
            new ForkLocal<Graph>;  // threads may wait while statics are destroyed
        return own->get();
    }

    struct Registry {
        std::mutex mutex{};
        WaitingThread* free = nullptr;
        WaitingThread* all = nullptr;

        static Registry& instance() {
            static auto* const own = new ForkLocal<Registry>;
            return own->get();
        }
    };

    [[nodiscard]] static WaitingThread* find_place() {
        Registry& registry = Registry::instance();
        const std::scoped_lock lock{registry.mutex};
        WaitingThread* thread = registry.free;
        if (thread != nullptr) {
            registry.free = thread->next_free;
        } else {
            thread = new WaitingThread;
            thread->next = registry.all;
            registry.all = thread;
        }
        return thread;
    }

    // Gives a thread's place back when it ends.
    struct Place {
        explicit Place(WaitingThread*& mine) noexcept : thread{mine} {}
        ~Place() {
            WaitingThread* const mine = std::exchange(thread, nullptr);
            try {
                Registry& registry = Registry::instance();
                const std::scoped_lock lock{registry.mutex};
                mine->next_free = registry.free;
                registry.free = mine;
            } catch (...) {}  // no memory for a child's own registry: it is not used again
        }
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;

        WaitingThread*& thread;
    };
};

inline WaitingThread& this_waiting_thread() {
    // Without a destructor of its own: a thread may still load while its other variables go.
    thread_local WaitingThread* mine = nullptr;
    if (mine == nullptr) [[unlikely]] {
        mine = WaitGraph::find_place();
        thread_local const WaitGraph::Place place{mine};
    }
    return *mine;
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_WAIT_GRAPH_HPP
