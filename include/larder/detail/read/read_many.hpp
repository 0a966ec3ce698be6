// SPDX-License-Identifier: MIT

/// @file
/// The read path for many keys at once: one store round trip, one batch load.

#ifndef LARDER_DETAIL_READ_READ_MANY_HPP
#define LARDER_DETAIL_READ_READ_MANY_HPP

#include <larder/detail/read/leased_batch.hpp>
#include <larder/detail/read/read_path.hpp>
#include <larder/hash.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// One `get_many`. Made for the call, in its thread.
template <class E>
class ReadMany {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;

    explicit ReadMany(E& core) noexcept : core_{core}, path_{core} {}

    ReadMany(const ReadMany&) = delete;
    ReadMany& operator=(const ReadMany&) = delete;

    std::vector<std::optional<Value>> operator()(std::span<const Key> asked) {
        std::vector<std::size_t> place = without_duplicates(asked);
        answers_.resize(keys_.size());
        take_hits();
        load_misses();
        await_others();
        await_hurried();
        await_remote();
        load_left();
        for (const Answer& answer : answers_) {
            if (answer.failure) {
                std::rethrow_exception(answer.failure);
            }
        }
        std::vector<std::optional<Value>> values;
        values.reserve(asked.size());
        for (const std::size_t at : place) {
            values.push_back(answers_[at].value);
        }
        return values;
    }

private:
    struct Answer {
        std::optional<Value> value{};
        std::exception_ptr failure{};
        std::optional<Copy<Value>> stale{};
        bool known = false;
    };
    struct Waiting {
        std::size_t at;
        std::shared_ptr<Flight<Value>> flight;
        std::optional<Copy<Value>> stale;
    };
    // A stale copy is served when load_timeout has passed.
    struct Hurried {
        std::size_t at;
        Wish<Value> wish;
        std::optional<Copy<Value>> stale;
    };
    struct Remote {
        std::size_t at;
        Lease lease;
    };

    // The keys once each; answers where each that was asked for is found.
    std::vector<std::size_t> without_duplicates(std::span<const Key> asked) {
        std::unordered_map<Key, std::size_t, Hash<Key>, std::equal_to<>> seen;
        std::vector<std::size_t> place;
        place.reserve(asked.size());
        for (const Key& key : asked) {
            const auto [it, is_new] = seen.try_emplace(key, keys_.size());
            if (is_new) {
                keys_.push_back(key);
            }
            place.push_back(it->second);
        }
        return place;
    }

    void take_hits() {
        if constexpr (before_copies<E>) {
            for (std::size_t at = 0; at < keys_.size(); ++at) {
                if (auto change = core_.loader.pending(keys_[at])) {
                    know(at, std::move(change->value));
                }
            }
        }
        std::vector<std::size_t> due;
        core_.store.peek_many(
            std::span<const Key>{keys_},
            [&](std::size_t at, const Value* value, Remaining remaining, Ttl life,
                bool refreshing) {
                Answer& answer = answers_[at];
                if (answer.known) {
                    return;
                }
                if (remaining > Remaining::zero()) {
                    answer.known = true;
                    if (value != nullptr) {
                        answer.value.emplace(*value);
                    }
                    if (!refreshing && path_.is_due(remaining, life)) {
                        due.push_back(at);
                    }
                } else if (value != nullptr && core_.options.grace > Ttl::zero()) {
                    answer.stale.emplace(Copy<Value>{{*value, whole(remaining)}, life, refreshing});
                }
            },
            core_.query());
        for (const Answer& answer : answers_) {
            core_.count(answer.known ? Count::hits : Count::misses);
        }
        for (const std::size_t at : due) {
            path_.refresh_soon(keys_[at]);
        }
    }

