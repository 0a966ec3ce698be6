// SPDX-License-Identifier: MIT

/// @file
/// Filling the cache before anybody asks: batches, some at once, at a bounded rate.

#ifndef LARDER_DETAIL_READ_WARMER_HPP
#define LARDER_DETAIL_READ_WARMER_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/flight/load_frame.hpp>
#include <larder/detail/flight/wait_graph.hpp>
#include <larder/detail/read/leased_batch.hpp>
#include <larder/detail/read/leased_load.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/support/task_scope.hpp>
#include <larder/detail/user/arguments.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/policy/warm_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// A callable for many keys, as an object with `load_many`.
template <class F>
struct BulkCall {
    F* call;

    template <class K>
    decltype(auto) load_many(std::span<const K> keys) const {
        return std::invoke(*call, keys);
    }
};

/// One `warm`. Made for the call, in its thread, which takes part in the work: so it comes to an end
/// whatever the executor does. Its other workers are tasks, which do nothing once the call is over.
///
/// @tparam R     the range of keys; it is walked once, by one thread at a time
/// @tparam Load  `load(core, keys)` gives their rows; called by several threads at once
template <class E, class R, class Load>
class Warming {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;

    Warming(E& core, R& keys, const Load& load, const WarmOptions& options)
        : core_{core},
          background_{core.background},
          load_{load},
          options_{options},
          at_{std::begin(keys)},
          end_{std::end(keys)} {
        if constexpr (requires { std::size(keys); }) {
            progress_.total = static_cast<std::size_t>(std::size(keys));
        }
    }

    Warming(const Warming&) = delete;
    Warming& operator=(const Warming&) = delete;

    WarmReport<Key> operator()() {
        const auto began = std::chrono::steady_clock::now();
        {
            const Closing closing{*gate_};
            if (const TaskScope::Pass pass{background_->scope}; pass) {
                summon();
            }
            work();
        }
        if (thrown_) {
            std::rethrow_exception(thrown_);
        }
        return report(std::chrono::steady_clock::now() - began);
    }

private:
    enum class Fate : std::uint8_t { failed, filled, absent, skipped };

    struct Batch {
        std::size_t number = 0;
        std::vector<Key> keys{};
        std::size_t repeated = 0;      // keys that were there twice
        std::vector<Fate> fates{};     // of each key; what nobody got to has failed
        std::size_t failed_first = 0;  // among the keys that have a `failure`
        std::exception_ptr failure{};

        void fail(std::size_t at, std::exception_ptr why) {
            fates[at] = Fate::failed;
            if (!failure || at < failed_first) {
                failed_first = at;
                failure = std::move(why);
            }
        }
    };

    struct Failed {
        std::size_t batch;
        std::vector<Key> keys;
        std::exception_ptr why;
    };

    // The end of the call: no task begins any more, and those that have begun are waited for.
    struct Closing {
        TaskScope& gate;
        ~Closing() { gate.close(); }
    };

    void summon() {
        std::size_t workers = options_.parallel;
        if (progress_.total) {
            const std::size_t batches =
                1 + ((std::max)(*progress_.total, std::size_t{1}) - 1) / options_.batch;
            workers = (std::min)(workers, batches);
        }
        if (this_waiting_thread().carries.load(std::memory_order_relaxed) != 0) {
            workers = 1;  // within a load: only its own thread is known not to wait for it
        }
        for (std::size_t i = 1; i < workers && !over(); ++i) {
            if (!core_.executor.submit([gate = gate_, this] {
                    const TaskScope::Pass pass{*gate};
                    if (pass) {
                        work();
                    }
                })) {
                return;
            }
        }
    }

    void work() noexcept {
        try {
            for (;;) {
                Batch batch = draw();
                if (batch.keys.empty() || !carry_out(batch)) {
                    return;
                }
                settle(batch);
            }
        } catch (...) {
            const std::scoped_lock lock{mutex_};
            if (!thrown_) {
                thrown_ = std::current_exception();
            }
            end();
        }
    }

    bool over() {
        const std::scoped_lock lock{mutex_};
        return ended_ || at_ == end_;
    }

