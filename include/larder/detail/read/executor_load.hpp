// SPDX-License-Identifier: MIT

/// @file
/// A load that the executor carries out, while its callers wait, or no longer do.

#ifndef LARDER_DETAIL_READ_EXECUTOR_LOAD_HPP
#define LARDER_DETAIL_READ_EXECUTOR_LOAD_HPP

#include <larder/detail/flight/background_work.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/flight/queued_load.hpp>
#include <larder/detail/flight/wait_graph.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/detail/keyed_core.hpp>
#include <larder/detail/read/read_step.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/task_scope.hpp>
#include <larder/error.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// What a read that the executor carried out has found under way: its waiters are to wait for it.
struct HandedOn {
    ReadAct wait = ReadAct::hand_on;      // how
    std::shared_ptr<AnyFlight> flight{};  // for what: null for the lease of another process
    Lease remote{};                       // this one
    std::chrono::steady_clock::time_point remote_since{};
    bool ours = true;  // what the slot holds
};

/// A load for the executor. It holds a thread for no longer than it loads: what others have under way
/// is for its waiters to wait for, and it ends without an answer. Its flight ends whatever becomes of the task: run, refused, or thrown away.
/// What it loads is the business of who derives from it.
template <class K>
class ExecutorLoad : public QueuedLoad {
public:
    /// @param flight  what its waiters wait for
    ExecutorLoad(KeyedCore<K>& core, K key, std::shared_ptr<AnyFlight> flight)
        : QueuedLoad{std::move(flight)}, background_{core.background}, key_{std::move(key)} {}

    /// As a task: only with a pass, and if somebody still waits for it.
    void run() noexcept {
        try {
            const TaskScope::Pass pass{background_->scope};
            if (!pass) {
                if (this->begin()) {
                    this->take_lead().fail(closed());
                }
            } else if (!background_->loads.get().dequeue(key_, *this)) {
                this->abandon();
            } else if (this->begin()) {
                carry_out();
            }
        } catch (...) {
            this->abandon();
        }
    }

    /// The executor lets go of it, whether it has run or not.
    void leave() noexcept {
        this->abandon();
        if (auto* const loads = background_->loads.find()) {
            loads->tidy(key_);
        }
    }

    /// What its waiters are to wait for, once it has ended without an answer; null: they look again.
    [[nodiscard]] const HandedOn* handed_on() const noexcept {
        return handed_on_ ? &*handed_on_ : nullptr;
    }

    // By the executor, or by whoever waits and may not wait for that. Rule S12.
    void carry_out() noexcept final {
        AnyLead lead = this->take_lead();
        try {
            lead.carry();
            handed_on_ = load(lead);
        } catch (...) {
            lead.fail(std::current_exception());
        }
    }

protected:
    [[nodiscard]] const K& key() const noexcept { return key_; }

private:
    // Loads in this thread, and completes the flight; or says what is to be waited for; or throws.
    virtual std::optional<HandedOn> load(AnyLead& lead) = 0;

    [[nodiscard]] std::exception_ptr closed() const {
        return std::make_exception_ptr(
            Error{Errc::closed, "the load of key " + key_text(key_) + " was never carried out"});
    }

    const std::shared_ptr<BackgroundWork<K>> background_;
    const K key_;
    std::optional<HandedOn> handed_on_{};  // written before the flight is over, and never after
};

/// What the executor holds: a task that is destroyed unrun counts as refused.
template <class K>
class ExecutorTask {
public:
    explicit ExecutorTask(std::shared_ptr<ExecutorLoad<K>> load) noexcept
        : load_{std::move(load)} {}
    ExecutorTask(const ExecutorTask&) = delete;
    ExecutorTask& operator=(const ExecutorTask&) = delete;
    ~ExecutorTask() { load_->leave(); }

    void run() noexcept { load_->run(); }

private:
    std::shared_ptr<ExecutorLoad<K>> load_;
};

/// Hands a load to the executor. Refused, its flight ends.
template <class K>
void submit(const KeyedCore<K>& core, std::shared_ptr<ExecutorLoad<K>> load) noexcept {
    try {
        const auto task = std::make_shared<ExecutorTask<K>>(load);
        static_cast<void>(core.executor.submit([task] { task->run(); }));
    } catch (...) {
        load->abandon();  // no room for a task
    }
}

/// Waits for a load that the executor is to carry out. A thread that has a load in hand keeps others
/// waiting, maybe the executor itself: it gives the executor a moment to begin, and then carries the
/// load out by itself. Rule S12.
inline WaitEnd wait_for(QueuedLoad& load, const Patience& patience) {
    if (this_waiting_thread().carries.load(std::memory_order_relaxed) != 0) {
        const auto moment = std::chrono::steady_clock::now() + std::chrono::milliseconds{10};
        if (!patience.deadline || moment < *patience.deadline) {
            const WaitEnd end = wait_for(*load.flight(), Patience{moment, patience.stop});
            if (end != WaitEnd::timed_out) {
                return end;
            }
            if (load.begin()) {
                load.carry_out();
            }
        }
    }
    return wait_for(*load.flight(), patience);
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_EXECUTOR_LOAD_HPP
