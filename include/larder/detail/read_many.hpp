// SPDX-License-Identifier: MIT

/// @file
/// The read path for many keys at once: one store round trip, one batch load.

#ifndef LARDER_DETAIL_READ_MANY_HPP
#define LARDER_DETAIL_READ_MANY_HPP

#include <larder/detail/batch_load.hpp>
#include <larder/detail/read_path.hpp>
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
    using Plane = typename E::Plane;

    explicit ReadMany(const std::shared_ptr<E>& engine) noexcept : e_{*engine}, path_{engine} {}

    ReadMany(const ReadMany&) = delete;
    ReadMany& operator=(const ReadMany&) = delete;

    std::vector<std::optional<Value>> operator()(std::span<const Key> asked) {
        std::vector<std::size_t> place = without_duplicates(asked);
        answers_.resize(keys_.size());
        take_hits();
        load_misses();
        await_others();
        await_abroad();
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
        Plane flight;
        std::optional<Copy<Value>> stale;
        bool hurried;  // a stale copy is served when load_timeout has passed
    };
    struct Abroad {
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
        std::vector<std::size_t> due;
        e_.store.peek_many(
            std::span<const Key>{keys_},
            [&](std::size_t at, const Value* value, Remaining remaining, Ttl life,
                bool refreshing) {
                Answer& answer = answers_[at];
                if (remaining > Remaining::zero()) {
                    answer.known = true;
                    if (value != nullptr) {
                        answer.value.emplace(*value);
                    }
                    if (!refreshing && path_.is_due(remaining, life)) {
                        due.push_back(at);
                    }
                } else if (value != nullptr && e_.options.grace > Ttl::zero()) {
                    answer.stale.emplace(Copy<Value>{{*value, whole(remaining)}, life, refreshing});
                }
            },
            e_.look());
        for (const Answer& answer : answers_) {
            e_.count(answer.known ? Count::hits : Count::misses);
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
        BatchLoad<E> leases{path_, missing.size()};
        std::vector<Opening<Value>> openings;
        try {
            openings = e_.store.open_many(std::span<const Key>{missing}, e_.look());
        } catch (const StoreError&) {
            e_.count(Count::store_errors);
            e_.tell(EventKind::store_failed, missing.front(), std::current_exception());
            openings.resize(missing.size());
        }
        for (std::size_t i = 0; i < openings.size(); ++i) {
            const std::size_t at = place[i];
            Opening<Value>& opening = openings[i];
            switch (opening.slot) {
                case Slot::hit: know(at, std::move(opening.copy->entry.value)); break;
                case Slot::lead: leases.add(std::move(missing[i]), at, std::move(opening)); break;
                case Slot::join:
                    e_.count(Count::joined);
                    waiting_.push_back(
                        {at, std::move(opening.flight), std::move(opening.copy), false});
                    break;
                case Slot::foreign:
                    e_.count(Count::joined);
                    abroad_.push_back({at, opening.lease});
                    break;
                case Slot::bypass: left_.push_back(at); break;
            }
        }
        leases.settle([&](std::span<const Key> mine) { return path_.timed_many(mine); },
                      [&](std::size_t at, Fetched<Value>&& fetched, const Filled&) {
                          know(at, std::move(fetched.value));
                      },
                      [&](std::size_t at, std::exception_ptr why) {
                          answers_[at].failure = std::move(why);
                          answers_[at].known = true;
                      });
    }

    // A stale copy whose key rests, or need not be waited for.
    bool serve_without_load(std::size_t at) {
        const Key& key = keys_[at];
        std::optional<Copy<Value>>& stale = answers_[at].stale;
        if (!stale) {
            return false;
        }
        if (e_.traffic.rests(key, e_.now())) {
            know(at, path_.serve_stale(*stale).value);
            return true;
        }
        if (e_.options.load_timeout) {
            Plane flight = e_.store.underway(key);
            if (!flight) {
                flight = path_.queue(key, OwnLoad<E>{&e_}).flight;
            }
            waiting_.push_back({at, std::move(flight), std::move(stale), true});
            return true;
        }
        return false;
    }

    void await_others() {
        Patience hurry;
        if (e_.options.load_timeout) {
            hurry.deadline = later(std::chrono::steady_clock::now(), *e_.options.load_timeout);
        }
        for (Waiting& other : waiting_) {
            const Key& key = keys_[other.at];
            try {
                const Joined joined = join(*other.flight, other.hurried ? hurry : Patience{});
                if (joined == Joined::landed && other.flight->outcome().spoilt) {
                    left_.push_back(other.at);
                } else {
                    know(other.at, path_.answer(key, joined, *other.flight, other.stale).value);
                }
            } catch (...) {
                answers_[other.at].failure = std::current_exception();
                answers_[other.at].known = true;
            }
        }
    }

    // Loads of other processes: what they have left is asked for together.
    void await_abroad() {
        if (abroad_.empty()) {
            return;
        }
        std::vector<Key> keys;
        const auto end = later(std::chrono::steady_clock::now(), e_.options.wait);
        for (const Abroad& other : abroad_) {
            path_.await_foreign(keys_[other.at], other.lease, Patience{end, {}});
            keys.push_back(keys_[other.at]);
        }
        e_.store.peek_many(
            std::span<const Key>{keys},
            [&](std::size_t i, const Value* value, Remaining remaining, Ttl, bool) {
                if (remaining > Remaining::zero()) {
                    know(abroad_[i].at,
                         value != nullptr ? std::optional<Value>{*value} : std::nullopt);
                }
            },
            e_.look());
        for (const Abroad& other : abroad_) {
            if (!answers_[other.at].known) {
                left_.push_back(other.at);
            }
        }
    }

    // What has no lease: one more batch, which fills nothing.
    void load_left() {
        if (left_.empty()) {
            return;
        }
        std::vector<Key> keys;
        keys.reserve(left_.size());
        for (const std::size_t at : left_) {
            keys.push_back(keys_[at]);
        }
        std::vector<Loaded<Value>> loaded = path_.timed_many(std::span<const Key>{keys});
        for (std::size_t i = 0; i < left_.size(); ++i) {
            e_.count(Count::bypassed);
            know(left_[i], std::move(loaded[i].value));
        }
    }

    void know(std::size_t at, std::optional<Value> value) {
        answers_[at].value = std::move(value);
        answers_[at].known = true;
    }

    E& e_;
    ReadPath<E> path_;
    std::vector<Key> keys_{};
    std::vector<Answer> answers_{};
    std::vector<Waiting> waiting_{};
    std::vector<Abroad> abroad_{};
    std::vector<std::size_t> left_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_MANY_HPP