    // One batch for all leases that this call gets; they are filled before anybody is waited for.
    void load_misses() {
        std::vector<Key> missing;
        std::vector<std::size_t> place;
        for (std::size_t at = 0; at < keys_.size(); ++at) {
            if (!answers_[at].known && !serve_without_load(at)) {
                missing.push_back(keys_[at]);
                place.push_back(at);
            }
        }
        if (missing.empty()) {
            return;
        }
        LeasedBatch<E> leases{path_, core_, missing.size()};
        std::vector<Opening<Value>> openings;
        try {
            openings = core_.store.open_many(std::span<const Key>{missing}, core_.query());
        } catch (const StoreError&) {
            core_.count(Count::store_errors);
            core_.tell(EventKind::store_failed, missing.front(), std::current_exception());
            openings.resize(missing.size());
        }
        GiveBack rest{path_, missing, openings};
        for (std::size_t& i = rest.from; i < openings.size();) {
            const std::size_t at = place[i];
            Opening<Value>& opening = openings[i];
            switch (opening.slot) {
                case Slot::hit: know(at, std::move(opening.copy->entry.value)); break;
                case Slot::lead: leases.add(std::move(missing[i]), at, std::move(opening)); break;
                case Slot::join:
                    core_.count(Count::joined);
                    waiting_.push_back({at, std::move(opening.flight), std::move(opening.copy)});
                    break;
                case Slot::remote:
                    core_.count(Count::joined);
                    remote_.push_back({at, opening.lease});
                    break;
                case Slot::bypass: left_.push_back(at); break;
            }
            ++i;
        }
        leases.settle([&](std::span<const Key> mine) { return path_.timed_many(mine); },
                      [&](std::size_t at, Fetched<Value>&& fetched, const Filled&) {
                          know(at, std::move(fetched.value));
                      },
                      [&](std::size_t at, std::exception_ptr why) { fail(at, std::move(why)); });
    }

    // A stale copy whose key rests, or need not be waited for; or what this thread must load past.
    bool serve_without_load(std::size_t at) {
        const Key& key = keys_[at];
        std::optional<Copy<Value>>& stale = answers_[at].stale;
        if (path_.must_load_alone(key)) {
            know(at, path_.load_alone(key, OwnLoad<E>{&core_}).value);
            return true;
        }
        if (!stale) {
            return false;
        }
        if (core_.loads().backs_off(key, core_.now())) {
            know(at, path_.serve_stale(*stale).value);
            return true;
        }
        if (core_.options.load_timeout) {
            if (auto flight = core_.store.underway(key)) {
                waiting_.push_back({at, std::move(flight), std::move(stale)});
            } else {
                hurried_.push_back(
                    {at, path_.queue(key, OwnLoad<E>{&core_}).first, std::move(stale)});
            }
            return true;
        }
        return false;
    }

    [[nodiscard]] Patience hurry() const {
        Patience hurry;
        if (core_.options.load_timeout) {
            hurry.deadline = later(std::chrono::steady_clock::now(), *core_.options.load_timeout);
        }
        return hurry;
    }

    void await_others() {
        const Patience soon = hurry();
        for (Waiting& other : waiting_) {
            take(other.at, *other.flight, other.stale,
                 wait_for(*other.flight, other.stale ? soon : Patience{}));
        }
    }
    void await_hurried() {
        const Patience soon = hurry();
        for (Hurried& other : hurried_) {
            const WaitEnd joined = path_.await(other.wish.load(), soon);
            if (joined == WaitEnd::timed_out) {
                other.wish.leave_it_wished();  // for the next
            }
            if (other.wish->abandoned()) {
                load_here(other.at);
            } else {
                take(other.at, *other.wish->flight(), other.stale, joined);
            }
        }
    }

    // What the executor has refused.
    void load_here(std::size_t at) {
        try {
            auto query = core_.query();
            know(at, path_.resolve(keys_[at], query, Patience{}, OwnLoad<E>{&core_}).value);
        } catch (...) {
            fail(at, std::current_exception());
        }
    }

    // What a wait has brought; without an answer the key is left.
    void take(std::size_t at, const Flight<Value>& flight, const std::optional<Copy<Value>>& stale,
              WaitEnd joined) {
        try {
            if (joined == WaitEnd::deadlock) {
                know(at, path_.load_alone(keys_[at], OwnLoad<E>{&core_}).value);
            } else if (ReadPath<E>::left_alone(joined, flight)) {
                left_.push_back(at);
            } else {
                know(at, path_.answer(keys_[at], joined, flight, stale).value);
            }
        } catch (...) {
            fail(at, std::current_exception());
        }
    }

