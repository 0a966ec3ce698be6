// SPDX-License-Identifier: MIT

/// @file
/// Where background work runs: the library's own small pool, or whatever the user passes.

#ifndef LARDER_EXECUTOR_HPP
#define LARDER_EXECUTOR_HPP

#include <larder/version.hpp>

#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

/// Work for an executor. It is called at most once, and does not throw.
using Task = std::function<void()>;

namespace detail {

/// A few threads, started when there is work for them.
///
/// Thread safety: all members may run concurrently. The destructor drops what has not begun and
/// waits for what has.
///
/// A template so that whoever includes it and passes an executor does not compile it.
template <class Work = Task>
class Pool {
public:
    static constexpr std::size_t most_threads = 16;

    Pool() = default;
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    ~Pool() {
        std::deque<Task> dropped;
        {
            const std::scoped_lock lock{work_->mutex};
            work_->closed = true;
            dropped.swap(work_->tasks);
        }
        work_->changed.notify_all();
        dropped.clear();  // before the threads end: one of them may wait for such a task
        for (std::thread& thread : threads_) {
            // The last handle may die in one of our own tasks.
            if (thread.get_id() == std::this_thread::get_id()) {
                thread.detach();
            } else {
                thread.join();
            }
        }
    }

    void submit(Task task) {
        std::unique_lock lock{work_->mutex};
        work_->tasks.push_back(std::move(task));
        if (work_->tasks.size() > work_->idle && threads_.size() < most_threads) {
            try {
                threads_.emplace_back([work = work_] { run(*work); });
            } catch (...) {
                if (threads_.empty()) {
                    // It is still the only one: without a thread nobody takes any. What it held
                    // may come back here when it goes.
                    const Task refused = std::move(work_->tasks.back());
                    work_->tasks.pop_back();
                    lock.unlock();
                    throw;
                }
            }
        }
        lock.unlock();
        work_->changed.notify_one();
    }

private:
    // Apart from the pool, for the thread that outlives it.
    struct Queue {
        std::mutex mutex{};
        std::condition_variable changed{};
        std::deque<Task> tasks{};
        std::size_t idle = 0;
        bool closed = false;
    };

    static void run(Queue& work) {
        std::unique_lock lock{work.mutex};
        for (;;) {
            ++work.idle;
            work.changed.wait(lock, [&] { return work.closed || !work.tasks.empty(); });
            --work.idle;
            if (work.tasks.empty()) {
                return;
            }
            {
                const Task task = std::move(work.tasks.front());
                work.tasks.pop_front();
                lock.unlock();
                task();
            }
            lock.lock();
        }
    }

    std::shared_ptr<Queue> work_ = std::make_shared<Queue>();
    std::vector<std::thread> threads_{};
};

/// The pool that all default executors share, for as long as there is one.
template <class Work = Task>
[[nodiscard]] std::shared_ptr<Pool<Work>> shared_pool() {
    static std::mutex mutex;
    static std::weak_ptr<Pool<Work>> known;
    const std::scoped_lock lock{mutex};
    std::shared_ptr<Pool<Work>> pool = known.lock();
    if (!pool) {
        pool = std::make_shared<Pool<Work>>();
        known = pool;
    }
    return pool;
}

}  // namespace detail

/// A handle to something that runs tasks: refreshes, late loads, flushing.
///
/// Made from anything callable with a Task. It may run the task at once, later, or refuse it by
/// returning a bool that is false or by throwing; a load is then run by the thread that wanted it.
/// What else it returns is ignored. A task that is destroyed without having run counts as refused,
/// too. The default is a small pool of the
/// library's own; pass your own where connections belong to threads.
///
/// ```cpp
/// larder::CacheAside cache{store, loader, {.executor = larder::Executor{[&](larder::Task task) {
///     my_pool.post(std::move(task));
/// }}}};
/// ```
///
/// Thread safety: all members may run concurrently; so must the callable.
class Executor {
public:
    /// The library's own pool.
    Executor() = default;

    template <class F>
        requires(!std::same_as<std::remove_cvref_t<F>, Executor>) &&
                std::invocable<std::decay_t<F>&, Task> && std::copy_constructible<std::decay_t<F>>
    Executor(F&& f)  // NOLINT(bugprone-forwarding-reference-overload): constrained
        : submit_{[f = std::decay_t<F>(std::forward<F>(f))](Task task) mutable {
              // Only a bool is an answer: pools give futures, or an int of which 0 is the success.
              if constexpr (std::same_as<std::invoke_result_t<std::decay_t<F>&, Task>, bool>) {
                  return std::invoke(f, std::move(task));
              } else {
                  static_cast<void>(std::invoke(f, std::move(task)));
                  return true;
              }
          }} {}

    /// Hands the task over.
    ///
    /// @return false if it was refused, in which case it has not run and will not
    template <class Work = Task>  // a template, as the pool is
    [[nodiscard]] bool submit(Work task) const noexcept {
        try {
            if (submit_) {
                return submit_(std::move(task));
            }
            // The pool lives at least as long as what it has to do.
            const auto pool = detail::shared_pool<Task>();
            pool->submit([pool, task = Task{std::move(task)}] { task(); });
            return true;
        } catch (...) {
            return false;
        }
    }

    /// The same executor; the library's pool then lives as long as the handle.
    template <class Work = Task>
    [[nodiscard]] Executor bound() const {
        if (submit_) {
            return *this;
        }
        return Executor{
            [pool = detail::shared_pool<Work>()](Task task) { pool->submit(std::move(task)); }};
    }

private:
    std::function<bool(Task)> submit_{};
};

LARDER_NS_END

#endif  // LARDER_EXECUTOR_HPP