    // The next keys of the range; none at its end, or when the warming is to end.
    Batch draw() {
        const std::scoped_lock lock{mutex_};
        Batch batch;
        if (!ended_ && options_.stop.stop_requested() && at_ != end_) {
            end();
        }
        if (!ended_) {
            batch.number = drawn_++;
            for (; batch.keys.size() < options_.batch && at_ != end_; ++at_) {
                batch.keys.push_back(Key(*at_));
            }
        }
        return batch;
    }

    // False: it may not begin, and nothing was done for its keys.
    bool carry_out(Batch& batch) {
        drop_repeated(batch);
        batch.fates.assign(batch.keys.size(), Fate::failed);
        try {
            // The policy may go meanwhile: it is touched with a pass only. While a batch waits for its
            // time it holds neither leases nor a pass, so that the policy's destructor does not wait.
            std::vector<std::size_t> missing;
            if (const TaskScope::Pass pass{background_->scope}; pass) {
                missing = find_missing(batch);
            } else {
                return ended();
            }
            if (missing.empty()) {
                return true;
            }
            const bool may = wait_for_permit(missing.size());
            const TaskScope::Pass pass{background_->scope};
            if (!may || !pass) {
                return ended();
            }
            load(batch, missing);
        } catch (...) {
            // The reason of all that nobody got to.
            const auto at = std::find(batch.fates.begin(), batch.fates.end(), Fate::failed);
            if (at != batch.fates.end()) {
                batch.fail(static_cast<std::size_t>(at - batch.fates.begin()),
                           std::current_exception());
            }
        }
        return true;
    }

    static void drop_repeated(Batch& batch) { batch.repeated = erase_repeated(batch.keys); }

    // Where the keys are that have no fresh copy, and that this thread is not loading.
    std::vector<std::size_t> find_missing(Batch& batch) {
        core_.store.peek_many(
            std::span<const Key>{batch.keys},
            [&](std::size_t at, const Value*, Remaining left, Ttl, bool) {
                if (left > Remaining::zero()) {
                    batch.fates[at] = Fate::skipped;
                }
            },
            core_.query());
        std::vector<std::size_t> missing;
        for (std::size_t at = 0; at < batch.keys.size(); ++at) {
            if (batch.fates[at] == Fate::skipped) {
                continue;
            }
            if (LoadFrame::any() && LoadFrame::ask(&core_, batch.keys[at]) != MayWait::yes) {
                batch.fates[at] = Fate::skipped;  // this thread is loading it
            } else {
                missing.push_back(at);
            }
        }
        return missing;
    }

    // Waits until the batch before has had its time. False if the warming is to end.
    bool wait_for_permit(std::size_t keys) {
        std::unique_lock lock{mutex_};
        if (options_.per_second > 0) {
            using Clock = std::chrono::steady_clock;
            auto now = Clock::now();
            while (now < due_ && !ended_ && !options_.stop.stop_requested()) {
                const auto until = due_;  // which is read while the lock is not held
                changed_.wait_until(lock, options_.stop, until, [this] { return ended_; });
                now = Clock::now();
            }
            const std::chrono::duration<double> takes{
                (std::min)(static_cast<double>(keys) / static_cast<double>(options_.per_second),
                           1e9)};  // what is longer does not fit a time_point
            due_ = now + std::chrono::duration_cast<Clock::duration>(takes);
        }
        return !ended_ && !options_.stop.stop_requested();
    }

    void load(Batch& batch, const std::vector<std::size_t>& missing) {
        std::vector<Key> keys;
        keys.reserve(missing.size());
        for (const std::size_t at : missing) {
            keys.push_back(batch.keys[at]);
        }
        LeasedBatch<E> leases{core_, std::move(keys)};
        const std::vector<Opening<Value>> openings = leases.open();
        for (std::size_t i = 0; i < openings.size(); ++i) {
            if (leases.lease(i) != nullptr) {
                continue;
            }
            if (openings[i].slot != Slot::bypass || openings[i].writing) {
                batch.fates[missing[i]] = Fate::skipped;
            } else {
                batch.fail(missing[i],
                           std::make_exception_ptr(StoreError{"key " + key_text(leases.keys()[i]) +
                                                              ": the store has failed"}));
            }
        }
        leases.load_and_fill([&](std::span<const Key> mine) { return load_(core_, mine); });
        for (std::size_t i = 0; i < openings.size(); ++i) {
            if (LeasedLoad<E>* const lease = leases.lease(i)) {
                conclude(batch, missing[i], *lease);
            }
        }
    }

