// SPDX-License-Identifier: MIT

/// @file
/// What the writers of a write-behind policy and its flusher tell each other.

#ifndef LARDER_DETAIL_WRITE_BEHIND_FLUSH_SIGNAL_HPP
#define LARDER_DETAIL_WRITE_BEHIND_FLUSH_SIGNAL_HPP

#include <larder/detail/support/process.hpp>
#include <larder/detail/write_behind/notices.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <functional>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Writers raise it, and the flusher clears it; whoever waits for the flusher is notified. In a forked child
/// nobody has raised it yet.
///
/// Thread safety: all members may run concurrently, `connect` apart.
class FlushSignal {
public:
    /// @param kick  called by whoever raises the signal while it is clear; false: in vain
    void connect(std::function<bool()> kick) { kick_ = std::move(kick); }

    /// There is something to write. Costs a look at a flag while that has not been cleared.
    void raise() {
        Own& own = own_.get();
        if (!own.raised && !own.raised.exchange(true) && kick_ && !kick_()) {
            own.raised = false;  // the next one tries again
        }
    }

    /// There was no room for a change: what waits is to be written at once.
    void raise_urgent() {
        own_.get().urgent = true;
        if (kick_) {
            kick_();
        }
    }

    [[nodiscard]] bool raised() { return own_.get().raised; }
    [[nodiscard]] bool urgent() { return own_.get().urgent; }

    /// The flusher has seen it: what is raised from here on is another.
    void clear() {
        Own& own = own_.get();
        own.raised = false;
        own.urgent = false;
    }

    /// Who waits for room in the journal: notified whenever there may be some.
    [[nodiscard]] Notices& room() { return own_.get().room; }
    /// Who waits for the flusher to have done its work, or to pause: notified now and then, not for each
    /// batch, which would cost a good part of it.
    [[nodiscard]] Notices& rest() { return own_.get().rest; }

private:
    struct Own {
        Notices room{};
        Notices rest{};
        std::atomic<bool> raised{false};
        std::atomic<bool> urgent{false};
    };

    std::function<bool()> kick_{};
    ForkLocal<Own> own_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_FLUSH_SIGNAL_HPP
