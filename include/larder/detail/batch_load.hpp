// SPDX-License-Identifier: MIT

/// @file
/// The leases that one call holds for a batch, until each is filled or given back.

#ifndef LARDER_DETAIL_BATCH_LOAD_HPP
#define LARDER_DETAIL_BATCH_LOAD_HPP

#include <larder/detail/call.hpp>
#include <larder/detail/read_path.hpp>
#include <larder/detail/slot.hpp>
#include <larder/detail/waiting.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <deque>
#include <exception>
#include <optional>
#include <span>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Keys that one thread loads in one batch, each under a lease of its own.
template <class E>
class BatchLoad {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;

    /// Room for as many, so that `add` cannot fail with a lease in its hands.
    BatchLoad(const ReadPath<E>& path, std::size_t most) : path_{path} {
        keys_.reserve(most);
        held_.reserve(most);
    }

    BatchLoad(const BatchLoad&) = delete;
    BatchLoad& operator=(const BatchLoad&) = delete;

    /// Gives back what an exception kept it from settling.
    ~BatchLoad() {
        for (; settled_ < held_.size(); ++settled_) {
            path_.release(keys_[settled_], held_[settled_].opening.lease);
            held_[settled_].opening.flight->crash(std::make_exception_ptr(
                Error{Errc::closed, "the batch that loaded the key was given up"}));
        }
    }

    /// Takes on a key whose opening is `lead`; `at` is what `settled` and `failed` will call it.
    void add(Key&& key, std::size_t at, Opening<Value>&& opening) {
        keys_.push_back(std::move(key));
        held_.push_back({at, std::move(opening)});
    }

    /// One load for all, and then a fill for each: `load(keys)` gives their rows. `settled(at,
    /// fetched, filled)` and `failed(at, exception)` tell what became of each.
    template <class Load, class Settled, class Failed>
    void settle(const Load& load, const Settled& settled, const Failed& failed) {
        if (held_.empty()) {
            return;
        }
        std::vector<Loaded<Value>> rows;
        std::exception_ptr failure;
        try {
            rows = carry(load);
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) {
            while (settled_ < held_.size()) {
                give_up(settled_++, failure, settled, failed);
            }
        } else {
            fill(rows, settled, failed);
        }
    }

private:
    struct Held {
        std::size_t at;
        Opening<Value> opening;
    };

    template <class Settled, class Failed>
    void give_up(std::size_t i, const std::exception_ptr& why, const Settled& settled,
                 const Failed& failed) {
        try {
            settled(held_[i].at, path_.fail(keys_[i], held_[i].opening, why, false), Filled{});
        } catch (...) {
            failed(held_[i].at, std::current_exception());
        }
    }

    template <class Settled, class Failed>
    void fill(std::vector<Loaded<Value>>& rows, const Settled& settled, const Failed& failed) {
        using Row = typename ReadPath<E>::Row;
        std::vector<std::optional<Row>> taken(held_.size());
        std::vector<std::exception_ptr> failures(held_.size());
        std::vector<Filling<Key, Value>> fillings;
        fillings.reserve(held_.size());
        for (std::size_t i = 0; i < held_.size(); ++i) {
            try {
                taken[i].emplace(path_.take_in(keys_[i], {std::move(rows[i])}));
                fillings.push_back(
                    {&keys_[i], held_[i].opening.lease, &taken[i]->value, &taken[i]->keeping});
            } catch (...) {
                failures[i] = std::current_exception();
            }
        }
        std::vector<Filled> filled;
        if constexpr (requires(typename E::Store& store) { store.fill_many(fillings); }) {
            filled = path_.fill_many(fillings);
        } else {
            for (std::size_t i = 0; i < held_.size(); ++i) {
                if (taken[i]) {
                    filled.push_back(
                        path_.fill(keys_[i], held_[i].opening.lease, *taken[i], false));
                }
            }
        }
        std::size_t at = 0;
        while (settled_ < held_.size()) {
            const std::size_t i = settled_++;
            if (!taken[i]) {
                give_up(i, failures[i], settled, failed);
                continue;
            }
            const Filled& mine = filled[at++];
            try {
                settled(held_[i].at, path_.land(held_[i].opening, std::move(*taken[i]), mine),
                        mine);
            } catch (...) {
                failed(held_[i].at, std::current_exception());
            }
        }
    }

    // The load, in whose course this thread must not wait for any of these keys.
    template <class Load>
    std::vector<Loaded<Value>> carry(const Load& load) {
        std::deque<Carrying> carrying;
        struct Unwind {  // frames of one thread end in the reverse order
            std::deque<Carrying>& frames;
            ~Unwind() {
                while (!frames.empty()) {
                    frames.pop_back();
                }
            }
        } const unwind{carrying};
        for (Held& held : held_) {
            carrying.emplace_back(*held.opening.flight);
        }
        return load(std::span<const Key>{keys_});
    }

    ReadPath<E> path_;
    std::vector<Key> keys_{};
    std::vector<Held> held_{};
    std::size_t settled_ = 0;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_BATCH_LOAD_HPP
