// SPDX-License-Identifier: MIT

/// @file
/// Where background work runs: the library's own small pool, or whatever the user passes.

#ifndef LARDER_EXECUTOR_HPP
#define LARDER_EXECUTOR_HPP

#include <larder/detail/flight/wait_graph.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

/// Work for an executor. It is called at most once, and does not throw.
using Task = std::function<void()>;

namespace detail {

/// A few threads, started when there is work for them. In a forked child it starts threads of the
/// child's own; what the parent had queued stays the parent's.
///
/// Thread safety: all members may run concurrently. The destructor drops what has not begun and
/// waits for what has.
///
/// A template so that whoever includes it and passes an executor does not compile it.
template <class Work = Task>
class Pool {
public:
    explicit Pool(std::size_t most_threads) : most_threads_{most_threads} {}
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    ~Pool() {
        Own* const own = own_.find();
        if (own == nullptr) {
            return;
        }
        std::deque<Work> dropped;
        {
            const std::scoped_lock lock{own->work->mutex};
            own->work->closed = true;
            dropped.swap(own->work->tasks);
        }
        own->work->changed.notify_all();
        dropped.clear();  // before the threads end: one of them may wait for such a task
        for (std::thread& thread : own->threads) {
            // The last handle may die in one of our own tasks.
            if (thread.get_id() == std::this_thread::get_id()) {
                thread.detach();
            } else {
                thread.join();
            }
        }
    }

    void submit(Work task) {
        Own& own = own_.get();
        std::unique_lock lock{own.work->mutex};
        own.work->tasks.push_back(std::move(task));
        if (own.work->tasks.size() > own.work->idle && own.threads.size() < most_threads_) {
            try {
                own.threads.reserve(own.threads.size() +
                                    1);  // a thread must not be in nobody's hands
                own.threads.push_back(quiet_thread([work = own.work] { run(*work); }));
            } catch (...) {
                if (own.threads.empty()) {
                    // It is still the only one: without a thread nobody takes any. What it held
                    // may come back here when it goes.
                    const Work refused = std::move(own.work->tasks.back());
                    own.work->tasks.pop_back();
                    lock.unlock();
                    throw;
                }
            }
        }
        lock.unlock();
        own.work->changed.notify_one();
    }

private:
    // Apart from the pool, for the thread that outlives it.
    struct Queue {
        std::mutex mutex{};
        std::condition_variable changed{};
        std::deque<Work> tasks{};
        std::size_t idle = 0;
        bool closed = false;
    };
    struct Own {
        std::shared_ptr<Queue> work = std::make_shared<Queue>();
        std::vector<std::thread> threads{};
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
                const Work task = std::move(work.tasks.front());
                work.tasks.pop_front();
                lock.unlock();
                task();
            }
            lock.lock();
        }
    }

    const std::size_t most_threads_;
    ForkLocal<Own> own_{};
};

}  // namespace detail

/// A handle to something that runs tasks: refreshes, late loads, flushing.
///
/// Made from anything callable with a Task. It may run the task at once, later, or refuse it by
/// returning a bool that is false or by throwing; a load is then run by the thread that wanted it.
/// What else it returns is ignored. A task that is destroyed without having run counts as refused,
/// too. Pass your own where connections belong to threads.
///
/// The default is a pool of the library's own for each policy, of at most 16 threads, which are started
/// when there is work for them: so loads that hang cost no other policy its threads. `threads(n)` makes
/// one of another size; policies that are given copies of one handle share it.
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
    /// The most threads of a policy's own pool.
    static constexpr std::size_t default_threads = 16;

    /// A pool of the library's own for each policy that is given it.
    Executor() = default;

    /// A pool of the library's own, of at most so many threads. It lives as long as a copy of the handle.
    ///
    /// @throws std::invalid_argument  `most` is 0
    template <class Work = Task>  // a template, as the pool is
    [[nodiscard]] static Executor threads(std::size_t most) {
        if (most == 0) {
            throw std::invalid_argument{
                "larder: Executor::threads: most must be positive, but is 0"};
        }
        return Executor{[pool = std::make_shared<detail::Pool<Work>>(most)](Work task) {
            pool->submit(std::move(task));
        }};
    }

    /// Your own: called with each task, from any thread; it may run it later, or at once.
    ///
    /// @param f  if it gives a bool: false when it refuses the task, in which case it never runs it. What
    ///           it throws is a refusal, too
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
    template <class Work = Task>
    [[nodiscard]] bool submit(Work task) const noexcept {
        try {
            // What is queued behind a task waits for it.
            auto busily = [task = std::move(task)]() mutable {
                const detail::Busy busy;
                task();
            };
            if (submit_) {
                return submit_(std::move(busily));
            }
            // The pool lives as long as what it has to do.
            const auto pool = std::make_shared<detail::Pool<Task>>(std::size_t{1});
            pool->submit([pool, busily = std::move(busily)]() mutable { busily(); });
            return true;
        } catch (...) {
            return false;
        }
    }

    /// The same executor; of the default, one with a pool of its own.
    template <class Work = Task>
    [[nodiscard]] Executor bound() const {
        return submit_ ? *this : threads<Work>(default_threads);
    }

private:
    std::function<bool(Task)> submit_{};
};

LARDER_NS_END

#endif  // LARDER_EXECUTOR_HPP
