// SPDX-License-Identifier: MIT

/// @file
/// Filling the cache before anybody asks: batches, some at once.

#ifndef LARDER_DETAIL_READ_WARMER_HPP
#define LARDER_DETAIL_READ_WARMER_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/flight/load_frame.hpp>
#include <larder/detail/flight/wait_graph.hpp>
#include <larder/detail/read/leased_batch.hpp>
#include <larder/detail/read/leased_load.hpp>
#include <larder/detail/read/warm_batch.hpp>
#include <larder/detail/read/warm_queue.hpp>
#include <larder/detail/read/warm_tally.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/protocol_calls.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/support/task_scope.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/policy/warm_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// One `warm`. Made for the call, in its thread, which takes part in the work: so it comes to an end
/// whatever the executor does. Its other workers are tasks, which do nothing once the call is over.
template <class E>
class Warmer {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;

    /// Gives the rows of keys, in several threads at once.
    using Load = std::function<std::vector<Loaded<Value>>(E&, std::span<const Key>)>;

    /// @param queue, options  outlive it
    /// @param dated           what `load` brings may carry tags
    Warmer(E& core, WarmQueue<Key>& queue, Load load, Dated dated, const WarmOptions& options)
        : core_{core},
          background_{core.background},
          load_{std::move(load)},
          dated_{dated},
          options_{options},
          queue_{queue},
          tally_{options, queue.total()} {}
    Warmer(const Warmer&) = delete;
    Warmer& operator=(const Warmer&) = delete;

    /// @throws what `progress` or the range threw, once all that began has ended
    WarmReport<Key> operator()() {
        const auto began = std::chrono::steady_clock::now();
        {
            const Closing closing{*gate_};
            if (const TaskScope::Pass pass{background_->scope}; pass) {
                summon();
            }
            work();
        }
        if (const auto thrown = queue_.thrown()) {
            std::rethrow_exception(thrown);
        }
        return tally_.report(std::chrono::steady_clock::now() - began, queue_.ended());
    }

private:
    using Batch = WarmBatch<Key>;
    using Query = typename E::Store::Query;
    using Fate = typename Batch::Fate;

    // The end of the call: no task begins any more, and those that have begun are waited for.
    struct Closing {
        TaskScope& gate;
        ~Closing() { gate.close(); }
    };

    void summon() {
        std::size_t workers = options_.parallel;
        if (const auto& total = queue_.total()) {
            const std::size_t batches =
                1 + ((std::max)(*total, std::size_t{1}) - 1) / options_.batch;
            workers = (std::min)(workers, batches);
        }
        if (this_waiting_thread().carries.load(std::memory_order_relaxed) != 0) {
            workers = 1;  // within a load: only its own thread is known not to wait for it
        }
        for (std::size_t i = 1; i < workers && !queue_.over(); ++i) {
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
                Batch batch = queue_.draw();
                if (batch.keys.empty()) {
                    return;
                }
                if (!carry_out(batch)) {
                    queue_.end();
                    return;
                }
                tally_.add(batch);
            }
        } catch (...) {
            queue_.end(std::current_exception());
        }
    }

    // False: it may not begin, and nothing was done for its keys.
    bool carry_out(Batch& batch) {
        batch.begin();
        try {
            // The policy may go meanwhile: it is touched with a pass only. While a batch waits for its
            // time it holds neither leases nor a pass, so that the policy's destructor does not wait.
            std::vector<std::size_t> missing;
            std::vector<Query> queries;
            if (const TaskScope::Pass pass{background_->scope}; pass) {
                missing = find_missing(batch, queries);
            } else {
                return false;
            }
            if (missing.empty()) {
                return true;
            }
            const bool may = queue_.wait_for_permit(missing.size());
            const TaskScope::Pass pass{background_->scope};
            if (!may || !pass) {
                return false;
            }
            load(batch, missing, queries);
        } catch (...) {
            batch.fail_rest(std::current_exception());
        }
        return true;
    }

    // Where the keys are that have no fresh copy, and that this thread is not loading.
    //
    // @param queries  what the look has found, of each of the batch
    std::vector<std::size_t> find_missing(Batch& batch, std::vector<Query>& queries) {
        Query query = core_.query();
        if constexpr (requires { query.dated; }) {
            query.dated = dated_;
        }
        queries.assign(batch.keys.size(), query);
        peek_many(
            core_.store, std::span<const Key>{batch.keys},
            [&](std::size_t at, const Value*, Remaining left, Ttl, bool) {
                if (left > Remaining::zero()) {
                    batch.fates[at] = Fate::skipped;
                }
            },
            std::span{queries});
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

    void load(Batch& batch, const std::vector<std::size_t>& missing,
              const std::vector<Query>& seen) {
        std::vector<Key> keys;
        std::vector<Query> queries;
        keys.reserve(missing.size());
        queries.reserve(missing.size());
        for (const std::size_t at : missing) {
            keys.push_back(batch.keys[at]);
            queries.push_back(seen[at]);
        }
        LeasedBatch<E> leases{core_, std::move(keys)};
        const std::vector<Opening<Value>> openings = leases.open(std::move(queries));
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

    E& core_;
    const std::shared_ptr<typename E::Background> background_;
    const Load load_;
    const Dated dated_;
    const WarmOptions& options_;
    const std::shared_ptr<TaskScope> gate_ = std::make_shared<TaskScope>();
    WarmQueue<Key>& queue_;
    WarmTally<Key> tally_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_WARMER_HPP