    // Loads of other processes: what they have left is asked for together.
    void await_remote() {
        if (remote_.empty()) {
            return;
        }
        std::vector<Key> keys;
        const auto end = later(std::chrono::steady_clock::now(), core_.options.wait);
        for (const Remote& other : remote_) {
            path_.await_remote(keys_[other.at], other.lease, Patience{end, {}});
            keys.push_back(keys_[other.at]);
        }
        core_.store.peek_many(
            std::span<const Key>{keys},
            [&](std::size_t i, const Value* value, Remaining remaining, Ttl, bool) {
                if (remaining > Remaining::zero()) {
                    know(remote_[i].at,
                         value != nullptr ? std::optional<Value>{*value} : std::nullopt);
                }
            },
            core_.query());
        for (const Remote& other : remote_) {
            if (!answers_[other.at].known) {
                left_.push_back(other.at);
            }
        }
    }

    // What has no lease: one more batch, which fills nothing. A key that others are loading so is
    // waited for, and not in this batch.
    void load_left() {
        using Share = typename SingleFlight<Key, Value>::Share;
        std::vector<Key> keys;
        std::vector<Share> shares;
        std::vector<std::size_t> mine;
        std::vector<std::size_t> others;
        for (std::vector<std::size_t>* const all : {&mine, &others}) {
            all->reserve(left_.size());
        }
        keys.reserve(left_.size());
        shares.reserve(left_.size());
        for (const std::size_t at : left_) {
            Share share = core_.loads().join_idle(keys_[at]);
            if (share.leads()) {
                share.load()->among_others(true);
                shares.push_back(std::move(share));
                keys.push_back(keys_[at]);
                mine.push_back(at);
            } else {
                others.push_back(at);
            }
        }
        load_seated(std::span<const Key>{keys}, mine, shares);
        shares.clear();
        for (const std::size_t at : others) {
            try {
                know(at, path_.bypass(keys_[at], Patience{}, OwnLoad<E>{&core_}).value);
            } catch (...) {
                fail(at, std::current_exception());
            }
        }
    }

    template <class Seats>
    void load_seated(std::span<const Key> keys, const std::vector<std::size_t>& places,
                     Seats& shares) {
        if (keys.empty()) {
            return;
        }
        std::vector<Loaded<Value>> loaded;
        try {
            loaded = path_.timed_many(keys);
        } catch (...) {
            for (std::size_t i = 0; i < keys.size(); ++i) {
                core_.count(Count::load_failures);
                shares[i].fail(std::current_exception());
                fail(places[i], std::current_exception());
            }
            return;
        }
        for (std::size_t i = 0; i < keys.size(); ++i) {
            core_.count(Count::bypassed);
            Fetched<Value> fetched{std::move(loaded[i].value), Source::bypassed, {}, {}};
            shares[i].complete(fetched);
            know(places[i], std::move(fetched.value));
        }
    }

    void know(std::size_t at, std::optional<Value> value) {
        answers_[at].value = std::move(value);
        answers_[at].known = true;
    }
    void fail(std::size_t at, std::exception_ptr why) noexcept {
        answers_[at].failure = std::move(why);
        answers_[at].known = true;
    }

    // LeaseRenewer that nobody has taken on yet.
    struct GiveBack {
        ReadPath<E> path;
        const std::vector<Key>& keys;
        std::vector<Opening<Value>>& openings;
        std::size_t from = 0;

        ~GiveBack() {
            for (; from < openings.size(); ++from) {
                if (openings[from].slot == Slot::lead) {
                    path.release(keys[from], openings[from].lease);
                }
            }
        }
    };

    E& core_;
    ReadPath<E> path_;
    std::vector<Key> keys_{};
    std::vector<Answer> answers_{};
    std::vector<Waiting> waiting_{};
    std::vector<Hurried> hurried_{};
    std::vector<Remote> remote_{};
    std::vector<std::size_t> left_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_READ_MANY_HPP
