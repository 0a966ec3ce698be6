// SPDX-License-Identifier: MIT

/// @file
/// The leases that one call holds for a batch, until each is filled or given back.

#ifndef LARDER_DETAIL_READ_LEASED_BATCH_HPP
#define LARDER_DETAIL_READ_LEASED_BATCH_HPP

#include <larder/detail/flight/load_frame.hpp>
#include <larder/detail/read/read_path.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <exception>
#include <optional>
#include <span>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Keys that one thread loads in one batch, each under a lease of its own.
template <class E>
class LeasedBatch {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;

    /// Room for as many, so that `add` cannot fail with a lease in its hands.
    LeasedBatch(const ReadPath<E>& path, E& core, std::size_t most) : path_{path}, core_{core} {
        keys_.reserve(most);
        held_.reserve(most);
    }

    LeasedBatch(const LeasedBatch&) = delete;
    LeasedBatch& operator=(const LeasedBatch&) = delete;

    /// Gives back what an exception kept it from settling; whoever has joined is sent on.
    ~LeasedBatch() {
        for (; settled_ < keys_.size(); ++settled_) {
            path_.release(keys_[settled_], held_[settled_].opening.lease);
        }
    }

    /// Takes on a key whose opening is `lead`; `at` is what `settled` and `failed` will call it.
    void add(Key&& key, std::size_t at, Opening<Value>&& opening) {
        opening.lead.flight()->among_others(true);
        held_.push_back({at, std::move(opening)});
        keys_.push_back(std::move(key));
    }

    /// One load for all, and then a fill for each: `load(keys)` gives their rows. `settled(at,
    /// fetched, filled)` and `failed(at, exception)` tell what became of each.
    template <class Load, class Settled, class Failed>
    void settle(const Load& load, const Settled& settled, const Failed& failed) {
        if (held_.empty()) {
            return;
        }
        const KeysFrame<Key> frame{&core_, keys_};
        std::vector<Loaded<Value>> rows;
        std::exception_ptr failure;
        try {
            rows = load(std::span<const Key>{keys_});
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) {
            while (settled_ < held_.size()) {
                give_up(settled_, failure, settled, failed);
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
        path_.release(keys_[i], held_[i].opening.lease);
        ++settled_;
        try {
            settled(held_[i].at, path_.failed(keys_[i], held_[i].opening, why), Filled{});
        } catch (...) {
            failed(held_[i].at, std::current_exception());
        }
    }

    template <class Settled, class Failed>
    void fill(std::vector<Loaded<Value>>& rows, const Settled& settled, const Failed& failed) {
        using Row = typename ReadPath<E>::Row;
        std::vector<std::optional<Row>> taken(held_.size());
        std::vector<std::exception_ptr> failures(held_.size());
        std::vector<FillRequest<Key, Value>> fillings;
        std::vector<bool> covers;
        fillings.reserve(held_.size());
        covers.reserve(held_.size());
        for (std::size_t i = 0; i < held_.size(); ++i) {
            try {
                const KeyFrame<Key> frame{&core_, keys_[i]};
                taken[i].emplace(path_.take_in(keys_[i], {std::move(rows[i])}));
                fillings.push_back(
                    {&keys_[i], held_[i].opening.lease, &taken[i]->value, &taken[i]->terms});
                covers.push_back(held_[i].opening.copy.has_value());
            } catch (...) {
                taken[i].reset();
                failures[i] = std::current_exception();
            }
        }
        std::vector<Filled> filled;
        if constexpr (requires(typename E::Store& store) { store.fill_many(fillings); }) {
            filled = path_.fill_many(fillings, covers);
        } else {
            filled.reserve(fillings.size());
            for (std::size_t i = 0; i < held_.size(); ++i) {
                if (taken[i]) {
                    filled.push_back(path_.fill(keys_[i], held_[i].opening.lease, *taken[i],
                                                ReadPath<E>::Kind::miss,
                                                held_[i].opening.copy.has_value()));
                }
            }
        }
        std::size_t at = 0;
        while (settled_ < held_.size()) {
            const std::size_t i = settled_;
            if (!taken[i]) {
                give_up(i, failures[i], settled, failed);
                continue;
            }
            ++settled_;
            const Filled& mine = filled[at++];
            try {
                settled(held_[i].at,
                        path_.complete(held_[i].opening.lead, std::move(*taken[i]), mine), mine);
            } catch (...) {
                failed(held_[i].at, std::current_exception());
            }
        }
    }

    ReadPath<E> path_;
    E& core_;
    std::vector<Key> keys_{};
    std::vector<Held> held_{};
    std::size_t settled_ = 0;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_LEASED_BATCH_HPP