    // What is stale is no answer here: a load that fails has failed.
    void conclude(Batch& batch, std::size_t at, LeasedLoad<E>& lease) {
        if (lease.failure()) {
            lease.give_back();
            batch.fail(at, lease.failure());
            return;
        }
        if (lease.filled().failure) {
            const KeyFrame<Key> frame{&core_, lease.key()};
            lease.undo_fill();
        }
        try {
            const Fetched<Value> fetched = lease.complete();
            if (lease.filled().failure) {
                batch.fail(at, lease.filled().failure);
            } else if (!fetched.value) {
                batch.fates[at] = Fate::absent;
            } else {
                batch.fates[at] = lease.filled().kept ? Fate::filled : Fate::skipped;
            }
        } catch (...) {
            batch.fail(at, std::current_exception());
        }
    }

    // Adds up what became of a batch, and tells of it.
    void settle(Batch& batch) {
        const std::scoped_lock lock{telling_};
        progress_.skipped += batch.repeated;
        std::vector<Key> failed;
        for (std::size_t at = 0; at < batch.fates.size(); ++at) {
            switch (batch.fates[at]) {
                case Fate::filled: ++progress_.filled; break;
                case Fate::absent: ++progress_.absent; break;
                case Fate::skipped: ++progress_.skipped; break;
                case Fate::failed:
                    ++progress_.failed;
                    failed.push_back(std::move(batch.keys[at]));
                    break;
            }
        }
        if (!failed.empty()) {
            failed_.push_back({batch.number, std::move(failed), std::move(batch.failure)});
        }
        progress_.done = progress_.filled + progress_.absent + progress_.failed + progress_.skipped;
        if (options_.progress && !mute_) {
            mute_ = true;  // and stays so if it throws
            options_.progress(progress_);
            mute_ = false;
        }
    }

    WarmReport<Key> report(std::chrono::nanoseconds elapsed) {
        WarmReport<Key> report{progress_.filled, progress_.absent, progress_.failed,
                               progress_.skipped, elapsed};
        report.stopped = ended_;
        std::sort(failed_.begin(), failed_.end(),
                  [](const Failed& a, const Failed& b) { return a.batch < b.batch; });
        for (Failed& batch : failed_) {
            report.failed_keys.insert(report.failed_keys.end(),
                                      std::make_move_iterator(batch.keys.begin()),
                                      std::make_move_iterator(batch.keys.end()));
        }
        if (!failed_.empty()) {
            report.failure = failed_.front().why;
        }
        return report;
    }

    // The warming ends, and nothing was done for a batch.
    bool ended() {
        const std::scoped_lock lock{mutex_};
        end();
        return false;
    }

    // No batch begins any more. Called under the lock.
    void end() {
        ended_ = true;
        changed_.notify_all();
    }

    E& core_;
    const std::shared_ptr<typename E::Background> background_;
    const Load& load_;
    const WarmOptions& options_;
    const std::shared_ptr<TaskScope> gate_ = std::make_shared<TaskScope>();

    std::mutex mutex_{};  // guards what follows
    std::condition_variable_any changed_{};
    decltype(std::begin(std::declval<R&>())) at_;
    decltype(std::end(std::declval<R&>())) end_;
    std::size_t drawn_ = 0;
    std::chrono::steady_clock::time_point due_{};
    bool ended_ = false;
    std::exception_ptr thrown_{};

    std::mutex telling_{};  // guards what follows, `progress_.total` apart
    WarmProgress progress_{};
    std::vector<Failed> failed_{};
    bool mute_ = false;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_WARMER_HPP
